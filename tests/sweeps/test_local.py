"""Processes that train for a sweep, killed while they do."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import Probabilities
from pipeline.errors import PipelineError
from pipeline.networks.devices import CPU
from pipeline.sweeps import local, predictions
from pipeline.sweeps.fitting import fit_member
from pipeline.sweeps.jobs import Epoch, Event, Finished, Job
from pipeline.sweeps.local import LocalWorkers


@pytest.fixture
def workers(job: Job, tmp_path: Path) -> Iterator[LocalWorkers]:
    """One process, to which the job was submitted."""
    (tmp_path / "sweep").mkdir()
    with LocalWorkers(tmp_path / "sweep", 1, 1, 1) as started:
        started.submit(job)
        yield started


def follow(workers: LocalWorkers) -> Iterator[Event]:
    while True:
        yield from workers.wait()


def predict(folder: Path, content: bytes) -> Probabilities:
    """What a trained member says."""
    return predictions.store(folder / "member.npz", content).probabilities


def kill_at_next_epoch(workers: LocalWorkers) -> None:
    assert isinstance(next(follow(workers)), Epoch)
    for process in psutil.Process().children():
        if "pipeline.sweeps.worker" in process.cmdline():
            process.kill()


def test_member_whose_process_is_killed_goes_on_and_ends_the_same(
    job: Job, workers: LocalWorkers, tmp_path: Path
) -> None:
    kill_at_next_epoch(workers)
    again = next(event for event in follow(workers) if isinstance(event, Finished))
    data = dataset.load_labelled(stages.TRAIN)
    undisturbed = fit_member(job, data, tmp_path / "states", CPU, "here", lambda _: None)
    np.testing.assert_array_equal(predict(tmp_path, again.content), predict(tmp_path, undisturbed))


def test_member_whose_process_is_killed_each_time_is_given_up(
    job: Job, workers: LocalWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_STARTS", 1)
    kill_at_next_epoch(workers)
    with pytest.raises(PipelineError, match=rf"trains {job.key} ended 1 times, .* status -9\."):
        next(event for event in follow(workers) if isinstance(event, Finished))


def test_process_that_cannot_begin_is_told(workers: LocalWorkers) -> None:
    stages.TRAIN.unlink()
    with pytest.raises(PipelineError, match="ended with status 1 before it began"):
        next(follow(workers))
