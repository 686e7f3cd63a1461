"""The data types that travel between stages, and their npz files.

Images are uint8 ``(n, 28, 28)`` with 0 = background, labels uint8 ``(n,)``. The files hold plain
arrays, never pickles. What is not here: how the arrays come out of the CSVs (`tables`).
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, corruption_as, missing_artifact, open_file, read_json
from pipeline.stored import Arrays, Form, check_arrays, read_arrays

IMAGE_SIZE = 28
"""Height and width of an image in pixels."""

NUM_CLASSES = 10

LEFT_OUT = 255
"""Stands in `TrainingDigits.corrected_labels` for a row that no network trains on."""

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]
Probabilities = NDArray[np.float64]
"""``(…, 10)``, with a sum of 1 over the digits."""


@dataclass(frozen=True)
class Provenance:
    """Which data this is: the hashes of the two CSVs, wherever they came from.

    Attributes:
        sample: whether it is the embedded sample and not the competition's data.
        train_sha256: hash of ``train.csv``.
        test_sha256: hash of ``test.csv``.
    """

    sample: bool
    train_sha256: str
    test_sha256: str

    def __str__(self) -> str:
        name = "the embedded sample" if self.sample else "the competition's data"
        return f"{name} (train {self.train_sha256[:8]}, test {self.test_sha256[:8]})"


def read_provenance(path: Path) -> Provenance:
    """Read the provenance that the download stage wrote next to the CSVs.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    match read_json(path):
        case {"sample": bool(sample), "train_sha256": str(train), "test_sha256": str(test)}:
            return Provenance(sample, train, test)
    raise ArtifactError(
        f"{path} is damaged: expected sample, train_sha256 and test_sha256, as the download stage "
        "writes them. Bring it back with: dvc checkout --force download"
    )


@dataclass(frozen=True)
class TrainingDigits:
    """The labelled digits.

    Attributes:
        images: uint8 ``(n, 28, 28)``.
        labels: uint8 ``(n,)``, 0 to 9.
        folds: uint8 ``(n,)``, the fold that holds each row back.
        provenance: which data this is.
        corrected_labels: uint8 ``(n,)``, what networks train on instead of ``labels``: a digit, or
            `LEFT_OUT`. None: nothing was corrected.
    """

    images: Images
    labels: Labels
    folds: NDArray[np.uint8]
    provenance: Provenance
    corrected_labels: Labels | None = None

    def to_train_on(self) -> "TrainingDigits":
        """The digits with their corrected labels as ``labels``, without the rows that are left out.

        Where rows are left out, the place of a digit is no longer its row in ``train.csv``.
        """
        if self.corrected_labels is None:
            return self
        kept = self.corrected_labels != LEFT_OUT
        return replace(
            self,
            images=self.images[kept],
            labels=self.corrected_labels[kept],
            folds=self.folds[kept],
            corrected_labels=None,
        )


@dataclass(frozen=True)
class UnlabelledDigits:
    """The digits to label; row ``i`` has ``ImageId`` ``i + 1``.

    Attributes:
        images: uint8 ``(n, 28, 28)``.
        provenance: which data this is.
    """

    images: Images
    provenance: Provenance


def save(path: Path, digits: TrainingDigits | UnlabelledDigits) -> None:
    """Write either kind as an uncompressed npz; equal digits give equal bytes."""
    content = vars(digits).items()
    arrays: dict[str, Any] = {
        name: value for name, value in content if isinstance(value, np.ndarray)
    }
    arrays |= {name: np.array(value) for name, value in asdict(digits.provenance).items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_training(path: Path) -> TrainingDigits:
    """What networks train on, of what `save` wrote: see `TrainingDigits.to_train_on`.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    return load_labelled(path).to_train_on()


def load_labelled(path: Path) -> TrainingDigits:
    """Read what `save` wrote: every row of ``train.csv``, with the label as given there.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    arrays = _load(path, _LABELLED)
    return TrainingDigits(
        arrays["images"],
        arrays["labels"],
        arrays["folds"],
        _provenance(arrays),
        arrays.get("corrected_labels"),
    )


def load_test(path: Path) -> UnlabelledDigits:
    """Read what `save` wrote.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    arrays = _load(path, {})
    return UnlabelledDigits(arrays["images"], _provenance(arrays))


_FORMS: dict[str, Form] = {
    "images": ("uint8", ("n", IMAGE_SIZE, IMAGE_SIZE)),
    "sample": ("bool", ()),
    "train_sha256": ("U", ()),
    "test_sha256": ("U", ()),
}
"""The arrays of both files."""

_LABELLED: dict[str, Form] = {"labels": ("uint8", ("n",)), "folds": ("uint8", ("n",))}
_OPTIONAL: dict[str, Form] = {"corrected_labels": ("uint8", ("n",))}


def _load(path: Path, further: dict[str, Form]) -> Arrays:
    if not path.exists():
        raise missing_artifact(path)
    forms = _FORMS | further
    with (
        corruption_as(
            lambda reason: ArtifactError(
                f"{path} is damaged: expected the arrays that the prepare stage writes, but "
                f"{reason}. Delete it and run: dvc repro"
            )
        ),
        open_file(path) as file,
    ):
        arrays = read_arrays(file)
        check_arrays(arrays, forms, optional=_OPTIONAL)
        _check_values(arrays)
        return arrays


def _check_values(arrays: Arrays) -> None:
    if not len(arrays["images"]):
        raise ValueError("there is no image")
    if "labels" in arrays and arrays["labels"].max() >= NUM_CLASSES:
        raise ValueError("a label is no digit")
    corrected = arrays.get("corrected_labels", np.zeros(1, np.uint8))
    if (corrected[corrected != LEFT_OUT] >= NUM_CLASSES).any():
        raise ValueError("a corrected label is no digit")


def _provenance(arrays: Arrays) -> Provenance:
    return Provenance(
        sample=bool(arrays["sample"]),
        train_sha256=str(arrays["train_sha256"]),
        test_sha256=str(arrays["test_sha256"]),
    )
