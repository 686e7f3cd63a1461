"""A process's operations on files, as the kernel sees them, and one of them answered otherwise.

A filter of Linux's seccomp stops the process, all its threads and its children at each system call
that writes, and has another process decide (`seccomp_unotify(2)`, since Linux 5.5). What libraries
in C and C++ do is seen as well. What can only read is not stopped.
"""

import ctypes
import errno
import os
import platform
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path
from typing import NamedTuple

WRITING = frozenset({"open", "write", "mkdir", "link"})
"""What fails on a full disk."""


class Operation(NamedTuple):
    """What a process is about to do.

    Attributes:
        call: open (for writing), write, sync, truncate, rename, remove, mkdir or link.
        path: of the file, or of what it is to become.
    """

    call: str
    path: str


class _Call(NamedTuple):
    """A system call: its operation, its numbers by machine, and the arguments that tell the file.

    Attributes:
        call: as of `Operation`.
        x86_64: number; None: there is none.
        aarch64: the same.
        path: place of the argument that points to the path; None: ``place`` is a descriptor.
        place: of the descriptor of the file, or of the path's folder; None: the current folder.
        flags: place of the flags that tell whether a file is opened for writing.
    """

    call: str
    x86_64: int | None
    aarch64: int | None
    path: int | None
    place: int | None
    flags: int | None = None


_CALLS = (
    _Call("open", 2, None, 0, None, flags=1),
    _Call("open", 257, 56, 1, 0, flags=2),
    _Call("open", 85, None, 0, None),
    _Call("write", 1, 64, None, 0),
    _Call("write", 18, 68, None, 0),
    _Call("write", 20, 66, None, 0),
    _Call("write", 296, 70, None, 0),
    _Call("write", 40, 71, None, 0),  # sendfile
    _Call("write", 326, 285, None, 2),  # copy_file_range
    _Call("write", 285, 47, None, 0),  # fallocate
    _Call("sync", 74, 82, None, 0),
    _Call("sync", 75, 83, None, 0),
    _Call("truncate", 76, 45, 0, None),
    _Call("truncate", 77, 46, None, 0),
    _Call("rename", 82, None, 1, None),
    _Call("rename", 264, 38, 3, 2),
    _Call("rename", 316, 276, 3, 2),
    _Call("remove", 87, None, 0, None),
    _Call("remove", 84, None, 0, None),
    _Call("remove", 263, 35, 1, 0),
    _Call("mkdir", 83, None, 0, None),
    _Call("mkdir", 258, 34, 1, 0),
    _Call("link", 86, None, 1, None),
    _Call("link", 265, 37, 3, 2),
    _Call("link", 88, None, 1, None),
    _Call("link", 266, 36, 2, 1),
)

_MACHINE = platform.machine()
_BY_NUMBER = {
    number: call for call in _CALLS if (number := getattr(call, _MACHINE, None)) is not None
}
_SECCOMP = {"x86_64": (317, 0xC000003E), "aarch64": (277, 0xC00000B7)}
"""Number of the system call that installs a filter, and the machine's mark in a filter's input."""

_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_NOTICE, _REPLY = struct.Struct("QIIiIQ6Q"), struct.Struct("QqiI")
_CONTINUE = 1
_CURRENT_FOLDER = -100
_NO_NEW_PRIVILEGES = 38
_HAND_OUT_LISTENER = 8


def is_available() -> bool:
    """Whether this system lets a process decide on the calls of another."""
    try:
        known = Path("/proc/sys/kernel/seccomp/actions_avail").read_text().split()
    except OSError:
        return False
    return "user_notif" in known and _MACHINE in _SECCOMP


def _make_filter() -> bytes:
    """A program for the kernel's filter machine: asks about the calls above, allows all others."""
    load, equal, any_bit, give = 0x20, 0x15, 0x45, 0x06
    allow, ask = 0x7FFF0000, 0x7FC00000
    program = [(load, 0, 0, 4), (equal, 1, 0, _SECCOMP[_MACHINE][1]), (give, 0, 0, allow)]
    program.append((load, 0, 0, 0))
    for number, call in _BY_NUMBER.items():
        if call.flags is None:
            program += [(equal, 0, 1, number), (give, 0, 0, ask)]
        else:
            program += [
                (equal, 0, 4, number),
                (load, 0, 0, 16 + 8 * call.flags),
                (any_bit, 0, 1, os.O_WRONLY | os.O_RDWR | os.O_CREAT),
                (give, 0, 0, ask),
                (give, 0, 0, allow),
            ]
    program.append((give, 0, 0, allow))
    return b"".join(struct.pack("HBBI", *each) for each in program)


def submit_to(supervisor: socket.socket) -> None:
    """From now on, have another process decide on this one's calls.

    Args:
        supervisor: the other process reads its end with `receive`.
    """
    library = ctypes.CDLL(None, use_errno=True)
    program = _make_filter()
    code = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    listener = library.syscall(_SECCOMP[_MACHINE][0], 1, _HAND_OUT_LISTENER, described)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    socket.send_fds(supervisor, [b"+"], [listener])
    os.close(listener)


def receive(connection: socket.socket) -> int:
    """The listener of a process that calls `submit_to`."""
    _, (listener,), _, _ = socket.recv_fds(connection, 1, 1)
    return listener


Decide = Callable[[Operation], int | None]
"""From an operation to an error's number, 0 to let it pass, or None to kill the process."""


def decide_all(
    listener: int, group: int, folder: Path, decide: Decide, output: int, seconds: float
) -> tuple[bytes, bool]:
    """Decide on a process's operations below ``folder`` until it ends.

    Args:
        listener: from `receive`.
        group: of processes, to be killed.
        folder: operations elsewhere pass.
        decide: on each other one.
        output: a pipe that the process prints into.
        seconds: after which it is killed.

    Returns:
        What it printed, and whether it ended in time.
    """
    poll, said, end = select.poll(), bytearray(), time.monotonic() + seconds
    poll.register(listener, select.POLLIN)
    poll.register(output, select.POLLIN)
    in_time, left = True, {listener, output}
    while left:
        remaining = end - time.monotonic()
        if remaining < 0 and in_time:
            in_time = False
            os.killpg(group, signal.SIGKILL)
        for descriptor, event in poll.poll(max(remaining, 1) * 1000):
            if descriptor == output and (chunk := os.read(output, 1 << 16)):
                said += chunk
            elif descriptor == listener and event & select.POLLIN:
                _decide_one(listener, group, f"{folder}{os.sep}", decide)
            else:
                poll.unregister(descriptor)
                left.remove(descriptor)
    return bytes(said), in_time


def _decide_one(listener: int, group: int, folder: str, decide: Decide) -> None:
    notice = bytearray(_NOTICE.size)
    try:
        ioctl(listener, _RECEIVE, notice)
        number, thread, _, call, _, _, *arguments = _NOTICE.unpack(notice)
        operation = _describe(_BY_NUMBER[call], thread, arguments)
        answer = decide(operation) if operation.path.startswith(folder) else 0
        if answer is None:
            os.killpg(group, signal.SIGKILL)
            return
        reply = _REPLY.pack(number, 0, -answer, 0 if answer else _CONTINUE)
        ioctl(listener, _ANSWER, bytearray(reply))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ESRCH, errno.EINTR):  # it was killed
            raise


def _describe(call: _Call, thread: int, arguments: list[int]) -> Operation:
    here = f"/proc/{thread}"
    if call.place is None:
        folder = f"{here}/cwd"
    else:
        (descriptor,) = struct.unpack("i", struct.pack("I", arguments[call.place] & 0xFFFFFFFF))
        folder = f"{here}/cwd" if descriptor == _CURRENT_FOLDER else f"{here}/fd/{descriptor}"
    path = "" if call.path is None else _read_text(f"{here}/mem", arguments[call.path])
    if not path.startswith(os.sep):
        path = f"{Path(folder).readlink()}{os.sep}{path}"
    return Operation(call.call, os.path.normpath(path))


def _read_text(memory: str, address: int) -> str:
    with open(memory, "rb", buffering=0) as file:  # noqa: PTH123
        file.seek(address)
        content = file.read(4096 - address % 4096)
        if b"\0" not in content:
            content += file.read(4096)
    return os.fsdecode(content.partition(b"\0")[0])
