"""States that nodes sent: found by the conditions under which they were trained."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import params, stages
from pipeline.cluster import members
from pipeline.cluster.received import Origin, find_received, on_machine, store, write_received
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.errors import ArtifactError
from pipeline.networks.record import read_record
from pipeline.networks.trained import load_model
from pipeline.stages import train
from pipeline.training.state import TrainingState
from pipeline.training.task import Task
from tests.conftest import SMALL_NETWORK, set_params

HISTORY = [
    {"epoch": 1.0, "images": 40.0, "loss": 2.0, "accuracy": 0.5, "seconds": 3.0, "val_loss": 1.0}
]


@pytest.fixture
def task(in_folder: Path, training_digits: TrainingDigits) -> Task:
    """A small member, in the current folder."""
    dataset.save(stages.TRAIN, training_digits)
    set_params(
        in_folder,
        SMALL_NETWORK,
        ("seeds: [0]", "seeds: [0, 1]"),
        ("validation_fraction: 0.03", "validation_fraction: 0.25"),
    )
    return train.list_tasks(params.load())[0]


def other_origin(task: Task) -> Origin:
    return Origin("two (10.0.0.2)", 1, task.conditions.machine | {"cpu": "Another CPU"})


def finished(task: Task) -> TrainingState:
    from pipeline import architectures

    weights = architectures.build(task.member.architecture).get_weights()
    return TrainingState(
        HISTORY, 1, 1, True, weights=weights, optimizer=weights, best_weights=weights
    )


def receive(task: Task, state: TrainingState, folder: Path, origin: Origin | None = None) -> Task:
    """Keep what a node sends, commonly one of another CPU; the task as it had it."""
    origin = origin or other_origin(task)
    there = on_machine(task, origin.machine)
    path = folder / "sent.npz"
    write_received(path, state, origin)
    store(task.states, there.state.name, path.read_bytes())
    return there


def test_member_of_another_cpu_is_taken_over_and_says_so(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = finished(task)
    receive(task, state, tmp_path)
    assert not TrainingState.is_finished(task.state)  # this machine would train other weights
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    monkeypatch.setattr(sys, "argv", ["train", task.name])
    monkeypatch.setattr(members, "use_threads", lambda count: None)  # TensorFlow is at work already
    members.main()
    record = read_record(task.folder)
    assert record.node == "two (10.0.0.2)"
    assert record.conditions.machine["cpu"] == "Another CPU"
    assert task.is_current
    for expected, found in zip(
        state.best_weights, load_model(task.folder / "model.keras").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(expected, found)


def test_state_has_what_a_finished_member_needs_and_no_more(task: Task, tmp_path: Path) -> None:
    state = finished(task)
    loaded = TrainingState.load(receive(task, state, tmp_path).state)
    assert (loaded.finished, loaded.history, loaded.best_epoch) == (True, HISTORY, 1)
    assert len(loaded.best_weights) == len(state.best_weights)
    assert loaded.weights == loaded.optimizer == []


def test_state_of_a_node_like_this_machine_is_one_of_its_own(task: Task, tmp_path: Path) -> None:
    receive(task, finished(task), tmp_path, Origin("one", 1, task.conditions.machine))
    assert task.is_done


def test_states_of_other_conditions_members_and_damaged_ones_are_not_found(
    task: Task, tmp_path: Path
) -> None:
    there = receive(task, finished(task), tmp_path)
    assert find_received([task])[task.name].origin == other_origin(task)
    changed = replace(task, conditions=replace(task.conditions, seed=1))
    other = train.list_tasks(params.load())[1]
    assert find_received([changed, other]) == {}
    there.state.write_bytes(there.state.read_bytes()[:5000])
    assert find_received([task]) == {}


@pytest.mark.parametrize("finished_flag", [True, False])
def test_what_is_no_finished_state_is_not_kept(
    finished_flag: bool, task: Task, tmp_path: Path
) -> None:
    state = replace(finished(task), finished=finished_flag)
    path = tmp_path / "sent.npz"
    write_received(path, state, other_origin(task))
    content = path.read_bytes()
    with pytest.raises(ArtifactError, match="is no received state"):
        store(task.states, task.state.name, content[:-50] if finished_flag else content)
    assert not list(task.states.glob("*.npz"))
