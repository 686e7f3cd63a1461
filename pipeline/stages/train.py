"""Train one member: a network that never sees the images of its fold.

Two networks side by side, each with one thread, are done sooner than one after the other with two.
DVC runs one stage at a time, so the stage of one member has the other cores train other members,
into the states that interrupted runs leave; their own stages continue from there.
"""

import argparse
import hashlib
import json
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from pipeline import architectures, parallel, params, progress, stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.data.folds import split_for_stopping
from pipeline.data.preprocessing import preprocess
from pipeline.errors import PipelineError
from pipeline.files import atomic_path, read_json, sha256, write_json
from pipeline.networks.backend import keras, make_repeatable, tf, use_threads
from pipeline.networks.trained import save_model
from pipeline.params import Member, Params
from pipeline.training import loop as training
from pipeline.training.augmentation import Warp
from pipeline.training.fast_layers import choose_compute_dtype
from pipeline.training.loop import Recipe, count_parts
from pipeline.training.state import TrainingState, training_lock

STATES = stages.MODELS / ".training"
"""Where interrupted runs wait to be continued; DVC does not know it."""

CODE = (
    "stages/train.py",
    "training/loop.py",
    "training/state.py",
    "training/fast_layers.py",
    "architectures/_blocks.py",
    "training/augmentation.py",
    "data/folds.py",
    "data/preprocessing.py",
)
"""What shapes a network besides its architecture; dvc.yaml names the same files."""

_MACHINE = ("versions", "cpu", "threads", "compute_dtype")
"""Conditions that DVC does not know, so that it does not train anew when they change."""


def main() -> None:
    """Entry point of the stage."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.stages.train", description=__doc__)
    parser.add_argument(
        "member", help="FOLD-SEED-ARCHITECTURE-PREPROCESSING, as params.yaml lists them"
    )
    parser.add_argument(
        "--ahead", action="store_true", help="train the others instead, until standard input ends"
    )
    arguments = parser.parse_args()
    settings = params.load()
    members = {member.name: member for member in settings.ensemble.members()}
    name = arguments.member
    if name not in members:
        parser.error(f"{name!r} is no member; params.yaml lists {'; '.join(members)}")
    place = list(members).index(name)
    others = [*members.values()][place + 1 :] + [*members.values()][:place]
    limit_threads(settings)
    if arguments.ahead:
        parallel.end_with_helped()
        with suppress(PipelineError, OSError):  # its own stage will say what is wrong
            train_ahead(others, settings)
        return
    left = [each for each in others if not _is_current(each, settings)]
    free = parallel.count_processors() // count_threads(settings) - 1
    command = ["-m", "pipeline.stages.train", name, "--ahead"]
    with parallel.helper_processes(command, min(free, len(left)), say=progress.print_line):
        train(members[name], settings)


def train_ahead(members: Sequence[Member], settings: Params) -> None:
    """Fit members, as far as no other process does, for their own stages to take over."""
    data = dataset.load_training(stages.TRAIN)
    conditions = [describe_conditions(member, settings) for member in members]  # as in `train`
    for member, state_path in zip(members, map(_state_path, members, conditions), strict=True):
        try:
            with FileLock(_lock_path(member), timeout=0):
                state = TrainingState.load(state_path)
                if not (state.finished or _is_current(member, settings)):
                    fit(member, settings, data, state_path)
        except Timeout:
            continue


def train(member: Member, settings: Params) -> None:
    """Fit a member, from where an interrupted run left it, and write ``models/<member>/``."""
    data = dataset.load_training(stages.TRAIN)
    conditions = describe_conditions(member, settings)  # before the fit: files may change meanwhile
    state_path = _state_path(member, conditions)
    fitted, stopping = select_rows(member, settings, data)
    with training_lock(_lock_path(member), member.name):
        model, state = fit(member, settings, data, state_path)
        record = {
            "member": asdict(member),
            "provenance": asdict(data.provenance),
            "preprocessing": member.forms,
            "epochs": len(state.history),
            "kept_epoch": state.kept_epoch,
            "fitted_images": len(fitted),
            "stopping_images": len(stopping),
            "parameters": model.count_params(),
            "training_seconds": round(sum(row["seconds"] for row in state.history), 1),
            "conditions": conditions,
        }
        with atomic_path(stages.MODELS / member.name) as folder:
            save_model(model, folder / "model.keras")
            pd.DataFrame(state.history).to_csv(folder / "history.csv", index=False)
            write_json(folder / "member.json", record)
        discard_states(member, keep=state_path)
    print(
        f"{member.name}: weights of epoch {record['kept_epoch']} of {record['epochs']}, "
        f"after {record['training_seconds']:.0f} s of training"
    )


def fit(
    member: Member, settings: Params, data: TrainingDigits, state_path: Path
) -> tuple[keras.Model, TrainingState]:
    """Fit a member, from where an interrupted run left it; the caller holds its lock."""
    fitted, stopping = select_rows(member, settings, data)
    images = np.stack([preprocess(data.images, steps) for steps in member.forms])
    label = name_stage(member, settings)
    compute_dtype = choose_compute_dtype(settings.train.compute_dtype)
    progress.print_line(
        f"{label} is {member.architecture}, {member.preprocessing}; it trains in {compute_dtype}"
    )
    seed = derive_seed(member, settings.seed)
    make_repeatable(seed)
    model = architectures.build(member.architecture)
    state = training.fit(
        model,
        images[:, fitted],
        data.labels[fitted],
        stopping=(images[:, stopping], data.labels[stopping]) if stopping.size else None,
        recipe=make_recipe(member, settings),
        compute_dtype=compute_dtype,
        num_parts=count_parts(settings.train.batch_size, count_threads(settings)),
        seed=seed,
        state_path=state_path,
        name=label,
    )
    return model, state


def name_stage(member: Member, settings: Params) -> str:
    """What follows ``train@`` in DVC's name of the member's stage; shorter than its own."""
    networks = [
        (network.architecture, network.preprocessing) for network in settings.ensemble.networks
    ]
    place = networks.index((member.architecture, member.preprocessing))
    return f"{member.fold}-{member.seed}-network{place}"


def _lock_path(member: Member) -> Path:
    STATES.mkdir(parents=True, exist_ok=True)
    return STATES / f"{member.name}.lock"


def _state_path(member: Member, conditions: dict[str, Any]) -> Path:
    fingerprint = hashlib.sha256(json.dumps(conditions).encode()).hexdigest()[:16]
    return STATES / f"{member.name}.{fingerprint}.npz"


def _is_current(member: Member, settings: Params) -> bool:
    """Whether DVC has no reason to train it anew."""
    record = stages.MODELS / member.name / "member.json"
    if not (record.exists() and stages.TRAIN.exists()):
        return False
    ours, theirs = describe_conditions(member, settings), read_json(record)["conditions"]
    return all(ours[name] == theirs.get(name) for name in ours if name not in _MACHINE)


def make_recipe(member: Member, settings: Params) -> Recipe:
    """How params.yaml says that a member is fitted."""
    chosen = settings.train
    return Recipe(
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        max_epochs=chosen.all_rows_epochs if member.fold == "all" else chosen.max_epochs,
        warmup_epochs=chosen.warmup_epochs,
        patience_epochs=chosen.patience_epochs,
        anneal_epochs=chosen.anneal_epochs,
        pruned_fraction=chosen.pruned_fraction,
        warp=Warp(**settings.augmentation.model_dump()),
    )


def derive_seed(member: Member, seed: int) -> int:
    """The member's own seed, a 32-bit integer, from the one in params.yaml."""
    fold = [0] if member.fold == "all" else [1, member.fold]
    network = f"{member.architecture}-{member.preprocessing}"
    entropy = [seed, member.seed, crc32(network.encode()), *fold]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def select_rows(
    member: Member, settings: Params, data: TrainingDigits
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows to fit and the rows that decide when to stop; none of them in the member's fold."""
    if member.fold == "all":
        return np.arange(len(data.labels)), np.empty(0, dtype=np.intp)
    rows = np.flatnonzero(data.folds != member.fold)
    if settings.train.stopping_fraction == 0:
        return rows, np.empty(0, dtype=np.intp)
    return split_for_stopping(
        data.labels,
        rows,
        fraction=settings.train.stopping_fraction,
        seed=derive_seed(member, settings.seed),
    )


def describe_conditions(member: Member, settings: Params) -> dict[str, Any]:
    """Everything that the trained weights follow from, bit for bit."""
    package = Path(__file__).parent.parent
    code = (*CODE, f"architectures/{member.architecture}.py")
    idle = {"max_epochs", "patience_epochs", "stopping_fraction"}
    return {
        "seed": settings.seed,
        "train": settings.train.model_dump(
            exclude=idle if member.fold == "all" else {"all_rows_epochs"}
        ),
        "augmentation": settings.augmentation.model_dump(),
        "preprocessing": member.forms,
        "data_sha256": sha256(stages.TRAIN),
        "code_sha256": {name: sha256(package / name) for name in code},
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
        "cpu": _cpu_model(),
        "threads": count_threads(settings),
        "compute_dtype": choose_compute_dtype(settings.train.compute_dtype),
    }


def discard_states(member: Member, *, keep: Path) -> None:
    """Delete what earlier runs of this member, under other conditions, left to be continued.

    The state at ``keep`` stays: if DVC was ended before it noted this run, the next one needs it.
    """
    unfinished = STATES.glob(f".{member.name}.*.partial.npz")  # of processes that were killed
    for path in (*STATES.glob(f"{member.name}.*.npz"), *unfinished):
        if path != keep:
            path.unlink()


def limit_threads(settings: Params) -> None:
    """Leave TensorFlow the threads of one network; before its first operation only."""
    threads = count_threads(settings)
    use_threads(threads, count_parts(settings.train.batch_size, threads))


def count_threads(settings: Params) -> int:
    """Threads of each network: one, or more where there are several processors for each."""
    return max(1, parallel.count_processors() // len(settings.ensemble.members()))


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    stages.run(main)
