"""``digits runs`` on a real history of Git and DVC."""

import json
import re
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo

from pipeline.runs import revisions
from pipeline.runs.revisions import collect
from tests.cli.recorded import record, write_metrics
from tests.cli.running import digits
from tests.conftest import run, set_params

AUTHOR = ("git", "-c", "user.name=T", "-c", "user.email=t@example.org")


@pytest.fixture(scope="module")
def history(
    recorded_project: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str, str]:
    """Two commits with results and one without between them; an experiment from each of the
    earlier two, one queued from the last."""
    project = tmp_path_factory.mktemp("history") / "project"
    shutil.copytree(recorded_project, project, symlinks=True)
    first = run(project, "git", "rev-parse", "HEAD").strip()

    set_params(project, ("max_epochs: 8", "max_epochs: 9"), ("batch_size: 128", "batch_size: 64"))
    write_metrics(project, errors=9)
    record(project)
    with chdir(project), Repo() as repo:
        repo.experiments.save(name="smaller-batch")
    run(project, "git", "checkout", "--quiet", "--", ".")

    run(project, "git", "commit", "--quiet", "--allow-empty", "--message=a note")
    set_params(project, ("max_epochs: 8", "max_epochs: 10"))
    write_metrics(project, errors=7)
    record(project)
    with chdir(project), Repo() as repo:
        repo.experiments.save(name="longer")
    run(project, "git", "checkout", "--quiet", "--", ".")

    set_params(project, ("seeds: [0]", "seeds: [0]  # unchanged"), ("power: 4", "power: 3"))
    write_metrics(project, errors=1)
    record(project)
    run(project, "git", "commit", "--quiet", "--all", "--message=weaker [neighbours] :smile:")
    second = run(project, "git", "rev-parse", "HEAD").strip()
    with chdir(project), Repo() as repo:
        repo.experiments.run(queue=True, name="later", params=["seed=1"])
    return project, first, second


@pytest.fixture
def in_history(
    history: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str, str]:
    """The history, as the current folder; its files are not to be changed."""
    monkeypatch.chdir(history[0])
    return history


def test_runs_are_listed_with_what_changed(
    in_history: tuple[Path, str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project, first, second = in_history
    between = run(project, "git", "rev-parse", "HEAD~1").strip()
    assert digits(monkeypatch, "runs", "--json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [(run["name"], run["state"], run["changed"], run["errors"]) for run in found] == [
        ("workspace", "done", {}, 1),
        (f"{second[:7]} weaker [neighbours] :smile:", "done", {"neighbours.power": 3}, 1),
        ("later", "queued", {"seed": 1}, None),
        (f"{between[:7]} a note", "done", {}, 2),
        ("longer", "done", {"train.max_epochs": 10}, 7),
        (f"{first[:7]} first results", "done", {}, 2),
        ("smaller-batch", "done", {"train.batch_size": 64, "train.max_epochs": 9}, 9),
    ]
    assert [run["revision"] for run in found[:2]] == [None, second]
    assert not any(run["other_data"] or run["other_code"] for run in found)
    assert found[-1]["accuracy_low"] < found[-1]["accuracy"] < found[-1]["accuracy_high"]
    assert found[-1]["training_seconds"] == 90


def test_experiment_that_failed_has_no_score_of_another(in_history: tuple[Path, str, str]) -> None:
    project, _, _ = in_history
    with Repo(str(project)) as repo:
        workspace, *_ = repo.experiments.show()
    assert revisions._read(workspace, "experiment", None).errors == 1
    failed = revisions._read(workspace, "experiment", None, "failed")
    assert (failed.state, failed.errors, failed.training_seconds) == ("failed", None, None)


def test_table_fits_80_columns(
    in_history: tuple[Path, str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, _, second = in_history
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    assert digits(monkeypatch, "runs") == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert all(len(line) <= 80 for line in lines)
    text = "\n".join(lines)
    assert re.search(rf"{second[:7]} weaker? +neighbours.power=3 +99.65% +97.65 – 100", text)
    assert re.search(r"train.batch_size=64 +96.88% +94.88 – 97.38 +9 / 288 +1.5\n", text)
    assert re.search(r"\n +train.max_epochs=9 *\n?", text)


def test_settings_of_git_change_nothing(
    in_history: tuple[Path, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = collect(5)
    settings = tmp_path / "gitconfig"
    settings.write_text("[log]\nshowSignature = true\n[color]\nui = always\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    assert collect(5) == found


@pytest.mark.parametrize(
    ("git_file", "settings", "said"),
    [
        ("gitdir: /nowhere\n", "", "repository is kept in /nowhere, which is not there"),
        ("", "[core\nbad", "Git's settings are damaged: bad config line 1 in file "),
    ],
)
@pytest.mark.parametrize("command", ["runs", "compare"])
def test_what_keeps_git_from_working_is_told(
    command: str,
    git_file: str,
    settings: str,
    said: str,
    in_project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = in_project / "gitconfig"
    path.write_text(settings)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(path))
    if git_file:
        shutil.rmtree(in_project / ".git")
        (in_project / ".git").write_text(git_file)
    assert digits(monkeypatch, command) == 1
    assert said in capsys.readouterr().err


def test_runs_need_a_repository_of_git_with_a_commit(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(in_project / ".git")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(in_project.parent))
    assert digits(monkeypatch, "runs") == 1
    said = capsys.readouterr().err
    assert "error: Earlier runs are kept by Git, which says: not a git repository" in said
    assert "git init && git add . && git commit" in said


@pytest.mark.parametrize("command", ["runs", "compare", "errors --against HEAD"])
def test_folder_outside_the_project_is_not_advised_about_git(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert digits(monkeypatch, *command.split()) == 1
    said = capsys.readouterr().err
    assert "Run the command in the project's folder." in said
    assert "git" not in said


def test_metrics_of_other_parameters_are_no_score_of_the_workspace(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(in_project, ("seeds: [0]", "seeds: [1]"))
    assert digits(monkeypatch, "runs", "--json") == 0
    workspace, commit = json.loads(capsys.readouterr().out)
    assert (workspace["state"], workspace["accuracy"]) == ("no score", None)
    assert workspace["changed"] == {"ensemble.seeds": [1]}
    assert commit["errors"] == 2
    set_params(in_project, ("seeds: [1]", "seeds: [0]"), ("power: 4", "power: 3"))
    assert digits(monkeypatch, "runs", "--json") == 0
    workspace, _ = json.loads(capsys.readouterr().out)
    assert (workspace["accuracy"], workspace["changed"]) == (None, {"neighbours.power": 3})


def test_many_changes_are_abridged_and_typed_as_dvc_takes_them(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(
        in_project,
        ("seeds: [0]", "seeds: [0, 1]"),
        ("power: 4", "power: 3"),
        ("compute_dtype: auto", "compute_dtype: float32"),
        ("batch_size: 128", "batch_size: 64"),
        ("patience_epochs: 16", "patience_epochs: 9"),
    )
    with (in_project / "pipeline/training/recipe.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    assert digits(monkeypatch, "runs") == 0
    said = capsys.readouterr().out
    for change in ("(other code)", "ensemble.seeds=[0,1]", "train.compute_dtype=float32"):
        assert change in said
    assert "(and 1 more)" in said


def test_repository_around_the_project_that_does_not_hold_it_has_no_runs(
    in_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as that of a home folder."""
    shutil.rmtree(in_project / ".git")
    run(in_project, "git", "init", "--quiet")
    run(in_project, *AUTHOR, "commit", "--quiet", "--allow-empty", "--message=dotfiles")
    assert digits(monkeypatch, "runs", "--json") == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == ["workspace"]
