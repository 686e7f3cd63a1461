"""A member of a trial, trained by the loop that trains all members, and asked for its fold."""

import pickle
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline import architectures, progress
from pipeline.cluster.orders import Order
from pipeline.data.dataset import TrainingDigits
from pipeline.ensemble.averaging import predict_probabilities
from pipeline.networks.backend import forgotten_graphs, use_threads
from pipeline.networks.definition import hash_code
from pipeline.networks.devices import CPU, Device
from pipeline.networks.machine import describe_machine
from pipeline.networks.record import Conditions
from pipeline.networks.trained import TrainedNetwork
from pipeline.progress import FinishedEpoch
from pipeline.sweeps.jobs import Epoch, Job
from pipeline.sweeps.predictions import MemberPredictions, encode
from pipeline.training import network
from pipeline.training.state import TrainingState, training_lock
from pipeline.training.task import Task, derive_seed, hash_shared_code, make_recipe


class StopAsked(Exception):
    """Raised by who is told of epochs, to end the training."""


def fit_member(
    job: Job,
    data: TrainingDigits,
    states: Path,
    device: Device,
    node: str,
    tell: Callable[[Epoch], None],
) -> bytes:
    """Train a member from where it was interrupted; what it predicts, as `encode` writes it.

    Args:
        job: what to train.
        data: every row of ``train.csv``, with its label as given there.
        states: the folder where interrupted runs wait to be continued.
        device: where to train.
        node: this machine's name.
        tell: is given each finished epoch, first those of an interrupted run.

    Raises:
        StopAsked: ``tell`` did.
        PipelineError: the loss is not finite, or the GPU fails.
    """
    task = make_task(job, states, device)

    def tell_epoch(_: str, finished: FinishedEpoch) -> None:
        tell(Epoch(job.key, dict(finished.row), finished.last_epoch, node))

    with forgotten_graphs():
        with training_lock(task.lock, task.name):
            for row in TrainingState.load(task.state).history:
                tell(Epoch(job.key, row, task.recipe.max_epochs, node))
            with progress.watched(tell_epoch):
                fitted = network.fit(task, data.to_train_on(), architectures.build)
        trained = TrainedNetwork(fitted.model, task.conditions.preprocessing, device)
        held_out = np.flatnonzero(data.folds == job.member.fold)
        probabilities = predict_probabilities(trained, data.images[held_out])
        history = fitted.state.history
        del fitted, trained
    return encode(MemberPredictions(probabilities, history, node))


def fit_state(
    order: Order, data: TrainingDigits, node: str, tell: Callable[..., None]
) -> tuple[str, bytes]:
    """Train a member on the CPU of a cluster's node; its key, and what `fit_member` returns.

    The states of interrupted runs are in a folder that is deleted at the end.

    Args:
        order: that holds a pickled `Job`.
        data: every row of ``train.csv``, with its label as given there.
        node: this machine's name.
        tell: is given a finished epoch, the last one as far as is known, seconds, and the row.

    Raises:
        PipelineError: the loss is not finite.
    """
    use_threads(order.threads)
    job: Job = pickle.loads(order.task)

    def tell_epoch(epoch: Epoch) -> None:
        tell(int(epoch.row["epoch"]), epoch.last_epoch, epoch.row["seconds"], epoch.row)

    with TemporaryDirectory(prefix="digits-") as folder:
        return job.key, fit_member(job, data, Path(folder), CPU, node, tell_epoch)


def make_task(job: Job, states: Path, device: Device) -> Task:
    """A job as what the training loop takes."""
    member, settings = job.member, job.settings
    definition = settings.networks[member.network]
    conditions = Conditions(
        seed=settings.seed,
        train=settings.train.model_dump(exclude={"all_rows_epochs"}),
        augmentation=settings.augmentation.model_dump(),
        architecture=member.architecture,
        preprocessing=definition.preprocessing,
        data_sha256=job.data_sha256,
        code_sha256=hash_shared_code() | hash_code(definition),
        machine=describe_machine(settings.train.compute_dtype, device),
    )
    return Task(
        name=job.key,
        member=member,
        recipe=make_recipe(member, settings),
        validation_fraction=settings.train.validation_fraction,
        seed=derive_seed(member, settings.seed),
        conditions=conditions,
        device=device,
        folder=states / job.key,
        states=states,
    )
