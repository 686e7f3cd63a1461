"""The competition's two CSVs, read out of whatever holds them: a zip archive or a folder.

A CSV may lie bare or in a zip of its own (``train.csv.zip``, as Kaggle serves single files), in a
folder of the archive, as after packing it again, or in an archive within the archive. What a file
holds decides, not its name.
"""

import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.data.table_cells import REMEDY
from pipeline.data.tables import (
    LFS_REMEDY,
    TEST_COLUMNS,
    TRAIN_COLUMNS,
    check_header,
    is_lfs_pointer,
    recognize,
)
from pipeline.errors import SourceError, TableError
from pipeline.files import atomic_path, corruption_as, sha256

ARCHIVE_NAME = "digit-recognizer.zip"
TABLES = {"train.csv": TRAIN_COLUMNS, "test.csv": TEST_COLUMNS}
"""The two CSVs and their columns."""

_MAX_TABLE_BYTES = 400_000_000
"""About four times the competition's train.csv with every cell at its longest."""

_ENCRYPTED = 0x1
"""The bit in a member's flags that says so."""

_ZIP = b"PK"
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
        """The archive, or what holds the two CSVs in the folder."""
        if not self.path.is_dir():
            return [self.path]
        return [find_table(self.path, name) or self.path / name for name in TABLES]

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, by name."""
        return {path.name: sha256(path) for path in self.files}


def find_table(folder: Path, name: str) -> Path | None:
    """The file in ``folder`` that holds a CSV, bare or zipped; None if there is none."""
    unpacked = folder / name / name  # as file managers unpack a single file that was zipped
    candidates = (folder / name, folder / f"{name}.zip", unpacked)
    return next((path for path in candidates if path.is_file()), None)


def check(found: Found, rows: Mapping[str, int] | None = None) -> None:
    """Check what can be checked without parsing the cells: structure, checksums, sizes, headers.

    Args:
        found: the files.
        rows: how many rows each CSV must have, by name, to have them counted, and the checksums of
            all other files in an archive verified, too.

    Raises:
        SourceError: an archive is not the competition's, or is damaged.
        TableError: a CSV's header is wrong, or its number of rows is.
    """
    for name, columns in TABLES.items():
        with _open_table(found, name) as (file, place):
            check_header(place, file.readline(_CHUNK_BYTES), columns)
            if found.path.is_dir() and not rows:
                continue
            chunks = iter(partial(file.read, _CHUNK_BYTES), b"")
            lines = sum(chunk.count(b"\n") for chunk in chunks)
        if rows and lines != rows[name]:
            raise TableError(
                f"{place} is not complete: expected {rows[name]:,} rows, found {lines:,}.", REMEDY
            )
    if rows and not found.path.is_dir():
        whole = corruption_as(partial(_describe_damage, found.path))
        with whole, zipfile.ZipFile(found.path) as archive:
            for member in archive.infolist():
                if PurePosixPath(member.filename).name not in TABLES:
                    with archive.open(member) as file:
                        while file.read(_CHUNK_BYTES):
                            pass


def extract(found: Found, folder: Path) -> None:
    """Put ``train.csv`` and ``test.csv`` into ``folder``, whole, their checksums verified.

    Raises:
        SourceError: an archive is not the competition's, or is damaged.
        TableError: a CSV's header is wrong.
    """
    check(found)
    unpack(found, folder)


def unpack(found: Found, folder: Path) -> None:
    """Do as `extract` does with files that were checked just now, headers apart.

    Raises:
        SourceError: an archive is damaged.
    """
    for name in TABLES:
        with (
            _open_table(found, name) as (source, _),
            atomic_path(folder / name) as temporary,
            temporary.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, _CHUNK_BYTES)


@contextmanager
def _open_table(found: Found, name: str) -> Iterator[tuple[IO[bytes], Path]]:
    """Open one CSV, and tell where it lies: a path that may continue within an archive."""
    path = found.path
    with ExitStack() as stack:
        if path.is_dir():
            path = find_table(path, name) or path / name
            if not _begins_as_zip(file := stack.enter_context(path.open("rb"))):
                yield file, path
                return
        stack.enter_context(corruption_as(partial(_describe_damage, path)))
        archive = stack.enter_context(zipfile.ZipFile(path))
        yield _open_member(archive, name, path, stack)


def _open_member(
    archive: zipfile.ZipFile, name: str, place: Path, stack: ExitStack
) -> tuple[IO[bytes], Path]:
    member = _choose_member(archive, name, place)
    place = place / member.filename
    file = stack.enter_context(archive.open(member))
    if not _begins_as_zip(file):
        return file, place
    return _open_member(stack.enter_context(zipfile.ZipFile(file)), name, place, stack)


def _begins_as_zip(file: IO[bytes]) -> bool:
    beginning = file.read(len(_ZIP))
    file.seek(0)
    return beginning == _ZIP


def _describe_damage(path: Path, reason: str) -> SourceError:
    with path.open("rb") as file:
        beginning = file.read(200).lstrip()
    problem = recognize(beginning) or f"it is cut off or damaged: {reason}"
    return SourceError(
        f"{path} is not a whole zip archive: {problem} ({path.stat().st_size:,} bytes). "
        f"{LFS_REMEDY if is_lfs_pointer(beginning) else _GET_IT}"
    )


def _choose_member(archive: zipfile.ZipFile, name: str, place: Path) -> zipfile.ZipInfo:
    """The member that holds a CSV: itself, zipped, or within the only archive there is."""
    members = [member for member in archive.infolist() if not _is_leftover(member)]
    for member in members:
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in member.filename:
            raise SourceError(
                f"{place} holds a file named {member.filename!r}, which points outside the "
                f"archive: it is not the competition's, and nothing was unpacked. {_GET_IT}"
            )
    for wanted in (name, f"{name}.zip", ARCHIVE_NAME):
        named = [member for member in members if _name(member) == wanted]
        if len(named) > 1:
            raise SourceError(
                f"{place} is not the competition's archive: it holds {len(named)} files named "
                f"{wanted}, expected one. {_GET_IT}"
            )
        if named:
            _check_member(named[0], place)
            return named[0]
    names = ", ".join(member.filename for member in members[:5])
    raise SourceError(
        f"{place} is not the competition's archive: expected {' and '.join(TABLES)} in it, but "
        f"{name} is not there; found {names or 'nothing'}. {_GET_IT}"
    )


def _name(member: zipfile.ZipInfo) -> str:
    """Without folders; some programs for Windows divide them by backslashes."""
    return PurePosixPath(member.filename.replace("\\", "/")).name


def _is_leftover(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a folder, or what macOS adds to an archive."""
    return member.is_dir() or PurePosixPath(member.filename).parts[:1] == ("__MACOSX",)


def _check_member(member: zipfile.ZipInfo, place: Path) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise SourceError(
            f"{place} is not the competition's archive: its {member.filename} is encrypted, "
            f"expected a plain file. {_GET_IT}"
        )
    if member.file_size > _MAX_TABLE_BYTES:
        raise SourceError(
            f"{place} holds a {member.filename} of {member.file_size:,} bytes: expected at most "
            f"{_MAX_TABLE_BYTES:,}. It is not the competition's, and nothing was unpacked. "
            f"{_GET_IT}"
        )
