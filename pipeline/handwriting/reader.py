"""The exported networks, asked what digit a picture shows. Starts fast: ONNX Runtime, no Keras."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES, Images, Probabilities
from pipeline.data.preprocessing import Forms, are_forms
from pipeline.ensemble.averaging import ask_in_forms, average_probabilities
from pipeline.errors import ArtifactError
from pipeline.files import missing_artifact, read_json, sha256
from pipeline.handwriting import find_digit as handwriting
from pipeline.handwriting import pictures
from pipeline.handwriting.crossings import is_unlike_digit
from pipeline.handwriting.find_digit import Problem
from pipeline.parallel import count_processors

RECORD = "ensemble.json"
"""Beside the exported networks: which they are, and what they were made from."""

SURE_FROM = 0.8
"""Probability from which a reading counts as sure. See benchmarks/RESULTS.md for how often readings
above and below it are right."""

TURNED_DEGREES = 10
"""People lean their digits more than MNIST's writers did: so far they are turned, either way."""

_BATCH = 100


@dataclass(frozen=True)
class Reading:
    """What a picture was read as.

    Attributes:
        image: uint8 ``(28, 28)``, what the networks saw.
        problem: why there is no digit to read, or None.
        probabilities: float64 ``(10,)``, the mean of all networks and of the image turned a little
            either way; uniform where there is no digit.
        doubtful: whether some of what was found may be no stroke of the digit, or it is no digit.
    """

    image: Images
    problem: Problem | None
    probabilities: Probabilities
    doubtful: bool = False

    @property
    def digit(self) -> int | None:
        """The most probable digit, or None where there is none to read."""
        return None if self.problem else int(self.ranked[0])

    @property
    def runner_up(self) -> int | None:
        """The second most probable digit, or None where there is none to read."""
        return None if self.problem else int(self.ranked[1])

    @property
    def ranked(self) -> NDArray[np.intp]:
        """The ten digits, the most probable first."""
        return np.argsort(-self.probabilities, kind="stable")

    @property
    def probability(self) -> float:
        """That of `digit`; 0 where there is none to read."""
        return 0.0 if self.problem else float(self.probabilities.max())

    @property
    def runner_up_probability(self) -> float:
        """That of `runner_up`; 0 where there is none to read."""
        return 0.0 if self.problem else float(self.probabilities[self.ranked[1]])

    @property
    def sure(self) -> bool:
        """Whether the digit is probable enough, and its strokes clear enough, to be relied on."""
        return self.probability >= SURE_FROM and not self.doubtful


class ExportedNetwork:
    """One exported member, with the forms in which it knows images."""

    def __init__(self, path: Path, forms: Forms) -> None:
        """Load an ONNX file.

        Raises:
            ArtifactError: it is missing or damaged.
        """
        if not path.exists():
            raise missing_artifact(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1  # batches are read side by side instead
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ArtifactError(
                f"{path} is damaged: ONNX Runtime cannot load it ({str(error).splitlines()[0]}). "
                "Bring it back with: dvc checkout --force export"
            ) from None
        self._forms = forms
        self.name = path.stem
        """Of the member."""

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Logits ``(n, 10)`` for preprocessed uint8 images ``(n, 28, 28)``."""
        (name,) = (argument.name for argument in self._session.get_inputs())
        (logits,) = self._session.run(None, {name: images})
        return np.asarray(logits, dtype=np.float32)

    def probabilities(self, images: Images) -> Probabilities:
        """Class probabilities ``(n, 10)`` for uint8 images ``(n, 28, 28)`` as they are."""
        return ask_in_forms(self.logits, images, self._forms)


class Reader:
    """All exported members together.

    What people draw is unlike what the networks know, and one that errs there may be certain: so
    readings are means of probabilities, which it cannot decide alone.
    """

    def __init__(self, networks: Sequence[ExportedNetwork], *, sample: bool) -> None:
        self._networks = networks
        self.sample = sample
        """Whether the networks were trained on the embedded sample alone."""

    @classmethod
    def load(cls, folder: Path, models: Path) -> Self:
        """Load what the export stage wrote.

        Args:
            folder: where it wrote to.
            models: the folder of the trained members, of which none may be newer.

        Raises:
            ArtifactError: something is missing, damaged or older than the trained members.
        """
        path = folder / RECORD
        record = read_json(path)
        networks = []
        for member in _members(record, path):
            trained = models / member["name"] / "model.keras"
            if trained.exists() and sha256(trained) != member["model_sha256"]:
                raise ArtifactError(
                    f"{trained} was trained after it was exported: expected the same network in "
                    f"{folder}. Export it again with: dvc repro export"
                )
            networks.append(
                ExportedNetwork(folder / f"{member['name']}.onnx", member["preprocessing"])
            )
        return cls(networks, sample=bool(record["sample"]))

    @property
    def names(self) -> list[str]:
        """The members whose networks are asked."""
        return [network.name for network in self._networks]

    def probabilities(self, images: Images) -> Probabilities:
        """Class probabilities ``(n, 10)`` for MNIST's images, uint8 ``(n, 28, 28)``, averaged."""
        return average_probabilities(self._ask(images))

    def _ask(self, images: Images) -> Probabilities:
        """Class probabilities ``(networks, n, 10)``."""
        batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        with ThreadPoolExecutor(count_processors()) as pool:
            return np.concatenate(list(pool.map(self._ask_once, batches)), axis=1)

    def _ask_once(self, images: Images) -> Probabilities:
        return np.stack([network.probabilities(images) for network in self._networks])

    def read(self, pixels: pictures.Pixels) -> Reading:
        """Read one picture, RGBA ``(height, width, 4)``."""
        return self.read_glyphs([handwriting.find_digit(pixels)])[0]

    def read_glyphs(self, glyphs: Sequence[handwriting.Glyph]) -> list[Reading]:
        """Read what was found in pictures, all at once, each as it is and turned a little."""
        if not glyphs:
            return []
        images = np.stack([glyph.image for glyph in glyphs])
        turned = _turn(images, TURNED_DEGREES), _turn(images, -TURNED_DEGREES)
        views = self._ask(np.concatenate([images, *turned]))
        probabilities = views.reshape(-1, len(images), NUM_CLASSES).mean(axis=0)
        return [
            Reading(
                glyph.image,
                glyph.problem,
                np.full(10, 0.1) if glyph.problem else row,
                glyph.doubtful or is_unlike_digit(glyph.image, int(row.argmax())),
            )
            for glyph, row in zip(glyphs, probabilities, strict=True)
        ]


def _turn(images: Images, degrees: float) -> Images:
    """uint8 ``(n, 28, 28)``, turned about the centre."""
    centre = ((IMAGE_SIZE - 1) / 2, (IMAGE_SIZE - 1) / 2)
    turn = cv2.getRotationMatrix2D(centre, degrees, 1)
    return np.stack([cv2.warpAffine(image, turn, (IMAGE_SIZE, IMAGE_SIZE)) for image in images])


def _members(record: Any, path: Path) -> list[dict[str, Any]]:
    match record:
        case {"sample": bool(), "members": [*members]} if members and all(map(_is_member, members)):
            return members
    raise ArtifactError(
        f"{path} is damaged: expected the list of exported networks that the export stage writes. "
        "Write it again with: dvc repro --force export"
    )


def _is_member(entry: Any) -> bool:
    match entry:
        case {"name": str(), "model_sha256": str(), "preprocessing": forms}:
            return are_forms(forms)
    return False
