"""Processes that do part of the work meanwhile, and end with the one that they help."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread


def count_processors() -> int:
    """The processors that this process may use; ``taskset`` makes them fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def helped(
    arguments: Sequence[str], processes: int, *, say: Callable[[str], None]
) -> Iterator[None]:
    """Have other Pythons run meanwhile, which call `end_with_helped`; end them with the block.

    Args:
        arguments: of each Python.
        processes: how many.
        say: prints a line that one of them printed.
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
    relays = [Thread(target=_relay, args=(helper, say), daemon=True) for helper in helpers]
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


def _relay(helper: subprocess.Popen[str], say: Callable[[str], None]) -> None:
    for line in helper.stdout or ():
        say(line.rstrip())


def end_with_helped() -> None:
    """End this process at once when standard input does, as it does when the helped one is gone."""
    Thread(target=_exit_at_end_of_input, daemon=True).start()


def _exit_at_end_of_input() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)
