"""A member fitted on a node of the cluster, in a folder that goes afterwards."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline import architectures, progress
from pipeline.cluster.orders import Order
from pipeline.cluster.received import Origin, on_machine, write_received
from pipeline.data.dataset import TrainingDigits
from pipeline.networks.backend import forgotten_graphs, use_threads
from pipeline.networks.devices import CPU
from pipeline.networks.machine import describe_machine
from pipeline.progress import FinishedEpoch
from pipeline.training import network
from pipeline.training.task import Task

Tell = Callable[[int, int, float], None]
"""Is given a finished epoch, the last one as far as is known, and seconds."""


def fit_state(order: Order, data: TrainingDigits, node: str, tell: Tell) -> tuple[str, bytes]:
    """Fit a member on this machine's CPU; the name and the content of its finished state.

    Args:
        order: what to fit.
        data: to fit it on.
        node: this machine's name.
        tell: is called after each epoch.

    Raises:
        PipelineError: the loss is not finite.
    """
    use_threads(order.threads)
    task: Task = pickle.loads(order.task)
    machine = describe_machine(task.conditions.train["compute_dtype"], CPU)

    def tell_epoch(_: str, finished: FinishedEpoch) -> None:
        tell(int(finished.row["epoch"]), finished.last_epoch, finished.row["seconds"])

    with (
        TemporaryDirectory(prefix="digits-") as folder,
        progress.watched(tell_epoch),
        forgotten_graphs(),
    ):
        here = replace(on_machine(task, machine), device=CPU, states=Path(folder))
        fitted = network.fit(here, data, architectures.build)
        path = Path(folder) / "finished.npz"
        write_received(path, fitted.state, Origin(node, order.threads, machine))
        return here.state.name, path.read_bytes()
