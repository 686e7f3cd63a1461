"""Proposals, the journal and the rule that stops trials, by the real Optuna."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ArtifactError
from pipeline.sweeps import space
from pipeline.sweeps.space import Space, StopLagging
from pipeline.sweeps.study import LaggingRule, Study, facts
from tests.conftest import ROOT
from tests.sweeps.spaces import write_space

RANGES = (
    ("trials: 3", "trials: 24"),
    ("trials_at_once: 1", "trials_at_once: 3"),
    ("  train.batch_size: [10, 20]\n", "  train.batch_size: {low: 32, high: 256}\n"),
)


def make_space(folder: Path, *changes: tuple[str, str]) -> Space:
    return space.read(write_space(folder, *changes), folder / "params.yaml")


def loss(values: dict[str, Any]) -> float:
    return float(abs(values["train.learning_rate"] - 0.005) + values["train.batch_size"] / 1e5)


def run(journal: Path, searched: Space, *, killed: bool) -> Study:
    """All trials, each told after as many others as are run at once."""
    study = Study(journal, searched)
    while len(study.trials) <= searched.file.trials:
        running = [each for each in study.trials if not each.state.is_finished()]
        if len(running) < searched.file.trials_at_once:
            study.propose()
        else:
            values = study.values(running[0])
            study.tell(running[0], {"values": values}, curve=[1.0, 0.5], value=loss(values))
        if killed:
            with journal.open("ab") as file:
                file.write(b'{"op_code":4,"wor')  # it was writing
            journal.with_name("journal.log.lock").symlink_to(journal)  # and held the lock
            study = Study(journal, searched)
    return study


def test_proposals_follow_from_the_seed_even_if_the_sweep_is_killed(in_folder: Path) -> None:
    searched = make_space(in_folder, *RANGES)
    study = run(in_folder / "journal.log", searched, killed=False)
    proposed = [study.values(each) for each in study.trials]
    (in_folder / "killed").mkdir()
    killed = run(in_folder / "killed/journal.log", searched, killed=True)
    assert [killed.values(each) for each in killed.trials] == proposed
    assert proposed[0] == searched.base_values
    assert len({str(each) for each in proposed}) == len(proposed)


def test_another_seed_gives_other_proposals(in_folder: Path) -> None:
    proposed = []
    for seed in (0, 1):
        searched = make_space(in_folder, *RANGES, ("seed: 0", f"seed: {seed}"))
        study = Study(in_folder / f"{seed}.log", searched)
        study.propose()
        proposed.append(study.values(study.propose()))
    assert proposed[0] != proposed[1]


def test_trial_whose_proposal_was_cut_short_is_completed(in_folder: Path) -> None:
    searched = make_space(in_folder, *RANGES)
    journal = in_folder / "journal.log"
    study = Study(journal, searched)
    study.propose()
    whole = study.values(study.propose())
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))
    resumed = Study(journal, searched)
    (trial,) = [each for each in resumed.trials if each.number == 1]
    assert len(trial.params) < 2
    assert resumed.values(resumed.resume(trial)).keys() == whole.keys()


def test_params_yaml_outside_the_space_is_kept_and_no_proposal(in_folder: Path) -> None:
    searched = make_space(in_folder)  # batch_size 128 is none of its choices
    study = Study(in_folder / "journal.log", searched)
    base = study.propose()
    study.tell(base, {"log_loss": 0.5}, curve=[], value=0.5)
    assert base.params == {}
    assert facts(study.trials[0]) == {"log_loss": 0.5}
    assert study.propose().number == 1


def test_damaged_journal_is_told(in_folder: Path) -> None:
    searched = make_space(in_folder)
    journal = in_folder / "journal.log"
    Study(journal, searched).propose()
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([lines[0], "{nothing\n", *lines[1:]]))
    with pytest.raises(ArtifactError, match=r"journal.log is damaged: .*Delete it"):
        Study(journal, searched)


def test_trial_above_the_median_of_the_complete_ones_lags(in_folder: Path) -> None:
    searched = make_space(in_folder, *RANGES)
    study = Study(in_folder / "journal.log", searched)
    for curve in ([1.0, 0.8, 0.3], [0.9, 0.6, 0.2], [0.8, 0.4, 0.1]):
        study.tell(study.propose(), {}, curve=curve, value=curve[-1])
    study.tell(study.propose(), {}, curve=[0.1], value=None)  # a stopped one is no measure
    rule = LaggingRule(study.trials, StopLagging(after_trials=3, after_epochs=2))
    assert rule.find([5.0, 0.5], 0) is None
    assert rule.find([5.0, 0.7], 0) == 2  # not before the second epoch
    assert rule.find([5.0, 0.5, 0.4], 2) == 3
    assert rule.find([0.1, 0.7, 0.7], 0) is None  # its best epoch counts
    patient = LaggingRule(study.trials, StopLagging(after_trials=4, after_epochs=2))
    assert patient.find([5.0, 5.0, 5.0], 0) is None


def test_importance_is_of_what_matters(in_folder: Path) -> None:
    searched = make_space(in_folder, *RANGES)
    study = run(in_folder / "journal.log", searched, killed=False)
    found = study.importances()
    assert list(found) == ["train.learning_rate", "train.batch_size"]
    assert sum(found.values()) == pytest.approx(1)
    assert found["train.learning_rate"] > 0.7
    assert Study(in_folder / "none.log", searched).importances() == {}


def test_missing_optuna_is_named_with_what_installs_it() -> None:
    code = "import sys; sys.modules['optuna'] = None; import pipeline.sweeps.search"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "needs Optuna, which is not installed" in done.stderr
    assert "pip install -e '.[sweep]'" in done.stderr
