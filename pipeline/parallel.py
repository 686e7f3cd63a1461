"""How many processors there are, and processes that share the work and end with their parent."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import TypeVar

_WORTH_A_PROCESS = 50
"""Calls, of some hundredths of a second each, that take longer than starting a Python does."""

_CHUNK = 8
"""Calls that a process is handed at once. Ctrl-C waits for some two or three chunks of each."""

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def count_processors() -> int:
    """The processors that this process may use, at least 1.

    ``taskset`` limits them by an affinity mask, containers by a quota of processor time.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return min([allowed, *_read_quotas(Path("/"))])


def _read_quotas(root: Path) -> Iterator[int]:
    """The processors, rounded up, that each cgroup around this process grants.

    ``joblib.cpu_count`` counts them too, but its import alone takes longer than reading a picture.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return  # no Linux, or no /proc
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        innermost = mount / group.lstrip("/")
        # In a container this may be a path of the host, of which only the mount itself is there.
        for path in (innermost, *innermost.parents):
            quota = _read_quota(path)
            if quota is not None:
                yield quota
            if path == mount:
                break


def _read_quota(group: Path) -> int | None:
    """The processors that a cgroup of version 2 or 1 grants, or None if it sets no limit."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((group / name).read_text() for name in names).split()
            return max(1, math.ceil(int(quota) / int(period))) if int(quota) > 0 else None
        except (OSError, ValueError):
            continue  # not of this version, or "max"
    return None


@contextmanager
def helper_processes(
    arguments: Sequence[str], processes: int, *, print_line: Callable[[str], None]
) -> Iterator[None]:
    """Run other Pythons next to this one until the block ends. They call `end_with_helped`.

    Args:
        arguments: of each Python.
        processes: how many.
        print_line: is given each line that one of them prints.
    """
    helpers = [
        subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"},
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the process that starts them
        )
        for _ in range(processes)
    ]
    relays = [Thread(target=_relay, args=(helper, print_line), daemon=True) for helper in helpers]
    for relay in relays:
        relay.start()
    try:
        yield
    finally:
        for helper in helpers:
            if helper.stdin:
                helper.stdin.close()
        for helper, relay in zip(helpers, relays, strict=True):
            helper.wait()
            relay.join()


def _relay(helper: subprocess.Popen[str], print_line: Callable[[str], None]) -> None:
    if helper.stdout:
        with helper.stdout as lines:
            for line in lines:
                print_line(line.rstrip())


def end_with_helped() -> None:
    """Exit when standard input ends: the process that started this one is then gone."""
    Thread(target=_exit_at_end_of_input, daemon=True).start()


def _exit_at_end_of_input() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)


@contextmanager
def parallel_map(
    function: Callable[[Argument], Result], arguments: Sequence[Argument]
) -> Iterator[Iterator[Result]]:
    """The results of calls in order: few calls by threads, many by a process on each processor.

    Threads wait for each other where calls hold Python's lock; processes take a while to start.
    Where the system allows no processes, threads make all calls.

    Args:
        function: of a module, so that other processes find it.
        arguments: one for each call.
    """
    processes = min(count_processors(), len(arguments) // _WORTH_A_PROCESS)
    pool = _make_pool(processes) if processes > 1 else None
    if pool is None:
        with ThreadPoolExecutor(count_processors()) as threads:
            yield threads.map(function, arguments)
        return
    try:
        yield _map_in_pool(pool, function, arguments)
    finally:
        pool.shutdown(cancel_futures=True)


def _make_pool(processes: int) -> ProcessPoolExecutor | None:
    """A pool, or None where it cannot have semaphores.

    Semaphores are files in ``/dev/shm`` on Linux. In containers and on small systems that folder
    may be missing, read-only, full or closed to this user.
    """
    context = multiprocessing.get_context("spawn")
    try:
        return ProcessPoolExecutor(processes, context, initializer=_end_with_parent)
    except (OSError, ImportError, NotImplementedError):
        return None


def _map_in_pool(
    pool: ProcessPoolExecutor,
    function: Callable[[Argument], Result],
    arguments: Sequence[Argument],
) -> Iterator[Result]:
    """Results in order. If processes cannot start or are killed, threads make the calls left."""
    num_given = 0
    results: Iterator[Result] = iter(())
    with suppress(OSError, BrokenProcessPool):
        results = pool.map(function, arguments, chunksize=_CHUNK)
    with suppress(BrokenProcessPool):
        for result in results:
            num_given += 1
            yield result
    if num_given < len(arguments):
        with ThreadPoolExecutor(count_processors()) as threads:
            yield from threads.map(function, arguments[num_given:])


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(0)
