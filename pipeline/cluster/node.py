"""What runs on a node: compare it with the driver, train one member, send its state back."""

import importlib
import socket
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import ray
from ray.exceptions import ObjectStoreFullError, OutOfDiskError

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

STORE_IS_FULL = ObjectStoreFullError, OutOfDiskError
"""What Ray raises; the second where the disk, which it takes next, is full as well."""

_CLOCK_SECONDS = 60.0
"""By which the clock of a node may differ."""


class Mailbox:
    """Where nodes leave news for the driver: an actor on its machine that takes no processor."""

    def __init__(self) -> None:
        self._news: list[News] = []

    def put(self, news: News) -> None:
        """Add news."""
        self._news.append(news)

    def take(self) -> list[News]:
        """All news since the last call."""
        taken, self._news = self._news, []
        return taken

    def read_clock(self) -> float:
        """Seconds since 1970, as the driver's machine knows them."""
        return time.time()


def train_member(order: Order, data: list[Any], mailbox: Any) -> Outcome:
    """Train a member; a task of Ray's, as `do_order` describes it."""
    return do_order(order, data, mailbox, "pipeline.cluster.fitting")


def do_order(order: Order, data: list[Any], mailbox: Any, module: str) -> Outcome:
    """Train a member, if this node fits.

    Args:
        order: what to train.
        data: one reference to the `TrainingDigits`, which Ray reads if this node fits.
        mailbox: a `Mailbox`.
        module: whose ``fit_state`` trains; it needs the project's packages.
    """
    context = ray.get_runtime_context()
    node = Node(context.get_node_id(), _name_machine())
    if differences := [*find_differences(order), *_find_wrong_clock(mailbox)]:
        return Refused(node, "; ".join(differences))
    try:
        fit_state = importlib.import_module(module).fit_state
    except ImportError as error:
        return Refused(node, f"a package is missing or broken: {error}")
    from pipeline.errors import PipelineError

    def tell(
        epoch: int, last_epoch: int, seconds: float, row: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        mailbox.put.remote(News(order.name, node.name, epoch, last_epoch, seconds, dict(row)))

    try:
        digits = _read_once(data[0])
    except STORE_IS_FULL:
        return Refused(
            node,
            "its object store is full: end other work there, or start Ray there with a larger "
            "--object-store-memory",
        )
    tell(0, order.last_epoch, 0)
    try:
        file, state = fit_state(order, digits, node.name, tell)
    except (PipelineError, OSError) as error:
        return Failed(f"{error} (on {node.name})")
    return Trained(node, file, state, hash_bytes(state))


@lru_cache(maxsize=1)
def _read_once(reference: Any) -> Any:
    """What Ray keeps under a reference.

    While a task waits for Ray, its processor is lent to the next one, for which Ray may start a
    process more: so a process waits once, not for each of its members.
    """
    return ray.get(reference)


def _find_wrong_clock(mailbox: Any) -> Iterator[str]:
    """How far this machine's clock is from the driver's, where that is too far."""
    ahead = _measure_lead(mailbox)
    if abs(ahead) > _CLOCK_SECONDS:
        minutes = round(ahead / 60)
        yield (
            f"its clock is {timedelta(minutes=abs(minutes))} "
            f"{'ahead of' if minutes > 0 else 'behind'} the driver's: set it right"
        )


@lru_cache(maxsize=1)  # as `_read_once`
def _measure_lead(mailbox: Any) -> float:
    """Seconds by which this machine's clock is ahead of the driver's at least; below 0: behind."""
    before = time.time()
    there: float = ray.get(mailbox.read_clock.remote())
    after = time.time()
    return max(before - there, 0.0) + min(after - there, 0.0)


def _name_machine() -> str:
    host, address = socket.gethostname(), ray.util.get_node_ip_address()
    return f"{host} ({address})"
