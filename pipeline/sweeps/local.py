"""Processes of this machine that train members for a sweep."""

import os
import pickle
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any, Self

from pipeline.errors import PipelineError
from pipeline.parallel import count_processors
from pipeline.sweeps.jobs import Event, Failed, Finished, Job, Stopped

_POLL_SECONDS = 1.0
_SECONDS_TO_END = 20.0
_STARTS = 3
"""Of a member whose process is killed; it continues after its last finished epoch."""


class LocalWorkers:
    """Processes, each of which trains one member at a time; a GPU is for one of them.

    Args:
        folder: where states of interrupted runs go, and the log of all epochs.
        at_once: jobs that there are at a time.
        most_threads: operations of one member that may run side by side.
        workers: how many processes; None: as many as there are processors or jobs, or one where a
            GPU trains.
    """

    def __init__(self, folder: Path, at_once: int, most_threads: int, workers: int | None) -> None:
        processors = count_processors()
        self._wanted = workers
        self._most = workers or min(processors, at_once)
        self._threads = max(1, min(most_threads, processors // self._most))
        self._folder = folder
        self._numbers = count()
        self._waiting: deque[Job] = deque()
        self._starts: Counter[str] = Counter()
        self._workers: list[_Worker] = []
        self._told: SimpleQueue[tuple[_Worker, Any]] = SimpleQueue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            worker.end()

    def submit(self, job: Job) -> None:
        """Have a job done, after those submitted before it."""
        self._waiting.append(job)
        if not self._workers:
            self._start_worker()  # which tells whether there is a GPU
        self._hand_out()

    def stop(self, key: str) -> bool:
        """End a job. True: it had not begun; else it comes back, as `Stopped` or finished."""
        for job in self._waiting:
            if job.key == key:
                self._waiting.remove(job)
                return True
        for worker in self._workers:
            if worker.job and worker.job.key == key:
                worker.send(worker.number)
        return False

    def wait(self) -> Iterator[Event]:
        """What happens next; comes back at the latest after a second."""
        with suppress(Empty):
            worker, message = self._told.get(timeout=_POLL_SECONDS)
            while True:
                yield from self._take(worker, message)
                worker, message = self._told.get_nowait()

    def _take(self, worker: "_Worker", message: Any) -> Iterator[Event]:
        if message is _ENDED:
            self._replace(worker)
        elif not worker.is_ready:
            worker.is_ready = True
            if message is not None and self._wanted is None:
                self._most = 1
            while len(self._workers) < self._most:
                self._start_worker()
        else:
            if isinstance(message, Finished | Stopped | Failed):
                worker.job = None
            yield message
        self._hand_out()

    def _replace(self, worker: "_Worker") -> None:
        """Go on without a process that has ended, in another one.

        Raises:
            PipelineError: it could not even begin, or its member is killed again and again.
        """
        status = worker.end()
        self._workers.remove(worker)
        if not worker.is_ready:
            raise PipelineError(
                f"A process that trains ended with status {status} before it began. Finished "
                "epochs are kept. Mend what it says above, then run the same command again."
            )
        job = worker.job
        if job is not None:
            if self._starts[job.key] >= _STARTS:
                raise PipelineError(
                    f"The process that trains {job.key} ended {_STARTS} times, at last with status "
                    f"{status}. Is the memory full? Finished epochs are kept. To go on, run the "
                    "same command again, with fewer processes: --workers 1"
                )
            self._waiting.appendleft(job)
        self._start_worker()

    def _start_worker(self) -> None:
        self._workers.append(_Worker.start(self._folder, self._threads, self._told))

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.is_ready and worker.job is None and self._waiting:
                job = self._waiting.popleft()
                self._starts[job.key] += 1
                worker.job, worker.number = job, next(self._numbers)
                worker.send((worker.number, job))


_ENDED = object()
"""What is told of a process that has ended."""


@dataclass(eq=False)
class _Worker:
    """A process, and what it does."""

    process: subprocess.Popen[bytes]
    is_ready: bool = False
    job: Job | None = None
    number: int = field(default=-1)

    @classmethod
    def start(
        cls, folder: Path, threads: int, told: "SimpleQueue[tuple[_Worker, Any]]"
    ) -> "_Worker":
        end, other_end = os.pipe()
        states = folder / "states"
        command = [sys.executable, "-m", "pipeline.sweeps.worker"]
        with (folder / "training.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, str(other_end), str(states), str(threads)],
                stdin=subprocess.PIPE,
                stdout=log,
                pass_fds=[other_end],
                env=os.environ | {"PYTHONIOENCODING": "utf-8"},
                start_new_session=True,  # Ctrl-C is for the process of the sweep
            )
        os.close(other_end)
        worker = cls(process)
        Thread(target=_relay, args=(worker, os.fdopen(end, "rb"), told), daemon=True).start()
        return worker

    def send(self, message: Any) -> None:
        """Send a message; one to a process that has just ended is lost."""
        if self.process.stdin:
            with suppress(BrokenPipeError):
                pickle.dump(message, self.process.stdin)
                self.process.stdin.flush()

    def close(self) -> None:
        """Let it end at once; its last finished epoch is kept."""
        if self.process.stdin:
            with suppress(BrokenPipeError):
                self.process.stdin.close()

    def end(self) -> int:
        """Wait for its end; its status."""
        try:
            return self.process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.close()  # not before: one that ends with an error would end with 0


def _relay(worker: _Worker, messages: IO[bytes], told: "SimpleQueue[tuple[_Worker, Any]]") -> None:
    """Hand on what a process tells, until it ends."""
    with messages, suppress(EOFError, pickle.UnpicklingError):
        while True:
            told.put((worker, pickle.load(messages)))
    told.put((worker, _ENDED))
