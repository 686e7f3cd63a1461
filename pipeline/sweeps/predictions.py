"""``sweeps/<name>/members/<key>.npz``: what a member predicts, and its training."""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.dataset import NUM_CLASSES, Probabilities
from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, corruption_as, read_bytes
from pipeline.stored import Form, check_arrays, read_arrays

_FORMS: dict[str, Form] = {
    "probabilities": ("float64", ("n", NUM_CLASSES)),
    "history": ("U", ()),
    "node": ("U", ()),
}


@dataclass(frozen=True)
class MemberPredictions:
    """What a member predicts for the images of its fold.

    Attributes:
        probabilities: float64 ``(n, 10)``, for the rows of its fold in their order.
        history: of its training, a mapping per epoch.
        node: that trained it, by name.
    """

    probabilities: Probabilities
    history: list[dict[str, float]]
    node: str


def encode(predictions: MemberPredictions) -> bytes:
    """An npz without pickles; equal predictions give equal bytes."""
    file = BytesIO()
    np.savez(
        file,
        probabilities=predictions.probabilities,
        history=np.array(json.dumps(predictions.history)),
        node=np.array(predictions.node),
    )
    return file.getvalue()


def store(path: Path, content: bytes) -> MemberPredictions:
    """Keep what `encode` wrote, and read it.

    Raises:
        ArtifactError: it is nothing that `encode` wrote.
    """
    predictions = _decode(content, path.name)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return predictions


def find(path: Path) -> MemberPredictions | None:
    """What `store` kept; None if there is nothing, or it is damaged."""
    try:
        return _decode(read_bytes(path), path.name)
    except (ArtifactError, FileNotFoundError):
        return None


def _decode(content: bytes, name: str) -> MemberPredictions:
    with corruption_as(lambda reason: ArtifactError(f"{name} came back damaged: {reason}.")):
        arrays = read_arrays(content)
        check_arrays(arrays, _FORMS)
        history: list[dict[str, Any]] = json.loads(str(arrays["history"]))
        return MemberPredictions(arrays["probabilities"], history, str(arrays["node"]))
