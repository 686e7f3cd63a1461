"""Make, repair and fill the virtual environment ``.venv``. The Makefile runs it.

    python3 -I bootstrap.py [--dev] [--gpu] [--uv] [--wheels DIR]

It needs nothing but Python. An environment that works and holds what the lock files name is left
as it is, in a fraction of a second. One that does not work, because its making was interrupted or
its Python was replaced, is made again; one that was moved or copied learns its new place. With
``--uv``, uv installs the packages, which is several times as fast as pip.
"""

from __future__ import annotations  # so that an old Python gets as far as the message for it

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import NamedTuple

VENV = Path(".venv")
PYTHON = VENV / "bin/python"
STATE = VENV / "bootstrap.json"
"""Where the environment was filled and with what: its place, and hashes of the files below."""

RUNTIME, DEVELOPMENT, PACKAGE = "requirements.lock", "requirements-dev.lock", "pyproject.toml"
SIZE_GB = 3.0
CUDA_GB = 3.0
VERSIONS = ((3, 11), (3, 12), (3, 13))

_FOREIGN_VARIABLES = (
    "PIP_CONSTRAINT",
    "PIP_DRY_RUN",
    "PIP_NO_DEPS",
    "PIP_PREFIX",
    "PIP_PYTHON",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONWARNINGS",
    "UV_BUILD_CONSTRAINT",
    "UV_CONSTRAINT",
    "UV_NO_DEPS",
    "UV_OVERRIDE",
    "UV_PRERELEASE",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
)
"""Variables that would have other packages installed, or elsewhere, or taken for installed."""


class Problem(Exception):
    """What the user has to mend."""


class Installer(NamedTuple):
    """What installs packages, and from where.

    Attributes:
        uv: the command uv; None: pip.
        wheels: a folder that ``digits kaggle wheels`` filled, the only source; None: as configured.
    """

    uv: str | None = None
    wheels: Path | None = None

    @property
    def name(self) -> str:
        """The program."""
        return "uv" if self.uv else "pip"

    def requirements(self, lock: str) -> str:
        """The file that names what a lock file names, with the hashes of what is there."""
        return str(self.wheels / "requirements.txt") if self.wheels and lock == RUNTIME else lock

    def install(self, *arguments: str) -> None:
        """Install, with progress shown, and explain a failure."""
        if self.uv:
            command = [self.uv, "pip", "install", "--python", str(PYTHON)]
        else:
            command = [str(PYTHON), "-I", "-m", "pip", "--disable-pip-version-check", "install"]
        if self.wheels:
            command += ["--no-index", "--find-links", str(self.wheels)]
        # Of setuptools, that an editable package is one.
        quiet = {"PIP_USER": "0", "PYTHONWARNINGS": "ignore"}
        if subprocess.run(
            [*command, *arguments], env=_environment() | quiet, check=False
        ).returncode:
            cause = f"Look at {self.wheels}" if self.wheels else "Check the network"
            raise Problem(
                f"{self.name} could not install the packages (its message is above). "
                f"{_explain_disk(0.2) or cause}, then run make again: it goes on"
            )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Make, repair and fill .venv.")
    parser.add_argument("--dev", action="store_true", help="install the tools for development, too")
    parser.add_argument("--gpu", action="store_true", help="install CUDA's libraries, too")
    parser.add_argument("--uv", action="store_true", help="install by uv instead of pip")
    parser.add_argument(
        "--wheels", metavar="DIR", type=Path, help="install what digits kaggle wheels put there"
    )
    options = parser.parse_args()
    locks = [RUNTIME, DEVELOPMENT] if options.dev else [RUNTIME]
    wheels = options.wheels and options.wheels.resolve()
    os.chdir(Path(__file__).resolve().parent)
    try:
        check_place(Path.cwd())
        if options.gpu:
            check_system()
        if wheels:
            check_wheels(wheels)
        is_new = not STATE.exists()
        installer = Installer(find_uv(options.uv), wheels)
        fill(locks, installer)
        if options.gpu:
            install_cuda(installer)
        elif is_new and has_gpu():
            print(f"This machine has an NVIDIA GPU. To train on it ({CUDA_GB:.0f} GB): make gpu")
        tell_dvc_about_git([str(PYTHON), "-m", "dvc"])
    except Problem as problem:
        sys.exit(f"error: {problem}")
    except KeyboardInterrupt:
        print("interrupted; make goes on where it stopped", file=sys.stderr)
        sys.exit(130)


def check_place(folder: Path) -> None:
    """Refuse a path with which Python's environments do not work."""
    unusable = sorted(set(re.findall(r'[:"$`\\\n]', str(folder))))
    if unusable:
        raise Problem(
            f"the path of this folder, {folder}, contains {' '.join(map(repr, unusable))}. Virtual "
            "environments do not work there. Rename the folder, then run make again"
        )


def check_python(
    version: tuple[int, ...] = sys.version_info[:2],
    bits: int = 8 * struct.calcsize("P"),
    implementation: str = platform.python_implementation(),
    free_threaded: bool = bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
) -> None:
    """Refuse a Python for which TensorFlow has no build."""
    found = f"{implementation} {'.'.join(map(str, version))}"
    if version not in VERSIONS:
        problem = f"Python 3.11, 3.12 or 3.13 is needed, found {found}"
    elif bits != 64:
        problem = f"a 64-bit Python is needed, as TensorFlow has no other, found {bits} bits"
    elif implementation != "CPython" or free_threaded:
        found += ", free-threaded" if free_threaded else ""
        problem = f"the usual CPython is needed, as TensorFlow knows no other, found {found}"
    else:
        return
    raise Problem(f"{problem} ({sys.executable}). Name another: make PYTHON=python3.12")


def check_wheels(folder: Path) -> None:
    """Refuse packages of another version or for another Python."""
    try:
        made_for = json.loads((folder / "wheels.json").read_text(encoding="utf-8"))["python"]
        found = read_pins(folder / "requirements.txt")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Problem(
            f"{folder} does not hold what digits kaggle wheels puts there: {error}"
        ) from None
    here = ".".join(map(str, sys.version_info[:2]))
    if made_for != here:
        raise Problem(
            f"the packages in {folder} are for Python {made_for}, and this is {here}. Make them "
            f"again with: digits kaggle wheels DIR --python {here}"
        )
    locked = read_pins(Path(RUNTIME))
    other = sorted(name for name in found if not found[name] <= locked.get(name, set()))
    if other:
        expected = " or ".join(sorted(locked.get(other[0], {"none"})))
        raise Problem(
            f"the packages in {folder} are not those of {RUNTIME}: {other[0]} "
            f"{min(found[other[0]])}, expected {expected}. Make them again from this code with: "
            "digits kaggle wheels DIR"
        )


def read_pins(path: Path) -> dict[str, set[str]]:
    """The versions of each package that a lock file names."""
    pins: dict[str, set[str]] = {}
    for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", path.read_text(encoding="utf-8")):
        pins.setdefault(name, set()).add(version)
    return pins


def find_uv(asked: bool) -> str | None:
    """The command uv where it is asked for, or filled the environment before; None: pip."""
    if not asked and _read_state().get("installer") != "uv":
        return None
    found = shutil.which("uv")
    if asked and not found:
        raise Problem("uv is not on PATH. Install it (pip install uv), or leave --uv out")
    return found


def fill(locks: list[str], installer: Installer) -> None:
    """Have an environment that works here and holds what ``locks`` and pyproject.toml name."""
    wanted = {name: _sha256(Path(name)) for name in (*locks, PACKAGE)}
    place = str(Path.cwd())
    broken = find_fault(installer)
    if broken is not None:
        create(broken, installer)
        _write_state({"installer": installer.name})
    state = _read_state()
    if state.get("place") != place:
        if "place" in state:
            print(f"Moved or copied from {state['place']}: the environment learns its new place")
        settle()
        state.pop(PACKAGE, None)
        _write_state(state | {"place": place})
    for lock in locks:
        if state.get(lock) != wanted[lock]:
            install_lock(lock, installer)
            state |= {lock: wanted[lock]}
            _write_state(state | {"place": place})
    if state.get(PACKAGE) != wanted[PACKAGE]:
        installer.install("--no-deps", "--no-build-isolation", "--editable", ".")
        _write_state(state | {PACKAGE: wanted[PACKAGE], "place": place})


def has_gpu(root: Path = Path("/")) -> bool:
    """Whether the system shows an NVIDIA GPU, and TensorFlow has a build for it."""
    return (sys.platform, platform.machine()) == _CUDA_SYSTEM and any(
        (root / "dev").glob("nvidia[0-9]*")
    )


_CUDA_SYSTEM = ("linux", "x86_64")


def check_system(system: str = sys.platform, machine: str = platform.machine()) -> None:
    """Refuse a system for which TensorFlow has no GPU build."""
    if (system, machine) != _CUDA_SYSTEM:
        raise Problem(
            "TensorFlow uses GPUs on Linux with an x86-64 processor only, found "
            f"{system} on {machine}. Networks train on the CPU here: make"
        )


def install_cuda(installer: Installer) -> None:
    """Install the extra ``gpu``, unless it was installed for this TensorFlow."""
    wanted = _sha256(Path(RUNTIME))
    if _read_state().get("gpu") == wanted:
        return
    print(f"Installing CUDA's libraries into {VENV}: about {CUDA_GB:.0f} GB, once", flush=True)
    problem = _explain_disk(2 * CUDA_GB)  # packed and unpacked
    if problem:
        print(f"warning: {problem}", file=sys.stderr, flush=True)
    forget_unfinished()
    installer.install("--no-build-isolation", "--editable", ".[gpu]")
    _write_state(_read_state() | {"gpu": wanted})


def find_fault(installer: Installer) -> str | None:
    """Why the environment does not work; None if it does, and "" if there is none."""
    if not os.path.lexists(PYTHON):
        return "its making was interrupted" if VENV.exists() else ""
    try:
        needed = "site" if installer.uv else "pip._internal.cli.main"
        command = [str(PYTHON), "-I", "-c", f"import {needed}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "its Python is gone"
    return None if done.returncode == 0 else "it lacks pip, or its Python was replaced"


def create(fault: str, installer: Installer) -> None:
    """Make the environment, in place of one with ``fault``."""
    check_python()
    if fault:
        print(f"The environment in {VENV} does not work: {fault}. It is made again", flush=True)
    base = getattr(sys, "_base_executable", sys.executable)
    if installer.uv:
        shutil.rmtree(VENV, ignore_errors=True)
        command = [installer.uv, "venv", "--quiet", "--no-project", "--python", base, str(VENV)]
    else:
        command = [base, "-m", "venv", "--clear", str(VENV)]
    try:
        done = subprocess.run(command, env=_environment(), check=False)
    except BaseException:
        shutil.rmtree(VENV, ignore_errors=True)
        raise
    if done.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise Problem(
            f"Python could not make the environment {VENV} (its message is above). "
            f"{_explain_disk(0.1) or _EXPLAIN_VENV}. Then run make again"
        )


_EXPLAIN_VENV = (
    "If it names ensurepip, install Python's venv module; on Debian and Ubuntu: "
    "sudo apt install python3-venv"
)


def settle() -> None:
    """Write this folder's path into the scripts of the environment, which holds another's."""
    command = [str(PYTHON), "-I", "-m", "venv", "--without-pip", str(VENV)]
    subprocess.run(command, check=True)  # activate and pyvenv.cfg
    for path in (VENV / "bin").iterdir():
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            settled = _readdress(content, Path.cwd() / VENV / "bin")
            if settled != content:
                path.write_bytes(settled)


def _readdress(script: bytes, folder: Path) -> bytes:
    """A console script that starts the Python in ``folder``; other scripts as they are."""
    found = re.match(
        rb"""#!(?:/bin/sh\n'''exec' ["']?)?(?P<python>/[^\n]*?/bin/python[0-9.]*)"""
        rb"""(?:["']? "\$0" "\$@"\n' '''|)\n""",
        script,
    )
    if not found:
        return script
    python = os.fsencode(folder / Path(os.fsdecode(found["python"])).name)
    if b" " in python or len(python) > 120:  # more than kernels accept in a first line
        first = b"#!/bin/sh\n'''exec' \"" + python + b'" "$0" "$@"\n\' \'\'\'\n'
    else:
        first = b"#!" + python + b"\n"
    return first + script[found.end() :]


def install_lock(lock: str, installer: Installer) -> None:
    """Install what a lock file names, also where an earlier try was interrupted."""
    if lock == RUNTIME:
        print(
            f"Installing TensorFlow, DVC and the rest into {VENV}: about {SIZE_GB:.0f} GB, some "
            "minutes, once",
            flush=True,
        )
        fresh = not list(VENV.glob("lib/python*/site-packages/tensorflow"))
        problem = _explain_disk(SIZE_GB) if fresh else None
        if problem:
            print(f"warning: {problem}", file=sys.stderr, flush=True)
    forget_unfinished()
    # The lock names all packages; pip, asked for what they need, may look at newer ones, too.
    options = "--no-deps", "--require-hashes", "--requirement"
    installer.install(*options, installer.requirements(lock))


def forget_unfinished() -> None:
    """Remove what was noted of packages that were not wholly installed when pip was ended.

    It writes ``INSTALLER`` last; without it, it would take the package for installed.
    """
    for folder in VENV.glob("lib/python*/site-packages/*.dist-info"):
        if not (folder / "INSTALLER").exists():
            shutil.rmtree(folder)


def _environment() -> dict[str, str]:
    return {name: each for name, each in os.environ.items() if name not in _FOREIGN_VARIABLES}


def _explain_disk(needed_gb: float) -> str | None:
    """Which file system has less than this free; None if none does."""
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        free = shutil.disk_usage(folder).free / 1e9
        if free < needed_gb:
            return f"Only {free:.1f} GB are free in {folder}: free some space"
    return None


def tell_dvc_about_git(dvc: list[str]) -> None:
    """Set ``core.no_scm`` where no Git repository tracks the project, and unset it where one does.

    The comparison is a DVC project of its own.

    Args:
        dvc: the command that runs DVC.
    """
    tracked = is_tracked()
    for project in (Path(), Path("comparison")):
        config = project / ".dvc/config.local"
        text = config.read_text(encoding="utf-8") if config.exists() else ""
        is_set = re.search(r"(?im)^\s*no_scm\s*=\s*true", text) is not None
        if tracked is None or is_set != tracked or not config.parent.exists():
            continue
        change = ["--unset", "core.no_scm"] if tracked else ["core.no_scm", "true"]
        command = [*dvc, "--cd", str(project), "config", "--local", *change]
        if subprocess.run(command, check=False).returncode:
            raise Problem(f"DVC could not change {config} (its message is above)")


def is_tracked() -> bool | None:
    """Whether Git tracks the project, here or in a larger repository; None if Git refuses."""
    if Path(".git").exists():
        return True
    kept = {name: each for name, each in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "ls-files", "--error-unmatch", "dvc.yaml"]
    try:
        done = subprocess.run(
            command, env=kept | {"LC_ALL": "C"}, capture_output=True, text=True, check=False
        )
    except OSError:
        return False
    refused = re.search(r"git config --global --add safe\.directory .+", done.stderr)
    if refused:
        print(
            "warning: Git does not read the repository around this folder, because another user "
            f"owns it. If you trust it, run: {refused[0]}",
            file=sys.stderr,
        )
        return None
    return done.returncode == 0


def _read_state() -> dict[str, str]:
    try:
        state = json.loads(STATE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _write_state(state: dict[str, str]) -> None:
    temporary = STATE.with_suffix(".partial")
    temporary.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    temporary.replace(STATE)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
