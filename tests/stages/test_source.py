"""What decides where the data comes from, and that a typing mistake stops here."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import params, stages
from pipeline.data import dataset, label_corrections, tables
from pipeline.data.dataset import Provenance, TrainingDigits
from pipeline.data.sources import archive, decision
from pipeline.data.sources.decision import ArchiveSource, DataSource, KaggleSource, SampleSource
from pipeline.errors import (
    ArtifactError,
    KaggleError,
    ParamsError,
    PipelineError,
    ProjectError,
    SourceError,
    TableError,
)
from pipeline.files import read_json, sha256, write_json
from pipeline.stages import source
from tests.conftest import modules_after, set_params
from tests.label_tables import GOOD

ARCHIVE = Path("data/digit-recognizer.zip")
SAMPLE = SampleSource()
KAGGLE = KaggleSource()
GONE = ArchiveSource(ARCHIVE.as_posix(), {ARCHIVE.name: "f" * 64})

LAYOUTS = [
    "competitions/digit-recognizer",
    "digit-recognizer",
    "my-digits",
    "datasets/someone/digits",
    "datasets/someone/digits/versions/1",
    ".",
]
"""Where the data may be mounted, below what is attached to a notebook."""

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


def test_what_killed_processes_left_is_removed(project: Path) -> None:
    left = [
        ".params.X.partial.yaml",
        "models/.0-0-a.X.partial",
        "submissions/sent/.b.X.partial.csv",
    ]
    for name in left:
        path = project / name.replace("X", "9999999999")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half of it")
    source.main()
    assert not list(project.rglob("*.partial*"))


def test_home_of_nobody_is_named(project: Path) -> None:
    set_params(project, ("path: null", "path: ~nosuchuser/archive.zip"))
    with pytest.raises(ProjectError, match="~nosuchuser/archive.zip begins with the home of"):
        source.main()


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_source_that_may_never_end_is_refused(kind: str, project: Path) -> None:
    if kind == "pipe":
        os.mkfifo(project / "pipe")
    else:
        (project / "device").symlink_to("/dev/zero")
    set_params(project, ("path: null", f"path: {kind}"))
    with pytest.raises(ArtifactError, match=f"{kind} is a pipe, a socket or a device"):
        source.main()


def put_tables(folder: Path) -> None:
    images = np.zeros((2, 28, 28), dtype=np.uint8)
    tables.write(folder / "train.csv", images, np.zeros(2, dtype=np.uint8))
    tables.write(folder / "test.csv", images)


def put_archive(path: Path = ARCHIVE) -> ArchiveSource:
    """Put a good archive there; the decision that it should lead to."""
    put_tables(Path("made"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name in archive.TABLES:
            file.write(Path("made") / name, name)
    return ArchiveSource(path.as_posix(), {path.name: sha256(path)})


def put_others() -> None:
    """Attach a model, the notebook's wheels and another competition, as well."""
    for name in ("models/keras/1/config.json", "wheels/keras-3-py3-none-any.whl", "wheels/a.zip"):
        (Path("attached") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("attached") / name).touch()
    for name in archive.TABLES:
        path = Path("attached/competitions/titanic") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("PassengerId,Survived\n1,0\n")


def decide(
    kind: str = "auto", earlier: DataSource | None = None, path: str | None = None
) -> DataSource:
    settings = params.Source.model_validate({"kind": kind, "path": path, "sample_epochs": 8})
    return source.decide(settings, earlier, Path("attached"))


@pytest.mark.parametrize("kind", ["auto", "archive"])
@pytest.mark.parametrize("earlier", [None, SAMPLE, KAGGLE, GONE])
def test_archive_at_hand_is_taken(kind: str, earlier: DataSource | None) -> None:
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
    assert decide() == ArchiveSource(folder, hashes)


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("earlier", [None, SAMPLE, KAGGLE])
def test_kaggle_is_taken_with_credentials(earlier: DataSource | None) -> None:
    assert decide("auto", earlier) == KAGGLE
    assert decide("kaggle", earlier) == KAGGLE


def test_credentials_may_lie_in_the_home_folder(project: Path) -> None:
    (project / "home/.kaggle").mkdir()
    (project / "home/.kaggle/access_token").write_text("secret")
    assert decide() == KAGGLE


@pytest.mark.parametrize("earlier", [None, SAMPLE])
def test_sample_is_the_last_resort(earlier: DataSource | None) -> None:
    assert decide("auto", earlier) == SAMPLE


@pytest.mark.parametrize("earlier", [None, SAMPLE, KAGGLE, GONE])
def test_sample_is_taken_when_asked_for(earlier: DataSource | None) -> None:
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
def test_archive_asked_for_must_be_there(earlier: DataSource | None) -> None:
    expected = r"source\.kind in params\.yaml is archive, but there is neither data/digit-recog"
    with pytest.raises(SourceError, match=expected):
        decide("archive", earlier)


@pytest.mark.parametrize("earlier", [None, SAMPLE, GONE])
def test_kaggle_asked_for_needs_credentials(earlier: DataSource | None) -> None:
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
def test_path_that_leads_nowhere_is_an_error(earlier: DataSource | None) -> None:
    with pytest.raises(SourceError, match=r"source\.path in params\.yaml is absent\.zip, but"):
        decide("auto", earlier, "absent.zip")


def test_path_that_was_used_before_may_be_gone() -> None:
    earlier = replace(GONE, path="elsewhere/mine.zip")
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


@pytest.mark.parametrize("kind", ["auto", "archive"])
@pytest.mark.parametrize("earlier", [None, SAMPLE])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_attached_data_is_taken(layout: str, earlier: DataSource | None, kind: str) -> None:
    put_others()
    put_tables(Path("attached") / layout)
    found = decide(kind, earlier)
    assert isinstance(found, ArchiveSource) and Path(found.path) == Path("attached") / layout


@pytest.mark.parametrize("half", ["train.csv", "test.csv", "digit-recognizer (1).zip", "other"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_attached_data_that_cannot_be_used_does_not_lead_to_the_sample(
    layout: str, half: str
) -> None:
    put_others()
    folder = Path("attached") / layout
    put_tables(folder)
    for name in archive.TABLES:
        if half == "other":
            (folder / name).write_text("id,digit\n1,0\n")
        elif name != half:
            (folder / name).unlink()
    if half.endswith(".zip"):
        (folder / half).touch()
    with pytest.raises((SourceError, TableError), match="Attach the comp|not the competition's"):
        decide("auto")


@pytest.mark.parametrize("kind", ["auto", "archive"])
@pytest.mark.parametrize("earlier", [None, SAMPLE])
def test_something_else_attached_does_not_lead_to_the_sample(
    kind: str, earlier: DataSource | None
) -> None:
    Path("attached/titanic").mkdir(parents=True)
    Path("attached/titanic/train.csv").write_text("PassengerId,Survived\n")
    with pytest.raises(SourceError, match=r"holds no data .* found titanic/train\.csv\. Attach "):
        decide(kind, earlier)
    assert decide("sample", earlier) == SAMPLE


@pytest.mark.usefixtures("credentials")
def test_kaggle_is_taken_where_something_else_is_attached() -> None:
    Path("attached").mkdir()
    Path("attached/some.whl").touch()
    assert decide() == KAGGLE


@pytest.mark.parametrize("kind", ["auto", "kaggle"])
def test_unusable_credentials_do_not_lead_to_the_sample(project: Path, kind: str) -> None:
    (project / "home/.kaggle").mkdir()
    (project / "home/.kaggle/kaggle.json").write_text("[]")
    with pytest.raises(KaggleError, match=r"credentials in ~/\.kaggle/kaggle\.json cannot be used"):
        decide(kind)
    assert decide(kind, KAGGLE) == KAGGLE


def test_networks_are_described_and_former_ones_removed() -> None:
    networks = params.load().networks
    write_json(stages.NETWORKS / "former.json", {})
    source.write_networks(networks)
    assert {path.stem for path in stages.NETWORKS.iterdir()} == set(networks)
    written = {path: path.stat().st_ino for path in stages.NETWORKS.iterdir()}
    source.write_networks(networks)
    assert {path: path.stat().st_ino for path in stages.NETWORKS.iterdir()} == written


@pytest.mark.parametrize("name", ["deep_cn", "__init__", "", "../cli", "deep_cnn.py"])
def test_architecture_must_exist(name: str) -> None:
    unknown = params.Network.model_construct(architecture=name, preprocessing=[[]])
    with pytest.raises(ParamsError, match="architecture"):
        source.check_networks({"mine": unknown})


def test_networks_know_the_length_of_training_on_the_sample(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(project, ("kind: auto", "kind: sample"), ("sample_epochs: 8", "sample_epochs: 7"))
    monkeypatch.setattr("pipeline.environment.check_folders", lambda: None)
    source.main()
    assert read_json(stages.NETWORKS / "pooled3.json")["sample_epochs"] == 7
    assert (
        "it gets 7 epochs (source.sample_epochs), other data up to 36\n" in capsys.readouterr().out
    )

    set_params(project, ("max_epochs: 36", "max_epochs: 7"), ("decay_epochs: 8", "decay_epochs: 6"))
    source.main()
    assert capsys.readouterr().out == "data source: the embedded sample\n"

    set_params(project, ("kind: sample", "kind: kaggle"))
    write_json(stages.SOURCE, {"kind": "kaggle", "competition": "digit-recognizer"})
    source.main()
    assert "sample_epochs" not in read_json(stages.NETWORKS / "pooled3.json")
    assert "sample" not in capsys.readouterr().out


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
    assert decision.read(stages.SOURCE) == SAMPLE
    output = capsys.readouterr()
    assert output.out == (
        "data source: the embedded sample; it gets 8 epochs (source.sample_epochs), other data up "
        "to 36\n"
    )
    assert "THIS RUN USES THE EMBEDDED SAMPLE" in output.err


def test_decision_follows_what_appears_and_stays_when_it_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source.main()
    expected = put_archive()
    source.main()
    assert decision.read(stages.SOURCE) == expected
    ARCHIVE.unlink()
    source.main()
    assert decision.read(stages.SOURCE) == expected
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
        ("learning_rate", "learning_rat", "train.learning_rat: no such key"),
        ("deep_pooled_cnn", "deep_pooled_cn", "unknown architecture 'deep_pooled_cn'"),
        ("folds: [0]", "folds: [5]", "ensemble.folds: expected 0 to 4"),
        ("kind: auto", "kind: archive", "source.kind in params.yaml is archive, but"),
    ],
)
def test_mistake_stops_before_the_decision_is_touched(
    project: Path, old: str, new: str, expected: str
) -> None:
    decision.write(stages.SOURCE, GONE)
    if "archive" in new:
        stages.SOURCE.unlink()
    before = list(Path("data").glob("*.*"))
    set_params(project, (old, new))
    with pytest.raises(PipelineError, match=re.escape(expected)):
        source.main()
    assert list(Path("data").glob("*.*")) == before


def test_mistake_is_one_line_of_a_process_that_fails(project: Path) -> None:
    set_params(project, ("kind: auto", "kind: autom"))
    done = subprocess.run(COMMAND, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_nothing_heavy_is_imported(project: Path) -> None:
    """The stage runs on every ``dvc repro``, and is to take a blink."""
    heavy = {"keras", "tensorflow", "pandas", "sklearn", "scipy", "matplotlib", "kaggle", "dvc"}
    heavy |= {"requests", "tenacity", "PIL", "onnxruntime"}
    assert modules_after("import pipeline.stages.source") & heavy == set()


def test_linked_folder_is_refused_before_anything_is_written(in_folder: Path) -> None:
    (in_folder / ".git").mkdir()
    (in_folder / "models").symlink_to(in_folder.parent)
    with pytest.raises(ProjectError, match="^models is a symbolic link to .*Nothing was run"):
        source.main()
    assert not list((in_folder / "data").iterdir())


def read_corrections() -> label_corrections.LabelCorrections | None:
    return label_corrections.read(stages.LABEL_CORRECTIONS)


def put_prepared(data: TrainingDigits) -> None:
    """What the stages leave that read this data."""
    dataset.save(stages.TRAIN, data)
    write_json(stages.RAW / "provenance.json", asdict(data.provenance))


def test_labels_are_noted_where_dvc_sees_them_change(capsys: pytest.CaptureFixture[str]) -> None:
    source.main()
    assert read_corrections() is None
    before = stages.LABEL_CORRECTIONS.stat().st_ino
    source.main()
    assert stages.LABEL_CORRECTIONS.stat().st_ino == before
    stages.LABELS.write_text(GOOD)
    capsys.readouterr()
    source.main()
    assert "data/labels.csv: 1 label corrected, 1 row left out\n" in capsys.readouterr().out
    found = read_corrections()
    assert found is not None
    assert found.sha256 == sha256(stages.LABELS)
    stages.LABELS.unlink()
    source.main()
    assert read_corrections() is None


@pytest.mark.parametrize("name", ["labels (1).csv", "Labels.csv"])
def test_second_labels_are_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (stages.LABELS.parent / name).write_text("row,label,verdict,correction\n")
    source.main()
    assert f"warning: data/{name} is not used: labels are" in capsys.readouterr().err


def test_wrong_labels_stop_before_anything_is_touched() -> None:
    stages.LABELS.write_text(GOOD)
    source.main()
    before = stages.LABEL_CORRECTIONS.read_bytes()
    stages.LABELS.write_text(GOOD.replace("right", "good"))
    with pytest.raises(TableError, match=r"^data/labels\.csv, line 3: verdict must be one of"):
        source.main()
    assert stages.LABEL_CORRECTIONS.read_bytes() == before


def test_labels_are_compared_with_the_data_of_the_last_run(training_digits: TrainingDigits) -> None:
    source.main()
    put_prepared(training_digits)
    stages.LABELS.write_text(GOOD)
    source.main()
    stages.LABELS.write_text(GOOD.replace("14,4", "14,3"))
    with pytest.raises(TableError, match="line 3: row 14 has the label 4 in train.csv of sample-a"):
        source.main()


def test_labels_of_data_that_comes_only_now_are_left_to_the_prepare_stage(
    training_digits: TrainingDigits,
) -> None:
    source.main()
    put_prepared(training_digits)
    put_archive()
    stages.LABELS.write_text(GOOD.replace("14,4", "14,3"))
    source.main()
    assert read_corrections() is not None
    other = replace(training_digits, provenance=Provenance(False, "c" * 64, "d" * 64))
    dataset.save(stages.TRAIN, other)
    source.main()  # the download stage was interrupted: data/raw is not what was prepared


def test_labels_of_the_sample_are_refused_for_the_competition(project: Path) -> None:
    lines = [f"{GOOD.splitlines()[0]},data", "4,4,right,,sample-aaaaaaaaaaaa"]
    stages.LABELS.write_text("\n".join(lines))
    source.main()
    put_archive()
    with pytest.raises(TableError, match="is of other data: expected competition, .*sample-aaaa"):
        source.main()
    assert decision.read(stages.SOURCE) == SAMPLE


def test_copy_for_an_experiment_reads_the_labels_of_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.LABELS.write_text(GOOD)
    copy = project / ".dvc/tmp/exps/tmp1"
    shutil.copytree(project / "data", copy / "data")
    (copy / "data/labels.csv").unlink()
    shutil.copy("params.yaml", copy)
    monkeypatch.chdir(copy)
    source.main()
    found = read_corrections()
    assert found is not None and len(found.verdicts) == 3
