"""A member of a trial against the train and evaluate stages: the same weights, the same score."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import stages
from pipeline.data import dataset
from pipeline.ensemble.averaging import average_probabilities
from pipeline.networks.devices import CPU
from pipeline.stages import evaluate, train
from pipeline.sweeps import predictions
from pipeline.sweeps.fitting import StopAsked, fit_member
from pipeline.sweeps.jobs import Epoch, Job
from pipeline.sweeps.scoring import score
from tests.networks.gradients import registered_gradients


def test_stopped_and_continued_member_predicts_what_the_stages_do(job: Job, tmp_path: Path) -> None:
    data, told = dataset.load_labelled(stages.TRAIN), []

    def tell(epoch: Epoch) -> None:
        told.append(epoch.row["epoch"])
        if len(told) == 2:
            raise StopAsked

    states = tmp_path / "states"
    with pytest.raises(StopAsked):
        fit_member(job, data, states, CPU, "here", tell)
    kept = registered_gradients()
    content = fit_member(job, data, states, CPU, "here", tell)
    assert registered_gradients() == kept
    assert told == [1, 2, 1, 2, 3]  # first what the interrupted run had finished
    found = predictions.store(tmp_path / "member.npz", content)
    read = predictions.find(tmp_path / "member.npz")
    assert read is not None
    assert (read.history, read.node) == (found.history, "here")
    (task,) = train.list_tasks(job.settings)
    train.train(task, 1)
    expected, _ = evaluate.predict_out_of_fold([job.member], data, job.settings.neighbours)
    averages = average_probabilities([found.probabilities])
    np.testing.assert_array_equal(averages, expected.averages)
    scored = score({job.member: found}, data, job.settings)
    np.testing.assert_array_equal(scored.correct, expected.correct)
    assert (scored.images, scored.errors) == (20, int((~expected.correct).sum()))
    assert expected.refined.any()  # so that neighbours had a part in it


def test_only_what_shapes_a_network_names_it(job: Job) -> None:
    settings = job.settings
    train_settings = settings.train.model_copy(update={"all_rows_epochs": 5})
    power = settings.neighbours.model_copy(update={"power": 1.0})
    unlike = settings.augmentation.model_copy(update={"zoom_fraction": 0.2})
    alike = settings.model_copy(update={"train": train_settings, "neighbours": power})
    assert Job(job.member, alike, job.data_sha256).key == job.key
    other = settings.model_copy(update={"augmentation": unlike})
    assert Job(job.member, other, job.data_sha256).key != job.key
    assert Job(job.member, settings, "0" * 64).key != job.key
