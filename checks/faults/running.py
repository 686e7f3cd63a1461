"""A step that writes files, run in a child process, with a fault or without."""

import atexit
import errno
import io
import json
import os
import re
import resource
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from checks.faults import operations
from checks.faults.operations import Operation
from pipeline.errors import exit_status

ERRORS = (errno.ENOSPC, errno.EIO, errno.EINTR)
KILL, LIMIT = "kill", "limit"

_TRACEBACK = 70
SECONDS = 300
"""After which a step is taken to hang."""


class Beside:
    """What runs next to a step and remembers what it did; nothing, unless a class says more."""

    @contextmanager
    def running(self) -> Iterator[dict[str, str]]:
        """Run it for the length of the block; gives variables for the step's environment."""
        yield {}

    def state(self) -> str:
        """All that it remembers."""
        return ""


@dataclass(frozen=True)
class Ended:
    """How a run of a step ended.

    Attributes:
        status: exit status, negative if it was killed.
        said: what it printed.
        operations: in their order.
        reached: whether the fault happened.
    """

    status: int
    said: str
    operations: list[Operation]
    reached: bool = True


@dataclass(frozen=True)
class Step:
    """Something that writes files into the current folder.

    Attributes:
        prepare: write what is there before.
        run: do it.
        check: raise where files that belong together are taken for such and are not.
        beside: makes what runs next to it.
        is_between: whether a file, by path and content, may be other than before and after.
        settle: what is wrong after the next run, from its end and the folder; None: it must end
            well, with the files of an undisturbed run.
    """

    prepare: Callable[[], None]
    run: Callable[[], Any]
    check: Callable[[], object] = bool
    beside: Callable[[], Beside] = Beside
    is_between: Callable[[str, bytes], bool] = lambda name, content: False
    settle: Callable[[Ended, Beside], list[str]] | None = None


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        kind: an error's number, `KILL`, or `LIMIT`.
        call: of the operation.
        name: of its file, in the folder of the step.
        at: which of the operations of that call on that file, from 1; of a limit, the bytes that a
            file may have.
    """

    kind: int | str
    call: str = ""
    name: str = ""
    at: int = 1

    def __str__(self) -> str:
        if self.kind == LIMIT:
            return f"a limit of {self.at} bytes"
        what = errno.errorcode[self.kind] if isinstance(self.kind, int) else self.kind
        return f"{what} at {self.call} {self.at} of {self.name}"


class _Injector:
    """Has an operation fail, and counts all."""

    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self.operations: list[Operation] = []
        self.reached = fault is None or fault.kind == LIMIT
        self._folder, self._fault = folder, fault
        self._seen, self._full = 0, False

    def __call__(self, operation: Operation) -> int | None:
        name = plain_name(str(Path(operation.path).relative_to(self._folder)))
        if is_of_others(name):
            return 0
        operation = Operation(operation.call, name)
        self.operations.append(operation)
        fault = self._fault
        if fault is None:
            return 0
        if operation == (fault.call, fault.name):
            self._seen += 1
            if self._seen == fault.at:
                self.reached, self._full = True, fault.kind == errno.ENOSPC
                return None if fault.kind == KILL else int(fault.kind)
        return errno.ENOSPC if self._full and operation.call in operations.WRITING else 0


def plain_name(name: str) -> str:
    """The name of a file without what is another in each process."""
    return re.sub(r"^\.tmp/[^/]+", ".tmp/N", re.sub(r"\.\d+\.partial", ".N.partial", name))


def is_of_others(name: str) -> bool:
    """Whether a file is of DVC's or Git's own."""
    return name.startswith((".dvc/", ".git/"))


def is_half(name: str) -> bool:
    """Whether a file is written, and not there yet."""
    return ".partial" in name


def run(step: Step, folder: Path, beside: Beside, fault: Fault | None = None) -> Ended:
    """Run a step in a child process."""
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        ours.close()
        _run_in_child(step, folder, fault, theirs, writing)
    os.close(writing)
    theirs.close()
    injector = _Injector(folder, fault)
    with ours, beside.running() as variables:
        ours.sendall(json.dumps(variables).encode())
        listener = operations.receive(ours)
        said, in_time = operations.decide_all(listener, child, folder, injector, reading, SECONDS)
    os.close(listener)
    os.close(reading)
    _, ended = os.waitpid(child, 0)
    text = said.decode(errors="replace") + ("" if in_time else "Traceback: it hangs")
    return Ended(os.waitstatus_to_exitcode(ended), text, injector.operations, injector.reached)


def _run_in_child(
    step: Step, folder: Path, fault: Fault | None, parent: socket.socket, writing: int
) -> NoReturn:
    status = _TRACEBACK
    atexit._clear()  # what the parent still needs at its own end
    sys.dont_write_bytecode = True  # TensorFlow compiles code in files of random names
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", closefd=False))
        os.environ.update(json.loads(parent.recv(1 << 16)), TMPDIR=str(folder / ".tmp"))
        tempfile.tempdir = None
        if fault and fault.kind == LIMIT:
            resource.setrlimit(resource.RLIMIT_FSIZE, (fault.at, fault.at))
        operations.submit_to(parent)
        parent.close()
        status = status_of(step.run)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stderr = io.StringIO()  # what TensorFlow's exit handlers say is not judged
        atexit._run_exitfuncs()
        os._exit(status)


def status_of(work: Callable[[], object]) -> int:
    """The exit status with which a process of this work alone would end; what it did not expect is
    raised."""
    try:
        return exit_status(work)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
