"""What a user is told when something is wrong with the input or the machine.

    PipelineError
    ├── ParamsError        settings that cannot be used
    ├── ProjectError       a folder or repository that the pipeline cannot work in
    ├── DvcError           DVC does not work here
    │   └── DvcBusyError   or is at work
    ├── SourceError        no usable data at hand
    ├── KaggleError        Kaggle refuses, or is out of reach
    ├── PackagesError      a package of requirements.lock cannot be had
    ├── TableError         a CSV that is not what the competition serves
    ├── ArtifactError      a file between two stages is missing, stale or damaged
    ├── ClusterError       a Ray cluster that cannot be used
    ├── SubmissionError    a CSV that Kaggle would refuse, or that must not be sent
    └── PictureError       a file of the user's own that holds no picture to read

Each message is one paragraph: what happened, what was expected, what was found, what to do.
Anything else that is raised is a bug and keeps its traceback.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report SIGINT."""


class PipelineError(Exception):
    """Base of everything that a user can cause and mend."""


class ParamsError(PipelineError):
    """What the user set cannot be used.

    params.yaml or a sweep's space file is missing or unreadable, has a value that is unknown, of
    the wrong type or out of range, or does not fit the data, the machine or earlier results; or
    there is no profile or architecture of the name that was asked for.
    """


class ProjectError(PipelineError):
    """The project's folder or Git repository is in a state in which the pipeline cannot work."""


class DvcError(PipelineError):
    """DVC cannot tell, as where the folder is none of its projects."""


class DvcBusyError(DvcError):
    """DVC is at work in this project."""


class SourceError(PipelineError):
    """The data cannot be obtained from where params.yaml says."""


class KaggleError(PipelineError):
    """Kaggle refuses what was asked, or is out of reach."""


class PackagesError(PipelineError):
    """A package that the lock file names cannot be downloaded, or is not the one named."""


class TableError(PipelineError):
    """A CSV does not hold what the competition's file of that name holds.

    Attributes:
        problem: what happened, was expected and found.
        remedy: what to do about it in the pipeline.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem, self.remedy = problem, remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


class ArtifactError(PipelineError):
    """A file that an earlier stage wrote is missing, damaged or belongs to other data."""


class ClusterError(PipelineError):
    """A Ray cluster cannot be used: not installed, out of reach, or unlike the driver."""


class SubmissionError(PipelineError):
    """A submission file that Kaggle would refuse, or that must not be sent."""


class PictureError(PipelineError):
    """A picture cannot be read: missing, too large, damaged or of another kind."""


class Interruption(KeyboardInterrupt):
    """Ctrl-C at a moment of which there is more to say: what was done, and what was not."""


_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space",
    errno.EDQUOT: "The disk quota is used up: free some space",
    errno.EFBIG: "The file is larger than this system allows: lift the limit (ulimit -f)",
    errno.EACCES: "Permission was denied: give yourself access to it",
    errno.EPERM: "Permission was denied: give yourself access to it",
    errno.EIO: "The disk, or the way to it, fails: look after it, for instance with dmesg",
    errno.ENAMETOOLONG: "The name is too long: take a shorter one",
    errno.ELOOP: "Symbolic links lead round in a circle: remove one of them",
    errno.EMFILE: "Too many files are open: lift the limit (ulimit -n)",
    errno.ENFILE: "Too many files are open on this machine: end other programs",
    errno.ENOMEM: "The memory is full: end other programs",
    errno.ENOENT: "Something is missing there: look whether it was moved or deleted",
    errno.EROFS: "The file system is read-only: work in a folder that can be written",
    errno.ENOTDIR: "A file stands where a folder belongs: move it away",
    errno.EEXIST: "A file stands where a folder belongs: move it away",
    errno.EISDIR: "A folder stands where a file belongs: move it away",
}


_stderr = 2
"""A descriptor of its own, as the usual one is kept quiet while some modules are imported."""

_describe_interruption: Callable[[], str] = partial(str, "nothing is half-written")


def end_when_interrupted(describe: Callable[[], str]) -> None:
    """From now on, but for the work that `exit_status` runs, let Ctrl-C end the process at once.

    While modules are imported, an exception would leave a traceback, or get lost in a library.

    Args:
        describe: what is to be said of the interrupted work, here and by `exit_status`.
    """
    global _describe_interruption, _stderr
    _describe_interruption = describe
    _stderr = os.dup(2)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it may be ignored
        signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    os.write(_stderr, f"{_describe(KeyboardInterrupt())}\n".encode(errors="replace"))
    os._exit(INTERRUPTED)


@contextmanager
def _raised_interrupts() -> Iterator[None]:
    if signal.getsignal(signal.SIGINT) is not _end:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _end)


def exit_status(main: Callable[[], object]) -> int:
    """Run ``main`` and turn its outcome into a process's exit status.

    0 when it returns, 1 with one paragraph on stderr for a `PipelineError` or for whatever the
    operating system refuses, 130 for Ctrl-C. Any other exception passes through.
    """
    try:
        with _raised_interrupts():
            main()
    except PipelineError as error:
        return _fail(str(error))
    except KeyboardInterrupt as interruption:
        return report_interruption(interruption)
    except OSError as error:
        return _fail(_describe_refusal(error))
    return 0


def _describe_refusal(error: OSError) -> str:
    """What the operating system refused, and what to do about it."""
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        said = " ".join(str(error.strerror or error).split()) or type(error).__name__
        remedy = f"The system says: {said}. Mend that"
    return f"Could not write or read {place}. {remedy}, then run the command again."


def report_interruption(interruption: KeyboardInterrupt) -> int:
    """Say in one line on stderr that Ctrl-C was pressed, and what it left; the exit status."""
    print(_describe(interruption), file=sys.stderr, flush=True)
    return INTERRUPTED


def _describe(interruption: KeyboardInterrupt) -> str:
    known = isinstance(interruption, Interruption)
    return printable(f"interrupted: {interruption if known else _describe_interruption()}")


def printable(text: str) -> str:
    """``text`` with escapes for what a terminal would act upon, as a file's name may hold."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _fail(message: str) -> int:
    lines = map(printable, message.split("\n"))
    print("error: " + "\n".join(lines), file=sys.stderr)
    return 1
