"""Sweeps from end to end: what is decided does not hang on the clock, on kills or on processes."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pandas as pd
import psutil
import pytest

from pipeline import params
from pipeline.cli.sweep import sweep
from pipeline.data.dataset import TrainingDigits
from pipeline.errors import ArtifactError, ParamsError, PipelineError
from pipeline.sweeps.jobs import Epoch, Event
from tests.conftest import ROOT, environment, set_params
from tests.sweeps.scripted import MANY, Scripted, run
from tests.sweeps.spaces import make_folder, write_space

STOP = ("stop_lagging: {after_trials: 1, after_epochs: 1}", "stop_lagging: null")


# ---------------------------------------------------------------- real processes


def start(folder: Path, name: str = "small") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "sweep", name, "--workers", "1"],
        cwd=folder,
        env=environment(folder) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def list_epochs(folder: Path) -> list[tuple[str, str]]:
    """Each epoch that any process of a sweep has finished, as often as it did."""
    log = folder / "sweeps/small/training.log"
    return re.findall(r"^(\S+)  epoch +(\d+)/", log.read_text() if log.exists() else "", re.M)


def wait_for_epochs(folder: Path, count: int) -> None:
    end = time.monotonic() + 500
    while len(list_epochs(folder)) < count:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def swept(training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose sweep was killed by kill -9 after four epochs, then went on to its end."""
    folder = make_folder(tmp_path_factory.mktemp("swept"), training_digits)
    write_space(folder)
    killed = start(folder)
    wait_for_epochs(folder, 4)
    children = psutil.Process(killed.pid).children()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(children) == 1
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive  # the process that trained has noticed
    resumed = start(folder)
    printed, _ = resumed.communicate()
    assert resumed.returncode == 0, printed
    (folder / "printed.txt").write_text(printed)
    return folder


def test_nothing_is_trained_twice(swept: Path) -> None:
    epochs = list_epochs(swept)
    assert len(set(epochs)) == len(epochs)
    last = {key: max(int(number) for name, number in epochs if name == key) for key, _ in epochs}
    missing = sum(last.values()) - len(epochs)
    assert missing in (0, 1)  # the process that was killed may have kept an epoch, and not told it


def test_table_has_every_trial(swept: Path) -> None:
    table = pd.read_csv(swept / "sweeps/small.csv")
    assert table["trial"].tolist() == [0, 1, 2, 3]
    assert table["outcome"][0] == "complete"
    assert set(table["outcome"]) <= {"complete", "stopped"}
    assert (table["nodes"].str.len() > 0).all()
    assert (table["seconds"] > 0).all()
    complete = table[table["outcome"] == "complete"]
    assert (complete["images"] == 40).all()
    assert (complete["errors"] / 40 == complete["error_rate"]).all()
    assert table["train.batch_size"].isin([10, 20]).all()
    assert table["train.learning_rate"].between(0.001, 0.02).all()


def test_summary_page_and_command_say_the_same(swept: Path) -> None:
    summary = json.loads((swept / "sweeps/small.json").read_text())
    printed = (swept / "printed.txt").read_text()
    assert "3 trials: " in printed
    assert (swept / "sweeps/small.html").stat().st_size > 1000
    words = {"nothing": "Nothing found", "better": "Confirmed: better", "open": "no better than"}
    words |= {"worse": "worse than params.yaml"}
    assert words[summary["verdict"]] in printed
    assert sorted(path.name for path in (swept / "sweeps").iterdir()) == [
        *("small", "small.csv", "small.html", "small.json", "small.yaml")
    ]
    assert list((swept / "sweeps/small/states").glob("*.npz")) == []


def test_sweep_that_has_ended_trains_nothing_more(
    swept: Path, training_digits: TrainingDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(swept)
    table, summary = (
        (swept / "sweeps/small.csv").read_bytes(),
        (swept / "sweeps/small.json").read_bytes(),
    )
    scripted = Scripted(training_digits, newest_first=False)
    run(swept, "small", scripted)
    assert scripted.submitted == 0
    assert (swept / "sweeps/small.csv").read_bytes() == table
    assert (swept / "sweeps/small.json").read_bytes() == summary


def test_what_was_found_is_applied(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever won; here it is made to be another trial, of which nothing is certain."""
    shutil.copy(swept / "params.yaml", tmp_path)
    summary = json.loads((swept / "sweeps/small.json").read_text())
    summary["keys"][0]["after"], summary["keys"][1]["after"] = 0.004321, 10
    summary |= {"verdict": "open", "confirmed": {"low": -0.01, "high": 0.02}, "winner": 2}
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps/small.json").write_text(json.dumps(summary))
    monkeypatch.chdir(tmp_path)
    sweep("small", apply=True)
    printed = capsys.readouterr().out
    assert "-  learning_rate: 0.001 " in printed
    assert "+  learning_rate: 0.004321 " in printed
    assert "Not confirmed: no better than params.yaml on the other folds" in printed
    applied = params.load_file(tmp_path / "params.yaml").train
    assert (applied.learning_rate, applied.batch_size) == (0.004321, 10)
    sweep("small", apply=True)
    assert "params.yaml held trial 2 of small already" in capsys.readouterr().out


def test_network_that_is_gone_is_told(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(swept / "params.yaml", tmp_path)
    summary = json.loads((swept / "sweeps/small.json").read_text())
    summary["keys"][0] |= {"key": "networks.gone.preprocessing", "after": [[]]}
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps/small.json").write_text(
        json.dumps(summary | {"verdict": "better", "confirmed": {"low": 0.1, "high": 0.2}})
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=r"has no network gone any more, of which the sweep"):
        sweep("small", apply=True)


def test_sweep_that_has_not_ended_is_not_applied(folder: Path) -> None:
    before = (folder / "params.yaml").read_bytes()
    with pytest.raises(ArtifactError, match=r"small.json is missing: .* Run: digits sweep small"):
        sweep("small", apply=True)
    (folder / "sweeps").mkdir()
    (folder / "sweeps/small.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"small.json is damaged"):
        sweep("small", apply=True)
    (folder / "sweeps/small.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"damaged: expected JSON.* run: digits sweep small"):
        sweep("small", apply=True)
    assert (folder / "params.yaml").read_bytes() == before


# ---------------------------------------------------------------- any order of events


@pytest.fixture
def folder(
    training_digits: TrainingDigits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.chdir(make_folder(tmp_path, training_digits))
    return tmp_path


def test_order_of_events_decides_nothing(folder: Path, training_digits: TrainingDigits) -> None:
    first, last = (Scripted(training_digits, newest_first=newest) for newest in (False, True))
    table, summary = run(folder, "first", first, *MANY)
    other_table, other_summary = run(folder, "last", last, *MANY)
    columns = [name for name in table if name != "seconds"]  # of stopped ones
    pd.testing.assert_frame_equal(table[columns], other_table[columns])
    assert {**summary, "name": "", "seconds": 0} == {**other_summary, "name": "", "seconds": 0}
    assert {"stopped", "complete"} == set(table["outcome"])
    assert len(set(first.done)) == len(first.done)


def test_winner_is_compared_on_other_folds(folder: Path, training_digits: TrainingDigits) -> None:
    set_params(folder, ("learning_rate: 0.001", "learning_rate: 0.01"))
    table, summary = run(folder, "small", Scripted(training_digits, newest_first=False), *MANY)
    complete = table[table["outcome"] == "complete"]
    assert summary["winner"] == complete.loc[complete["log_loss"].idxmin(), "trial"]
    assert summary["trials"] == 16
    assert summary["chosen"]["images"] == 40
    assert summary["confirmed"]["images"] == 20
    assert summary["confirmed"]["folds"] == [2]
    gained = summary["confirmed"]["errors_before"] - summary["confirmed"]["errors"]
    assert summary["confirmed"]["difference"] == gained / 20
    assert summary["optimism"] == pytest.approx(summary["chosen"]["difference"] - gained / 20)
    assert summary["verdict"] == "better"


class Untold(Scripted):
    """Members come back before anything was told of them, as from a fast node."""

    def wait(self) -> Iterator[Event]:
        yield from (event for event in super().wait() if not isinstance(event, Epoch))


def test_every_trial_names_its_nodes(folder: Path, training_digits: TrainingDigits) -> None:
    table, _ = run(folder, "small", Untold(training_digits, newest_first=False))
    assert table["nodes"].tolist() == ["here"] * 4


def test_nothing_found_is_said(folder: Path, training_digits: TrainingDigits) -> None:
    scripted = Scripted(training_digits, newest_first=False)
    low = ("low: 0.001, high: 0.02", "low: 0.002, high: 0.02")
    table, summary = run(folder, "small", scripted, *MANY, low)
    assert (summary["verdict"], summary["winner"], summary["confirmed"]) == ("nothing", 0, None)
    assert table["train.learning_rate"][0] == 0.001
    assert not [key for key in scripted.done if key.startswith("2-")]


def test_failed_trial_is_noted_and_the_sweep_goes_on(
    folder: Path, training_digits: TrainingDigits
) -> None:
    scripted = Scripted(training_digits, newest_first=False, failing=0.005)
    table, summary = run(folder, "small", scripted, *MANY, STOP)
    failed = table[table["outcome"] == "failed"]
    assert (failed["train.learning_rate"] > 0.005).all()
    assert (failed["reason"] == "Training diverged").all()
    assert 0 < summary["outcomes"]["failed"] < 16


def test_params_yaml_that_fails_ends_the_sweep(
    folder: Path, training_digits: TrainingDigits
) -> None:
    scripted = Scripted(training_digits, newest_first=False, failing=0)
    with pytest.raises(PipelineError, match="params.yaml as it is cannot be trained: Training div"):
        run(folder, "small", scripted)


def test_more_trials_may_be_asked_for_later(folder: Path, training_digits: TrainingDigits) -> None:
    whole, _ = run(folder, "whole", Scripted(training_digits, newest_first=False), *MANY)
    few = (("trials: 3", "trials: 5"), MANY[1])
    part, _ = run(folder, "part", Scripted(training_digits, newest_first=False), *few)
    more = Scripted(training_digits, newest_first=False)
    table, _ = run(folder, "part", more, *MANY)
    pd.testing.assert_frame_equal(table.head(len(part)), part)
    assert len(table) == len(whole) == 17
    with pytest.raises(ParamsError, match=r"space: seed differ. Trials must be comparable"):
        run(folder, "part", more, *MANY, ("seed: 0", "seed: 1"))
    set_params(folder, ("zoom_fraction: 0.1", "zoom_fraction: 0.2"))
    with pytest.raises(ParamsError, match=r"params.yaml: augmentation differ"):
        run(folder, "part", more, *MANY)


def test_second_process_of_a_sweep_is_refused(
    folder: Path, training_digits: TrainingDigits
) -> None:
    scripted = Scripted(training_digits, newest_first=False)

    class Inside(Scripted):
        def __enter__(self) -> Self:
            with pytest.raises(PipelineError, match="Another process runs the sweep small"):
                run(folder, "small", scripted)
            return self

    run(folder, "small", Inside(training_digits, newest_first=False))
    assert scripted.done == []


def test_neighbours_are_searched_without_training_again(
    folder: Path, training_digits: TrainingDigits
) -> None:
    scripted = Scripted(training_digits, newest_first=False)
    ranges = (
        ("  train.learning_rate: {low: 0.001, high: 0.02, log: true}\n", ""),
        ("  train.batch_size: [10, 20]\n", "  neighbours.power: {low: 1, high: 8}\n"),
    )
    table, _ = run(folder, "small", scripted, *ranges)
    assert table["neighbours.power"].nunique() == 4
    assert [key[:9] for key in scripted.done][:2] == ["0-0-small", "1-0-small"]
    assert len(scripted.done) <= 3


def test_damaged_predictions_are_made_again(folder: Path, training_digits: TrainingDigits) -> None:
    run(folder, "small", Scripted(training_digits, newest_first=False))
    for path in (folder / "sweeps/small/members").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    (folder / "sweeps/small/journal.log").unlink()
    again = Scripted(training_digits, newest_first=False)
    run(folder, "small", again)
    assert len(again.done) >= 2
    assert len(list((folder / "sweeps/small/members").iterdir())) >= 2
