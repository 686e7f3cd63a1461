"""Train one member: a network that never sees the images of its fold.

Two networks side by side, each with one thread, are done sooner than one after the other with two.
DVC runs one stage at a time, so the stage of one member has the other cores train other members,
into the states that interrupted runs leave; their own stages continue from there. A GPU trains one
network after another.
"""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pipeline import architectures, parallel, params, progress, stages
from pipeline.data import dataset
from pipeline.errors import PipelineError
from pipeline.files import atomic_path, sha256
from pipeline.networks.backend import use_threads
from pipeline.networks.definition import hash_code
from pipeline.networks.devices import CPU, Device, take_device
from pipeline.networks.machine import describe_machine
from pipeline.networks.record import Conditions
from pipeline.params import Member, Params
from pipeline.training import network
from pipeline.training.state import TrainingState, training_lock
from pipeline.training.task import Task, derive_seed, hash_shared_code, make_recipe

STATES = stages.MODELS / ".training"
"""Where interrupted runs wait to be continued; DVC does not know it."""

CODE = "stages/train.py"
"""What shapes every network next to `task.SHARED_CODE`; dvc.yaml names both."""


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
    # Helpers are started where networks train on the CPU.
    device, note = (CPU, "") if arguments.ahead else take_device()
    tasks = {task.name: task for task in list_tasks(settings, device)}
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
    is_done = tasks[name].is_done
    if note and not is_done:
        progress.print_line(note)
    alone = is_done or device.gpu is not None
    waiting = 0 if alone else sum(not task.is_done for task in others)
    helpers, threads = share_processors(parallel.count_processors(), 1 + waiting, settings)
    use_threads(threads)
    command = ["-m", "pipeline.stages.train", name, "--ahead", "--threads", str(threads)]
    with parallel.helper_processes(command, helpers, print_line=progress.print_line):
        train(tasks[name], threads)


def share_processors(processors: int, waiting: int, settings: Params) -> tuple[int, int]:
    """How many helper processes run while ``waiting`` members are to be trained, and the threads of
    each process: speed depends on both, weights on neither."""
    processes = min(processors, waiting)
    return processes - 1, min(settings.train.batch_parts, processors // processes)


def list_tasks(settings: Params, device: Device = CPU) -> list[Task]:
    """All members, in the order of params.yaml, to be trained on ``device``; the data and the code
    are hashed once."""
    data_sha256 = sha256(stages.TRAIN) if stages.TRAIN.exists() else ""
    shared_code = hash_shared_code(CODE)
    machine = describe_machine(settings.train.compute_dtype, device)
    return [
        Task(
            name=member.name,
            member=member,
            recipe=make_recipe(member, settings),
            validation_fraction=settings.train.validation_fraction,
            seed=derive_seed(member, settings.seed),
            conditions=describe_conditions(member, settings, data_sha256, shared_code, machine),
            device=device,
            folder=stages.MODELS / member.name,
            states=STATES,
        )
        for member in settings.members()
    ]


def train_ahead(tasks: Sequence[Task]) -> None:
    """Fit members, as far as no other process does, for their own stages to take over."""
    network.fit_ahead(tasks, dataset.load_training(stages.TRAIN), architectures.build)


def train(task: Task, threads: int) -> None:
    """Fit a member, from where an interrupted run left it, and write ``models/<member>/``."""
    data = dataset.load_training(stages.TRAIN)
    with training_lock(task.lock, task.name):
        if TrainingState.is_finished(task.state):
            progress.print_line(
                f"{task.name}: trained already under these conditions. To train it again, delete "
                f"{task.state}"
            )
        fitted = network.fit(task, data, architectures.build)
        with atomic_path(task.folder) as folder:
            record = network.write_network(
                folder, task, fitted, provenance=data.provenance, threads=threads
            )
        task.discard_states(keep_current=True)
    print(
        f"{task.name}: weights of epoch {record.best_epoch} of {record.epochs}, after "
        f"{record.training_seconds:.0f} s of training"
    )


def describe_conditions(
    member: Member,
    settings: Params,
    data_sha256: str,
    shared_code: dict[str, str],
    machine: dict[str, Any],
) -> Conditions:
    """Everything that the trained weights follow from, bit for bit."""
    unused = {"max_epochs", "patience_epochs", "validation_fraction"}
    definition = settings.networks[member.network]
    return Conditions(
        seed=settings.seed,
        train=settings.train.model_dump(
            exclude=unused if member.fold == "all" else {"all_rows_epochs"}
        ),
        augmentation=settings.augmentation.model_dump(),
        architecture=member.architecture,
        preprocessing=definition.preprocessing,
        data_sha256=data_sha256,
        code_sha256=shared_code | hash_code(definition),
        machine=machine,
    )


if __name__ == "__main__":
    stages.run(main)
