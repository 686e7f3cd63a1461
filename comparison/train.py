"""Train one architecture by its author's recipe and by ours, from each seed; read the fold once.

Each core has a process that does one run after another with a single thread: batches are small, and
two runs side by side are done sooner than one after the other with two threads each. Killed at any
moment, it continues: finished runs are left as they are, and interrupted ones go on after their
last finished epoch.
"""

import argparse
import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from comparison import recipes, settings
from comparison.recipes import Plan, Whose
from comparison.references import REFERENCES
from comparison.settings import RUNS, STATES, Settings
from pipeline import architectures, parallel, params, profiles, progress, stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.data.folds import split_for_stopping
from pipeline.errors import ParamsError, exit_status
from pipeline.files import atomic_path, read_json, sha256, write_json
from pipeline.networks.backend import keras, make_repeatable, tf, use_threads
from pipeline.networks.summary import tabulate_layers
from pipeline.networks.trained import TrainedNetwork, predict_probabilities, save_model
from pipeline.params import PLAIN, Augmentation, Member, Params, Train
from pipeline.stages.train import CODE, derive_seed, make_recipe
from pipeline.training import loop as training
from pipeline.training.fast_layers import ComputeDtype, choose_compute_dtype
from pipeline.training.state import training_lock


@dataclass(frozen=True)
class Run:
    """One network to fit.

    Attributes:
        whose: recipe.
        member: what is fitted, and which fold judges it.
        plan: how.
        seed: of its weights, batches and warps.
        multiply_adds: of the network, for one image.
        conditions: everything that the trained weights follow from.
    """

    whose: Whose
    member: Member
    plan: Plan
    seed: int
    multiply_adds: int
    conditions: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.member.architecture}-{self.whose}-{self.member.seed}"

    @property
    def folder(self) -> Path:
        """Where it ends: the model, its history, ``member.json`` as the train stage's, and
        ``predictions.npz``: uint8 ``labels`` and ``predicted`` ``(n,)`` of the fold, in its order.
        """
        return RUNS / self.member.architecture / f"{self.whose}-{self.member.seed}"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(self.conditions).encode()).hexdigest()[:16]

    @property
    def lock(self) -> Path:
        return STATES / f"{self.name}.lock"

    @property
    def is_finished(self) -> bool:
        record = self.folder / "member.json"
        return record.exists() and read_json(record)["fingerprint"] == self.fingerprint


def main() -> None:
    """Entry point of the stage."""
    parser = argparse.ArgumentParser(prog="python -m comparison.train", description=__doc__)
    parser.add_argument("architecture", choices=list(architectures.ARCHITECTURES))
    parser.add_argument(
        "--helping",
        action="store_true",
        help="do what no other process does, until standard input ends",
    )
    arguments = parser.parse_args()
    use_threads(1)
    data = dataset.load_training(stages.TRAIN)
    runs = list_runs(arguments.architecture, settings.load(), data)
    if arguments.helping:
        parallel.end_with_helped()
        fit_free(runs, data)
        return
    left = sum(not run.is_finished for run in runs)
    command = ["-m", "comparison.train", arguments.architecture, "--helping"]
    processes = min(parallel.count_processors(), left) - 1
    with parallel.helper_processes(command, processes, say=progress.print_line):
        fit_free(runs, data)
        fit_all(runs, data)


def list_runs(architecture: str, chosen: Settings, data: TrainingDigits) -> list[Run]:
    """All runs of an architecture, finished or not."""
    if not (data.folds == chosen.fold).any():
        raise ParamsError(
            f"comparison/params.yaml is not usable: fold: expected one of 0 to {data.folds.max()}, "
            f"found {chosen.fold}. Nothing was run."
        )
    defaults = read_defaults()
    compute_dtype = choose_compute_dtype(defaults.train.compute_dtype)
    num_rows = int((data.folds != chosen.fold).sum())
    layers = tabulate_layers(architectures.build(architecture))
    multiply_adds = int(layers["multiply_adds"].sum())
    whose: list[Whose] = ["author", "ours"] if architecture in REFERENCES else ["ours"]
    runs = []
    for recipe in whose:
        for number in chosen.seeds:
            member = Member(chosen.fold, number, architecture, PLAIN)
            seed = derive_seed(member, defaults.seed)
            plan = make_plan(recipe, member, multiply_adds, num_rows, chosen, defaults)
            conditions = describe_conditions(plan, member, seed, compute_dtype)
            runs.append(Run(recipe, member, plan, seed, multiply_adds, conditions))
    return runs


def fit_free(runs: Sequence[Run], data: TrainingDigits) -> None:
    """Fit what is neither finished nor being fitted by another process."""
    for run in runs:
        run.lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(run.lock, timeout=0):
                fit(run, data)
        except Timeout:
            continue


def fit_all(runs: Sequence[Run], data: TrainingDigits) -> None:
    """Fit what is left, waiting for what other processes do, and say how each run ended."""
    for run in runs:
        with training_lock(run.lock, run.name):
            fit(run, data)
        record = read_json(run.folder / "member.json")
        print(
            f"{run.name}: {record['right']:,} of {record['judged_images']:,} right after "
            f"{record['epochs']} epochs and {record['training_seconds']:.0f} s of training",
            flush=True,
        )


def fit(run: Run, data: TrainingDigits) -> None:
    """Fit one network, from where an interrupted run left it, unless that is done already."""
    if run.is_finished:
        discard_states(run.name)
        return
    member, plan = run.member, run.plan
    make_repeatable(run.seed)
    model = architectures.build(member.architecture)
    images = data.images[np.newaxis]
    fitted, stopping = np.flatnonzero(data.folds != member.fold), None
    if plan.stopping_fraction:
        fitted, slice_rows = split_for_stopping(
            data.labels, fitted, fraction=plan.stopping_fraction, seed=run.seed
        )
        stopping = images[:, slice_rows], data.labels[slice_rows]
    state = training.fit(
        model,
        images[:, fitted],
        data.labels[fitted],
        stopping=stopping,
        recipe=plan.recipe,
        compute_dtype=run.conditions["compute_dtype"],
        num_parts=1,
        seed=run.seed,
        state_path=STATES / f"{run.name}.{run.fingerprint}.npz",
        name=run.name,
    )
    judged = data.folds == member.fold
    labels = data.labels[judged]
    probabilities = predict_probabilities(TrainedNetwork(model, member.forms), data.images[judged])
    predicted = probabilities.argmax(axis=1).astype(np.uint8)
    record = {
        "architecture": member.architecture,
        "recipe": run.whose,
        "seed": member.seed,
        "sample": data.provenance.sample,
        "preprocessing": member.forms,
        "parameters": model.count_params(),
        "multiply_adds": run.multiply_adds,
        "epochs": len(state.history),
        "max_epochs": plan.recipe.max_epochs,
        "asked_epochs": plan.asked_epochs,
        "fitted_images": int(sum(row["images"] for row in state.history)),
        "training_seconds": round(sum(row["seconds"] for row in state.history), 1),
        "right": int((predicted == labels).sum()),
        "judged_images": len(labels),
        "fingerprint": run.fingerprint,
        "conditions": run.conditions,
    }
    with atomic_path(run.folder) as temporary:
        save_model(model, temporary / "model.keras")
        pd.DataFrame(state.history).to_csv(temporary / "history.csv", index=False)
        np.savez(temporary / "predictions.npz", labels=labels, predicted=predicted)
        write_json(temporary / "member.json", record)
    discard_states(run.name)


def read_defaults() -> Params:
    """params.yaml as it would be with the default profile, whatever it tries at the moment."""
    profile = profiles.read("default")
    return params.load().model_copy(
        update={
            "train": Train.model_validate(profile["train"]),
            "augmentation": Augmentation.model_validate(profile["augmentation"]),
        }
    )


def make_plan(
    whose: Whose,
    member: Member,
    multiply_adds: int,
    num_rows: int,
    chosen: Settings,
    defaults: Params,
) -> Plan:
    """How a run is fitted that may use ``num_rows`` images."""
    if whose == "ours":
        return recipes.plan_ours(
            make_recipe(member, defaults),
            stopping_fraction=defaults.train.stopping_fraction,
            budget=chosen.budget,
        )
    return recipes.plan_author(
        REFERENCES[member.architecture],
        multiply_adds=multiply_adds,
        num_rows=num_rows,
        budget=chosen.budget,
    )


def describe_conditions(
    plan: Plan, member: Member, seed: int, compute_dtype: ComputeDtype
) -> dict[str, Any]:
    """Everything that the trained weights follow from."""
    package = Path(stages.__file__).parent.parent
    code = (*CODE, f"architectures/{member.architecture}.py")
    return {
        "plan": asdict(plan),
        "fold": member.fold,
        "seed": seed,
        "data_sha256": sha256(stages.TRAIN),
        "code_sha256": {name: sha256(package / name) for name in code}
        | {"comparison/train.py": sha256(Path(__file__))},
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
        "compute_dtype": compute_dtype,
    }


def discard_states(name: str) -> None:
    """Delete what runs of this name left to be continued."""
    unfinished = STATES.glob(f".{name}.*.partial.npz")  # of processes that were killed
    for path in (*STATES.glob(f"{name}.*.npz"), *unfinished):
        path.unlink()


if __name__ == "__main__":
    sys.exit(exit_status(main))
