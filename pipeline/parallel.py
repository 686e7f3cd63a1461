"""Processes that do part of the work meanwhile, and end with the one that they help."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from typing import TypeVar

_WORTH_A_PROCESS = 50
"""Calls, of some hundredths of a second each, that take longer than starting a Python does."""

_CHUNK = 8
"""Calls that a process is handed at once. Ctrl-C waits for some two or three chunks of each."""

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def count_processors() -> int:
    """The processors that this process may use; ``taskset`` makes them fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def helper_processes(
    arguments: Sequence[str], processes: int, *, print_line: Callable[[str], None]
) -> Iterator[None]:
    """Have other Pythons run meanwhile, which call `end_with_helped`; end them with the block.

    Args:
        arguments: of each Python.
        processes: how many.
        print_line: prints a line that one of them printed.
    """
    helpers = [
        subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the process that is helped
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
    for line in helper.stdout or ():
        print_line(line.rstrip())


def end_with_helped() -> None:
    """End this process at once when standard input does, as it does when the helped one is gone."""
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

    Args:
        function: of a module, so that other processes find it.
        arguments: one for each call.
    """
    processes = min(count_processors(), len(arguments) // _WORTH_A_PROCESS)
    if processes < 2:
        with ThreadPoolExecutor(count_processors()) as threads:
            yield threads.map(function, arguments)
        return
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=_end_with_parent
    ) as pool:
        try:
            yield pool.map(function, arguments, chunksize=_CHUNK)
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(0)
