"""What the train stage, the driver and the nodes send each other.

A node reads these before it is known to have the project's packages, so this module needs nothing
but Python's own.
"""

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = "numpy", "scikit-learn", "keras", "tensorflow"
"""Those that `networks.machine` records of each network."""

MISSING = "is missing"
"""Instead of a version."""

_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Order:
    """A member to train, for one node.

    Attributes:
        name: of the member.
        task: a pickled `training.task.Task`.
        last_epoch: after which its training ends at the latest.
        threads: operations that run side by side, and processors that are taken for it.
        versions: of Python and packages, as the driver has them.
        code_sha256: SHA-256 of the code that shapes the member, by its path in the package.
    """

    name: str
    task: bytes
    last_epoch: int
    threads: int
    versions: Mapping[str, str]
    code_sha256: Mapping[str, str]


@dataclass(frozen=True)
class Node:
    """A machine of the cluster.

    Attributes:
        id: Ray's.
        name: for people.
    """

    id: str
    name: str


@dataclass(frozen=True)
class News:
    """How far a member is.

    Attributes:
        name: of the member.
        node: that trains it, by name.
        epoch: the last finished one; 0: it begins.
        last_epoch: after which the training ends, as far as is known.
        seconds: that this epoch took.
        row: of the history, of this epoch; empty where nobody asks for it.
    """

    name: str
    node: str
    epoch: int
    last_epoch: int
    seconds: float
    row: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """A member is trained.

    Attributes:
        node: that trained it.
        file: the name of its state, which holds the hash of its conditions.
        state: content of that file, as `received.write_received` wrote it.
        sha256: of ``state``.
    """

    node: Node
    file: str
    state: bytes
    sha256: str


@dataclass(frozen=True)
class Refused:
    """A node cannot train the member as the driver would.

    Attributes:
        node: of that name.
        reason: what differs.
    """

    node: Node
    reason: str


@dataclass(frozen=True)
class Failed:
    """Training the member failed, on whichever node.

    Attributes:
        reason: why.
    """

    reason: str


@dataclass(frozen=True)
class Batch:
    """Members to train, for the driver.

    Attributes:
        orders: one for each member.
        data: the npz to train on.
        states: the folder where finished states go.
        most_threads: operations of one member that may run side by side.
        address: of the cluster.
    """

    orders: Sequence[Order]
    data: Path
    states: Path
    most_threads: int
    address: str


Outcome = Trained | Refused | Failed


def read_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide how sums are rounded, here."""
    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = MISSING
    return found


def find_differences(order: Order) -> Iterator[str]:
    """What this machine has in another version, or other code, than the driver."""
    found = read_versions()
    for name, expected in order.versions.items():
        if found.get(name) != expected:
            yield f"{name} {found.get(name)}, expected {expected}"
    for name, expected in order.code_sha256.items():
        path = _PACKAGE / name
        if not path.exists() or hash_bytes(path.read_bytes()) != expected:
            yield f"pipeline/{name} has other content"


def hash_bytes(content: bytes) -> str:
    """SHA-256, as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
