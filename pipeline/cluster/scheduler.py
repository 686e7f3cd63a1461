"""Hand members to nodes, keep what comes back, go round nodes that differ."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from pipeline.cluster.display import ClusterDisplay
from pipeline.cluster.node import STORE_IS_FULL, Mailbox, train_member
from pipeline.cluster.orders import Failed, News, Order, Outcome, Refused, Trained, hash_bytes
from pipeline.data.dataset import TrainingDigits
from pipeline.errors import ArtifactError, ClusterError

_RETRIES = 3
"""Of a member whose worker or node is lost; it begins again, and ends with the same bits."""

_POLL_SECONDS = 1.0

_SUBMITTED_PER_SLOT = 2
"""Members that Ray knows at a time, for each that it can train: the driver stays small, and no node
waits for the driver."""

_NODE_ID = "ray.io/node-id"
"""A label that each node has."""

Work = Callable[[Order, list[Any], Any], Outcome]
"""What a node does: `node.train_member`, or what a benchmark measures instead."""

Keep = Callable[[str, bytes], object]
"""Is given the name and the content of a state that came back."""


class Display(Protocol):
    """What shows how far members are."""

    def update(self, news: Iterable[News]) -> None:
        """Show what nodes tell."""

    def fail(self, name: str, reason: str) -> None:
        """Show that a member failed."""

    def print_line(self, line: str) -> None:
        """Print a line."""


def train_on_nodes(
    orders: Sequence[Order],
    data: TrainingDigits,
    keep: Keep,
    display: ClusterDisplay,
    work: Work = train_member,
) -> dict[str, str]:
    """Have nodes train members, and keep each as it comes back; why others failed, by name.

    Args:
        orders: for the same number of threads.
        data: to train on.
        keep: is called once for each member that comes back.
        display: of what happens.
        work: that a node does.

    Raises:
        ClusterError: no node can train as the driver would, or the object store is full.
    """
    run = Run(orders, data, display, work)
    while run.is_going:
        run.submit()
        for order, outcome in run.wait():
            match outcome:
                case Trained(node, file, state, sha256):
                    try:
                        if hash_bytes(state) != sha256:
                            raise ArtifactError("its state was damaged on its way")
                        keep(file, state)
                    except ArtifactError as error:
                        run.fail(order, str(error))
                    else:
                        display.finish(order.name, node.name)
                case Refused():
                    run.leave_out(outcome)
                    run.waiting.appendleft(order)
                case Failed(reason):
                    run.fail(order, reason)
        run.show_news()
    return run.failed


@dataclass
class Run:
    """Members on their way.

    Attributes:
        orders: for the same number of threads; at least one.
        data: to train on.
        display: of what happens.
        work: that a node does.
        waiting: orders that Ray does not know yet.
        running: orders that it knows, by Ray's references.
        refused: nodes that were left out, by Ray's ids.
        failed: why members failed, by name.
        ended: how many of Ray's tasks have come to something.
    """

    orders: Sequence[Order]
    data: TrainingDigits
    display: Display
    work: Work
    waiting: deque[Order] = field(init=False)
    running: dict[Any, Order] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    ended: int = 0

    def __post_init__(self) -> None:
        self.waiting = deque(self.orders)
        self.shared_data = _put(self.data)
        here = {_NODE_ID: ray.get_runtime_context().get_node_id()}
        mailbox = ray.remote(Mailbox).options(
            num_cpus=0, max_restarts=-1, max_task_retries=-1, label_selector=here
        )
        self.mailbox = mailbox.remote()
        self.train = ray.remote(self.work)

    @property
    def is_going(self) -> bool:
        """Whether there is anything to wait for."""
        return bool(self.waiting or self.running)

    def submit(self) -> None:
        """Hand over as many members as the nodes can soon begin.

        At first those that they can begin at once: as each new worker waits for the data, Ray would
        start a worker for the next member.
        """
        slots = sum(self._count_slots(node) for node in self._list_fitting())
        each = _SUBMITTED_PER_SLOT if self.ended >= slots else 1
        while self.waiting and len(self.running) < max(1, each * slots):
            order = self.waiting.popleft()
            task = self.train.options(
                num_cpus=order.threads,
                max_retries=_RETRIES,
                scheduling_strategy="SPREAD",
                name=order.name,
                label_selector=(
                    {_NODE_ID: f"!in({','.join(self.refused)})"} if self.refused else None
                ),
            )
            self.running[task.remote(order, [self.shared_data], self.mailbox)] = order

    def _list_fitting(self) -> list[dict[str, Any]]:
        """The nodes that may train.

        Raises:
            ClusterError: each that could was left out.
        """
        alive = [node for node in ray.nodes() if node["Alive"] and self._count_slots(node)]
        fitting = [node for node in alive if node["NodeID"] not in self.refused]
        if alive and not fitting:
            raise ClusterError(
                "No node of the cluster can train these members: "
                f"{'. '.join(_describe(each) for each in self.refused.values())}. Packages must be "
                "the same on all nodes: install those of requirements.lock, then start Ray again. "
                "Nothing was trained there."
            )
        return fitting

    def _count_slots(self, node: dict[str, Any]) -> int:
        return int(node["Resources"].get("CPU", 0)) // self.orders[0].threads

    def wait(self) -> Iterable[tuple[Order, Outcome]]:
        """What has come back within a second."""
        first, _ = ray.wait(list(self.running), timeout=_POLL_SECONDS)
        if not first:
            return
        done, _ = ray.wait(list(self.running), num_returns=len(self.running), timeout=0)
        for reference in {*first, *done}:
            order = self.running.pop(reference)
            self.ended += 1
            yield order, _get(order, reference)

    def cancel(self, name: str) -> None:
        """End the training of a member; it comes back as failed, or as what it had come to."""
        for reference, order in self.running.items():
            if order.name == name:
                ray.cancel(reference)

    def leave_out(self, refused: Refused) -> None:
        """Go round a node."""
        if refused.node.id not in self.refused:
            self.display.print_line(f"left out: {_describe(refused)}")
        self.refused[refused.node.id] = refused

    def fail(self, order: Order, reason: str) -> None:
        """Note that a member failed."""
        self.failed[order.name] = reason
        self.display.fail(order.name, reason)

    def show_news(self) -> None:
        """Show what the nodes tell, but for what a mailbox that was killed had."""
        try:
            self.display.update(ray.get(self.mailbox.take.remote()))
        except RayActorError:
            return
        except RayError as error:
            raise ClusterError(
                f"Ray cannot start a process here: {_last_line(error)} Is this machine overloaded? "
                "What came back is kept. Run the same command again."
            ) from None


def _put(data: TrainingDigits) -> Any:
    """Ray's reference to the data; each node reads it once."""
    try:
        return ray.put(data)
    except STORE_IS_FULL:
        raise _full_store(
            f"the training data needs {data.images.nbytes / 1e6:.0f} MB. Nothing was trained"
        ) from None


def _get(order: Order, reference: Any) -> Outcome:
    """What a member came to. Workers that Ray could not replace are failures.

    Raises:
        ClusterError: it cannot come back.
    """
    try:
        outcome: Outcome = ray.get(reference)
        return outcome
    except RayTaskError as error:
        if isinstance(error.cause, STORE_IS_FULL):
            return Failed("it is trained, but the object store of its node is full")
        return Failed(_last_line(error.cause or error))
    except STORE_IS_FULL:
        raise _full_store(f"{order.name} cannot come back. Those that did are kept") from None
    except RayError as error:
        return Failed(f"its worker or node was lost {_RETRIES + 1} times: {_last_line(error)}")


def _full_store(what: str) -> ClusterError:
    return ClusterError(
        f"Ray's object store on this machine is full: {what}. End the cluster's other work, or "
        "start Ray with a larger --object-store-memory, then run the same command again"
    )


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[-1].strip()}"


def _describe(refused: Refused) -> str:
    return f"{refused.node.name}: {refused.reason}"
