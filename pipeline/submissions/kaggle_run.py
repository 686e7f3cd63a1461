"""A run at Kaggle: the project is sent once, and its run is followed to its end.

Each step is taken once. ``run.json`` tells which were; what is tried is written down before it is
tried, so that a process that was killed is taken up where it ended. An answer that was lost is
asked for before anything is sent again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError
from tenacity import Retrying, retry_if_result, wait_exponential

from pipeline.errors import ArtifactError, Interruption, KaggleError
from pipeline.files import read_json, write_json, write_text
from pipeline.kaggle.client import OutcomeUnknownError
from pipeline.kaggle.kernel import COMPLETE, RUNNING, LogLine, RunStatus, Version
from pipeline.kaggle.kernels import Kernels
from pipeline.kaggle.session import Timeouts
from pipeline.submissions.kernel_folder import MARK, KernelFolder
from pipeline.submissions.log import timestamp

NEEDED = ("submission.csv", "submission.json")
WELCOME = ("report.html", "metrics.json")
"""The output files that are fetched; a run is in vain without the needed ones."""

STATE = "run.json"
LOG = "log.txt"
_LONGEST_WAIT = 6
"""In polling intervals."""


@dataclass(frozen=True)
class KaggleRun:
    """How far a run is.

    Attributes:
        step: ``sending`` (it may have been sent), ``sent``, ``failed``, ``complete`` or
            ``fetched``.
        kernel: ``USER/SLUG``, the notebook's address.
        version: of the notebook; 0 where it is not known yet.
        earlier: the newest version before it.
        time: when it was sent, UTC.
        commit: of the code that was sent.
        params_sha256: hash of the params.yaml that was sent.
        labels_sha256: hash of the labels.csv that was sent; None without one.
    """

    step: Literal["sending", "sent", "failed", "complete", "fetched"]
    kernel: str
    version: int
    earlier: int
    time: str
    commit: str | None
    params_sha256: str
    labels_sha256: str | None

    def at_kaggle(self) -> Version:
        """The version that runs."""
        return Version(self.kernel, self.version)


class Shown(Protocol):
    """What is told of a run while it is followed."""

    def status(self, status: RunStatus) -> None:
        """How far it is."""

    def line(self, line: LogLine) -> None:
        """It has printed a line."""


@contextmanager
def alone(parent: Path) -> Iterator[None]:
    """Let no second process send or fetch meanwhile.

    Raises:
        KaggleError: another one does.
    """
    parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(parent / ".lock", timeout=0):
            yield
    except Timeout:
        raise KaggleError(
            "Another digits kaggle run is at work in this project. Nothing was sent. Wait for it, "
            "or stop it with Ctrl-C: the run at Kaggle goes on."
        ) from None


def read(path: Path) -> KaggleRun | None:
    """What ``run.json`` says; None if nothing was tried.

    Raises:
        ArtifactError: it is damaged.
    """
    if not path.exists():
        return None
    try:
        return TypeAdapter(KaggleRun).validate_python(read_json(path))
    except (ArtifactError, ValidationError):
        raise ArtifactError(
            f"{path} is damaged, so that it is unknown whether the run was sent. Look at "
            "https://www.kaggle.com/work/code, stop a run that is there, delete the file, and run "
            "the same command again."
        ) from None


def send(folder: KernelFolder, kernels: Kernels, *, again: bool = False) -> KaggleRun:
    """Send a notebook, unless it was sent; a run that failed is started again.

    Args:
        folder: the notebook.
        kernels: the login.
        again: whether a run that ended well is started again, too.

    Raises:
        KaggleError: it was not sent, or it is unknown whether it was.
    """
    path = folder.path.with_name(STATE)
    known = read(path)
    if known and known.step == "sending":
        if found := kernels.find(known.kernel, folder.mark, known.earlier):
            return keep(path, replace(known, step="sent", kernel=found[0], version=found.number))
    elif known and known.step == "sent" and again:
        raise KaggleError(
            f"{known.at_kaggle()} is this very code and has not ended, as far as is known here. "
            "Follow it without --again, or stop it at Kaggle first: "
            f"{known.at_kaggle().url}"
        )
    elif known and known.step != "failed" and not again:
        return known
    saved = kernels.read(folder.kernel)
    if saved and MARK not in saved.source:
        raise KaggleError(
            f"{folder.kernel} is another notebook of yours: expected none, or one that digits "
            "kaggle run has made. Nothing was sent. Choose another title with --title."
        )
    return _send(folder, kernels, saved.newest if saved else 0)


def _send(folder: KernelFolder, kernels: Kernels, earlier: int) -> KaggleRun:
    path = folder.path.with_name(STATE)
    for name in (*NEEDED, *WELCOME, LOG):
        path.with_name(name).unlink(missing_ok=True)
    run = KaggleRun(
        step="sending",
        kernel=folder.kernel,
        version=0,
        earlier=earlier,
        time=timestamp(datetime.now(UTC)),
        commit=folder.commit,
        params_sha256=folder.params_sha256,
        labels_sha256=folder.labels_sha256,
    )
    keep(path, run)
    try:
        kernel, number = kernels.push(folder.path, folder.kernel, folder.mark, earlier)
    except KeyboardInterrupt:
        raise Interruption(
            "the notebook may have been sent; the same command asks Kaggle before it sends anything"
        ) from None
    except OutcomeUnknownError:
        raise
    except KaggleError:
        path.unlink()
        raise
    return keep(path, replace(run, step="sent", kernel=kernel, version=number))


def follow(
    run: KaggleRun, folder: Path, kernels: Kernels, shown: Shown, timeouts: Timeouts
) -> KaggleRun:
    """Wait for the end of a run, and show what it prints, each line once.

    Args:
        run: what was sent.
        folder: where ``run.json`` lies, and where the log goes.
        kernels: the login.
        shown: what is told meanwhile.
        timeouts: how often Kaggle is asked.

    Raises:
        KaggleError: it failed, or Kaggle does not tell.
    """
    if run.step != "sent":
        return run
    version = run.at_kaggle()
    lines: list[LogLine] = []

    def look() -> RunStatus:
        status = kernels.status(version)
        if status.is_waiting:
            shown.status(status)
        if status.state == RUNNING:
            for number, line in enumerate(kernels.follow_log(version)):
                if number == len(lines):
                    lines.append(line)
                    shown.line(line)
        return status

    seconds = timeouts.polling_seconds
    status = Retrying(
        wait=wait_exponential(multiplier=seconds, max=_LONGEST_WAIT * seconds),
        retry=retry_if_result(lambda status: status.is_waiting),
    )(look)
    log = kernels.output(version).log
    write_text(folder / LOG, "".join(f"{line.text}\n" for line in log))
    for line in log[_count_common(log, lines) :]:
        shown.line(line)
    shown.status(status)
    if status.state == COMPLETE:
        return keep(folder / STATE, replace(run, step="complete"))
    keep(folder / STATE, replace(run, step="failed"))
    raise _ended_badly(version, status, folder / LOG)


def unfinished(parent: Path, folder: Path) -> list[KaggleRun]:
    """The runs of other code, not of ``folder``, that were sent and not fetched."""
    found = (read(path) for path in sorted(parent.glob(f"*/{STATE}")) if path.parent != folder)
    return [run for run in found if run and run.step in ("sent", "complete")]


def keep(path: Path, run: KaggleRun) -> KaggleRun:
    """Write ``run.json``."""
    write_json(path, asdict(run), durable=True)
    return run


def _count_common(lines: list[LogLine], others: list[LogLine]) -> int:
    """How many lines both begin with."""
    pairs = zip(lines, others, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(lines), len(others)))


def _ended_badly(version: Version, status: RunStatus, log: Path) -> KaggleError:
    end = "was cancelled" if status.state.startswith("cancel") else "failed"
    reason = f": {status.message}" if status.message else ""
    return KaggleError(
        f"{version} {end} at Kaggle{reason}. Its last lines are above, all of them in {log}. Mend "
        "what they name, then run the same command again: it starts a new run. See also "
        f"{version.url}"
    )
