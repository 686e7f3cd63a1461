"""Train one member: a network that never sees the images of its fold.

Two networks side by side, each with one thread, are done sooner than one after the other with two.
DVC runs one stage at a time, so the stage of one member has the other cores train other members,
into the states that interrupted runs leave; their own stages continue from there.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from pipeline import architectures, parallel, params, progress, stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.data.folds import split_validation
from pipeline.data.preprocessing import preprocess
from pipeline.errors import ArtifactError, PipelineError
from pipeline.files import atomic_path, sha256
from pipeline.networks.backend import (
    choose_compute_dtype,
    describe_backend,
    keras,
    make_repeatable,
    use_threads,
)
from pipeline.networks.definition import hash_code
from pipeline.networks.record import Conditions, MemberRecord, read_record, write_record
from pipeline.networks.trained import save_model
from pipeline.params import Member, Params
from pipeline.progress import EpochDisplay
from pipeline.training import loop
from pipeline.training.augmentation import WarpLimits
from pipeline.training.recipe import Recipe
from pipeline.training.state import TrainingState, training_lock

STATES = stages.MODELS / ".training"
"""Where interrupted runs wait to be continued; DVC does not know it."""

CODE = (
    "architectures/_blocks.py",
    "data/folds.py",
    "data/preprocessing.py",
    "stages/train.py",
    "training",
)
"""Files and folders that shape every network; dvc.yaml names the same."""

_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Rows:
    """Rows of the training data, none of them in the member's fold.

    Attributes:
        training: ``(n,)``, to fit.
        validation: ``(m,)``, to decide when the learning rate falls; may be empty.
    """

    training: NDArray[np.intp]
    validation: NDArray[np.intp]


@dataclass(frozen=True)
class Task:
    """A member, and everything that its weights follow from."""

    member: Member
    settings: Params
    conditions: Conditions

    @property
    def folder(self) -> Path:
        """Where the trained member lies."""
        return stages.MODELS / self.member.name

    @property
    def lock(self) -> Path:
        """Whoever trains the member holds it."""
        STATES.mkdir(parents=True, exist_ok=True)
        return STATES / f"{self.member.name}.lock"

    @property
    def state(self) -> Path:
        """Where an interrupted run waits to be continued."""
        content = json.dumps(asdict(self.conditions), sort_keys=True)
        fingerprint = hashlib.sha256(content.encode()).hexdigest()[:16]
        return STATES / f"{self.member.name}.{fingerprint}.npz"

    @property
    def is_current(self) -> bool:
        """Whether DVC has no reason to train the member again."""
        try:
            trained = read_record(self.folder).conditions
        except ArtifactError:
            return False
        return trained.ask_for_the_same(self.conditions)


def main() -> None:
    """Entry point of the stage."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.stages.train", description=__doc__)
    parser.add_argument("member", help="FOLD-SEED-NETWORK, as params.yaml lists them")
    parser.add_argument(
        "--ahead", action="store_true", help="train the others instead, until standard input ends"
    )
    parser.add_argument("--threads", type=int, help="at most so many operations side by side")
    arguments = parser.parse_args()
    settings = params.load()
    tasks = {task.member.name: task for task in list_tasks(settings)}
    name = arguments.member
    if name not in tasks:
        parser.error(f"{name!r} is no member; params.yaml lists {', '.join(tasks)}")
    place = list(tasks).index(name)
    others = [*tasks.values()][place + 1 :] + [*tasks.values()][:place]
    if arguments.ahead:
        use_threads(arguments.threads)
        parallel.end_with_helped()
        with suppress(PipelineError, OSError):  # its own stage will say what is wrong
            train_ahead(others)
        return
    waiting = 1 + sum(not task.is_current for task in others)
    helpers, threads = share_processors(parallel.count_processors(), waiting, settings)
    use_threads(threads)
    command = ["-m", "pipeline.stages.train", name, "--ahead", "--threads", str(threads)]
    with parallel.helper_processes(command, helpers, print_line=progress.print_line):
        train(tasks[name], threads)


def share_processors(processors: int, waiting: int, settings: Params) -> tuple[int, int]:
    """How many helper processes run while ``waiting`` members are to be trained, and the threads of
    each process: speed depends on both, weights on neither."""
    processes = min(processors, waiting)
    return processes - 1, min(settings.train.batch_parts, processors // processes)


def list_tasks(settings: Params) -> list[Task]:
    """All members, in the order of params.yaml; the data and the code are hashed once."""
    data_sha256 = sha256(stages.TRAIN) if stages.TRAIN.exists() else ""
    shared_code = hash_shared_code()
    return [
        Task(member, settings, describe_conditions(member, settings, data_sha256, shared_code))
        for member in settings.members()
    ]


def train_ahead(tasks: Sequence[Task]) -> None:
    """Fit members, as far as no other process does, for their own stages to take over."""
    data = dataset.load_training(stages.TRAIN)
    for task in tasks:
        with suppress(Timeout), FileLock(task.lock, timeout=0):
            if not (TrainingState.load(task.state).finished or task.is_current):
                fit(task, data, select_rows(task, data))


def train(task: Task, threads: int) -> None:
    """Fit a member, from where an interrupted run left it, and write ``models/<member>/``."""
    data = dataset.load_training(stages.TRAIN)
    rows = select_rows(task, data)
    member = task.member
    with training_lock(task.lock, member.name):
        model, state = fit(task, data, rows)
        record = MemberRecord(
            fold=member.fold,
            seed=member.seed,
            network=member.network,
            architecture=member.architecture,
            preprocessing=task.conditions.preprocessing,
            provenance=data.provenance,
            parameters=model.count_params(),
            epochs=len(state.history),
            best_epoch=state.best_epoch,
            training_images=len(rows.training),
            validation_images=len(rows.validation),
            training_seconds=round(sum(row["seconds"] for row in state.history), 1),
            threads=threads,
            conditions=task.conditions,
        )
        with atomic_path(task.folder) as folder:
            save_model(model, folder / "model.keras")
            pd.DataFrame(state.history).to_csv(folder / "history.csv", index=False)
            write_record(folder, record)
        discard_states(member, keep=task.state)
    print(
        f"{member.name}: weights of epoch {record.best_epoch} of {record.epochs}, after "
        f"{record.training_seconds:.0f} s of training"
    )


def fit(task: Task, data: TrainingDigits, rows: Rows) -> tuple[keras.Model, TrainingState]:
    """Fit a member, from where an interrupted run left it; the caller holds its lock."""
    member, settings = task.member, task.settings
    images = np.stack([preprocess(data.images, view) for view in member.views])
    compute_dtype = choose_compute_dtype(settings.train.compute_dtype)
    recipe = make_recipe(member, settings)
    progress.print_line(f"{member.name}: {member.architecture} in {compute_dtype}")
    seed = derive_seed(member, settings.seed)
    make_repeatable(seed)
    model = architectures.build(member.architecture)
    validation = images[:, rows.validation], data.labels[rows.validation]
    state = loop.fit(
        model,
        images[:, rows.training],
        data.labels[rows.training],
        validation=validation if rows.validation.size else None,
        recipe=recipe,
        compute_dtype=compute_dtype,
        seed=seed,
        state_path=task.state,
        show=lambda finished: EpochDisplay(member.name, recipe.max_epochs, finished),
    )
    return model, state


def make_recipe(member: Member, settings: Params) -> Recipe:
    """How params.yaml says that a member is fitted."""
    train = settings.train
    return Recipe(
        batch_size=train.batch_size,
        batch_parts=train.batch_parts,
        learning_rate=train.learning_rate,
        max_epochs=train.all_rows_epochs if member.fold == "all" else train.max_epochs,
        warmup_epochs=train.warmup_epochs,
        patience_epochs=train.patience_epochs,
        decay_epochs=train.decay_epochs,
        pruned_fraction=train.pruned_fraction,
        warp=WarpLimits(**settings.augmentation.model_dump()),
    )


def derive_seed(member: Member, seed: int) -> int:
    """The member's own seed, a 32-bit integer, from the one in params.yaml.

    What a network is decides on it, and not its name.
    """
    fold = [0] if member.fold == "all" else [1, member.fold]
    views = ",".join("+".join(view) or "plain" for view in member.views)
    entropy = [seed, member.seed, crc32(f"{member.architecture}-{views}".encode()), *fold]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def select_rows(task: Task, data: TrainingDigits) -> Rows:
    """The rows to fit and those of the validation set; none of them in the member's fold."""
    member, fraction = task.member, task.settings.train.validation_fraction
    if member.fold == "all":
        return Rows(np.arange(len(data.labels)), np.empty(0, dtype=np.intp))
    rows = np.flatnonzero(data.folds != member.fold)
    if fraction == 0:
        return Rows(rows, np.empty(0, dtype=np.intp))
    seed = derive_seed(member, task.settings.seed)
    return Rows(*split_validation(data.labels, rows, fraction=fraction, seed=seed))


def describe_conditions(
    member: Member, settings: Params, data_sha256: str, shared_code: dict[str, str]
) -> Conditions:
    """Everything that the trained weights follow from, bit for bit."""
    unused = {"max_epochs", "patience_epochs", "validation_fraction"}
    network = settings.networks[member.network]
    compute_dtype = choose_compute_dtype(settings.train.compute_dtype)
    return Conditions(
        seed=settings.seed,
        train=settings.train.model_dump(
            exclude=unused if member.fold == "all" else {"all_rows_epochs"}
        ),
        augmentation=settings.augmentation.model_dump(),
        architecture=member.architecture,
        preprocessing=network.preprocessing,
        data_sha256=data_sha256,
        code_sha256=shared_code | hash_code(network),
        machine=describe_backend() | {"compute_dtype": compute_dtype},
    )


def hash_shared_code() -> dict[str, str]:
    """SHA-256 of each file that shapes every network, by its path in the package."""
    paths = [
        path
        for name in CODE
        for path in (
            [_PACKAGE / name] if name.endswith(".py") else sorted((_PACKAGE / name).glob("*.py"))
        )
    ]
    return {path.relative_to(_PACKAGE).as_posix(): sha256(path) for path in paths}


def discard_states(member: Member, *, keep: Path) -> None:
    """Delete what earlier runs of this member, under other conditions, left to be continued.

    The state at ``keep`` stays: if DVC was ended before it noted this run, the next one needs it.
    """
    unfinished = STATES.glob(f".{member.name}.*.partial.npz")  # of processes that were killed
    for path in (*STATES.glob(f"{member.name}.*.npz"), *unfinished):
        if path != keep:
            path.unlink()


if __name__ == "__main__":
    stages.run(main)
