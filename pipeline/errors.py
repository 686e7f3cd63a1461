"""What a user is told when something is wrong with the input or the machine.

    PipelineError
    ├── ParamsError        a wrong value in params.yaml
    ├── ProjectError       a folder or repository that the pipeline cannot work in
    ├── DvcError           DVC does not work here
    │   └── DvcBusyError   or is at work
    ├── SourceError        no usable data at hand
    ├── KaggleError        Kaggle refuses, or is out of reach
    ├── PackagesError      a package of requirements.lock cannot be had
    ├── TableError         a CSV that is not what the competition serves
    ├── ArtifactError      a file between two stages is missing, stale or damaged
    ├── SubmissionError    a CSV that Kaggle would refuse, or that must not be sent
    └── PictureError       a file of the user's own that holds no picture to read

Each message is one paragraph: what happened, what was expected, what was found, what to do.
Anything else that is raised is a bug and keeps its traceback.
"""

import errno
import sys
from collections.abc import Callable

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report SIGINT."""


class PipelineError(Exception):
    """Base of everything that a user can cause and mend."""


class ParamsError(PipelineError):
    """A value in params.yaml is unknown, of the wrong type or out of range."""


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


class SubmissionError(PipelineError):
    """A submission file that Kaggle would refuse, or that must not be sent."""


class PictureError(PipelineError):
    """A picture cannot be read: missing, too large, damaged or of another kind."""


_MACHINE_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space",
    errno.EDQUOT: "The disk quota is used up: free some space",
    errno.EFBIG: "The file is larger than this system allows: lift the limit (ulimit -f)",
    errno.EACCES: "Permission was denied: give yourself access to it",
    errno.EPERM: "Permission was denied: give yourself access to it",
    errno.EROFS: "The file system is read-only: work in a folder that can be written",
    errno.ENOTDIR: "A file stands where a folder belongs: move it away",
    errno.EEXIST: "A file stands where a folder belongs: move it away",
    errno.EISDIR: "A folder stands where a file belongs: move it away",
}


def exit_status(main: Callable[[], object]) -> int:
    """Run ``main`` and turn its outcome into a process's exit status.

    0 when it returns, 1 with one paragraph on stderr for a `PipelineError` or for a disk that is
    full, read-only, out of reach or holds a file where a folder belongs, 130 for Ctrl-C. Any other
    exception passes through.
    """
    try:
        main()
    except PipelineError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if error.errno not in _MACHINE_REMEDIES:
            raise
        place = f" {error.filename}" if error.filename else " a file"
        remedy = _MACHINE_REMEDIES[error.errno]
        return _fail(f"Could not write or read{place}. {remedy}, then run the command again.")
    return 0


def printable(text: str) -> str:
    """``text`` with escapes for what a terminal would act upon, as a file's name may hold."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _fail(message: str) -> int:
    lines = map(printable, message.split("\n"))
    print("error: " + "\n".join(lines), file=sys.stderr)
    return 1
