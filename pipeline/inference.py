"""Trained members: saved, loaded, and asked for probabilities."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.backend import keras, tf
from pipeline.digits import Images
from pipeline.errors import ArtifactError
from pipeline.files import missing, replacing

_BATCH = 1_000


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model of stock Keras layers as ``.keras``, without optimizer or compile state."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with replacing(path) as temporary:
        bare.save(temporary)


def load_model(path: Path) -> keras.Model:
    """Load what `save_model` wrote, in Keras's safe mode.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    if not path.exists():
        raise missing(path)
    try:
        model: keras.Model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ArtifactError(
            f"{path} is damaged: Keras cannot load it ({str(error).splitlines()[0]}). "
            f"Bring it back with: dvc checkout --force {path.parent}"
        ) from None
    return model


def predict_probabilities(model: keras.Model, images: Images) -> NDArray[np.float64]:
    """Class probabilities for uint8 images ``(n, 28, 28)``: float64 ``(n, 10)``, rows sum to 1."""

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def probabilities(batch: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.cast(model(batch, training=False), tf.float64))

    batches = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    parts = [probabilities(tf.constant(batch)).numpy() for batch in batches]
    return np.concatenate(parts)
