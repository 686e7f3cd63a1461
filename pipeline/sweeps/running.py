"""A trial whose members are being trained: how far it is, and whether it lags or failed."""

from dataclasses import dataclass, field
from typing import Any

from pipeline.params import Member, Params
from pipeline.sweeps.desk import Desk
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.study import FrozenTrial, LaggingRule


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

    def check(self, desk: Desk) -> None:
        """Find out whether it lags."""
        if self.lags_at is None and self.rule is not None:
            curve = self.curve(desk)
            self.lags_at = self.rule.find(curve, self.checked)
            self.checked = len(curve)

    def is_hopeless(self, desk: Desk) -> bool:
        """Whether it lags or failed."""
        return self.lags_at is not None or bool(self.failure(desk))

    def has_ended(self, desk: Desk) -> bool:
        """Whether nothing of it is left to train."""
        return self.is_hopeless(desk) or all(job.key in desk.finished for job in self.jobs.values())

    def failure(self, desk: Desk) -> str:
        """Why a member failed; empty if none did."""
        keys = (job.key for job in self.jobs.values())
        return next((desk.failed[key] for key in keys if key in desk.failed), "")

    def curve(self, desk: Desk) -> list[float]:
        """Mean val_loss of the members, by epoch; one that has ended keeps its last."""
        histories, ongoing = [], []
        for job in self.jobs.values():
            values = [row["val_loss"] for row in desk.history(job.key) if "val_loss" in row]
            histories.append(values)
            if job.key not in desk.finished:
                ongoing.append(len(values))
        if not all(histories):
            return []
        epochs = min(ongoing, default=max(map(len, histories)))
        return [
            sum(values[min(epoch, len(values) - 1)] for values in histories) / len(histories)
            for epoch in range(epochs)
        ]
