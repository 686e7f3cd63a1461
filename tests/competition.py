"""Archives in the competition's form and size, made of the embedded sample's digits or of noise."""

import itertools
import random
import zipfile
from io import BytesIO
from pathlib import Path

from pipeline.data.tables import TEST_COLUMNS, TEST_ROWS, TRAIN_COLUMNS, TRAIN_ROWS

_MIB = 1 << 20


def make_archive(folder: Path) -> bytes:
    """An archive as large as the competition's; ``folder`` is where the sample is written."""
    from pipeline.data.sources import sample  # scikit-learn, not for every test of Kaggle's client

    sample.write_tables(folder)
    tables = {}
    for name, rows in (("test.csv", TEST_ROWS), ("train.csv", TRAIN_ROWS)):
        header, *lines = (folder / name).read_bytes().splitlines(keepends=True)
        twice = list(itertools.chain.from_iterable(zip(lines, lines, strict=True)))
        tables[name] = header + b"".join(itertools.islice(itertools.cycle(twice), rows))
    labels = "".join(f"{row},0\n" for row in range(1, TEST_ROWS + 1))
    return _zip({"sample_submission.csv": f"ImageId,Label\n{labels}".encode()} | tables)


def make_hollow_archive(*, train_rows: int = TRAIN_ROWS) -> bytes:
    """An archive with the right headers and numbers of rows, but nothing in them; made in no time.

    A third file holds some MiB of noise, so that fetching it takes more than one piece.

    Args:
        train_rows: how many ``train.csv`` holds.
    """
    tables = {
        name: ",".join(columns).encode() + b"\n" * (rows + 1)
        for name, columns, rows in (
            ("test.csv", TEST_COLUMNS, TEST_ROWS),
            ("train.csv", TRAIN_COLUMNS, train_rows),
        )
    }
    return _zip(tables | {"sample_submission.csv": random.Random(0).randbytes(6 * _MIB)})


def _zip(files: dict[str, bytes]) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()
