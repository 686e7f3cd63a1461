"""Trains runs one after another, next to other processes that do the same."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from comparison import backends, busy, table
from comparison.fingerprints import Fingerprints, fingerprint, hash_predictions
from comparison.outcome import Outcome
from comparison.runs import OURS, Run
from comparison.settings import STATES, Settings
from comparison.table import Row, explain_missing
from pipeline.data.dataset import TrainingDigits
from pipeline.progress import print_line
from pipeline.training.state import training_lock

_LEAST_PROBABILITY = 1e-15
"""In the log loss, which a single image without any would make infinite."""


@dataclass(frozen=True)
class Worker:
    """Trains runs and adds their rows.

    Attributes:
        data: all labelled digits.
        data_digest: of them, from `fingerprints.hash_data`.
        chosen: the settings.
    """

    data: TrainingDigits
    data_digest: str
    chosen: Settings

    def train_ahead(self, runs: Sequence[Run]) -> None:
        """Train what no other process trains at that moment."""
        for run in runs:
            with suppress(Timeout), FileLock(_lock(run), timeout=0):
                self._train_if_missing(run)

    def train_all(self, runs: Sequence[Run]) -> None:
        """Train what is missing; what other processes train is waited for at the end."""
        self.train_ahead(runs)
        for run in runs:
            if self._is_missing(run):
                with training_lock(_lock(run), run.name):
                    self._train_if_missing(run)
        table.add([])  # so that both files are there

    def count_missing(self, runs: Sequence[Run]) -> int:
        """How many of the runs have no row, or a stale one."""
        rows = table.read()
        return sum(bool(explain_missing(run, rows, self.data_digest)) for run in runs)

    def _is_missing(self, run: Run) -> bool:
        return bool(explain_missing(run, table.read(), self.data_digest))

    def _train_if_missing(self, run: Run) -> None:
        if self._is_missing(run):
            now = fingerprint(run, self.data_digest)
            with busy.watched(on_gpu=backends.uses_gpu()) as watch:
                outcome = self._train(run, now)
            row = self._make_row(run, now, outcome, upper_bound=watch.was_busy)
            table.add([row], outcome.movements)
            print_line(_describe(row))
        for path in STATES.glob(f"{run.name}.*.npz"):
            path.unlink()

    def _train(self, run: Run, now: Fingerprints) -> Outcome:
        if run.recipe in OURS:
            from comparison import ours

            return ours.train(run, self.data, now, self.chosen)
        from comparison import author

        conditions = (now, author.name_backend(), backends.name_machine())
        digest = hashlib.sha256(repr(conditions).encode()).hexdigest()[:16]
        return author.train(run, self.data, STATES / f"{run.name}.{digest}.npz")

    def _make_row(self, run: Run, now: Fingerprints, outcome: Outcome, *, upper_bound: bool) -> Row:
        held_out = np.flatnonzero(self.data.folds == run.fold)
        labels = self.data.labels[held_out]
        predicted = outcome.probabilities.argmax(axis=1)
        of_label = outcome.probabilities[np.arange(len(labels)), labels]
        wrong = np.flatnonzero(predicted != labels)
        return Row(
            **vars(run),
            sample=self.data.provenance.sample,
            parameters=outcome.parameters,
            multiply_adds=outcome.multiply_adds,
            training_images=outcome.training_images,
            epochs=len(outcome.history),
            fitted_images=int(sum(row["images"] for row in outcome.history)),
            seconds=round(sum(row["seconds"] for row in outcome.history), 1),
            upper_bound=upper_bound,
            machine=outcome.machine,
            backend=outcome.backend,
            dtype=outcome.dtype,
            images=len(labels),
            errors=len(wrong),
            log_loss=round(float(-np.log(np.maximum(of_label, _LEAST_PROBABILITY)).mean()), 6),
            predictions=hash_predictions(predicted),
            **vars(now),
            misclassified=" ".join(f"{held_out[place]}:{predicted[place]}" for place in wrong),
        )


def _lock(run: Run) -> Path:
    """The file that whoever trains the run holds."""
    STATES.mkdir(parents=True, exist_ok=True)
    return STATES / f"{run.name}.lock"


def _describe(row: Row) -> str:
    accuracy = 100 * (1 - row.errors / row.images)
    return (
        f"{row.run.name}: {row.errors:,} errors in {row.images:,} images ({accuracy:.2f} %), log "
        f"loss {row.log_loss:.4f}, after {row.epochs} epochs and {row.seconds:,.0f} s of training"
    )
