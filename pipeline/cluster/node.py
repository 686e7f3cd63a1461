"""What runs on a node: compare it with the driver, train one member, send its state back."""

import socket
from typing import Any

import ray

from pipeline.cluster.orders import (
    Failed,
    News,
    Node,
    Order,
    Outcome,
    Refused,
    Trained,
    find_differences,
    hash_bytes,
)


class Board:
    """An actor without a processor: nodes pin news to it, the driver takes them off."""

    def __init__(self) -> None:
        self._news: list[News] = []

    def pin(self, news: News) -> None:
        """Add news."""
        self._news.append(news)

    def take(self) -> list[News]:
        """All news since the last call."""
        taken, self._news = self._news, []
        return taken


def train_member(order: Order, data: list[Any], board: Any) -> Outcome:
    """Train a member; a task of Ray's.

    Args:
        order: what to train.
        data: one reference to the `TrainingDigits`, which Ray reads if this node fits.
        board: a `Board`.
    """
    context = ray.get_runtime_context()
    node = Node(context.get_node_id(), _name_machine())
    if differences := list(find_differences(order)):
        return Refused(node, "; ".join(differences))
    try:
        from pipeline.cluster.fitting import fit_state
    except ImportError as error:
        return Refused(node, f"a package is missing or broken: {error}")
    from pipeline.errors import PipelineError

    def tell(epoch: int, last_epoch: int, seconds: float) -> None:
        board.pin.remote(News(order.name, node.name, epoch, last_epoch, seconds))

    tell(0, order.last_epoch, 0)
    try:
        file, state = fit_state(order, ray.get(data[0]), node.name, tell)
    except (PipelineError, OSError) as error:
        return Failed(f"{error} (on {node.name})")
    return Trained(node, file, state, hash_bytes(state))


def _name_machine() -> str:
    host, address = socket.gethostname(), ray.util.get_node_ip_address()
    return f"{host} ({address})"
