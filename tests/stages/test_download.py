import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline import stages
from pipeline.data import tables
from pipeline.data.dataset import TrainingDigits
from pipeline.data.sources import decision
from pipeline.data.sources.decision import ArchiveSource, SampleSource
from pipeline.errors import SourceError
from pipeline.files import read_json, sha256
from pipeline.stages import download


@pytest.fixture
def archive(in_folder: Path, training_digits: TrainingDigits) -> Path:
    """A small archive, and the decision to use it."""
    tables.write(Path("train.csv"), training_digits.images, training_digits.labels)
    tables.write(Path("test.csv"), training_digits.images[:5])
    path = Path("data/digit-recognizer.zip")
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("train.csv", "test.csv"):
            file.write(name)
    decide(path)
    return path


def decide(path: Path) -> None:
    decision.write(stages.SOURCE, ArchiveSource(str(path), {path.name: sha256(path)}))


def test_tables_arrive_with_their_provenance(archive: Path) -> None:
    download.main()
    assert (stages.RAW / "train.csv").read_bytes() == Path("train.csv").read_bytes()
    assert (stages.RAW / "test.csv").read_bytes() == Path("test.csv").read_bytes()
    assert read_json(stages.RAW / "provenance.json") == {
        "sample": False,
        "train_sha256": sha256(Path("train.csv")),
        "test_sha256": sha256(Path("test.csv")),
    }


def test_both_tables_may_lie_in_a_folder(archive: Path) -> None:
    hashes = {name: sha256(Path(name)) for name in ("train.csv", "test.csv")}
    decision.write(stages.SOURCE, ArchiveSource(".", hashes))
    download.main()
    assert (stages.RAW / "test.csv").read_bytes() == Path("test.csv").read_bytes()


def test_tables_may_be_zipped_one_by_one(archive: Path) -> None:
    for name in ("train.csv", "test.csv"):
        with zipfile.ZipFile(f"data/{name}.zip", "w") as file:
            file.write(name)
    hashes = {f"{name}.zip": sha256(Path(f"data/{name}.zip")) for name in ("train.csv", "test.csv")}
    decision.write(stages.SOURCE, ArchiveSource("data", hashes))
    download.main()
    assert (stages.RAW / "train.csv").read_bytes() == Path("train.csv").read_bytes()


def test_damaged_archive_leaves_nothing(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 3] ^= 0xFF
    archive.write_bytes(content)
    decide(archive)
    with pytest.raises(SourceError, match="damaged"):
        download.main()
    assert not stages.RAW.exists()
    assert sorted(path.name for path in Path("data").iterdir()) == [
        "digit-recognizer.zip",
        "source.json",
    ]


def test_archive_that_changed_since_the_decision_is_refused(archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("more.txt", "more")
    with pytest.raises(SourceError, match="changed while the pipeline ran"):
        download.main()


def test_archive_that_is_gone_is_named(archive: Path) -> None:
    archive.unlink()
    with pytest.raises(SourceError, match="digit-recognizer.zip was used before.*Put it back"):
        download.main()


def test_sample_is_marked_as_such(in_folder: Path) -> None:
    decision.write(stages.SOURCE, SampleSource())
    download.main()
    images, labels = tables.read_train(stages.RAW / "train.csv", expected_rows=1437)
    assert read_json(stages.RAW / "provenance.json")["sample"] is True
    assert set(np.unique(labels)) == set(range(10))
    assert images.max() == 255
