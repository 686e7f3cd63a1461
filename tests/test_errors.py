"""How a process ends: exit status and what stands on stderr."""

import errno
import os
from collections.abc import Callable

import pytest

from pipeline import errors
from pipeline.errors import Interruption, PipelineError, TableError, exit_status

KINDS: list[type[PipelineError]] = [PipelineError, *PipelineError.__subclasses__()]


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


def test_success_is_zero_and_silent(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(lambda: "anything") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_pipeline_error_is_one_paragraph_on_stderr(
    kind: type[PipelineError], capsys: pytest.CaptureFixture[str]
) -> None:
    error = TableError("What", "happened.") if kind is TableError else kind("What happened.")
    assert exit_status(raising(error)) == 1
    assert capsys.readouterr() == ("", "error: What happened.\n")


def test_module_lists_every_error() -> None:
    for kind in KINDS:
        assert kind.__name__ in (errors.__doc__ or "")


def test_interruption_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "interrupted: nothing is half-written\n"


def test_what_is_known_of_an_interruption_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(raising(Interruption("the file was not sent."))) == 130
    assert capsys.readouterr().err == "interrupted: the file was not sent.\n"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "The disk is full: free some space"),
        (errno.EDQUOT, "The disk quota is used up"),
        (errno.EFBIG, "The file is larger than this system allows"),
        (errno.EACCES, "Permission was denied"),
        (errno.EPERM, "Permission was denied"),
        (errno.EROFS, "The file system is read-only"),
        (errno.ENOTDIR, "A file stands where a folder belongs"),
        (errno.EEXIST, "A file stands where a folder belongs"),
        (errno.EISDIR, "A folder stands where a file belongs"),
        (errno.EIO, "The disk, or the way to it, fails"),
        (errno.ENAMETOOLONG, "The name is too long"),
        (errno.ELOOP, "Symbolic links lead round in a circle"),
        (errno.ENOENT, "Something is missing there"),
        (errno.EBUSY, f"The system says: {os.strerror(errno.EBUSY)}. Mend that"),
        (errno.ESTALE, f"The system says: {os.strerror(errno.ESTALE)}. Mend that"),
    ],
)
def test_disk_out_of_reach_is_explained(
    number: int, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OSError(number, os.strerror(number), "models/net.keras")
    assert exit_status(raising(error)) == 1
    message = capsys.readouterr().err
    assert message.startswith(f"error: Could not write or read models/net.keras. {remedy}")
    assert message.endswith("then run the command again.\n")
    assert message.count("\n") == 1


def test_disk_error_without_a_name_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(raising(OSError(errno.ENOSPC, "No space left on device"))) == 1
    assert "Could not write or read a file. The disk is full" in capsys.readouterr().err


@pytest.mark.parametrize("error", [OSError("the network is down"), OSError(), TimeoutError()])
def test_every_refusal_of_the_system_is_a_paragraph(
    error: OSError, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_status(raising(error)) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: Could not write or read a file. The system says: ")
    assert (str(error) or type(error).__name__) in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("bug", [ValueError("a bug"), KeyError("a bug")])
def test_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug), match="a bug"):
        exit_status(raising(bug))


def test_names_in_messages_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise PipelineError("a\x1b[2Jb\rc is damaged")

    assert exit_status(main) == 1
    assert capsys.readouterr().err == "error: a\\x1b[2Jb\\rc is damaged\n"
