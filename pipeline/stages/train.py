"""Train one member: a network that never sees the images of its fold.

Two networks side by side, each with one thread, are done sooner than one after the other with two.
DVC runs one stage at a time, so the stage of one member has the other cores train those that come
next, into the states that interrupted runs leave; their own stages continue from there.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
from _thread import interrupt_main
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from pipeline import architectures, digits, params, stages, training
from pipeline.augmentation import Warp
from pipeline.backend import keras, make_repeatable, tf, use_threads
from pipeline.digits import TrainingDigits
from pipeline.errors import PipelineError
from pipeline.files import read_json, replacing, sha256, write_json
from pipeline.folds import split_for_stopping
from pipeline.inference import save_model
from pipeline.params import Member, Params
from pipeline.preprocessing import preprocess
from pipeline.training import Recipe
from pipeline.training_state import TrainingState, held

STATES = stages.MODELS / ".training"
"""Where interrupted runs wait to be continued; DVC does not know it."""

CODE = (
    "stages/train.py",
    "training.py",
    "training_state.py",
    "architectures/_blocks.py",
    "augmentation.py",
    "folds.py",
    "preprocessing.py",
)
"""What shapes a network besides its architecture; dvc.yaml names the same files."""

_MACHINE = ("versions", "cpu", "threads")
"""Conditions that DVC does not know, so that it does not train anew when they change."""


def main() -> None:
    """Entry point of the stage."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.stages.train", description=__doc__)
    parser.add_argument(
        "member", help="FOLD-SEED-ARCHITECTURE-PREPROCESSING, as params.yaml lists them"
    )
    parser.add_argument(
        "--ahead", action="store_true", help="train those after it, until standard input ends"
    )
    arguments = parser.parse_args()
    settings = params.load()
    members = settings.ensemble.members()
    names = [member.name for member in members]
    if arguments.member not in names:
        parser.error(f"{arguments.member!r} is no member; params.yaml lists {', '.join(names)}")
    place = names.index(arguments.member)
    use_threads(count_threads(settings))
    if arguments.ahead:
        Thread(target=_interrupt_at_end_of_input, daemon=True).start()
        with suppress(KeyboardInterrupt, PipelineError):  # its own stage will say what is wrong
            train_ahead(members[place + 1 :], settings)
        return
    others = min(_num_processors() // count_threads(settings), len(members) - place) - 1
    with helped(arguments.member, others):
        train(members[place], settings)


@contextmanager
def helped(name: str, processes: int) -> Iterator[None]:
    """Meanwhile, have other processes train the members after ``name``; end them with the block.

    They end as well if this process is killed: their standard input ends then.
    """
    command = [sys.executable, "-m", "pipeline.stages.train", name, "--ahead"]
    helpers = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for this process alone
        )
        for _ in range(processes)
    ]
    relays = [Thread(target=_relay, args=[helper]) for helper in helpers]
    for relay in relays:
        relay.start()
    try:
        yield
    finally:
        for helper, relay in zip(helpers, relays, strict=True):
            if helper.stdin:
                helper.stdin.close()
            helper.wait()
            relay.join()


def _relay(helper: subprocess.Popen[str]) -> None:
    for line in helper.stdout or ():
        training.say(line.rstrip())


def _interrupt_at_end_of_input() -> None:
    os.read(sys.stdin.fileno(), 1)  # sys.stdin itself would still be busy when Python ends
    interrupt_main()


def train_ahead(members: Sequence[Member], settings: Params) -> None:
    """Fit members, as far as no other process does, for their own stages to take over."""
    data = digits.load_training(stages.TRAIN)
    for member in members:
        try:
            with FileLock(_lock_path(member), timeout=0):
                if not _is_trained(member, settings):
                    fit(member, settings, data)
        except Timeout:
            continue


def train(member: Member, settings: Params) -> None:
    """Fit a member, from where an interrupted run left it, and write ``models/<member>/``."""
    data = digits.load_training(stages.TRAIN)
    fitted, stopping = select_rows(member, settings, data)
    with held(_lock_path(member), member.name):
        model, state = fit(member, settings, data)
        record = {
            "member": asdict(member),
            "provenance": asdict(data.provenance),
            "preprocessing": member.steps,
            "epochs": len(state.history),
            "kept_epoch": state.kept_epoch,
            "fitted_images": len(fitted),
            "stopping_images": len(stopping),
            "parameters": model.count_params(),
            "training_seconds": round(sum(row["seconds"] for row in state.history), 1),
            "conditions": describe_conditions(member, settings),
        }
        with replacing(stages.MODELS / member.name) as folder:
            save_model(model, folder / "model.keras")
            pd.DataFrame(state.history).to_csv(folder / "history.csv", index=False)
            write_json(folder / "member.json", record)
        discard_states(member, keep=_state_path(member, settings))
    print(
        f"{member.name}: weights of epoch {record['kept_epoch']} of {record['epochs']}, "
        f"after {record['training_seconds']:.0f} s of training"
    )


def fit(
    member: Member, settings: Params, data: TrainingDigits
) -> tuple[keras.Model, TrainingState]:
    """Fit a member, from where an interrupted run left it; the caller holds its lock."""
    fitted, stopping = select_rows(member, settings, data)
    images = preprocess(data.images, member.steps)
    seed = derive_seed(member, settings.seed)
    make_repeatable(seed)
    model = architectures.build(member.architecture)
    state = training.fit(
        model,
        images[fitted],
        data.labels[fitted],
        stopping=(images[stopping], data.labels[stopping]) if stopping.size else None,
        recipe=make_recipe(member, settings),
        seed=seed,
        state_path=_state_path(member, settings),
        name=member.name,
    )
    return model, state


def _lock_path(member: Member) -> Path:
    STATES.mkdir(parents=True, exist_ok=True)
    return STATES / f"{member.name}.lock"


def _state_path(member: Member, settings: Params) -> Path:
    conditions = json.dumps(describe_conditions(member, settings))
    fingerprint = hashlib.sha256(conditions.encode()).hexdigest()[:16]
    return STATES / f"{member.name}.{fingerprint}.npz"


def _is_trained(member: Member, settings: Params) -> bool:
    """Whether DVC has no reason to train it, or finds that done."""
    record = stages.MODELS / member.name / "member.json"
    if record.exists():
        ours, theirs = describe_conditions(member, settings), read_json(record)["conditions"]
        if all(ours[name] == theirs.get(name) for name in ours if name not in _MACHINE):
            return True
    return TrainingState.load(_state_path(member, settings)).finished


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
        "preprocessing": member.steps,
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
    }


def discard_states(member: Member, *, keep: Path) -> None:
    """Delete what earlier runs of this member, under other conditions, left to be continued.

    The state at ``keep`` stays: if DVC was ended before it noted this run, the next one needs it.
    """
    for path in STATES.glob(f"{member.name}.*.npz"):
        if path != keep:
            path.unlink()


def count_threads(settings: Params) -> int:
    """How many threads train each network, so that all processors have something to do."""
    return max(1, _num_processors() // len(settings.ensemble.members()))


def _num_processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    stages.run(main)
