"""Every file operation fails once, or the process is killed there; then the work is done again.

    python -m checks.faults [--number N] [--seed S] [STEP …]

A step runs in a forked child in a folder of its own: a stage, a command, or a part of one that
writes. One of its operations on a file in there fails, or the child is killed there. Then:

- a failure is one paragraph, exit status 1, and nothing half-written; never a traceback;
- each file under its final name is that of before or that of an undisturbed run;
- files that belong together are known to, or known not to;
- the next run ends as an undisturbed one, and leaves nothing of the first.

After ENOSPC nothing can be written any more: the disk is full. EIO and EINTR come once. A limit on
the size of files has the system take a part of what is written. Operations are stopped by the
kernel, so that those of libraries in C++ are among them. It needs Linux.

What was judged is kept in .faults.jsonl, and not tried again until the code changes: interrupt it,
and go on later. A sample (--number) keeps nothing.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from checks.faults import catalogue, operations
from checks.faults.journal import Journal
from checks.faults.running import Fault
from checks.faults.trial import Trial
from pipeline.parallel import count_processors

_trials: dict[str, Trial] = {}


def _judge(name: str, fault: Fault) -> tuple[str, str, list[str]]:
    return name, str(fault), _trials[name].problems(fault)


def _judge_all(cases: list[tuple[str, Fault]], jobs: int) -> Iterator[tuple[str, str, list[str]]]:
    ignore_interrupts = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)  # the parent ends
    with ProcessPoolExecutor(jobs, get_context("fork"), ignore_interrupts) as pool:
        try:
            for each in as_completed([pool.submit(_judge, *case) for case in cases]):
                yield each.result()
        finally:
            pool.shutdown(cancel_futures=True)


def inject(
    names: Sequence[str],
    journal: Journal,
    *,
    number: int | None = None,
    seed: int = 0,
    jobs: int = 1,
    runs: Sequence[Path] | None = None,
) -> int:
    """Have faults happen and print what is wrong after them; how often something is.

    Args:
        names: of steps.
        journal: of what was judged.
        number: how many faults, drawn at random from all; None: all.
        seed: of the draw.
        jobs: how many are tried side by side.
        runs: finished runs to start from; None: they are made.
    """
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HOME"] = scratch  # in which there are no credentials
        root = Path(scratch).resolve()
        _trials.clear()
        for name, step in catalogue.make_steps(names, root / "runs", runs).items():
            _trials[name] = Trial(name, step, root / name)
        cases = [(name, fault) for name, trial in _trials.items() for fault in trial.faults()]
        Random(seed).shuffle(cases)  # so that an interrupted run has tried some of everything
        cases = cases[:number]
        found = {(name, str(fault)): journal.find(name, str(fault)) for name, fault in cases}
        open_cases = [case for case in cases if found[case[0], str(case[1])] is None]
        columns = TextColumn("faults"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Progress(*columns, disable=not sys.stdout.isatty()) as progress:
            task = progress.add_task("", total=len(cases), completed=len(cases) - len(open_cases))
            for name, fault, problems in _judge_all(open_cases, jobs):
                found[name, fault] = problems
                journal.note(name, fault, problems)
                progress.advance(task)
        os.chdir(Path(__file__).parent)
    return _report(names, {case: problems or [] for case, problems in found.items()})


def _report(names: Sequence[str], found: dict[tuple[str, str], list[str]]) -> int:
    for (name, fault), problems in found.items():
        for problem in problems:
            print(f"{name}, {fault}: {problem}")
    for name in names:
        of_step = [problems for (step, _), problems in found.items() if step == name]
        count = len(_trials[name].operations)
        wrong = sum(map(bool, of_step))
        print(f"{name:12} {count:5} operations {len(of_step):5} faults {wrong:3} wrong")
    wrong = sum(map(bool, found.values()))
    print(f"{len(found)} faults, {wrong} with something wrong")
    return wrong


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m checks.faults", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("steps", nargs="*", help=f"default: all: {', '.join(catalogue.NAMES)}")
    parser.add_argument("--number", type=int, help="of faults, at random; default: all")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--jobs", type=int, default=count_processors(), help="side by side")
    parser.add_argument(
        "--runs",
        nargs="+",
        type=lambda text: Path(text).resolve(),
        metavar="FOLDER",
        help="finished runs to start from: two on different images, and for digits-compare a third "
        "on those of the second; default: they are made",
    )
    given = parser.parse_args()
    if unknown := set(given.steps) - set(catalogue.NAMES):
        parser.error(f"there is no step {', '.join(sorted(unknown))}")
    if not operations.is_available():
        parser.error("it needs Linux 5.5 or later, on x86-64 or Arm")
    names = given.steps or list(catalogue.NAMES)
    with Journal(None if given.number else Path(".faults.jsonl")) as journal:
        options = {name: getattr(given, name) for name in ("number", "seed", "jobs", "runs")}
        try:
            return int(inject(names, journal, **options) > 0)
        except KeyboardInterrupt:
            print("interrupted: what was judged is kept; the next call goes on", file=sys.stderr)
            return 130


if __name__ == "__main__":
    sys.exit(main())
