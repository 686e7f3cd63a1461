"""The competition's files that the user put at hand: its zip archive, or its two CSVs."""

import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.data.tables import REMEDY, TEST_COLUMNS, TRAIN_COLUMNS, check_header
from pipeline.errors import SourceError, TableError
from pipeline.files import atomic_path, corruption_as, sha256

ARCHIVE_NAME = "digit-recognizer.zip"
TABLES = {"train.csv": TRAIN_COLUMNS, "test.csv": TEST_COLUMNS}
"""The two CSVs and their columns."""

_MAX_TABLE_BYTES = 400_000_000
"""About four times the competition's train.csv with every cell at its longest."""

_ENCRYPTED = 0x1
"""The bit in a member's flags that says so."""

_UNFINISHED = (".part", ".crdownload", ".download")
_CHUNK_BYTES = 1 << 20
_GET_IT = (
    "Download it again from https://www.kaggle.com/competitions/digit-recognizer/data, put it at "
    f"data/{ARCHIVE_NAME}, then run: dvc repro"
)


@dataclass(frozen=True)
class Found:
    """Files at hand.

    Attributes:
        path: the archive, or the folder that holds the two CSVs.
    """

    path: Path

    @property
    def files(self) -> list[Path]:
        """The archive, or the two CSVs."""
        return [self.path / name for name in TABLES] if self.path.is_dir() else [self.path]

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by name."""
        return {path.name: sha256(path) for path in self.files}


def find(folders: list[Path]) -> Found | None:
    """Look for the archive, or for both CSVs, in ``folders`` in turn; None if there is no trace.

    Raises:
        SourceError: a folder holds something that was probably meant to be the data, but is not.
    """
    for folder in folders:
        if (folder / ARCHIVE_NAME).is_file():
            return Found(folder / ARCHIVE_NAME)
        present = [name for name in TABLES if (folder / name).exists()]
        if len(present) == len(TABLES):
            return Found(folder)
        if present:
            absent = next(name for name in TABLES if name not in present)
            raise SourceError(
                f"{folder / present[0]} is there, but {folder / absent} is not: expected both. "
                "Put the other one beside it, then run: dvc repro"
            )
        if near_misses := _near_misses(folder):
            raise SourceError(
                f"{folder / ARCHIVE_NAME} was expected, but found {near_misses[0]}: a second or "
                f"unfinished download? If it is whole, give it its proper name ({ARCHIVE_NAME}, "
                "train.csv or test.csv); else move it away. Then run: dvc repro"
            )
    return None


def open_path(path: Path) -> Found:
    """Take the archive or folder that the user named.

    Raises:
        SourceError: there is none, or the folder lacks a CSV.
    """
    if path.is_dir():
        found = find([path])
        if found is None:
            raise SourceError(
                f"source.path in params.yaml is {path}, which holds neither {ARCHIVE_NAME} nor "
                "train.csv and test.csv. Name the archive, or the folder that holds it."
            )
        return found
    if not path.exists():
        raise SourceError(
            f"source.path in params.yaml is {path}, but there is no such file or folder. Name "
            f"the archive, or set it to null and put the archive at data/{ARCHIVE_NAME}."
        )
    return Found(path)


def check(found: Found, rows: Mapping[str, int] | None = None) -> None:
    """Check what can be checked without parsing the cells: structure, checksums, sizes, headers.

    Args:
        found: the files.
        rows: how many rows each CSV of an archive must have, by name, to have them counted, and
            the checksums of all other files in it verified, too.

    Raises:
        SourceError: the archive is not the competition's, or is damaged.
        TableError: a CSV's header is wrong, or its number of rows is.
    """
    if found.path.is_dir():
        for name, columns in TABLES.items():
            with (found.path / name).open("rb") as file:
                check_header(found.path / name, file.readline(_CHUNK_BYTES), columns)
        return
    with _open_archive(found.path) as archive:
        for name, columns in TABLES.items():
            member = found.path / name
            with archive.open(name) as file:
                check_header(member, file.readline(_CHUNK_BYTES), columns)
                lines = sum(
                    chunk.count(b"\n") for chunk in iter(partial(file.read, _CHUNK_BYTES), b"")
                )
            if rows and lines != rows[name]:
                raise TableError(
                    f"{member} is not complete: expected {rows[name]:,} rows, found {lines:,}.",
                    REMEDY,
                )
        for name in archive.namelist() if rows else []:
            if name not in TABLES:
                with archive.open(name) as file:
                    while file.read(_CHUNK_BYTES):
                        pass


def extract(found: Found, folder: Path) -> None:
    """Put ``train.csv`` and ``test.csv`` into ``folder``, whole, their checksums verified.

    Raises:
        SourceError: the archive is not the competition's, or is damaged.
        TableError: a CSV's header is wrong.
    """
    check(found)
    unpack(found, folder)


def unpack(found: Found, folder: Path) -> None:
    """Do as `extract` does with files that were checked just now, headers apart.

    Raises:
        SourceError: the archive is damaged.
    """
    if found.path.is_dir():
        for name in TABLES:
            _copy((found.path / name).open("rb"), folder / name)
        return
    with _open_archive(found.path) as archive:
        for name in TABLES:
            _copy(archive.open(name), folder / name)


def _copy(source: IO[bytes], target: Path) -> None:
    with source, atomic_path(target) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(source, file, _CHUNK_BYTES)


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive that holds both CSVs, and name every way in which it can be damaged."""
    with corruption_as(partial(_describe_damage, path)), zipfile.ZipFile(path) as archive:
        _check_members(path, archive.infolist())
        yield archive


def _describe_damage(path: Path, reason: str) -> SourceError:
    with path.open("rb") as file:
        beginning = file.read(200).lstrip()
    if beginning.startswith(b"<"):
        problem = "it is a web page, perhaps a login form saved under this name"
    elif not beginning:
        problem = "it is empty"
    else:
        problem = f"it is cut off or damaged: {reason}"
    return SourceError(
        f"{path} is not a whole zip archive: {problem} ({path.stat().st_size:,} bytes; the "
        f"competition's has about 15 million). {_GET_IT}"
    )


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in member.filename:
            raise SourceError(
                f"{path} holds a file named {member.filename!r}, which points outside the "
                f"archive: it is not the competition's, and nothing was unpacked. {_GET_IT}"
            )
        if member.filename in TABLES and member.flag_bits & _ENCRYPTED:
            raise SourceError(
                f"{path} is not the competition's archive: its {member.filename} is encrypted, "
                f"expected a plain file. {_GET_IT}"
            )
        if member.filename in TABLES and member.file_size > _MAX_TABLE_BYTES:
            raise SourceError(
                f"{path} holds a {member.filename} of {member.file_size:,} bytes: expected at most "
                f"{_MAX_TABLE_BYTES:,}. It is not the competition's, and nothing was unpacked. "
                f"{_GET_IT}"
            )
    if absent := [name for name in TABLES if name not in names]:
        raise SourceError(
            f"{path} is not the competition's archive: expected {' and '.join(TABLES)} in it, but "
            f"{absent[0]} is not there; found {', '.join(names[:5]) or 'nothing'}. {_GET_IT}"
        )
    if repeated := [name for name in TABLES if names.count(name) > 1]:
        raise SourceError(
            f"{path} is not the competition's archive: it holds {names.count(repeated[0])} files "
            f"named {repeated[0]}, expected one. {_GET_IT}"
        )


def _near_misses(folder: Path) -> list[Path]:
    """Files that look like the archive under a wrong name, or like an unfinished download of it."""
    if not folder.is_dir():
        return []
    stem = ARCHIVE_NAME.removesuffix(".zip")
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (".zip", *_UNFINISHED)
        or (path.name.startswith(stem) and path.name != stem)
        or re.fullmatch(r"(train|test)\W*\d*\W*\.csv", path.name, re.IGNORECASE)
    )
