"""Every package of a lock file as a wheel, for a notebook of Kaggle's that has no internet."""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from pipeline.errors import KaggleError, ProjectError, printable
from pipeline.files import read_json, sha256, write_json, write_text
from pipeline.kaggle import pip
from pipeline.kaggle.credentials import Credentials, Key
from pipeline.kaggle.lock import PYTHON, Pin

MANIFEST = "wheels.json"
"""What tells a notebook that a folder holds its packages, and bootstrap.py for which Python."""

REQUIREMENTS = "requirements.txt"
"""The lock file of what is there. It is written last: a folder without it is not finished."""

CODE = "code.archive"
"""The project's code next to the packages, a tar.xz. Kaggle would unpack one of that name."""

METADATA = "dataset-metadata.json"
"""What Kaggle's client reads of a folder that it uploads."""

NEEDED_GB = 2.5
"""Free space for the packages, and for unpacking the largest while it is downloaded."""

_TITLE, _SLUG = "Digit Recognizer wheels", "digit-recognizer-wheels"
_LICENSES = [{"name": "other"}]

_BATCH = 8
"""Packages that one run of pip downloads."""


@dataclass(frozen=True)
class Wheel:
    """A package that is there.

    Attributes:
        pin: the package.
        path: of its wheel.
        sha256: hash of the wheel.
    """

    pin: Pin
    path: Path
    sha256: str

    @property
    def bytes(self) -> int:
        """The size of the wheel."""
        return self.path.stat().st_size


def collect(
    folder: Path,
    pins: Sequence[Pin],
    show: Callable[[int, Sequence[Pin]], object],
    python: str = PYTHON,
) -> list[Wheel]:
    """Put a wheel of each package into ``folder``; those that lie there whole stay.

    A run that was interrupted is continued: what it had downloaded is not downloaded again. Other
    wheels in the folder are removed at the end.

    Args:
        folder: new, empty, or filled by this function.
        pins: the packages.
        show: called with the number of packages that are there, and those that come next.
        python: a minor version of Python.

    Raises:
        PackagesError: a package cannot be had.
        ProjectError: the folder holds other files, or its disk is full.
    """
    _check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REQUIREMENTS).unlink(missing_ok=True)
    built = _read_built(folder)
    _write_manifest(folder, python, built)
    found = _find(folder, pins, built)
    missing = [pin for pin in pins if pin not in found]
    if missing:
        check_space(folder)
    with pip.unfinished(folder) as unfinished:
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            show(len(found) + start, batch)
            built |= pip.download([pin.line() for pin in batch], unfinished, python)
            _write_manifest(folder, python, built)
            for path in unfinished.glob("*.whl"):
                path.replace(folder / path.name)
    found = _find(folder, pins, built)
    for path in set(folder.glob("*.whl")) - {wheel.path for wheel in found.values()}:
        path.unlink()
    lines = [pin.line(frozenset([wheel.sha256])) for pin, wheel in found.items()]
    write_text(folder / REQUIREMENTS, "".join(f"{line}\n" for line in lines))
    return list(found.values())


def name_dataset(
    folder: Path, user: str | None, find_credentials: Callable[[], Credentials | None]
) -> str:
    """The address of the data set that a folder becomes, ``USER/SLUG``.

    Args:
        folder: that of the packages; what its ``dataset-metadata.json`` names stays.
        user: whose it is; None: whoever the credentials name.
        find_credentials: gives them.

    Raises:
        KaggleError: nothing tells whose it is.
    """
    path = folder / METADATA
    if path.exists() and user is None:
        return str(_read_metadata(path)["id"])
    if user is None:
        found = find_credentials()
        user = found.username if isinstance(found, Key) else None
    if user is None:
        raise KaggleError(
            "The data set needs an owner, and no kaggle.json or KAGGLE_USERNAME tells your name "
            "at Kaggle. Name it: --user NAME"
        )
    if not re.fullmatch(r"[A-Za-z0-9_-]+", user):
        raise KaggleError(
            f"{printable(user) or 'An empty name'} is no name at Kaggle: expected letters, digits, "
            "- and _, as in the address of your profile. Name it: --user NAME"
        )
    return f"{user}/{_SLUG}"


def describe_dataset(folder: Path, address: str) -> None:
    """Write what Kaggle's client needs to upload the folder; what else is in the file stays."""
    path = folder / METADATA
    new = {"title": _TITLE, "licenses": _LICENSES}
    described = _read_metadata(path) if path.exists() else new
    write_json(path, described | {"id": address})


def check_space(folder: Path, needed_gb: float = NEEDED_GB) -> None:
    """Refuse a disk that is too full.

    Raises:
        ProjectError: it is.
    """
    free = shutil.disk_usage(folder).free / 1e9
    if free < needed_gb:
        raise ProjectError(
            f"Only {free:.1f} GB are free in {folder}, and the packages need up to {needed_gb} GB. "
            "Free some space, or name a folder on another disk; then run the same command again."
        )


def _check_folder(folder: Path) -> None:
    """Refuse a folder with files of other kinds: Kaggle's client would upload them."""
    if not folder.exists() or (folder / MANIFEST).exists():
        return
    if not folder.is_dir():
        raise ProjectError(f"{folder} is a file. Name a folder.")
    if other := next(folder.iterdir(), None):
        raise ProjectError(
            f"{folder} holds other files, {other.name} among them, which would be uploaded with "
            "the packages. Name a new folder, or an empty one."
        )


def _write_manifest(folder: Path, python: str, built: Mapping[str, str]) -> None:
    write_json(folder / MANIFEST, {"python": python, "built": dict(sorted(built.items()))})


def _read_built(folder: Path) -> dict[str, str]:
    """SHA-256 of the wheels that an earlier run built, by their files' names."""
    if not (folder / MANIFEST).exists():
        return {}
    match read_json(folder / MANIFEST):
        case {"built": dict(built)}:
            return {str(name): str(digest) for name, digest in built.items()}
    return {}  # of another version, or damaged: they are built again


def _read_metadata(path: Path) -> dict[str, object]:
    match read_json(path):
        case {"id": str()} as described:
            return dict(described)
    raise ProjectError(
        f"{path} does not tell whose data set it is: expected an id, such as NAME/{_SLUG}. Mend "
        "it, or delete it and name the owner: --user NAME"
    )


def _find(folder: Path, pins: Sequence[Pin], built: Mapping[str, str]) -> dict[Pin, Wheel]:
    """The packages whose wheels lie in a folder, their hashes checked; in the order of ``pins``."""
    candidates: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(folder.glob("*.whl")):
        with suppress(InvalidWheelFilename):
            name, version, _, _ = parse_wheel_filename(path.name)
            candidates.setdefault((name, str(version)), []).append(path)
    found = {}
    for pin in pins:
        for path in candidates.get((pin.name, pin.version), []):
            digest = sha256(path)
            if digest in pin.hashes or digest == built.get(path.name):
                found[pin] = Wheel(pin, path, digest)
    return found
