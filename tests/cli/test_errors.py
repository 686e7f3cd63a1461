"""``digits errors``: whose errors it shows, which it lists, and what it says of earlier runs."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dvc.repo import Repo

from pipeline import stages
from pipeline.cli.errors import PATH, errors
from pipeline.data import dataset
from pipeline.data.dataset import NUM_CLASSES, Provenance, TrainingDigits
from pipeline.errors import ArtifactError
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.files import sha256, write_json
from tests.cli.running import digits
from tests.conftest import ROOT, SMALL_NETWORK, run, set_params
from tests.results import predict_with

pytestmark = pytest.mark.filterwarnings(
    "ignore:_NoneStep.value will soon raise:DeprecationWarning"  # within DVC
)

NAME = "0-0-small"
MODEL = stages.MODELS / NAME / "model.keras"


def write_predictions(*wrong: int, n: int = 40, first_row: int = 0, data: str = "a") -> None:
    """Predictions of ``n`` images of the network in ``models/``, some of them errors."""
    labels = (np.arange(n) % NUM_CLASSES).astype(np.uint8)
    predicted = labels.copy()
    predicted[list(wrong)] = (labels[list(wrong)] + 1) % NUM_CLASSES
    probabilities = np.eye(NUM_CLASSES)[predicted]
    OutOfFoldPredictions(
        rows=np.arange(n) + first_row,
        labels=labels,
        averages=probabilities,
        probabilities=probabilities,
        members={NAME: sha256(MODEL)},
        train_sha256=data * 64,
    ).save(PATH)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without Git whose network was evaluated."""
    folder = tmp_path / "large/project"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(folder, SMALL_NETWORK)
    monkeypatch.chdir(folder)
    MODEL.parent.mkdir(parents=True)
    MODEL.write_text("a network")
    write_predictions(3, 5)
    return folder


def init_git(folder: Path) -> None:
    run(folder, "git", "init", "--quiet", "--initial-branch=main")
    run(folder, "git", "config", "user.name", "Tester")
    run(folder, "git", "config", "user.email", "tester@example.org")


@pytest.fixture
def committed(project: Path) -> Path:
    """The same in a larger Git repository, its predictions kept by DVC and committed."""
    large = project.parent
    init_git(large)
    with Repo.init(str(project), subdir=True) as repo:
        repo.add(str(PATH))
    run(large, "git", "add", "--all", ".")
    run(large, "git", "commit", "--quiet", "--message=results")
    return project


def test_accuracy_is_that_of_the_predictions_whatever_the_metrics_say(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an evaluation leaves them that was killed before it wrote ``metrics.json``."""
    stale = {"accuracy": 0.8229, "accuracy_low": 0.8, "accuracy_high": 0.84, "errors": 7, "n": 40}
    write_json(stages.EVALUATION / "metrics.json", stale)
    errors()
    output = capsys.readouterr().out
    assert "2 errors in 40 held-out images: accuracy 95.00%" in output
    assert "82.29" not in output
    assert "dvc repro" not in output


def test_networks_that_were_trained_since_are_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MODEL.write_text("another network")
    errors()
    assert "Not evaluated yet as they are now: 0-0-small. Run: dvc repro" in capsys.readouterr().out
    set_params(project, ("seeds: [0]", "seeds: [1]"))
    errors()
    assert "params.yaml lists other networks than were evaluated" in capsys.readouterr().out


def test_missing_predictions_are_named(in_folder: Path) -> None:
    with pytest.raises(ArtifactError, match=r"out_of_fold.npz is missing"):
        errors()


def test_comparison_tells_difference_interval_and_chance(
    committed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows 3 and 5 were errors; now row 5 is one still, and row 7 is a new one."""
    write_predictions(5, 7)
    errors(against="HEAD")
    output = " ".join(capsys.readouterr().out.split())
    assert "workspace compared with HEAD, on the 40 images held out in both" in output
    assert "HEAD 95.00% 2 – – – – – workspace 95.00% 2 0.00 " in output
    assert "0.00 percentage points could be chance (McNemar's exact test: p = 1.000)" in output
    assert "corrected, by row of train.csv (true: before → after): 3 (3: 4 → 3)" in output
    assert "new errors, by row of train.csv (true: before → after): 7 (7: 7 → 8)" in output

    write_predictions(3, 5, *range(20, 30))
    errors(against="HEAD")
    output = " ".join(capsys.readouterr().out.split())
    assert "workspace 70.00% 12 −25.00 " in output
    assert "−25.00 percentage points is unlikely to be chance" in output
    assert "p = 0.002)" in output

    write_predictions(3, 5, *range(20, 36))
    errors(against="HEAD")
    assert "(McNemar's exact test: p < 0.001)" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("other", [{"first_row": 40}, {"data": "b"}])
def test_runs_without_an_image_in_common_are_not_compared(
    committed: Path, other: dict[str, str]
) -> None:
    write_predictions(1, **other)  # type: ignore[arg-type]
    with pytest.raises(ArtifactError, match="No image was held out both in HEAD and in workspace"):
        errors(against="HEAD")


def test_revision_that_does_not_exist_or_holds_no_results_is_explained(committed: Path) -> None:
    with pytest.raises(ArtifactError, match="^nothing-like-it is no commit, branch, tag or exp"):
        errors(against="nothing-like-it")
    shutil.rmtree(committed / ".dvc/cache")
    with pytest.raises(ArtifactError, match="^The predictions of HEAD are not at hand: .*fetch"):
        errors(against="HEAD")


def test_before_the_first_commit_the_cure_is_named(project: Path) -> None:
    with pytest.raises(ArtifactError, match="in no Git repository. .* git init && git add"):
        errors(against="HEAD")
    init_git(project)
    with pytest.raises(ArtifactError) as caught:
        errors(against="HEAD")
    assert str(caught.value) == (
        "There is no commit yet to compare with. Commit this run, then compare the next one with "
        "it: git add . && git commit"
    )


@pytest.fixture
def listing(project: Path, training_digits: TrainingDigits) -> Path:
    """Thirty images with nine errors, and their images."""
    dataset.save(stages.TRAIN, replace(training_digits, provenance=Provenance(True, "a" * 64, "b")))
    labels = training_digits.labels[:30]
    wrong = {4: (9, 0.99), 14: (9, 0.7), 24: (9, 0.8), 5: (9, 0.6), 7: (1, 0.55), 8: (3, 0.5)}
    probabilities = predict_with(labels, wrong | {18: (3, 0.9), 28: (3, 0.6), 9: (4, 0.7)})
    OutOfFoldPredictions(
        rows=np.arange(30),
        labels=labels,
        averages=probabilities,
        probabilities=probabilities,
        members={NAME: sha256(MODEL)},
        train_sha256="a" * 64,
    ).save(PATH)
    return project


@pytest.mark.parametrize(
    ("options", "rows", "title"),
    [
        (["--true", "4"], [4, 24, 14], "3 errors (true 4) in 30 held-out images"),
        (["--predicted", "9"], [4, 24, 14, 5], "4 errors (predicted 9) in 30 held-out images"),
        (["--true", "9", "--predicted", "4"], [9], "1 error (true 9, predicted 4) in 30"),
        (["--limit", "2"], [4, 18], "9 errors in 30 held-out images; the 2 with the highest loss"),
        (["--true", "4", "--limit", "1"], [4], "3 errors (true 4) in 30 held-out images; the 1 w"),
        (["--true", "0"], [], "No errors (true 0) in 30 held-out images"),
    ],
)
def test_errors_of_digits_are_listed_the_highest_loss_first(
    listing: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    rows: list[int],
    title: str,
) -> None:
    assert digits(monkeypatch, "errors", *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(title)
    assert [int(line.split()[0]) for line in lines[3:]] == rows
    if rows == [4]:
        assert lines[3].split() == ["4", "4", "9", "0.90%", "99.00%", "4", "(0.90%)"]

    assert digits(monkeypatch, "errors", *options, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["row"] for each in found["listed"]] == rows
    assert (found["errors"], found["n"], len(found["per_digit"])) == (9, 30, 10)
    assert found["found"] == int(title.split()[0].replace("No", "0"))


def test_json_without_filters_lists_all(
    listing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    MODEL.write_text("another network")
    assert digits(monkeypatch, "errors", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["listed"]) == found["errors"] == 9
    first = found["listed"][0]
    assert (first["true"], first["predicted"], first["p_9"]) == (4, 9, 0.99)
    assert found["per_digit"][4]["errors"] == 3
    assert found["note"].startswith("Not evaluated yet as they are now")
    told = re.findall(r"\w+", str(errors.__doc__))
    assert set(found) <= set(told)
    assert {key for key in first if not key.startswith("p_")} <= set(told)


def test_show_draws_the_very_images(
    listing: Path,
    training_digits: TrainingDigits,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert digits(monkeypatch, "errors", "--true", "4", "--limit", "1", "--show") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 errors (true 4) in 30 held-out images; the 1 with the highest loss"
    assert lines[2] == "row 4: 4 → 9 (99.00%)"
    assert len(lines[3:]) == 14
    bright = training_digits.images[4].reshape(14, 2, 28).astype(float).mean(axis=1) > 240
    assert [[character == "@" for character in line[1:29]] for line in lines[3:]] == bright.tolist()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--true", "12"], "Invalid value for '--true': expected a digit, 0 to 9, found '12'"),
        (["--predicted", "x"], "'--predicted': expected a digit, 0 to 9, found 'x'"),
        (["--true=-1"], "expected a digit, 0 to 9, found '-1'"),
        (
            ["--true", "4", "--predicted", "4"],
            "an error has two digits, --true and --predicted are both 4",
        ),
        (["--limit", "0"], "Invalid value for '--limit'"),
        (["--json", "--show"], "only one of --json and --show can be printed"),
        (["--against", "HEAD", "--true", "4"], "--against takes no other option"),
    ],
)
def test_bad_filters_are_explained(
    listing: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    assert digits(monkeypatch, "errors", *options) == 2
    assert said in capsys.readouterr().err


def test_images_of_other_data_are_not_shown(
    listing: Path, training_digits: TrainingDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.save(stages.TRAIN, replace(training_digits, provenance=Provenance(True, "c" * 64, "b")))
    with pytest.raises(ArtifactError, match="holds other images than were evaluated. Run: dvc rep"):
        errors(show=True)
    stages.TRAIN.unlink()
    with pytest.raises(ArtifactError, match=r"train.npz is missing"):
        errors(show=True)
