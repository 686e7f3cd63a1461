"""Finished states that nodes of a cluster sent, among those that interrupted runs leave.

A received state is a `TrainingState` without what only further epochs would need, and with an
array ``origin``. Its name holds the hash of the conditions under which the node trained it, the
node's machine included. A machine like the node takes it over as a state of its own.
"""

import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, corruption_as, open_file
from pipeline.stored import Arrays, read_arrays
from pipeline.training.state import TrainingState

if TYPE_CHECKING:  # it imports TensorFlow
    from pipeline.training.task import Task

_ORIGIN, _SCALARS = "origin", "scalars"
"""Arrays of a received state; the second is one of `TrainingState.save`."""


@dataclass(frozen=True)
class Origin:
    """Where a state comes from.

    Attributes:
        node: that trained it, by name.
        threads: operations that ran side by side.
        machine: of the node, for `Conditions.machine`.
    """

    node: str
    threads: int
    machine: dict[str, Any]


@dataclass(frozen=True)
class Received:
    """A member that a node has trained.

    Attributes:
        task: as the node had it; its state is the received one.
        origin: of the state.
    """

    task: "Task"
    origin: Origin


def on_machine(task: "Task", machine: dict[str, Any]) -> "Task":
    """The same task for another machine: its weights follow from that one."""
    return replace(task, conditions=replace(task.conditions, machine=machine))


def write_received(path: Path, state: TrainingState, origin: Origin) -> None:
    """Write a finished state with its origin, for `TrainingState.load` and `find_received`."""
    kept = replace(state, weights=[], optimizer=[], row_losses=[])
    kept.save(path)
    with zipfile.ZipFile(path, "a") as archive, archive.open(f"{_ORIGIN}.npy", "w") as file:
        np.lib.format.write_array(file, np.array(json.dumps(asdict(origin))))


def store(folder: Path, name: str, content: bytes) -> None:
    """Keep what `write_received` wrote on a node, for the member's own stage.

    Raises:
        ArtifactError: it is no finished state.
    """
    _read_origin(content)
    with atomic_path(folder / Path(name).name) as temporary:
        temporary.write_bytes(content)


def find_received(tasks: "Iterable[Task]") -> dict[str, Received]:
    """What nodes have trained of these tasks, by name; damaged states count as missing."""
    found = {}
    waiting: dict[Path, Mapping[str, Sequence[Path]]] = {}
    for task in tasks:
        if task.states not in waiting:
            waiting[task.states] = _list_states(task.states)
        for path in waiting[task.states].get(task.name, ()):
            try:
                origin = _read_origin(path)
            except (ArtifactError, OSError):
                continue
            received = Received(on_machine(task, origin.machine), origin)
            if received.task.state == path:
                found[task.name] = received
    return found


def _list_states(folder: Path) -> Mapping[str, Sequence[Path]]:
    """The states in a folder, by the name of their task."""
    listed = defaultdict(list)
    for path in folder.glob("[!.]*.npz"):
        listed[path.name.rsplit(".", 2)[0]].append(path)
    return listed


def _read_origin(state: Path | bytes) -> Origin:
    """Where a state comes from.

    Raises:
        ArtifactError: it is not one of `write_received`, or is damaged.
    """
    name = state if isinstance(state, Path) else "What a node sent"
    with corruption_as(lambda reason: ArtifactError(f"{name} is no received state: {reason}")):
        if isinstance(state, bytes):
            return _decode(read_arrays(state))
        with open_file(state) as file:
            return _decode(read_arrays(file, [_ORIGIN, _SCALARS]))


def _decode(arrays: Arrays) -> Origin:
    if not json.loads(str(arrays[_SCALARS]))["finished"]:
        raise ValueError("it is not finished")
    return TypeAdapter(Origin).validate_json(str(arrays[_ORIGIN]))
