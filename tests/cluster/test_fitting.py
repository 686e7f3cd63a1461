"""A member fitted as on a node, in this process."""

import pickle
from pathlib import Path

import pytest

from pipeline import params, stages
from pipeline.cluster import fitting
from pipeline.cluster.orders import Order
from pipeline.cluster.received import find_received, store
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.stages import train
from tests.conftest import SMALL_NETWORK, set_params
from tests.networks.gradients import registered_gradients


def test_fitted_state_is_complete_and_nothing_stays_in_memory(
    in_folder: Path, training_digits: TrainingDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.save(stages.TRAIN, training_digits)
    set_params(
        in_folder,
        SMALL_NETWORK,
        ("compute_dtype: auto", "compute_dtype: bfloat16"),  # for its gradients, on any processor
        ("max_epochs: 36", "max_epochs: 2"),
        ("decay_epochs: 8", "decay_epochs: 1"),
        ("validation_fraction: 0.03", "validation_fraction: 0.25"),
    )
    monkeypatch.setattr(fitting, "use_threads", lambda count: None)  # TensorFlow is at work already
    (task,) = train.list_tasks(params.load())
    order = Order(task.name, pickle.dumps(task), 2, 1, {}, {})
    told: list[int] = []
    kept = registered_gradients()
    name, content = fitting.fit_state(
        order, training_digits, "one", lambda epoch, last, seconds: told.append(epoch)
    )
    assert registered_gradients() == kept
    assert told == [1, 2]
    store(task.states, name, content)
    assert find_received([task])[task.name].origin.node == "one"
