"""Whether the machine had other work while a run was timed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from comparison.settings import STATES
from pipeline.files import is_running
from pipeline.parallel import count_processors

_TOLERATED = 1.25
"""Runnable threads per processor, as a run has some beside those that compute."""


class Watch:
    """Notes work of others while it is asked.

    Attributes:
        was_busy: whether there was some at any time.
    """

    def __init__(self, *, on_gpu: bool) -> None:
        self._on_gpu = on_gpu
        self.was_busy = False

    def look(self) -> None:
        """Note whether there is other work now.

        The load of the last minute tells that of processors; of a GPU, whether other runs of the
        comparison are under way.
        """
        with suppress(OSError):
            self.was_busy |= os.getloadavg()[0] > _TOLERATED * count_processors()
        others = set(_list_processes()) - {os.getpid()}
        self.was_busy |= self._on_gpu and bool(others)


@contextmanager
def watched(*, on_gpu: bool) -> Iterator[Watch]:
    """Look at the beginning and at the end of the block; let other processes see this one."""
    STATES.mkdir(parents=True, exist_ok=True)
    marker = STATES / f"{os.getpid()}.running"
    marker.touch()
    try:
        watch = Watch(on_gpu=on_gpu)
        watch.look()
        yield watch
        watch.look()
    finally:
        marker.unlink(missing_ok=True)


def _list_processes() -> list[int]:
    """The processes that train a run in this folder now; what killed ones left is removed."""
    markers: list[Path] = list(STATES.glob("*.running"))
    running = []
    for marker in markers:
        pid = int(marker.stem)
        if is_running(pid):
            running.append(pid)
        else:
            marker.unlink(missing_ok=True)
    return running
