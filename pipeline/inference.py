"""Trained members: saved, loaded, and asked for probabilities."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.backend import keras
from pipeline.digits import Images
from pipeline.errors import ArtifactError
from pipeline.files import missing, replacing, tells_of_damage

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
    except Exception as error:
        if not tells_of_damage(error):
            raise
        raise ArtifactError(
            f"{path} is damaged: Keras cannot load it ({str(error).splitlines()[0]}). "
            f"Bring it back with: dvc checkout --force {path.parent}"
        ) from None
    return model


def predict_probabilities(model: keras.Model, images: Images) -> NDArray[np.float64]:
    """Class probabilities for uint8 images ``(n, 28, 28)``: float64 ``(n, 10)``, rows sum to 1."""
    batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
    logits = np.concatenate([model(batch, training=False) for batch in batches])
    probabilities: NDArray[np.float64] = softmax(logits.astype(np.float64), axis=1)
    return probabilities
