"""Jobs on their way: each is done once, whoever asks for it and however often."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.sweeps import predictions
from pipeline.sweeps.jobs import Epoch, Executor, Failed, Finished, Job, Stopped
from pipeline.sweeps.predictions import MemberPredictions


class JobTracker:
    """Where trials ask for members, and find what became of them.

    Args:
        folder: of the sweep.
        executor: that trains.

    Attributes:
        finished: members that are trained, by key.
        failed: why others cannot be, by key.
        histories: epochs of those that are being trained, by key.
        stopped: epochs of those that were stopped or failed, by key.
        last_epochs: after which those end, as far as is known, by key.
        nodes: that train or trained, by key.
    """

    def __init__(self, folder: Path, executor: Executor) -> None:
        self._folder, self._executor = folder, executor
        self._stopping: dict[str, Job | None] = {}
        self._discarded: set[str] = set()
        self.finished: dict[str, MemberPredictions] = {}
        self.failed: dict[str, str] = {}
        self.histories: dict[str, list[dict[str, float]]] = {}
        self.stopped: dict[str, list[dict[str, float]]] = {}
        self.last_epochs: dict[str, int] = {}
        self.nodes: dict[str, str] = {}

    def request(self, job: Job) -> None:
        """Have a member trained, unless it is or will be."""
        if job.key in self._stopping:
            self._stopping[job.key] = job
        if job.key in self.finished or job.key in self.histories:
            return
        kept = predictions.find(self._path(job.key))
        if kept is not None:
            self.finished[job.key] = kept
            self.nodes[job.key] = kept.node
            self._clear_states(job.key)
            return
        self.failed.pop(job.key, None)
        self.histories[job.key] = []
        self._executor.submit(job)

    def stop(self, keys: Iterable[str]) -> None:
        """End the training of members that nobody waits for."""
        for key in keys:
            if key in self.histories and key not in self._stopping:
                self._stopping[key] = None
                if self._executor.stop(key):
                    self._forget(key)

    def discard(self, keys: Iterable[str]) -> None:
        """Delete what is left of trainings that were stopped or failed."""
        for key in keys:
            if key in self._stopping:
                self._discarded.add(key)
            elif key not in self.histories:
                self._clear_states(key)

    def wait(self) -> None:
        """Note what happens next; comes back at the latest after a second."""
        for event in self._executor.wait():
            match event:
                case Epoch(key, row, last_epoch, node) if key in self.histories:
                    history = self.histories[key]
                    if row["epoch"] > len(history):
                        history.append(row)
                    self.last_epochs[key] = last_epoch
                    self.nodes[key] = node
                case Finished(key, content):
                    stored = predictions.store(self._path(key), content)
                    self.finished[key], self.nodes[key] = stored, stored.node
                    self._stopping.pop(key, None)
                    self.histories.pop(key, None)
                    self._clear_states(key)
                case Failed(key, reason):
                    self.failed[key] = reason
                    self._forget(key)
                case Stopped(key):
                    self._forget(key)

    def history(self, key: str) -> Sequence[dict[str, float]]:
        """The finished epochs of a member."""
        if key in self.finished:
            return self.finished[key].history
        return self.histories.get(key) or self.stopped.get(key, [])

    def _forget(self, key: str) -> None:
        """A member is no longer trained, unless it was asked for again meanwhile."""
        again = self._stopping.pop(key, None)
        self.stopped[key] = self.histories.pop(key, [])
        if again is not None:
            self.request(again)
        elif key in self._discarded:
            self._clear_states(key)
        self._discarded.discard(key)

    def _path(self, key: str) -> Path:
        return self._folder / "members" / f"{key}.npz"

    def _clear_states(self, key: str) -> None:
        for path in (self._folder / "states").glob(f"{key}.*"):
            path.unlink(missing_ok=True)
