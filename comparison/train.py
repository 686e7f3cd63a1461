"""Train one architecture by its author's recipe and by ours, from each seed; evaluate on the fold.

Each core has a process that trains one network after another with a single thread: batches are
small, and two networks side by side are done sooner than one after the other with two threads each.
Killed at any moment, it continues: finished runs stay as they are, and an interrupted one goes on
after its last finished epoch.
"""

import argparse
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from comparison import recipes, settings
from comparison.recipes import Plan
from comparison.record import RunRecord, read_run, write_run
from comparison.references import REFERENCES, Whose
from comparison.settings import RUNS, STATES, Settings
from pipeline import architectures, parallel, params, profiles, progress, stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.ensemble.averaging import predict_probabilities
from pipeline.errors import ParamsError, PipelineError, exit_status
from pipeline.files import atomic_path, sha256
from pipeline.networks.backend import use_threads
from pipeline.networks.definition import hash_code
from pipeline.networks.devices import CPU
from pipeline.networks.machine import describe_machine
from pipeline.networks.record import Conditions
from pipeline.networks.summary import tabulate_layers
from pipeline.networks.trained import TrainedNetwork
from pipeline.params import Augmentation, Member, Network, Params, Train
from pipeline.training import network
from pipeline.training.network import FittedNetwork
from pipeline.training.state import training_lock
from pipeline.training.task import Task, derive_seed, hash_shared_code, make_recipe


@dataclass(frozen=True)
class Run:
    """One network to train and to evaluate.

    Its folder holds what the train stage writes, and in addition `RunRecord` and
    ``predictions.npz``: uint8 ``labels`` and ``predicted`` ``(n,)`` of the fold, in its order.

    Attributes:
        whose: recipe.
        plan: how it is fitted.
        multiply_adds: of the network, for one image.
        task: what is fitted.
    """

    whose: Whose
    plan: Plan
    multiply_adds: int
    task: Task


def main() -> None:
    """Entry point of the stage."""
    parser = argparse.ArgumentParser(prog="python -m comparison.train", description=__doc__)
    parser.add_argument("architecture", choices=list(architectures.ARCHITECTURES))
    parser.add_argument(
        "--ahead", action="store_true", help="fit what no other process fits, until stdin ends"
    )
    arguments = parser.parse_args()
    use_threads(1)
    data = dataset.load_training(stages.TRAIN)
    runs = list_runs(arguments.architecture, settings.load(), data)
    tasks = [run.task for run in runs]
    if arguments.ahead:
        parallel.end_with_helped()
        with suppress(PipelineError, OSError):  # the process that started this one says it
            network.fit_ahead(tasks, data, architectures.build)
        return
    waiting = sum(not task.is_done for task in tasks)
    command = ["-m", "comparison.train", arguments.architecture, "--ahead"]
    helpers = min(parallel.count_processors(), waiting) - 1
    with parallel.helper_processes(command, helpers, print_line=progress.print_line):
        train_all(runs, data)


def list_runs(architecture: str, chosen: Settings, data: TrainingDigits) -> list[Run]:
    """All runs of an architecture, finished or not."""
    if not (data.folds == chosen.fold).any():
        raise ParamsError(
            f"{settings.PARAMS} is not usable: fold: expected one of 0 to {data.folds.max()}, "
            f"found {chosen.fold}. Nothing was run."
        )
    defaults = read_defaults()
    num_rows = int((data.folds != chosen.fold).sum())
    layers = tabulate_layers(architectures.build(architecture))
    multiply_adds = int(layers["multiply_adds"].sum())
    code = hash_shared_code() | {"comparison/train.py": sha256(Path(__file__))}
    data_sha256 = sha256(stages.TRAIN)
    machine = describe_machine(defaults.train.compute_dtype, CPU)
    whose: list[Whose] = ["author", "ours"] if architecture in REFERENCES else ["ours"]
    runs = []
    for recipe in whose:
        for seed in chosen.seeds:
            member = Member(chosen.fold, seed, architecture, architecture, views=((),))
            plan = make_plan(recipe, member, multiply_adds, num_rows, chosen, defaults)
            conditions = describe_conditions(plan, member, defaults, data_sha256, code, machine)
            task = Task(
                name=f"{architecture}-{recipe}-{seed}",
                member=member,
                recipe=plan.recipe,
                validation_fraction=plan.validation_fraction,
                seed=derive_seed(member, defaults.seed),
                conditions=conditions,
                device=CPU,
                folder=RUNS / architecture / f"{recipe}-{seed}",
                states=STATES,
            )
            runs.append(Run(recipe, plan, multiply_adds, task))
    return runs


def train_all(runs: list[Run], data: TrainingDigits) -> None:
    """Fit and evaluate what is not finished, and say how each run ended.

    What other processes fit is left to them, and waited for at the end.
    """
    network.fit_ahead([run.task for run in runs], data, architectures.build)
    for run in runs:
        task = run.task
        with training_lock(task.lock, task.name):
            if not task.is_current:
                fitted = network.fit(task, data, architectures.build)
                write_results(run, fitted, data)
            task.discard_states(keep_current=False)
        record = read_run(task.folder)
        print(
            f"{task.name}: {record.correct:,} of {record.evaluated_images:,} correct after "
            f"{record.epochs} epochs and {record.training_seconds:.0f} s of training",
            flush=True,
        )


def write_results(run: Run, fitted: FittedNetwork, data: TrainingDigits) -> None:
    """Evaluate a fitted network on the images of the fold, and write the folder of its run."""
    task, history = run.task, fitted.state.history
    held_out = data.folds == task.member.fold
    labels = data.labels[held_out]
    trained = TrainedNetwork(fitted.model, task.member.views)
    probabilities = predict_probabilities(trained, data.images[held_out])
    predicted = probabilities.argmax(axis=1).astype(np.uint8)
    with atomic_path(task.folder) as folder:
        of_network = network.write_network(
            folder, task, fitted, provenance=data.provenance, threads=1
        )
        np.savez(folder / "predictions.npz", labels=labels, predicted=predicted)
        record = RunRecord(
            architecture=task.member.architecture,
            recipe=run.whose,
            seed=task.member.seed,
            sample=data.provenance.sample,
            parameters=of_network.parameters,
            multiply_adds=run.multiply_adds,
            epochs=of_network.epochs,
            max_epochs=run.plan.recipe.max_epochs,
            asked_epochs=run.plan.asked_epochs,
            fitted_images=int(sum(row["images"] for row in history)),
            training_seconds=of_network.training_seconds,
            correct=int((predicted == labels).sum()),
            evaluated_images=len(labels),
        )
        write_run(folder, record)


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
            validation_fraction=defaults.train.validation_fraction,
            budget=chosen.budget,
        )
    return recipes.plan_author(
        REFERENCES[member.architecture],
        multiply_adds=multiply_adds,
        num_rows=num_rows,
        budget=chosen.budget,
    )


def describe_conditions(
    plan: Plan,
    member: Member,
    defaults: Params,
    data_sha256: str,
    shared_code: dict[str, str],
    machine: dict[str, Any],
) -> Conditions:
    """Everything that the trained weights follow from."""
    fit = asdict(plan.recipe) | {
        "validation_fraction": plan.validation_fraction,
        "fold": member.fold,
    }
    warp = fit.pop("warp")
    definition = Network(architecture=member.architecture, preprocessing=[[]])
    return Conditions(
        seed=defaults.seed,
        train=fit,
        augmentation=warp,
        architecture=member.architecture,
        preprocessing=definition.preprocessing,
        data_sha256=data_sha256,
        code_sha256=shared_code | hash_code(definition),
        machine=machine,
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
