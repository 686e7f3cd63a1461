"""Out-of-fold predictions, and the file that keeps them."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Labels, Probabilities
from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, corruption_as, missing_artifact

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
    if not path.exists():
        raise missing_artifact(path)
    return parse(path.read_bytes(), name=str(path))


def parse(content: bytes, *, name: str) -> OutOfFoldPredictions:
    """Read the bytes of a file that `OutOfFoldPredictions.save` wrote.

    Args:
        content: of the file.
        name: of the file, for the error.

    Raises:
        ArtifactError: the file is damaged.
    """
    damaged = "{} is damaged: {}. Bring it back with: dvc checkout --force {}".format
    with (
        corruption_as(lambda reason: ArtifactError(damaged(name, reason, name))),
        np.load(BytesIO(content), allow_pickle=False) as arrays,
    ):
        names, digests = (
            arrays[key].tolist() if key in arrays else [] for key in ("members", "members_sha256")
        )
        return OutOfFoldPredictions(
            rows=arrays["rows"],
            labels=arrays["labels"],
            averages=arrays["averages"],
            probabilities=arrays["probabilities"],
            members=dict(zip(names, digests, strict=True)),
            train_sha256=str(arrays["train_sha256"]),
        )
