"""What decides where the data comes from, and that a typing mistake stops here."""

import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import params, stages
from pipeline.data import tables
from pipeline.data.sources import archive
from pipeline.errors import ArtifactError, ParamsError, SourceError, TableError
from pipeline.files import read_json, sha256, write_json
from pipeline.stages import source
from tests.conftest import run, set_params

ARCHIVE = Path("data/digit-recognizer.zip")
SAMPLE = {"kind": "sample"}
KAGGLE = {"kind": "kaggle", "competition": "digit-recognizer"}
GONE = {"kind": "archive", "path": ARCHIVE.as_posix(), "sha256": {ARCHIVE.name: "f" * 64}}

COMMAND = (sys.executable, "-m", "pipeline.stages.source")


@pytest.fixture(autouse=True)
def project(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with an empty ``data``, and a home without credentials."""
    for name in ("API_TOKEN", "USERNAME", "KEY", "CONFIG_DIR"):
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(in_folder / "home"))
    (in_folder / "home").mkdir()
    (in_folder / "data").mkdir()
    return in_folder


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "someone")
    monkeypatch.setenv("KAGGLE_KEY", "secret")


def put_tables(folder: Path) -> None:
    images = np.zeros((2, 28, 28), dtype=np.uint8)
    tables.write(folder / "train.csv", images, np.zeros(2, dtype=np.uint8))
    tables.write(folder / "test.csv", images)


def put_archive(path: Path = ARCHIVE) -> dict[str, Any]:
    """Put a good archive there; the decision that it should lead to."""
    put_tables(Path("made"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name in archive.TABLES:
            file.write(Path("made") / name, name)
    return {"kind": "archive", "path": path.as_posix(), "sha256": {path.name: sha256(path)}}


def decide(
    kind: str = "auto", earlier: dict[str, Any] | None = None, path: str | None = None
) -> dict[str, Any]:
    return source.decide(params.Source.model_validate({"kind": kind, "path": path}), earlier)


@pytest.mark.parametrize("kind", ["auto", "archive"])
@pytest.mark.parametrize("earlier", [None, SAMPLE, KAGGLE, GONE])
def test_archive_at_hand_is_taken(kind: str, earlier: dict[str, Any] | None) -> None:
    expected = put_archive()
    assert decide(kind, earlier) == expected
    assert decide(kind, expected) == expected


@pytest.mark.usefixtures("credentials")
def test_archive_at_hand_comes_before_kaggle() -> None:
    expected = put_archive()
    assert decide() == expected


@pytest.mark.parametrize("folder", ["data", "data/digit-recognizer"])
def test_tables_at_hand_are_taken(folder: str) -> None:
    put_tables(Path(folder))
    hashes = {name: sha256(Path(folder) / name) for name in archive.TABLES}
    assert decide() == {"kind": "archive", "path": folder, "sha256": hashes}


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("earlier", [None, SAMPLE, KAGGLE])
def test_kaggle_is_taken_with_credentials(earlier: dict[str, Any] | None) -> None:
    assert decide("auto", earlier) == KAGGLE
    assert decide("kaggle", earlier) == KAGGLE


def test_credentials_may_lie_in_the_home_folder(project: Path) -> None:
    (project / "home/.kaggle").mkdir()
    (project / "home/.kaggle/access_token").write_text("secret")
    assert decide() == KAGGLE


@pytest.mark.parametrize("earlier", [None, SAMPLE])
def test_sample_is_the_last_resort(earlier: dict[str, Any] | None) -> None:
    assert decide("auto", earlier) == SAMPLE


@pytest.mark.parametrize("earlier", [None, SAMPLE, KAGGLE, GONE])
def test_sample_is_taken_when_asked_for(earlier: dict[str, Any] | None) -> None:
    put_archive()
    assert decide("sample", earlier) == SAMPLE


@pytest.mark.parametrize("kind", ["auto", "archive"])
def test_archive_that_is_gone_stays_decided(kind: str) -> None:
    assert decide(kind, GONE) == GONE


@pytest.mark.usefixtures("credentials")
def test_archive_that_is_gone_is_not_replaced_by_kaggle() -> None:
    assert decide("auto", GONE) == GONE


@pytest.mark.parametrize("kind", ["auto", "kaggle"])
def test_credentials_that_are_gone_do_not_lead_to_the_sample(kind: str) -> None:
    assert decide(kind, KAGGLE) == KAGGLE


@pytest.mark.parametrize("earlier", [None, SAMPLE, KAGGLE])
def test_archive_asked_for_must_be_there(earlier: dict[str, Any] | None) -> None:
    expected = r"source\.kind in params\.yaml is archive, but there is neither data/digit-recog"
    with pytest.raises(SourceError, match=expected):
        decide("archive", earlier)


@pytest.mark.parametrize("earlier", [None, SAMPLE, GONE])
def test_kaggle_asked_for_needs_credentials(earlier: dict[str, Any] | None) -> None:
    expected = r"source\.kind in params\.yaml is kaggle, but nothing to log in with is at hand"
    with pytest.raises(SourceError, match=expected):
        decide("kaggle", earlier)


def test_path_comes_before_what_is_found() -> None:
    put_archive()
    expected = put_archive(Path("elsewhere/mine.zip"))
    assert decide(path="elsewhere/mine.zip") == expected
    assert decide(path="elsewhere/mine.zip", kind="archive") == expected


def test_path_may_begin_at_home(project: Path) -> None:
    expected = put_archive(project / "home/mine.zip")
    assert decide(path="~/mine.zip") == expected


@pytest.mark.parametrize("earlier", [None, SAMPLE, GONE])
def test_path_that_leads_nowhere_is_an_error(earlier: dict[str, Any] | None) -> None:
    with pytest.raises(SourceError, match=r"source\.path in params\.yaml is absent\.zip, but"):
        decide("auto", earlier, "absent.zip")


def test_path_that_was_used_before_may_be_gone() -> None:
    earlier = GONE | {"path": "elsewhere/mine.zip"}
    assert decide("auto", earlier, "elsewhere/mine.zip") == earlier


def test_archive_is_checked_when_it_is_new() -> None:
    put_archive()
    ARCHIVE.write_bytes(ARCHIVE.read_bytes()[:-100])
    with pytest.raises(SourceError, match="is not a whole zip archive"):
        decide("auto", GONE)


def test_tables_are_checked_when_they_are_new() -> None:
    put_tables(Path("data"))
    Path("data/test.csv").write_text("<html>")
    with pytest.raises(TableError, match=r"data/test\.csv is not the competition's file: .* web"):
        decide()


def test_near_miss_does_not_lead_to_the_sample() -> None:
    Path("data/digit-recognizer (1).zip").touch()
    with pytest.raises(SourceError, match="a second or unfinished download"):
        decide()


def test_architecture_must_exist() -> None:
    source.check_architectures(["deep_cnn"])
    expected = r"ensemble\.networks\.architecture: expected one of .*deep_cnn.*, found 'deep_cn'"
    with pytest.raises(ParamsError, match=expected):
        source.check_architectures(["deep_cnn", "deep_cn"])


@pytest.mark.parametrize("name", ["__init__", "", "../cli", "deep_cnn.py"])
def test_architecture_is_no_path(name: str) -> None:
    with pytest.raises(ParamsError, match="expected one of"):
        source.check_architectures([name])


@pytest.fixture
def raw() -> Path:
    """``data/raw`` as the download stage leaves it."""
    put_tables(stages.RAW)
    hashes = {f"{name}_sha256": sha256(stages.RAW / f"{name}.csv") for name in ("train", "test")}
    write_json(stages.RAW / "provenance.json", {"sample": False} | hashes)
    return stages.RAW


def test_raw_folder_of_the_download_stage_is_accepted(raw: Path) -> None:
    source.check_raw_folder(raw)
    source.check_raw_folder(raw / "absent")
    (raw / "test.csv").unlink()
    source.check_raw_folder(raw)


def test_changed_table_in_the_raw_folder_is_kept_from_deletion(raw: Path) -> None:
    (raw / "test.csv").write_text("mine")
    with pytest.raises(SourceError, match=r"raw/test\.csv is not what .* DVC would delete it"):
        source.check_raw_folder(raw)


@pytest.mark.parametrize("name", ["notes.txt", "sample_submission.csv", "folder/train.csv"])
def test_foreign_file_in_the_raw_folder_is_kept_from_deletion(raw: Path, name: str) -> None:
    (raw / name).parent.mkdir(exist_ok=True)
    (raw / name).write_text("mine")
    with pytest.raises(SourceError, match="is not what the download stage put there"):
        source.check_raw_folder(raw)


def test_tables_without_provenance_are_kept_from_deletion(raw: Path) -> None:
    (raw / "provenance.json").unlink()
    with pytest.raises(SourceError, match=r"Move it to data/ if the pipeline is to use it"):
        source.check_raw_folder(raw)


def test_decision_is_written_and_the_sample_announced(capsys: pytest.CaptureFixture[str]) -> None:
    source.main()
    assert read_json(stages.SOURCE) == SAMPLE
    output = capsys.readouterr()
    assert output.out == "data source: the embedded sample\n"
    assert "THIS RUN USES THE EMBEDDED SAMPLE" in output.err


def test_decision_follows_what_appears_and_stays_when_it_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source.main()
    expected = put_archive()
    source.main()
    assert read_json(stages.SOURCE) == expected
    ARCHIVE.unlink()
    source.main()
    assert read_json(stages.SOURCE) == expected
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "data source: data/digit-recognizer.zip",
        "data source: data/digit-recognizer.zip (no longer there; using what was read)",
    ]


def test_equal_decision_is_not_written_again() -> None:
    source.main()
    before = stages.SOURCE.stat().st_ino
    source.main()
    assert stages.SOURCE.stat().st_ino == before


@pytest.mark.parametrize("content", ["[]", "{}", '{"kind": "zip"}', '{"kind": "archive"}', "{"])
def test_damaged_decision_is_named(content: str) -> None:
    stages.SOURCE.write_text(content)
    with pytest.raises(ArtifactError, match=r"^data/source\.json is damaged: .* run: dvc repro$"):
        source.main()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("learning_rate", "learning_rat", "train.learning_rat: no such key, expected"),
        ("deep_pooled_cnn", "deep_pooled_cn", "expected one of"),
        ("folds: [0]", "folds: [5]", "ensemble.folds: expected 0 to 4"),
        ("kind: auto", "kind: archive", "source.kind in params.yaml is archive, but"),
    ],
)
def test_mistake_stops_before_anything_is_touched(
    project: Path, old: str, new: str, expected: str
) -> None:
    stages.SOURCE.write_text(json.dumps(SAMPLE))
    set_params(project, (old, new))
    done = subprocess.run(COMMAND, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
    assert stages.SOURCE.read_text() == json.dumps(SAMPLE)
    assert sorted(path.name for path in Path("data").iterdir()) == ["source.json"]


def test_stage_takes_a_blink(project: Path) -> None:
    """Nothing heavy is imported; the bound is generous, for a machine that is busy."""
    begin = time.monotonic()
    assert "data source: the embedded sample" in run(project, *COMMAND)
    assert time.monotonic() - begin < 5
    heavy = {"keras", "tensorflow", "pandas", "sklearn", "scipy", "matplotlib", "kaggle", "dvc"}
    script = f"import sys, pipeline.stages.source; print(set(sys.modules) & {heavy})"
    assert run(project, sys.executable, "-c", script) == "set()\n"
