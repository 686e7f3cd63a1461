"""Sweeps without training: what is decided follows from what is told, and in which order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from pipeline.data.dataset import TrainingDigits
from pipeline.sweeps import files, search, space
from pipeline.sweeps.jobs import Epoch, Event, Failed, Finished, Job
from pipeline.sweeps.predictions import MemberPredictions, encode
from tests.sweeps.spaces import write_space

MANY = (("trials: 3", "trials: 16"), ("trials_at_once: 1", "trials_at_once: 3"))


class Scripted:
    """Does jobs at once: losses follow from the learning rate alone.

    Args:
        newest_first: whether the last job is done first.
        failing: members of trials with a learning rate above it fail.
    """

    def __init__(self, digits: TrainingDigits, *, newest_first: bool, failing: float = 1) -> None:
        self._digits, self._newest_first, self._failing = digits, newest_first, failing
        self._jobs: list[Job] = []
        self.done: list[str] = []
        self.submitted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def submit(self, job: Job) -> None:
        self.submitted += 1
        self._jobs.append(job)

    def stop(self, key: str) -> bool:
        self._jobs = [job for job in self._jobs if job.key != key]
        return True

    def wait(self) -> Iterator[Event]:
        job = self._jobs.pop(-1 if self._newest_first else 0)
        rate = job.settings.train.learning_rate
        history = []
        for epoch in (1, 2, 3):
            row = {"epoch": epoch, "val_loss": rate / epoch, "seconds": 1.0}
            history.append(row)
            yield Epoch(job.key, row, 3, "here")
        if rate > self._failing:
            yield Failed(job.key, "Training diverged")
            return
        self.done.append(job.key)
        labels = self._digits.labels[self._digits.folds == job.member.fold]
        probabilities = np.full((len(labels), 10), rate)
        wrong = np.arange(len(labels)) < 1000 * rate
        probabilities[np.arange(len(labels)), (labels + wrong) % 10] = 1 - 9 * rate
        yield Finished(job.key, encode(MemberPredictions(probabilities, history, "here")))


def run(
    folder: Path, name: str, scripted: Scripted, *changes: tuple[str, str]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    searched = space.read(write_space(folder, *changes, name=name), folder / "params.yaml")
    summary = search.run(searched, lambda at_once, data: scripted)
    table = pd.read_csv(files.Paths(name).table)
    return table.drop(columns="ended_at"), summary
