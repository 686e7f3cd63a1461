"""Kaggle as the source of the data: its archive, fetched and checked."""

import shutil
from pathlib import Path

from pipeline.data.sources import archive
from pipeline.data.tables import TEST_ROWS, TRAIN_ROWS
from pipeline.errors import KaggleError, SourceError, TableError
from pipeline.kaggle.client import Client
from pipeline.kaggle.credentials import PAGE
from pipeline.kaggle.session import DEFAULT_TIMEOUTS, Timeouts

_ROWS = {"train.csv": TRAIN_ROWS, "test.csv": TEST_ROWS}
_WITHOUT_KAGGLE = (
    f"Without Kaggle: put the competition's archive at data/{archive.ARCHIVE_NAME}, or set "
    "source.kind to sample in params.yaml to run on the embedded sample meanwhile; then run: dvc "
    "repro"
)


def download_archive(folder: Path, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> Path:
    """Fetch the competition's archive into ``folder``, unless it lies there whole.

    An interrupted download is continued. Checksums, names, headers and numbers of rows are
    checked; an archive that fails is deleted and fetched once more.

    Raises:
        KaggleError: no credentials, refused, or Kaggle out of reach.
        SourceError: what Kaggle sent is not the competition's archive.
    """
    path = folder / archive.ARCHIVE_NAME
    unfinished = path.with_name(f"{path.name}.kaggle-partial").exists()
    if path.exists() and not unfinished and _problem(path) is None:
        return path
    if not unfinished:
        path.unlink(missing_ok=True)
    try:
        client = Client(timeouts)
        client.download(folder)
        if problem := _problem(path):
            shutil.rmtree(folder, ignore_errors=True)
            client.download(folder)
            problem = _problem(path)
    except KaggleError as error:
        raise KaggleError(f"{error}\n{_WITHOUT_KAGGLE}") from None
    if problem:
        shutil.rmtree(folder, ignore_errors=True)
        raise SourceError(
            f"What came from Kaggle, twice, is not usable, and was deleted. {problem}"
        )
    return path


def _problem(path: Path) -> str | None:
    """What is wrong with an archive, or None."""
    if not path.exists():
        return (
            f"Expected an archive, found something else, perhaps the login page of a network. Get "
            f"it from {PAGE}/data in a browser and put it at data/{archive.ARCHIVE_NAME}."
        )
    try:
        archive.check(archive.Found(path), _ROWS)
    except (SourceError, TableError) as error:
        return str(error)
    return None
