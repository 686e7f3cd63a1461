"""Run a program in a terminal of a given width, as a user would see it."""

import os
import pty
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path


def run_in_terminal(
    *command: str, columns: int, folder: Path | None = None, **variables: str
) -> str:
    """Everything that ``command`` prints; line ends as in a file.

    Args:
        command: the program and its arguments.
        columns: of the terminal.
        folder: to run it in.
        variables: of its environment, besides the usual ones but ``COLUMNS``.
    """
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    kept = {name: value for name, value in kept.items() if not name.endswith("_COLOR")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=child,
        stdout=child,
        stderr=child,
        env=kept | {"PATH": path, "TERM": "xterm-256color"} | variables,
    )
    os.close(child)
    chunks = []
    while True:
        try:
            chunk = os.read(parent, 4096)
        except OSError:  # as Linux reports that the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(parent)
    process.wait()
    return b"".join(chunks).decode(errors="replace").replace("\r\n", "\n")
