"""Calls for other processes to make; they import nothing slow."""

import multiprocessing
import os
import signal
import time
from pathlib import Path


def square(number: int) -> tuple[int, int]:
    """The square, and the number of the process that made the call."""
    if number < 0:
        raise ValueError(number)
    return number**2, os.getpid()


def square_or_die(number: int) -> tuple[int, int]:
    """The same, but a process that was started for these calls is killed at the hundredth."""
    if number == 100 and multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def report(folder: str) -> None:
    """Leave this process's number in the folder, and take long."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)
