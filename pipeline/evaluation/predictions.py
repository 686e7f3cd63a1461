"""Out-of-fold predictions, and the file that keeps them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import NUM_CLASSES, Labels, Probabilities
from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, corruption_as, missing_artifact, read_bytes
from pipeline.stored import Arrays, Form, check_arrays, read_arrays

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """Predictions of each held-out image by the members that were not trained on it.

    Attributes:
        rows: of the training data, ``(n,)``, rising.
        labels: uint8 ``(n,)``.
        averages: float64 ``(n, 10)``, over the members that hold a row out.
        probabilities: float64 ``(n, 10)``, the averages refined with neighbours.
        members: SHA-256 of each evaluated member's model, by the member's name; empty in a file of
            a version that did not record it.
        train_sha256: of ``train.csv``.
    """

    rows: Rows
    labels: Labels
    averages: Probabilities
    probabilities: Probabilities
    members: dict[str, str]
    train_sha256: str

    @property
    def predicted(self) -> Labels:
        """The most probable digits, uint8 ``(n,)``."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.uint8)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which predictions are the labels, ``(n,)``."""
        return np.asarray(self.predicted == self.labels)

    @property
    def refined(self) -> NDArray[np.bool_]:
        """Which predictions were refined with neighbours, ``(n,)``."""
        return np.asarray((self.averages != self.probabilities).any(axis=1))

    def save(self, path: Path) -> None:
        """Write an npz without pickles; equal predictions give equal bytes."""
        with atomic_path(path) as temporary:
            np.savez(
                temporary,
                rows=self.rows,
                labels=self.labels,
                averages=self.averages,
                probabilities=self.probabilities,
                members=np.array(list(self.members), dtype=np.str_),
                members_sha256=np.array(list(self.members.values()), dtype=np.str_),
                train_sha256=np.array(self.train_sha256),
            )


def load(path: Path) -> OutOfFoldPredictions:
    """Read what `OutOfFoldPredictions.save` wrote.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        raise missing_artifact(path) from None
    cure = f"Bring it back with: dvc checkout --force {path}"
    return parse(content, name=str(path), cure=cure)


_FORMS: dict[str, Form] = {
    "rows": ("i", ("n",)),
    "labels": ("uint8", ("n",)),
    "averages": ("float64", ("n", NUM_CLASSES)),
    "probabilities": ("float64", ("n", NUM_CLASSES)),
    "train_sha256": ("U", ()),
}
_MEMBERS: dict[str, Form] = {"members": ("U", ("m",)), "members_sha256": ("U", ("m",))}


def parse(content: bytes, *, name: str, cure: str) -> OutOfFoldPredictions:
    """Read the bytes of a file that `OutOfFoldPredictions.save` wrote.

    Args:
        content: of the file.
        name: of the file, for the error.
        cure: what brings it back, a sentence.

    Raises:
        ArtifactError: the file is damaged.
    """
    with corruption_as(lambda reason: ArtifactError(f"{name} is damaged: {reason}. {cure}")):
        arrays = read_arrays(content)
        check_arrays(arrays, _FORMS | (_MEMBERS if "members" in arrays else {}))
        _check_values(arrays)
        names, digests = (arrays[key].tolist() if key in arrays else [] for key in _MEMBERS)
        return OutOfFoldPredictions(
            rows=arrays["rows"],
            labels=arrays["labels"],
            averages=arrays["averages"],
            probabilities=arrays["probabilities"],
            members=dict(zip(names, digests, strict=True)),
            train_sha256=str(arrays["train_sha256"]),
        )


def _check_values(arrays: Arrays) -> None:
    rows = arrays["rows"]
    if not len(rows) or rows[0] < 0 or (np.diff(rows) <= 0).any():
        raise ValueError("its rows do not rise from 0 or more")
    if arrays["labels"].max() >= NUM_CLASSES:
        raise ValueError("a label is no digit")
    for name in ("averages", "probabilities"):
        if not np.allclose(arrays[name].sum(axis=1), 1) or (arrays[name] < 0).any():
            raise ValueError(f"{name} are none")
