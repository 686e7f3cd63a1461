"""Processes that train for a sweep, killed while they do."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline import stages
from pipeline.data.dataset import Probabilities
from pipeline.errors import PipelineError
from pipeline.sweeps import local, predictions
from pipeline.sweeps.jobs import Epoch, Event, Finished, Job
from pipeline.sweeps.local import LocalWorkers


@pytest.fixture
def workers(job: Job, tmp_path: Path) -> Iterator[LocalWorkers]:
    """One process, to which the job was submitted."""
    with begin(job, tmp_path / "sweep") as started:
        yield started


def begin(job: Job, folder: Path) -> LocalWorkers:
    folder.mkdir()
    workers = LocalWorkers(folder, 1, 1, 1)
    workers.submit(job)
    return workers


def follow(workers: LocalWorkers) -> Iterator[Event]:
    while True:
        yield from workers.wait()


def predict_finished(workers: LocalWorkers, path: Path) -> Probabilities:
    """What the member says once it is trained."""
    finished = next(event for event in follow(workers) if isinstance(event, Finished))
    return predictions.store(path, finished.content).probabilities


def kill_at_next_epoch(workers: LocalWorkers) -> None:
    assert isinstance(next(follow(workers)), Epoch)
    for process in psutil.Process().children():
        if "pipeline.sweeps.worker" in process.cmdline():
            process.kill()


def test_member_whose_process_is_killed_goes_on_and_ends_the_same(
    job: Job, workers: LocalWorkers, tmp_path: Path
) -> None:
    kill_at_next_epoch(workers)
    again = predict_finished(workers, tmp_path / "again.npz")
    with begin(job, tmp_path / "undisturbed") as others:
        expected = predict_finished(others, tmp_path / "undisturbed.npz")
    np.testing.assert_array_equal(again, expected)


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
