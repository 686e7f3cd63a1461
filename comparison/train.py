"""Train what is missing in ``comparison/runs.csv``; add a row for each run that is finished.

    python -m comparison.train --list       # what is missing, and about how long it takes
    python -m comparison.train              # all of it, the most useful runs first
    python -m comparison.train --recipe author --fraction 1 --network deep_cnn flat_mlp
    python -m comparison.train --recipe ours plain --jobs 8
    KERAS_BACKEND=jax python -m comparison.train --recipe author --jobs 8
    python -m comparison.train --add FOLDER # rows that another machine brought

**A run** is a network, a recipe, a fraction of the training rows, a fold and a seed. The recipes
are ``author`` (as published, plain Keras), ``ours`` (the profile `default`, views included) and
``plain`` (ours with images as they are). ``--network``, ``--recipe``, ``--fraction``, ``--fold``
and ``--seed`` take one or several values each, and leave only the runs that have them. Folds and
seeds may be others than those of ``params.yaml``.

**Several processes.** ``--jobs`` is how many runs are trained side by side. The command may also be
started several times, with the same selection or others. Each run has a lock: nothing is trained
twice. Rows are added one process at a time, whole or not at all.

**Killed at any moment**, the same command continues each run after its last finished epoch; what
it needs for that is in ``comparison/.training``. A run whose row is there is not trained again,
unless the code of its network or of its training, its recipe or the data changed. Then the row is
stale, ``--list`` says what changed, and the next run replaces it. Comments and docstrings do not
count.

**Another machine** needs the folders ``comparison`` and ``pipeline``, ``params.yaml`` and
``data/prepared/train.npz``, a plain file of NumPy that ``dvc repro prepare`` makes. It needs
neither DVC nor Git. Ours needs TensorFlow, and runs on the CPU with two threads per process. An
author's recipe runs on TensorFlow, or with ``KERAS_BACKEND=jax`` on JAX, and on a GPU if JAX finds
one. Then these packages are enough: keras, jax, numpy, pandas, pydantic, ruamel.yaml, filelock,
rich, pillow. Bring ``runs.csv`` and ``moved.csv`` back in a folder, and name it after ``--add``:
rows that are missing here, or stale, are taken over. What ``.training`` holds may travel, too: an
interrupted run then continues where a machine of the same kind trains it. Bring rows back before
the copy of ``comparison`` on the other machine is renewed.

**Times.** Minutes are estimated from a finished run of the same network and recipe on this
machine, else from ``speeds.csv``, of one core of machine A in ``docs/results.md``. A row says
``upper_bound`` if the machine had other work meanwhile.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import get_args

from comparison import backends, estimates, settings, table
from comparison.fingerprints import hash_data
from comparison.references import Whose
from comparison.runs import OURS, Run, Selection, list_runs
from comparison.settings import MOVED, RUNS, Settings
from comparison.work import Worker
from pipeline import parallel, stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.errors import ArtifactError, ParamsError, PipelineError, exit_status
from pipeline.progress import print_line

THREADS = 2
"""Of a process on the CPU."""


def main() -> None:
    """Entry point of the command, and of the stage."""
    parser = _make_parser()
    arguments = parser.parse_args()
    if arguments.jobs is not None and arguments.jobs < 1:
        parser.error(f"argument --jobs: expected 1 or more, found {arguments.jobs}")
    chosen = settings.load()
    if arguments.add:
        take_over(arguments.add)
        return
    backend = backends.choose()
    if arguments.list:
        found = load_data() if stages.TRAIN.exists() else None
        runs = select(chosen, arguments, backend, found)
        print_list(runs, found, backends.name_machine())
        return
    data = load_data()
    runs = select(chosen, arguments, backend, data)
    if backend == "tensorflow":
        backends.use_threads(THREADS)
    worker = Worker(data, hash_data(data), chosen)
    if arguments.ahead:
        parallel.end_with_helped()
        with suppress(PipelineError, OSError):  # the process that started this one says it
            worker.train_ahead(runs)
        return
    train_side_by_side(worker, runs, arguments.jobs or default_jobs(backend))


def default_jobs(backend: str) -> int:
    """Runs side by side: one for two processors; on JAX, which may use a GPU, one."""
    return 1 if backend == "jax" else max(1, parallel.count_processors() // THREADS)


def train_side_by_side(worker: Worker, runs: Sequence[Run], jobs: int) -> None:
    """Train what is missing, in this process and in others that do the same."""
    missing = worker.count_missing(runs)
    command = ["-m", "comparison.train", *sys.argv[1:], "--ahead"]
    helpers = max(0, min(jobs, missing) - 1)
    with parallel.helper_processes(command, helpers, print_line=print_line):
        worker.train_all(runs)
    print_line(f"{len(runs)} runs are in {RUNS}; {missing} of them were missing")


def load_data() -> TrainingDigits:
    """The prepared digits.

    Raises:
        ArtifactError: they are missing or damaged.
    """
    return dataset.load_training(stages.TRAIN)


def select(
    chosen: Settings, arguments: argparse.Namespace, backend: str, data: TrainingDigits | None
) -> list[Run]:
    """The runs that the command line asks for, the most useful ones first.

    Raises:
        ParamsError: there are no such runs, or not with these data or this library.
    """
    recipes: list[Whose] = arguments.recipes
    if backend == "jax":
        if not set(OURS).isdisjoint(recipes):
            raise ParamsError(
                "Our recipe needs TensorFlow, and KERAS_BACKEND is jax: expected --recipe author. "
                "Nothing was run."
            )
        recipes = ["author"]
    selection = Selection(
        arguments.networks, recipes, arguments.fractions, arguments.folds, arguments.seeds
    )
    speeds = estimates.read_speeds()
    runs = list_runs(chosen, selection, lambda run: estimates.documented_minutes(run, speeds))
    highest = max(run.fold for run in runs)
    if data is not None and highest > data.folds.max():
        raise ParamsError(
            f"There is no fold {highest}: expected one of 0 to {data.folds.max()}. Nothing was run."
        )
    return runs


def print_list(runs: Sequence[Run], data: TrainingDigits | None, machine: str) -> None:
    """Show what is missing, in the order in which it would be trained."""
    rows, speeds = table.read(), estimates.read_speeds()
    digest = hash_data(data) if data else None
    total, missing = 0.0, 0
    print(f"{'network':28}{'recipe':9}{'rows':>6}{'fold':>6}{'seed':>6}{'minutes':>9}  why")
    for run in runs:
        why = table.explain_missing(run, rows, digest)
        if not why:
            continue
        num_rows = int((data.folds != run.fold).sum()) if data else estimates.NUM_ROWS
        minutes = estimates.estimate_minutes(run, rows, speeds, machine=machine, num_rows=num_rows)
        missing, total = missing + 1, total + (minutes or 0.0)
        print(
            f"{run.network:28}{run.recipe:9}{run.fraction:>6.0%}{run.fold:>6}{run.seed:>6}"
            f"{'?' if minutes is None else f'{minutes:.1f}':>9}  {why}"
        )
    print(
        f"{missing} of {len(runs)} runs are missing: about {total / 60:.1f} hours, one after "
        "another."
    )


def take_over(folder: Path) -> None:
    """Add the rows of another machine that are missing here, or stale.

    Raises:
        ArtifactError: there are none in the folder, or they are damaged or of other data.
    """
    path = folder / RUNS.name
    if not path.exists():
        raise ArtifactError(f"{path} is missing: expected the rows of another machine.")
    here, there = table.read(), table.read(path)
    digest = hash_data(load_data()) if stages.TRAIN.exists() else None
    known = {row.data for row in here.values()} | ({digest} if digest else set())
    others = [run.name for run, row in there.items() if known and row.data not in known]
    if others:
        raise ArtifactError(
            f"{path} has rows of other data: {others[0]} and {len(others) - 1} more. Expected "
            "those that were prepared here. Nothing was added."
        )
    stale = {run for run in there if table.explain_missing(run, there, digest)}
    wanted = [
        row
        for run, row in there.items()
        if run not in stale and table.explain_missing(run, here, digest)
    ]
    runs = {row.run for row in wanted}
    movements = table.read_movements(folder / MOVED.name)
    table.add(wanted, [movement for movement in movements if movement.run in runs])
    print(f"{len(wanted)} of {len(there)} rows were added; stale there: {len(stale)}")


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m comparison.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="show what is missing, train nothing")
    for name, kind, several in (
        ("network", str, "networks of comparison/params.yaml"),
        ("recipe", str, "author, ours, plain"),
        ("fraction", float, "of the training rows"),
        ("fold", int, "that scores the network"),
        ("seed", int, "of the run"),
    ):
        parser.add_argument(
            f"--{name}",
            dest=f"{name}s",
            nargs="+",
            type=kind,
            default=[],
            choices=get_args(Whose) if name == "recipe" else None,
            help=several,
        )
    parser.add_argument("--jobs", type=int, help="runs that are trained side by side")
    parser.add_argument("--add", type=Path, metavar="FOLDER", help="take over its rows")
    parser.add_argument("--ahead", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(exit_status(main))
