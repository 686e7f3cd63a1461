"""A trial whose members are being trained: how far it is, and whether it lags or failed."""

from dataclasses import dataclass, field
from typing import Any

from pipeline.params import Member, Params
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.study import FrozenTrial, LaggingRule
from pipeline.sweeps.tracker import JobTracker


@dataclass(eq=False)
class RunningTrial:
    """A trial whose members are being trained.

    Attributes:
        trial: Optuna's.
        values: that it tries.
        settings: in force.
        jobs: for each of its members.
        rule: by which it may be stopped.
        checked: epochs at which it did not lag.
        lags_at: the epoch at which it did.
    """

    trial: FrozenTrial
    values: dict[str, Any]
    settings: Params
    jobs: dict[Member, Job]
    rule: LaggingRule | None
    checked: int = field(default=0)
    lags_at: int | None = field(default=None)

    def check(self, tracker: JobTracker) -> None:
        """Find out whether it lags."""
        if self.lags_at is None and self.rule is not None:
            curve = self.curve(tracker)
            self.lags_at = self.rule.find(curve, self.checked)
            self.checked = len(curve)

    def is_hopeless(self, tracker: JobTracker) -> bool:
        """Whether it lags or failed."""
        return self.lags_at is not None or bool(self.failure(tracker))

    def has_ended(self, tracker: JobTracker) -> bool:
        """Whether nothing of it is left to train."""
        return self.is_hopeless(tracker) or all(
            job.key in tracker.finished for job in self.jobs.values()
        )

    def failure(self, tracker: JobTracker) -> str:
        """Why a member failed; empty if none did."""
        keys = (job.key for job in self.jobs.values())
        return next((tracker.failed[key] for key in keys if key in tracker.failed), "")

    def curve(self, tracker: JobTracker) -> list[float]:
        """Mean val_loss of the members, by epoch; one that has ended keeps its last."""
        histories, ongoing = [], []
        for job in self.jobs.values():
            values = [row["val_loss"] for row in tracker.history(job.key) if "val_loss" in row]
            histories.append(values)
            if job.key not in tracker.finished:
                ongoing.append(len(values))
        if not all(histories):
            return []
        epochs = min(ongoing, default=max(map(len, histories)))
        return [
            sum(values[min(epoch, len(values) - 1)] for values in histories) / len(histories)
            for epoch in range(epochs)
        ]
