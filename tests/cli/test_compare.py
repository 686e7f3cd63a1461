"""``digits compare`` on a real history of Git and DVC."""

import json
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dvc.repo import Repo

from pipeline import stages
from pipeline.cli.compare import FILES
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.files import read_json, sha256, write_json
from tests.cli.recorded import MEMBER, record, write_metrics
from tests.cli.running import digits
from tests.conftest import run, set_params
from tests.pages import Page
from tests.report.test_comparison import make_curves
from tests.results import Errors, predict_with

pytestmark = pytest.mark.filterwarnings(
    "ignore:_NoneStep.value will soon raise:DeprecationWarning"  # within DVC
)

FIRST = {3: (9, 0.9), 5: (3, 0.7)}
NOW = {5: (3, 0.8), 7: (8, 0.6), 17: (1, 0.6)}
"""Row 3 is corrected, 7 and 17 are new errors."""


def write_run(
    project: Path,
    data: TrainingDigits,
    wrong: Errors,
    *,
    seed: int,
    first: int = 0,
    last: int = 60,
) -> None:
    """What evaluate leaves of the rows from ``first`` to before ``last``."""
    folder = project / "reports/evaluation"
    probabilities = predict_with(data.labels, wrong)[first:last]
    OutOfFoldPredictions(
        rows=np.arange(first, last),
        labels=data.labels[first:last],
        averages=probabilities,
        probabilities=probabilities,
        members={MEMBER: sha256(project / "models" / MEMBER / "model.keras")},
        train_sha256=data.provenance.train_sha256,
    ).save(folder / "out_of_fold.npz")
    make_curves(seed).to_csv(folder / "learning_curves_mean.csv", index=False)
    predictions = sha256(folder / "out_of_fold.npz")
    write_metrics(project, errors=len(wrong), predictions=[["out_of_fold.npz", predictions]])


@pytest.fixture(scope="module")
def history(
    recorded_project: Path,
    training_digits: TrainingDigits,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A commit, an experiment from it, one on other images, and another run in the workspace."""
    project = tmp_path_factory.mktemp("compared") / "project"
    shutil.copytree(recorded_project, project, symlinks=True)
    dataset.save(project / "data/prepared/train.npz", training_digits)
    write_run(project, training_digits, FIRST, seed=1)
    record(project)
    run(project, "git", "commit", "--quiet", "--all", "--message=evaluated")
    run(project, "git", "branch", "idea/wider")
    for name, change, wrong, first in (
        ("faster", ("max_epochs: 8", "max_epochs: 9"), {}, 0),
        ("fold-two", ("power: 4", "power: 3"), {55: (3, 0.9)}, 50),
    ):
        set_params(project, change)
        write_run(project, training_digits, wrong, seed=2, first=first)
        record(project)
        with chdir(project), Repo() as repo:
            repo.experiments.save(name=name)
        run(project, "git", "checkout", "--quiet", "--", ".")
    set_params(project, ("batch_size: 128", "batch_size: 64"))
    with (project / "pipeline/training/recipe.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    (project / "pipeline/training/new.py").write_text("NEW = True\n")
    write_run(project, training_digits, NOW, seed=3)
    record(project)
    return project


@pytest.fixture
def here(history: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The history, as the current folder; its files are not to be changed."""
    monkeypatch.chdir(history)
    return history


@pytest.fixture
def own(history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the history, as the current folder."""
    project = tmp_path / "project"
    shutil.copytree(history, project, symlinks=True)
    monkeypatch.chdir(project)
    return project


Output = Callable[..., str]


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Output:
    """Runs ``digits`` and gives what it prints; errors, if it is to fail."""

    def of(*arguments: str, status: int = 0) -> str:
        assert digits(monkeypatch, *arguments) == status
        printed = capsys.readouterr()
        return " ".join((printed.err if status else printed.out).split())

    return of


def test_workspace_is_compared_with_a_commit(here: Path, output: Output) -> None:
    said = output("compare", "main")
    assert "workspace compared with main, on the 60 images held out in both" in said
    assert "main 96.67% 2 – – – – – workspace 95.00% 3 −1.67 " in said
    assert "percentage points could be chance (McNemar's exact test: p = 1.000)" in said
    assert "corrected, by row of train.csv (true: before → after): 3 (3: 9 → 3)" in said
    assert "before → after): 7 (7: 7 → 8), 17 (7: 7 → 1)" in said
    assert "train.batch_size 128 64" in said
    assert (
        "code that differs in workspace: pipeline/training/new.py (added), "
        "pipeline/training/recipe.py (changed)" in said
    )
    assert "reports/compare.html: the images" in said
    assert "note:" not in said
    page = Page((here / "reports/compare.html").read_text())
    assert page.predictions["row"].tolist() == [7, 17, 3, 5]
    assert "Learning curves of the runs" in (here / "reports/compare.html").read_text()


def test_errors_against_prints_the_same_without_a_page(own: Path, output: Output) -> None:
    whole = output("compare", "main")
    shutil.rmtree(own / "reports/compare")
    (own / "reports/compare.html").unlink()
    said = output("errors", "--against", "main")
    assert whole.startswith(said)
    assert not (own / "reports/compare.html").exists()
    assert "takes no other option" in output("errors", "--against", "main", "--json", status=2)


def test_head_is_compared_if_no_run_is_named(here: Path, output: Output) -> None:
    assert output("compare").startswith("workspace compared with HEAD, on the 60 images")


def test_several_experiments_are_compared_with_the_first(here: Path, output: Output) -> None:
    said = output("compare", "main", "faster", "workspace", "--output", "reports/all.html")
    assert "Compared with main, image by image" in said
    assert "main 96.67% 2 – – – – – faster 100.00% 0 +3.33 " in said
    assert "train.max_epochs 8 9 8" in said
    page = Page((here / "reports/all.html").read_text())
    assert sorted(page.predictions["row"]) == [3, 3, 5, 5, 7, 17]
    assert (here / "reports/all/changes.csv").exists()


def test_json_has_the_numbers_and_writes_nothing(own: Path, output: Output) -> None:
    shutil.rmtree(own / "reports/compare", ignore_errors=True)
    (own / "reports/compare.html").unlink(missing_ok=True)
    found: dict[str, Any] = json.loads(output("compare", "faster", "main", "--json"))
    assert [each["name"] for each in found["runs"]] == ["faster", "main"]
    head = run(own, "git", "rev-parse", "HEAD").strip()
    assert found["runs"][1]["revision"] == head
    (difference,) = found["differences"]
    assert (difference["corrected"], difference["new_errors"]) == (0, 2)
    assert [(each["row"], each["after"]) for each in found["changes"]] == [(3, 9), (5, 3)]
    assert {each["key"] for each in found["params"]} == {"train.max_epochs"}
    assert not (own / "reports/compare.html").exists()


def test_code_differs_the_other_way_if_the_workspace_is_first(here: Path, output: Output) -> None:
    found = json.loads(output("compare", "workspace", "main", "--json"))
    assert found["code"] == [
        {"run": "main", "path": "pipeline/training/new.py", "change": "deleted"},
        {"run": "main", "path": "pipeline/training/recipe.py", "change": "changed"},
    ]


def test_other_images_are_told_and_left_out(here: Path, output: Output) -> None:
    said = output("errors", "--against", "fold-two")
    assert "on the 10 images held out in both" in said
    assert "note: fold-two and workspace were not evaluated on the same images (10 and 60)" in said


def test_nothing_in_common_is_refused_and_nothing_written(
    own: Path, output: Output, training_digits: TrainingDigits
) -> None:
    write_run(own, training_digits, {}, seed=1, last=50)
    said = output("compare", "fold-two", "--output", "new.html", status=1)
    assert "error: No image was held out both in fold-two and in workspace" in said
    assert not (own / "new").exists()
    assert not (own / "new.html").exists()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mian", "main"),
        ("fastr", "faster"),
        ("HAED", "HEAD"),
        ("worksapce", "workspace"),
        ("idea/widr", "idea/wider"),
    ],
)
def test_unknown_run_gets_a_suggestion(here: Path, output: Output, name: str, hint: str) -> None:
    said = output("compare", name, status=1)
    assert f"error: {name} is no commit, branch, tag or experiment (did you mean '{hint}'?)" in said


@pytest.mark.parametrize("name", ["HEAD:params.yaml", "HEAD^{tree}", "settings"])
def test_what_is_no_commit_is_no_run(own: Path, output: Output, name: str) -> None:
    run(own, "git", "tag", "--force", "settings", "HEAD:params.yaml")
    said = output("compare", name, status=1)
    assert f"error: {name} is no commit, branch, tag or experiment. See" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["main", "main"], "main is named twice"),
        ([""], "an empty name was given"),
        (["workspace"], "name a run to compare the workspace with"),
        (["--output", "page.txt"], "expected a name that ends in .html, found page.txt"),
        (
            ["--output", "pipeline.html"],
            "the numbers would go into pipeline, which holds something",
        ),
        (["--json", "--open"], "--json writes no page to open"),
    ],
)
def test_mistyped_command_is_explained(
    here: Path, output: Output, arguments: list[str], said: str
) -> None:
    assert said in output("compare", *arguments, status=2)
    assert (here / "pipeline/__init__.py").exists()


def test_what_is_missing_is_named_with_the_cure(own: Path, output: Output) -> None:
    curves = own / "reports/evaluation/learning_curves_mean.csv"
    cached = run(own, "git", "show", "HEAD:dvc.lock")
    _, _, entry = cached.partition(f"path: {curves.relative_to(own)}")
    digest = entry.partition("md5: ")[2][:32]
    (own / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).unlink()
    curves.unlink()
    (own / "data/prepared/train.npz").unlink()
    for path in (own / ".dvc/cache/files/md5").glob("*/*"):
        if path.read_bytes()[:2] == b"PK" and b"images.npy" in path.read_bytes():
            path.unlink()
    said = output("compare", "main")
    assert "note: The learning curves of main are not in DVC's cache." in said
    assert "note: The learning curves of the workspace are missing. Run: dvc checkout" in said
    assert "note: The images of main are not at hand, so the page shows none. Bring data/" in said
    words = Page((own / "reports/compare.html").read_text()).words
    assert "The learning curves of main are not in DVC's cache." in words
    assert "No run has its learning curves at hand." in words


def test_images_come_from_the_cache_if_the_workspace_has_others(own: Path, output: Output) -> None:
    (own / "data/prepared/train.npz").unlink()
    assert "The images of" not in output("compare", "main", "faster")
    page = Page((own / "reports/compare.html").read_text())
    assert page.predictions["sprite"].tolist() == [0, 1]


def test_corrected_labels_are_a_setting(own: Path, output: Output) -> None:
    path = own / "reports/evaluation/metrics.json"
    summary = {"sha256": "c" * 64, "right": 4, "corrected": 2, "left_out": 1}
    write_json(path, read_json(path) | {"label_corrections": summary})
    assert 'data/labels.csv – "2 corrected, 1 left out (ccccccc)"' in output("compare", "main")


def test_results_older_than_the_settings_are_told(own: Path, output: Output) -> None:
    set_params(own, ("batch_size: 64", "batch_size: 32"))
    said = output("errors", "--against", "main")
    assert "note: The results of the workspace are older than its data, params or code" in said


def test_earlier_numbers_are_replaced_and_no_other_file(own: Path, output: Output) -> None:
    page = own / "out/page.html"
    output("compare", "main", "--output", str(page))
    first = (own / "out/page/changes.csv").read_text()
    output("compare", "faster", "main", "--output", str(page))
    assert (own / "out/page/changes.csv").read_text() != first
    assert sorted(path.name for path in (own / "out").iterdir()) == ["page", "page.html"]
    assert {path.name for path in (own / "out/page").iterdir()} == FILES
    (own / "out/page/mine.csv").write_text("mine")
    output("compare", "main", "--output", str(page), status=2)
    assert (own / "out/page/mine.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("numbers", "why"),
    [(None, "is there already"), ([], "is there already"), (["code.csv"], "something else")],
)
def test_page_that_is_no_comparison_stays(
    numbers: list[str] | None, why: str, own: Path, output: Output
) -> None:
    (own / "out").mkdir()
    (own / "out/page.html").write_text("mine")
    if numbers is not None:
        (own / "out/page").mkdir()
        for name in numbers:
            (own / "out/page" / name).write_text("mine")
    said = output("compare", "main", "--output", str(own / "out/page.html"), status=2)
    assert why in said
    assert {path.read_text() for path in (own / "out").rglob("*.*")} == {"mine"}


def test_page_opens_or_its_address_is_told(
    here: Path, output: Output, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []

    def open_page(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr("pipeline.cli.browser.open_page", open_page)
    output("compare", "main", "--open")
    assert opened == [(here / stages.REPORT.with_name("compare.html")).resolve().as_uri()]
    monkeypatch.setattr("pipeline.cli.browser.open_page", lambda address: False)
    assert digits(monkeypatch, "compare", "main", "--open") == 0
    assert "No browser with windows was found here." in capsys.readouterr().err


def test_subfolder_of_the_project_does_as_well(
    here: Path, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run(here / "pipeline/cli", "digits", "compare", "main")
    assert "workspace compared with main, on the 60 images" in said
    assert "pipeline/training/recipe.py (changed)" in said
    assert "note:" not in said
    assert "../../reports/compare.html" in said


def test_name_that_is_no_utf8_is_no_commit(output: Output) -> None:
    assert r"bad\udcff is no commit" in output("compare", "bad\udcff", status=1)
