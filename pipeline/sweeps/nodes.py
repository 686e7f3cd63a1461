"""Nodes of a Ray cluster that train members for a sweep."""

import pickle
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Self

from pipeline.cluster.connection import check_address, connected, count_node_processors
from pipeline.cluster.orders import News, Order, Refused, Trained, hash_bytes, read_versions
from pipeline.cluster.scheduler import Run
from pipeline.data.dataset import TrainingDigits
from pipeline.progress import print_line
from pipeline.sweeps import jobs
from pipeline.sweeps.jobs import Epoch, Event, Failed, Finished, Job, Stopped
from pipeline.sweeps.on_node import train_for_trial

_IDLE_SECONDS = 0.2


class ClusterNodes:
    """Nodes, each of which trains as many members at a time as it has processors for.

    Args:
        address: of the cluster.
        data: every row of ``train.csv``, with its label as given there.
        at_once: jobs that there are at a time.
        most_threads: operations of one member that may run side by side.

    Raises:
        ClusterError: on entering, the cluster cannot be used.
    """

    def __init__(self, address: str, data: TrainingDigits, at_once: int, most_threads: int) -> None:
        self._address, self._data = address, data
        self._at_once, self._most_threads = at_once, most_threads
        self._versions = read_versions()
        self._run: Run | None = None
        self._stopped: set[str] = set()
        self._news: list[News] = []
        self._connection = ExitStack()

    def __enter__(self) -> Self:
        check_address(self._address)
        self._connection.enter_context(connected(self._address))
        processors, largest = count_node_processors()
        side_by_side = min(processors, self._at_once)
        self._threads = min(self._most_threads, largest, processors // side_by_side)
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()

    def submit(self, job: Job) -> None:
        """Have a job done, after those submitted before it."""
        order = Order(
            name=job.key,
            task=pickle.dumps(job),
            last_epoch=job.settings.train.max_epochs,
            threads=self._threads,
            versions=self._versions,
            code_sha256=jobs.hash_code(),
        )
        self._stopped.discard(job.key)
        if self._run is None:
            self._run = Run([order], self._data, self, train_for_trial)
        else:
            self._run.waiting.append(order)
        self._run.submit()

    def stop(self, key: str) -> bool:
        """End a job. True: it had not begun; else it comes back, as `Stopped` or finished."""
        if self._run is None:
            return True
        for order in self._run.waiting:
            if order.name == key:
                self._run.waiting.remove(order)
                return True
        self._stopped.add(key)
        self._run.cancel(key)
        return False

    def wait(self) -> Iterator[Event]:
        """What happens next; comes back at the latest after a second."""
        run = self._run
        if run is None or not run.is_going:
            time.sleep(_IDLE_SECONDS)
            return
        run.submit()
        for order, outcome in run.wait():
            match outcome:
                case Trained(state=content, sha256=sha256) if hash_bytes(content) == sha256:
                    yield Finished(order.name, content)
                case Refused():
                    run.leave_out(outcome)
                    run.waiting.appendleft(order)
                case _ if order.name in self._stopped:
                    yield Stopped(order.name)
                case Trained():
                    yield Failed(order.name, "its predictions were damaged on their way")
                case _:
                    yield Failed(order.name, outcome.reason)
        run.show_news()
        news, self._news = self._news, []
        for each in news:
            if each.row:
                yield Epoch(each.name, dict(each.row), each.last_epoch, each.node)

    def update(self, news: Iterable[News]) -> None:
        """Take in what nodes tell, for `wait`."""
        self._news += news

    def fail(self, name: str, reason: str) -> None:
        """Nothing: `wait` tells of it."""

    def print_line(self, line: str) -> None:
        """Print a line, as that a node was left out."""
        print_line(line)
