"""Files that are there whole or not at all, and their hashes."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

from pipeline.errors import ArtifactError, PipelineError, ProjectError

_LONGEST_STEM = 50
"""Characters, so that a temporary name is not too long where the final one is not."""

_LEFTOVER = re.compile(
    r"\.(?P<name>.+)\.(?P<pid>\d+)\.partial(?P<set_aside>-replaced)?.*", re.DOTALL
)


@contextmanager
def atomic_path(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a temporary path next to ``path``; rename it to ``path`` if the block succeeds.

    The block may write a file or make a folder there. After an error the temporary one is
    removed and what was at ``path`` is as it was. A folder replaces a folder. What a killed process
    left goes when something is next written into the same folder.

    Args:
        path: of what is to be written.
        durable: whether the file is on the disk when the block ends, so that no power cut takes it
            back. It takes a tenth of a second; meant for what cannot be made again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path.parent)
    stem = path.stem[:_LONGEST_STEM]
    temporary = path.with_name(f".{stem}.{os.getpid()}.partial{path.suffix}")
    try:
        _remove(temporary)  # of a killed process that had the same number, as in a container
        if os.path.lexists(_set_aside(path)):
            _take_back(_set_aside(path))
        yield temporary
        if durable:
            _flush(temporary)
        _put_in_place(temporary, path)
        if durable:
            _flush(path.parent)
    except OSError as error:
        if error.errno is not None and (
            error.filename is None or str(error.filename).startswith(str(temporary))
        ):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):
            _remove(temporary)


def _flush(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems know no such thing of a folder
            raise
    finally:
        os.close(descriptor)


def _put_in_place(temporary: Path, path: Path) -> None:
    if not (temporary.is_dir() and path.is_dir()):
        temporary.replace(path)
        return
    replaced = _set_aside(path)
    path.replace(replaced)
    try:
        temporary.replace(path)
    except OSError:
        replaced.replace(path)
        raise
    _remove(replaced)


def clear_leftovers(folder: Path, *, recursive: bool = False) -> None:
    """Remove what processes that are gone left half-written in ``folder``.

    A folder that one of them had set aside, to put a new one in its place, comes back if the new
    one is not there.
    """
    for path in (folder.rglob if recursive else folder.glob)(".*.partial*"):
        left = _LEFTOVER.fullmatch(path.name)
        if not left or is_running(int(left["pid"])):
            continue
        with suppress(OSError):  # it belongs to another user, or went just now
            _take_back(path) if left["set_aside"] else _remove(path)


def _set_aside(path: Path) -> Path:
    """Where this process puts the folder ``path`` while another one takes its place."""
    return path.with_name(f".{path.name}.{os.getpid()}.partial-replaced")


def _take_back(replaced: Path) -> None:
    """Put a folder that was set aside where it was, or remove it if another one is there now."""
    left = _LEFTOVER.fullmatch(replaced.name)
    if left and not replaced.with_name(left["name"]).exists():
        replaced.rename(replaced.with_name(left["name"]))
    else:
        _remove(replaced)


def is_running(pid: int) -> bool:
    """Whether there is a process of this number, of whatever user."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Write UTF-8 ``text`` with line ends as they are; ``durable`` as of `atomic_path`."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, content: Any, *, durable: bool = False) -> None:
    """Write ``content`` as indented JSON in its own key order; ``durable`` as of `atomic_path`."""
    write_text(path, json.dumps(content, indent=2) + "\n", durable=durable)


def open_file(path: Path) -> BufferedReader:
    """Open a file for reading.

    Raises:
        ArtifactError: the name is empty, or that of a folder, or of a pipe or a device, which may
            never end.
        OSError: it is missing or cannot be read.
    """
    if path == Path():
        raise ArtifactError("The name is empty, or that of this folder: expected a file's.")
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "a pipe, a socket or a device"
        raise ArtifactError(f"{path} is {found}: expected a file. Move it away, or name another.")
    return path.open("rb")


def expand_user(path: str) -> Path:
    """A path as the user wrote it, ``~`` and ``~name`` replaced.

    Raises:
        ProjectError: there is no such user, or no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ProjectError(
            f"{path} begins with the home of a user whom this machine does not know. Write the "
            "whole path."
        ) from None


def read_bytes(path: Path) -> bytes:
    """The content of a file; see `open_file`."""
    with open_file(path) as file:
        return file.read()


def read_json(path: Path, *, again: str = "dvc repro") -> Any:
    """Read a JSON file that a stage wrote.

    Args:
        path: of the file.
        again: the command that writes it again.

    Raises:
        ArtifactError: the file is missing or not JSON.
    """
    try:
        return json.loads(read_bytes(path).decode())
    except FileNotFoundError:
        raise missing_artifact(path) from None
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path} is damaged: expected JSON, but {error}. Delete it and run: {again}"
        ) from None


def missing_artifact(path: Path) -> ArtifactError:
    """The error for an artifact that no stage has written yet."""
    return ArtifactError(
        f"{path} is missing: an earlier stage writes it. In the project's folder, run: dvc repro"
    )


@contextmanager
def corruption_as(describe: Callable[[str], PipelineError]) -> Iterator[None]:
    """Raise ``describe(reason)`` if the block fails because of the bytes that it reads.

    Meant for blocks that decode a file: decoders raise any kind of exception for damaged bytes.
    Errors of the disk and of the pipeline itself pass unchanged. The reason is one line.
    """
    try:
        yield
    except Exception as error:
        if not _is_corruption(error):
            raise
        lines = str(error).splitlines() or ["it ends too early"]
        advises_to_unpickle = "allow_pickle" in lines[0]  # which damaged bytes must never be
        raise describe("it is no archive" if advises_to_unpickle else lines[0]) from None


def _is_corruption(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (None, errno.EINVAL)  # an impossible place to seek to, or bzip2
    return not isinstance(error, PipelineError)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
