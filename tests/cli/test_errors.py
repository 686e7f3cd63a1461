"""``digits errors``: whose errors it shows, and what it says against earlier runs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from dvc.repo import Repo

from pipeline import stages
from pipeline.cli.errors import PATH, errors
from pipeline.data.dataset import NUM_CLASSES
from pipeline.errors import ArtifactError
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.files import sha256, write_json
from tests.conftest import ROOT, SMALL_NETWORK, run, set_params

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
    assert "accuracy 95.00% now, 95.00% in HEAD, on the 40 images held out in both" in output
    assert "difference +0.00 percentage points (95 % interval " in output
    assert "1 corrected, 1 new errors; McNemar's exact test: p = 1: could be chance" in output
    assert "corrected, by row of train.csv (true: before → now): 3 (3: 4 → 3)" in output
    assert "new errors, by row of train.csv (true: before → now): 7 (7: 7 → 8)" in output

    write_predictions(3, 5, *range(20, 30))
    errors(against="HEAD")
    output = " ".join(capsys.readouterr().out.split())
    assert "accuracy 70.00% now, 95.00% in HEAD" in output
    assert "difference -25.00 percentage points" in output
    assert "p = 0.002: unlikely to be chance" in output


@pytest.mark.parametrize("other", [{"first_row": 40}, {"data": "b"}])
def test_runs_without_an_image_in_common_are_not_compared(
    committed: Path, other: dict[str, str]
) -> None:
    write_predictions(1, **other)  # type: ignore[arg-type]
    with pytest.raises(ArtifactError, match="No image was held out both now and in HEAD"):
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
