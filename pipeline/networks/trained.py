"""Trained members: saved, loaded, and asked for logits."""

import json
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES, Images
from pipeline.data.preprocessing import Views
from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, corruption_as, missing_artifact, open_file
from pipeline.networks.backend import keras, tf
from pipeline.networks.devices import CPU, Device, gpu_errors
from pipeline.networks.record import read_record
from pipeline.parallel import count_processors

_BATCH = 1_000
"""Images that a thread predicts at once."""

_GPU_BATCH = 4_000
"""Images that a GPU predicts at once: their feature maps take about 1 GB."""

_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
"""Names that TensorFlow takes for what it traces."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained model together with the views in which it knows images.

    Attributes:
        model: uint8 images ``(n, 28, 28)``, preprocessed, to logits ``(n, 10)``.
        views: in which it was trained.
        device: where it predicts.
    """

    model: keras.Model
    views: Views
    device: Device = CPU

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Logits ``(n, 10)`` for preprocessed uint8 images ``(n, 28, 28)``.

        Raises:
            PipelineError: the GPU fails.
        """
        size, threads = (_GPU_BATCH, 1) if self.device.gpu else (_BATCH, count_processors())
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        with gpu_errors(self.device), ThreadPoolExecutor(threads) as pool:
            return np.concatenate(list(pool.map(self._predict, batches)))

    def _predict(self, images: Images) -> NDArray[np.float32]:
        with tf.device(self.device.placement):  # of this thread
            logits: NDArray[np.float32] = self._compiled(images).numpy()
        return logits

    @cached_property
    def _compiled(self) -> Any:
        """The model as a function of batches of any size, traced once."""
        batch = [tf.TensorSpec([None, IMAGE_SIZE, IMAGE_SIZE], tf.uint8)]
        return tf.function(partial(self.model, training=False), batch, jit_compile=False)


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model of stock Keras layers as ``.keras``, without optimizer or compile state.

    Equal models give equal bytes.
    """
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with atomic_path(path) as temporary:
        bare.save(temporary)
        _drop_dates(temporary)


def _drop_dates(path: Path) -> None:
    """Rewrite a ``.keras`` archive with the dates in it at the earliest that zip knows."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(parts["metadata.json"]) | {"date_saved": "1980-01-01@00:00:00"}
    parts["metadata.json"] = json.dumps(metadata).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def load_model(path: Path) -> keras.Model:
    """Load what `save_model` wrote, in Keras's safe mode; uint8 images to logits of ten digits.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    if not path.exists():
        raise missing_artifact(path)

    if not path.is_file():
        open_file(path)  # which says what it is
    with corruption_as(
        lambda reason: ArtifactError(
            f"{path} is damaged: Keras cannot load it ({reason}). Bring it back with: "
            f"dvc checkout --force {path.parent}"
        )
    ):
        if not zipfile.is_zipfile(path):  # of which Keras says that it is not there
            raise ValueError("it is no zip archive")
        model: keras.Model = keras.saving.load_model(path, compile=False, safe_mode=True)
        found = (model.input_shape, model.input.dtype, model.output_shape)
        if found != ((None, IMAGE_SIZE, IMAGE_SIZE), "uint8", (None, NUM_CLASSES)):
            raise ValueError(f"it is a network of another form, {found}")
        for name in (model.name, *(layer.name for layer in model.layers)):
            if not _SCOPE.fullmatch(name):
                raise ValueError(f"{name!a} is no name of a layer")
    return model


def load_network(folder: Path, device: Device = CPU) -> TrainedNetwork:
    """Load a member's folder, ``models/<member>``, as the train stage wrote it.

    Args:
        folder: of the member.
        device: where it predicts.

    Raises:
        ArtifactError: a file is missing or damaged.
    """
    views = read_record(folder).preprocessing
    with tf.device(device.placement):
        return TrainedNetwork(load_model(folder / "model.keras"), views, device)
