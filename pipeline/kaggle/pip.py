"""pip, as it downloads wheels for another machine, and what its failures mean."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pipeline.errors import PackagesError
from pipeline.files import sha256

_GLIBC = range(5, 36)
"""Minor versions of glibc whose wheels Kaggle's image runs: it is an Ubuntu 22.04."""

_NETWORK = re.compile(
    "NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|"
    "ConnectionResetError|RemoteDisconnected|IncompleteRead|HTTP error 5"
)
_AGAIN = "What was downloaded is kept: run the same command again."


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A folder in ``folder`` for files that are not whole yet; it is removed at the end."""
    path = folder / ".unfinished"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def download(requirements: Sequence[str], folder: Path, python: str) -> dict[str, str]:
    """Put a wheel of each package into ``folder``, its hash checked.

    A package that is published without wheels is built, if that gives a wheel for every machine.

    Args:
        requirements: lines of a lock file.
        folder: where pip puts its temporary files, too.
        python: the minor version of Python to download for, on Linux and x86-64.

    Returns:
        SHA-256 of each wheel that was built, by its file's name.

    Raises:
        PackagesError: no network, no space, another hash, or no wheel.
    """
    if find_spec("pip") is None:
        raise PackagesError("This environment has no pip. Install it with: python -m ensurepip")
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in reversed(_GLIBC)]
    platforms += [f"manylinux{year}_x86_64" for year in (2014, 2010, 1)]
    options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    options += [f"--platform={platform}" for platform in platforms]
    done = _run("download", [*options, "--dest", str(folder)], requirements, folder)
    if done.returncode == 0:
        return {}
    _raise_if_known(done.stdout)
    if len(requirements) == 1:
        return _build(requirements[0], folder, python)
    built: dict[str, str] = {}
    for requirement in requirements:
        built |= download([requirement], folder, python)
    return built


def _build(requirement: str, folder: Path, python: str) -> dict[str, str]:
    """A wheel from the source of a package that is published without."""
    place = folder / "built"
    options = ["--no-binary=:all:", "--wheel-dir", str(place)]
    done = _run("wheel", options, [requirement], folder)
    _raise_if_known(done.stdout)
    built = [path for path in place.glob("*.whl") if path.stem.endswith("-none-any")]
    if not built:
        reason = _find_error(done.stdout) if done.returncode else "its source compiles code"
        raise PackagesError(
            f"{requirement.partition(' ')[0]} has no wheel for Python {python} on Linux x86-64, "
            f"and none could be built here: {reason}. Else pin a version that has one in "
            "requirements.lock."
        )
    (path,) = built
    path = path.rename(folder / path.name)
    return {path.name: sha256(path)}


def _run(
    command: str, options: Sequence[str], requirements: Sequence[str], folder: Path
) -> subprocess.CompletedProcess[str]:
    lines = folder / "lines.txt"
    lines.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
    return subprocess.run(
        [
            *(sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", command),
            *("--no-deps", "--require-hashes", "--requirement", str(lines), "--progress-bar=off"),
            *options,
        ],
        env=os.environ | {"TMPDIR": str(folder), "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _raise_if_known(output: str) -> None:
    """Raise what pip's output says about the network, the disk or a hash."""
    if "No space left on device" in output or "Disk quota exceeded" in output:
        raise PackagesError(f"The disk is full: free some space. {_AGAIN}")
    if "DO NOT MATCH THE HASHES" in output:
        named = re.search(r"(?m)^\s+(\S+==\S+) from", output)
        raise PackagesError(
            f"{named[1] if named else 'A package'} is not the file that requirements.lock names: "
            "its hash differs. Look at the index or proxy that pip uses (pip config list). Nothing "
            "of it was kept."
        )
    if found := _NETWORK.search(output):
        raise PackagesError(
            f"The packages' index is out of reach ({found[0]}): {_find_error(output)}. Check the "
            f"network. {_AGAIN}"
        )


def _find_error(output: str) -> str:
    """The last error that pip reports, in one line."""
    if "(from versions: none)" in output:
        return "pip finds no file of it. If it finds none of any package, see: pip config list"
    errors = re.findall(
        r"(?m)^\s*(?:error|ERROR|An error occurred during configuration): (.+?)\.?$", output
    )
    return errors[-1] if errors else "pip says nothing more"
