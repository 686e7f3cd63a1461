"""The data types that travel between stages, and their npz files.

Images are uint8 ``(n, 28, 28)`` with 0 = background, labels uint8 ``(n,)``. The files hold plain
arrays, never pickles. What is not here: how the arrays come out of the CSVs (`tables`).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, corruption_as, missing_artifact, open_file, read_json
from pipeline.stored import Arrays, Form, check_arrays, read_arrays

IMAGE_SIZE = 28
"""Height and width of an image in pixels."""

NUM_CLASSES = 10

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
    """

    images: Images
    labels: Labels
    folds: NDArray[np.uint8]
    provenance: Provenance


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
    arrays = {name: value for name, value in vars(digits).items() if name != "provenance"}
    arrays |= {name: np.array(value) for name, value in asdict(digits.provenance).items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_training(path: Path) -> TrainingDigits:
    """Read what `save` wrote.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    arrays = _load(path, {"labels": ("uint8", ("n",)), "folds": ("uint8", ("n",))})
    return TrainingDigits(arrays["images"], arrays["labels"], arrays["folds"], _provenance(arrays))


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
        arrays = read_arrays(file, forms)
        check_arrays(arrays, forms)
        if not len(arrays["images"]):
            raise ValueError("there is no image")
        if "labels" in arrays and arrays["labels"].max() >= NUM_CLASSES:
            raise ValueError("a label is no digit")
        return arrays


def _provenance(arrays: Arrays) -> Provenance:
    return Provenance(
        sample=bool(arrays["sample"]),
        train_sha256=str(arrays["train_sha256"]),
        test_sha256=str(arrays["test_sha256"]),
    )
