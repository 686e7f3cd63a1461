"""Members that are not current, trained by the cluster, and one of them taken over by its stage."""

import argparse
import os
import pickle
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from filelock import FileLock, Timeout

from pipeline import architectures, params, progress, stages
from pipeline.cluster.connection import ADDRESS
from pipeline.cluster.driver_process import train_batch
from pipeline.cluster.orders import Batch, Order, read_versions
from pipeline.cluster.received import Received, find_received
from pipeline.data import dataset
from pipeline.errors import ClusterError
from pipeline.files import atomic_path
from pipeline.networks.backend import use_threads
from pipeline.networks.record import write_record
from pipeline.stages import train
from pipeline.training import network
from pipeline.training.state import TrainingState, training_lock
from pipeline.training.task import Task


def main() -> None:
    """Take over the state of a member; where there is none, have the cluster train all first."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.stages.train", description=__doc__)
    parser.add_argument("member", help="FOLD-SEED-NETWORK, as params.yaml lists them")
    name = parser.parse_args().member
    settings = params.load()
    use_threads(settings.train.batch_parts)
    tasks = {task.name: task for task in train.list_tasks(settings)}
    if name not in tasks:
        parser.error(f"{name!r} is no member; params.yaml lists {', '.join(tasks)}")
    task = tasks.pop(name)
    with _only_driver():
        received = find_received([task]).get(name)
        if received is None and not TrainingState.is_finished(task.state):
            ahead = _list_missing(list(tasks.values()))
            batch = Batch(
                list(make_orders([task, *ahead])),
                stages.TRAIN,
                train.STATES,
                settings.train.batch_parts,
                os.environ[ADDRESS],
            )
            failed = train_batch(batch)
            if name in failed:
                raise ClusterError(f"{name} was not trained: {failed[name]}")
            received = find_received([task])[name]
    if received is None:
        train.train(task, settings.train.batch_parts)  # it takes over this machine's own state
    else:
        take_over(received)


@contextmanager
def _only_driver() -> Iterator[None]:
    """Wait for another driver of this project, as of a DVC that was ended, to end."""
    train.STATES.mkdir(parents=True, exist_ok=True)
    lock = FileLock(train.STATES / "cluster.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.print_line("Another process has the cluster train members; waiting for it to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _list_missing(tasks: Sequence[Task]) -> list[Task]:
    """Those that nobody has trained or trains."""
    received = find_received(tasks)
    return [
        task
        for task in tasks
        if task.name not in received and not task.is_done and not _is_being_trained(task)
    ]


def _is_being_trained(task: Task) -> bool:
    with suppress(Timeout), FileLock(task.lock, timeout=0):
        return False
    return True


def make_orders(tasks: Iterable[Task]) -> Iterator[Order]:
    """What nodes are sent; the driver decides on threads."""
    versions = read_versions()
    for task in tasks:
        yield Order(
            task.name,
            pickle.dumps(task),
            task.recipe.max_epochs,
            1,
            versions,
            task.conditions.code_sha256,
        )


def take_over(received: Received) -> None:
    """Write ``models/<member>/`` from what a node trained, as the train stage would."""
    task, origin = received.task, received.origin
    data = dataset.load_training(stages.TRAIN)
    with training_lock(task.lock, task.name):
        fitted = network.fit(task, data, architectures.build)
        with atomic_path(task.folder) as folder:
            record = network.write_network(
                folder, task, fitted, provenance=data.provenance, threads=origin.threads
            )
            write_record(folder, replace(record, node=origin.node))
        task.discard_states(keep_current=True)
    progress.print_line(
        f"{task.name}: weights of epoch {record.best_epoch} of {record.epochs}, after "
        f"{record.training_seconds:.0f} s of training on {origin.node}"
    )
