"""Every file operation fails once, or the process is killed there; then the work is done again.

    python -m checks.faults [--number N] [--seed S] [STEP …]

A step runs in a forked child in a folder of its own. Its k-th operation on a file in there (opening
one for writing, renaming, removing, making a folder) fails, or the child is killed there; for
writing, a limit on the size of files has the system refuse the rest, in C code as well. Then:

- a failure is one paragraph, exit status 1, and nothing half-written; never a traceback;
- each file under its final name is that of before or that of an undisturbed run;
- the next run ends as an undisturbed one, and leaves nothing of the first.

What it does not see: operations that C code makes by itself, but for writes that are too long. The
stages that train, evaluate, export, explain and report are not among the steps.
"""

import argparse
import errno
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import numpy as np
from rich.progress import track

from checks import readers
from pipeline import stages
from pipeline.data import label_corrections
from pipeline.data.sources import decision
from pipeline.data.sources.decision import ArchiveSource
from pipeline.errors import exit_status
from pipeline.files import sha256
from pipeline.stages import download, predict, source
from pipeline.submissions import file as submission
from pipeline.submissions import log as submission_log
from pipeline.submissions.log import Entry
from pipeline.training.state import TrainingState

ERRORS = (errno.ENOSPC, errno.EIO, errno.EINTR)
KILL, LIMIT = "kill", "limit"

_EVENTS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")
_PARAMS = Path(__file__).parent.parent / "params.yaml"
_TRACEBACK = 70

Files = dict[str, bytes]


@dataclass(frozen=True)
class Step:
    """Something that writes files into the current folder.

    Attributes:
        prepare: write what is there before.
        run: do it.
        check: raise where files that belong together are taken for such and are not.
    """

    prepare: Callable[[], None]
    run: Callable[[], Any]
    check: Callable[[], object] = bool


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        kind: an error's number, `KILL`, or `LIMIT`.
        at: the number of the operation, from 1; of a limit, the bytes that a file may have.
    """

    kind: int | str
    at: int

    def __str__(self) -> str:
        name = errno.errorcode[self.kind] if isinstance(self.kind, int) else self.kind
        return f"{name} at {self.at}"


class _Counter:
    """Counts operations in a folder, and has one of them fail."""

    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self.seen = 0
        self._folder, self._fault = f"{folder}{os.sep}", fault

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _EVENTS and not (event == "open" and self._writes(arguments)):
            return
        path = str(Path(os.fsdecode(arguments[0])).absolute())
        if not path.startswith(self._folder):
            return
        self.seen += 1
        if self._fault is None or self.seen != self._fault.at or self._fault.kind == LIMIT:
            return
        if self._fault.kind == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        number = int(self._fault.kind)
        raise OSError(number, os.strerror(number), path)

    @staticmethod
    def _writes(arguments: tuple[Any, ...]) -> bool:
        path, _, flags = arguments
        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        return isinstance(path, str | bytes) and bool((flags or 0) & writing)


def run(step: Step, folder: Path, fault: Fault | None = None) -> tuple[int, str, int]:
    """Run a step in a child: its exit status, negative if killed; what it said; operations."""
    reading, writing = os.pipe()  # as limits on files do not hold for it
    child = os.fork()
    if not child:
        _run_in_child(step, folder, fault, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        said, _, operations = pipe.read().partition("\0")
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended), said, int(operations or 0)


def _run_in_child(step: Step, folder: Path, fault: Fault | None, writing: int) -> NoReturn:
    status = _TRACEBACK
    try:
        os.chdir(folder)
        sys.stdout = sys.stderr = os.fdopen(writing, "w", encoding="utf-8")
        counter = _Counter(folder, fault)
        sys.addaudithook(counter)
        if fault and fault.kind == LIMIT:
            resource.setrlimit(resource.RLIMIT_FSIZE, (fault.at, fault.at))
        status = exit_status(step.run)
        print(f"\0{counter.seen}", flush=True)
    except BaseException as error:
        print(f"Traceback: {error!r}", flush=True)
        status = _TRACEBACK
    finally:
        os._exit(status)


def files(folder: Path) -> Files:
    """The content of every file below a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _is_half(name: str) -> bool:
    return ".partial" in name


class Trial:
    """A step, and how it goes undisturbed.

    Attributes:
        operations: how many there are.
        sizes: of the files that it writes.
    """

    def __init__(self, step: Step, folder: Path) -> None:
        self.step, self._folder = step, folder
        self._before = folder / "before"
        self._before.mkdir(parents=True)
        shutil.copy(_PARAMS, self._before)
        os.chdir(self._before)
        step.prepare()
        self._old = files(self._before)
        status, said, self.operations = self._in_copy("undisturbed", None)
        if status or not self.operations:
            raise AssertionError(f"undisturbed: {said}")
        self._new = files(folder / "undisturbed")
        self.sizes = sorted(
            {len(each) for name, each in self._new.items() if name not in self._old}
        )

    def _in_copy(self, name: str, fault: Fault | None) -> tuple[int, str, int]:
        shutil.copytree(self._before, self._folder / name)
        return run(self.step, self._folder / name, fault)

    def faults(self) -> list[Fault]:
        """All that can go wrong, one at a time."""
        kinds = (*ERRORS, KILL)
        limits = {at for size in self.sizes for at in (0, 1, size // 2, size - 1) if at < size}
        return [
            *(Fault(kind, at) for at in range(1, self.operations + 1) for kind in kinds),
            *(Fault(LIMIT, at) for at in sorted(limits)),
        ]

    def problems(self, fault: Fault) -> list[str]:
        """What is wrong after a fault, and after the run that follows it."""
        folder = self._folder / "disturbed"
        shutil.rmtree(folder, ignore_errors=True)
        status, said, _ = self._in_copy("disturbed", fault)
        found = []
        if status not in (0, 1, -signal.SIGKILL) or "Traceback" in said:
            found.append(f"exit status {status}: {said[-300:]}")
        left = files(folder)
        torn = [
            name
            for name, content in left.items()
            if not _is_half(name) and content not in (self._old.get(name), self._new.get(name))
        ]
        if torn:
            found.append(f"torn: {', '.join(torn)}")
        if status == 1 and (halves := list(filter(_is_half, left))):
            found.append(f"half-written: {', '.join(halves)}")
        if status == 0 and left != self._new:
            found.append("it ended well with other files")
        if lost := [name for name in self._old if name not in left]:
            found.append(f"lost: {', '.join(lost)}")
        found += self._check(folder)
        status, said, _ = run(self.step, folder)
        if status or files(folder) != self._new:
            other = {name for name, _ in files(folder).items() ^ self._new.items()}
            found.append(f"the next run differs ({status}: {said[-200:]}) in {sorted(other)}")
        return found

    def _check(self, folder: Path) -> list[str]:
        os.chdir(folder)
        try:
            self.step.check()
        except Exception as error:
            return [f"{type(error).__name__}: {error}"]
        finally:
            os.chdir(self._before)
        return []


def _prepare_download() -> None:
    path = Path("data/digit-recognizer.zip")
    path.parent.mkdir()
    readers.READERS["archive"].prepare(path.parent)
    decision.write(stages.SOURCE, ArchiveSource(str(path), {path.name: sha256(path)}))


def _write_submission(digits: list[int]) -> None:
    predict.write_submission(
        stages.SUBMISSION, {"0-0-small": "a" * 64}, readers.PROVENANCE, np.eye(10)[digits]
    )


def _prepare_submission() -> None:
    label_corrections.write(stages.LABEL_CORRECTIONS, None)
    _write_submission([1, 2, 3])


def _check_submission() -> None:
    """The CSV is whole, and its JSON vouches for this one alone."""
    digits = submission.read(stages.SUBMISSION, expected_rows=3).tolist()
    record = submission.read_record(stages.SUBMISSION)
    assert digits in ([1, 2, 3], [4, 5, 6])
    assert record is None or record.sha256 == sha256(stages.SUBMISSION)


def _write_log(number: int) -> None:
    entries = [Entry(time=f"2026-01-0{each}", reference=str(each)) for each in range(1, number + 1)]
    submission_log.write(Path("submissions/log.csv"), entries)


def _save_state(epoch: int) -> None:
    weights = [np.full((20, 20), epoch, np.float32)]
    history = [{"epoch": each, "loss": 0.5} for each in range(1, epoch + 1)]
    TrainingState(history, epoch, None, False, weights, weights).save(
        Path("models/.training/a.npz")
    )


STEPS = {
    "source": Step(lambda: None, source.main),
    "download": Step(_prepare_download, download.main),
    "submission": Step(
        _prepare_submission,
        lambda: _write_submission([4, 5, 6]),
        _check_submission,
    ),
    "log": Step(
        lambda: _write_log(1),
        lambda: _write_log(2),
        lambda: submission_log.read(Path("submissions/log.csv")),
    ),
    "state": Step(
        lambda: _save_state(1),
        lambda: _save_state(2),
        lambda: TrainingState.load(Path("models/.training/a.npz")),
    ),
}
"""By name."""


def inject(names: list[str], number: int | None, seed: int) -> int:
    """Have faults happen and print what is wrong after them; how often something is.

    Args:
        names: of steps.
        number: how many faults, drawn at random from all; None: all.
        seed: of the draw.
    """
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HOME"] = scratch  # in which there are no credentials
        root = Path(scratch).resolve()
        trials = {name: Trial(STEPS[name], root / name) for name in names}
        cases = [(name, fault) for name, trial in trials.items() for fault in trial.faults()]
        if number is not None and number < len(cases):
            cases = Random(seed).sample(cases, number)
        for name, fault in track(cases, "faults", disable=not sys.stdout.isatty()):
            for problem in trials[name].problems(fault):
                wrong += 1
                print(f"{name}, {fault}: {problem}")
        os.chdir(Path(__file__).parent)
    operations = ", ".join(f"{name} {trial.operations}" for name, trial in trials.items())
    print(f"{len(cases)} faults, {wrong} with something wrong (operations: {operations})")
    return wrong


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Every file operation fails once.")
    parser.add_argument("steps", nargs="*", help=f"default: all: {', '.join(STEPS)}")
    parser.add_argument("--number", type=int, help="of faults, at random; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    given = parser.parse_args()
    if unknown := set(given.steps) - set(STEPS):
        parser.error(f"there is no step {', '.join(sorted(unknown))}")
    return int(inject(given.steps or list(STEPS), given.number, given.seed) > 0)


if __name__ == "__main__":
    sys.exit(main())
