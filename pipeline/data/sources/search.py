"""Where the competition's files are looked for on this machine."""

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pipeline.data.sources.archive import ARCHIVE_NAME, TABLES, Found, check, find_table
from pipeline.errors import SourceError, TableError
from pipeline.kaggle.credentials import COMPETITION

ATTACHED = Path("/kaggle/input")
"""Where Kaggle's notebooks find the data that is attached to them."""

ATTACH_IT = (
    "Attach the competition to the notebook (Add Input, Competitions, Digit Recognizer), or name a "
    "folder with its files as source.path in params.yaml"
)
"""What to do where the data that is attached cannot be used."""

_SAMPLE_SUBMISSION = "sample_submission.csv"
_UNFINISHED = (".part", ".crdownload", ".download")
_DEEPEST = 6
_LISTED_NAMES = 5
_MOST_FILES = 10_000
_OF_DATA = (".csv", ".zip")


def find(folders: list[Path], remedy: str | None = None) -> Found | None:
    """Look for the archive, or for both CSVs, in ``folders`` in turn; None if there is no trace.

    Args:
        folders: where to look.
        remedy: what to do where nothing can be put into them.

    Raises:
        SourceError: a folder holds something that was probably meant to be the data, but is not.
    """
    for folder in folders:
        for name in (ARCHIVE_NAME, *TABLES):
            _check_link(folder / name)
        if (folder / ARCHIVE_NAME).is_file():
            return Found(folder / ARCHIVE_NAME)
        if (folder / ARCHIVE_NAME).is_dir():
            raise SourceError(
                f"{folder / ARCHIVE_NAME} is a folder: expected the competition's archive, a file. "
                "Docker makes such a folder where the file that it should mount is missing. Remove "
                "it and put the archive there, then run: dvc repro"
            )
        present = [path for name in TABLES if (path := find_table(folder, name))]
        if len(present) == len(TABLES):
            return Found(folder)
        if present:
            absent = next(name for name in TABLES if not find_table(folder, name))
            put_it = "Put the other one into the same folder, then run: dvc repro"
            raise SourceError(
                f"{present[0]} is there, but {folder / absent} is not: expected both. "
                f"{remedy or put_it}"
            )
        if near_misses := _near_misses(folder):
            rename_it = (
                f"If it is whole, give it its proper name ({ARCHIVE_NAME}, train.csv or "
                "test.csv); else move it away. Then run: dvc repro"
            )
            unpack_it = "Unpack it with gunzip, then run: dvc repro"
            raise SourceError(
                f"{folder / ARCHIVE_NAME} was expected, but found {near_misses[0]}: a second or "
                "unfinished download? "
                f"{remedy or (unpack_it if near_misses[0].suffix == '.gz' else rename_it)}"
            )
    return None


def find_attached(root: Path = ATTACHED) -> Found | None:
    """Look for the data in what is attached to a notebook of Kaggle's, wherever it was mounted.

    Folders of other data may hold files of the same names: their headers tell.

    Raises:
        SourceError: the competition's own folder lacks something, or there is other data of this
            form in several folders.
    """
    if not root.is_dir():
        return None
    own = [root / "competitions" / COMPETITION, root / COMPETITION]
    if found := find(own, ATTACH_IT):
        return found
    matches = [found for found in _walk(root) if _problem(found) is None]
    complete = [found for found in matches if _holds_sample_submission(found)] or matches
    hashes = [found.hashes() for found in complete] if len(complete) > 1 else []
    if any(other != hashes[0] for other in hashes):
        raise SourceError(
            f"{root} holds the competition's files more than once, as different files: in "
            f"{' and in '.join(str(found.path) for found in complete)}. Name the folder to use as "
            "source.path in params.yaml; then run: dvc repro"
        )
    return complete[0] if complete else None


def describe_attached(root: Path = ATTACHED) -> str | None:
    """What is attached to a notebook, for messages; None if nothing is.

    The first files by name, those that may be data before all others, and what is wrong with the
    first that have the competition's names.
    """
    files = [path.relative_to(root) for path in islice(_files(root), _MOST_FILES)]
    if not files:
        return None
    files.sort(key=lambda path: (path.suffix not in _OF_DATA, path))
    listed = ", ".join(map(str, files[:_LISTED_NAMES]))
    more = f" and {len(files) - _LISTED_NAMES} more" if len(files) > _LISTED_NAMES else ""
    problems = (problem for found in _walk(root) if (problem := _problem(found)))
    return ". ".join(filter(None, [listed + more, next(problems, "").rstrip(".")]))


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


def _walk(root: Path) -> Iterator[Found]:
    """Whatever has the names of the competition's files, by the names of the folders."""
    for folder, subfolders, names in os.walk(root, followlinks=True):
        path = Path(folder)
        if len(path.relative_to(root).parts) >= _DEEPEST:
            subfolders.clear()
        subfolders.sort()
        if ARCHIVE_NAME in names:
            yield Found(path / ARCHIVE_NAME)
        elif all(find_table(path, name) for name in TABLES):
            yield Found(path)


def _files(root: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def _problem(found: Found) -> str | None:
    """Why files with the competition's names are not the competition's; None if they are."""
    try:
        check(found)
    except SourceError as error:
        return str(error)
    except TableError as error:
        return error.problem
    return None


def _holds_sample_submission(found: Found) -> bool:
    return not found.path.is_dir() or find_table(found.path, _SAMPLE_SUBMISSION) is not None


def _check_link(path: Path) -> None:
    """Refuse a link that leads nowhere, as to a disk that is not mounted.

    Raises:
        SourceError: it is one.
    """
    if path.is_symlink() and not path.exists():
        raise SourceError(
            f"{path} is a link to {path.readlink()}, which is not there. If that is on another "
            "disk, mount it; else remove the link. Then run: dvc repro"
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
        or re.fullmatch(r"(train|test)\W*\d*\W*\.csv(\.\w+)*", path.name, re.IGNORECASE)
    )
