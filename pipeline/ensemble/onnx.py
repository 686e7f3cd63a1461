"""The exported networks: their ONNX files, the record of them, and what they say together.

ONNX Runtime starts in a fraction of the time that Keras takes. No file here imports Keras.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES, Images, Probabilities
from pipeline.data.preprocessing import Views, are_views
from pipeline.ensemble.averaging import average_probabilities, predict_probabilities
from pipeline.errors import ArtifactError
from pipeline.files import (
    corruption_as,
    missing_artifact,
    read_bytes,
    read_json,
    sha256,
    write_json,
)
from pipeline.parallel import count_processors

RECORD = "ensemble.json"
"""Name of the record in the folder of the exported networks."""

_BATCH = 100

_LONGEST_NAME = 200
"""Bytes of a network's name; file systems take 255, with suffix and all."""


@dataclass(frozen=True)
class ExportedMember:
    """What an exported network was made from.

    Attributes:
        name: of the member.
        model_sha256: hash of the trained network's ``model.keras``.
        views: in which the network knows images.
        onnx_sha256: hash of the exported network.
    """

    name: str
    model_sha256: str
    views: Views
    onnx_sha256: str

    def check_fresh(self, models: Path) -> None:
        """Compare with the trained network, where there is one.

        Args:
            models: the folder of the trained members.

        Raises:
            ArtifactError: the network was trained again after its export.
        """
        trained = models / self.name / "model.keras"
        if trained.exists() and sha256(trained) != self.model_sha256:
            raise ArtifactError(
                f"{trained} was trained again after its export: expected the network that was "
                "exported. Export it again with: dvc repro export"
            )


@dataclass(frozen=True)
class ExportRecord:
    """What the export stage exported.

    Attributes:
        sample: whether a network was trained on the embedded sample.
        members: at least one.
    """

    sample: bool
    members: tuple[ExportedMember, ...]

    def write(self, folder: Path) -> None:
        """Write the record into the folder of the exported networks."""
        write_json(folder / RECORD, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            ArtifactError: the record is missing or damaged.
        """
        path = folder / RECORD
        match read_json(path):
            case {"sample": bool(sample), "members": [_, *_] as members} if all(
                map(_is_member, members)
            ):
                return cls(sample, tuple(ExportedMember(**member) for member in members))
        raise ArtifactError(
            f"{path} is damaged: expected the list of networks that the export stage writes. "
            "Write it again with: dvc repro --force export"
        )


def _is_member(entry: Any) -> bool:
    match entry:
        case {
            "name": str(name),
            "model_sha256": str(),
            "views": views,
            "onnx_sha256": str(),
            **rest,
        }:
            return not rest and _is_file_name(name) and are_views(views)
    return False


def _is_file_name(name: str) -> bool:
    """Whether a file may have this name with a suffix, in whatever folder."""
    is_short = name.isprintable() and len(name.encode()) <= _LONGEST_NAME
    return name != "" and name == Path(name).name and is_short


class ExportedNetwork:
    """One exported network, with the views in which it knows images."""

    def __init__(self, path: Path, views: Views) -> None:
        """Load an ONNX file.

        Raises:
            ArtifactError: the file is missing or damaged.
        """
        if not path.exists():
            raise missing_artifact(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1  # `ExportedEnsemble` runs batches in parallel
        with corruption_as(partial(_describe_damage, path)):
            self._session = onnxruntime.InferenceSession(
                read_bytes(path),
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=False,  # which prints its attempts
            )
            _check_form(self._session)
        self.name = path.stem
        self.views = views

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Logits ``(n, 10)`` for preprocessed uint8 images ``(n, 28, 28)``."""
        (name,) = (argument.name for argument in self._session.get_inputs())
        (logits,) = self._session.run(None, {name: images})
        return np.asarray(logits, dtype=np.float32)


def _describe_damage(path: Path, reason: str) -> ArtifactError:
    return ArtifactError(
        f"{path} is damaged: {reason}. Bring it back with: dvc checkout --force export"
    )


def _check_form(session: onnxruntime.InferenceSession) -> None:
    """Refuse a network of other images or other answers."""
    arguments = [(each.type, each.shape[1:]) for each in session.get_inputs()]
    results = [(each.type, each.shape[1:]) for each in session.get_outputs()]
    if arguments != [("tensor(uint8)", [IMAGE_SIZE, IMAGE_SIZE])] or results != [
        ("tensor(float)", [NUM_CLASSES])
    ]:
        raise ValueError(f"it is a network of another form, {arguments} to {results}")


class ExportedEnsemble:
    """All exported networks together."""

    def __init__(self, networks: Sequence[ExportedNetwork], *, sample: bool) -> None:
        self._networks = networks
        self.sample = sample
        """Whether a network was trained on the embedded sample."""

    @classmethod
    def load(cls, folder: Path, models: Path) -> Self:
        """Load what the export stage wrote; nothing else is parsed.

        Args:
            folder: the folder that the stage wrote.
            models: the folder of the trained members, which may be missing.

        Raises:
            ArtifactError: something is missing, damaged or older than the trained network.
        """
        record = ExportRecord.read(folder)
        networks = []
        for member in record.members:
            member.check_fresh(models)
            path = folder / f"{member.name}.onnx"
            if path.exists() and sha256(path) != member.onnx_sha256:
                raise _describe_damage(path, "it is not what the export stage wrote")
            networks.append(ExportedNetwork(path, member.views))
        return cls(networks, sample=record.sample)

    @property
    def names(self) -> list[str]:
        """The members' names."""
        return [network.name for network in self._networks]

    def probabilities(self, images: Images) -> Probabilities:
        """Class probabilities ``(n, 10)`` for uint8 images ``(n, 28, 28)``, averaged."""
        return average_probabilities(self.member_probabilities(images))

    def member_probabilities(self, images: Images) -> Probabilities:
        """Class probabilities ``(networks, n, 10)`` for uint8 images ``(n, 28, 28)``."""
        batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        with ThreadPoolExecutor(count_processors()) as pool:
            return np.concatenate(list(pool.map(self._predict_batch, batches)), axis=1)

    def _predict_batch(self, images: Images) -> Probabilities:
        return np.stack([predict_probabilities(network, images) for network in self._networks])
