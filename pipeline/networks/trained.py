"""Trained members: saved, loaded, and asked for probabilities."""

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images, Probabilities
from pipeline.data.preprocessing import STEPS, Forms, are_forms
from pipeline.ensemble.averaging import ask_in_forms
from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, is_corruption, missing_artifact, read_json
from pipeline.networks.backend import keras, tf

_BATCH = 1_000


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained model together with the forms in which it knows images.

    Attributes:
        model: uint8 images ``(n, 28, 28)``, preprocessed, to logits ``(n, 10)``.
        forms: in which it was trained.
    """

    model: keras.Model
    forms: Forms

    def logits(self, images: Images) -> NDArray[np.float32]:
        """Logits ``(n, 10)`` for preprocessed uint8 images ``(n, 28, 28)``."""
        batches = (images[start : start + _BATCH] for start in range(0, len(images), _BATCH))
        return np.concatenate([self._compiled(batch) for batch in batches])

    @cached_property
    def _compiled(self) -> Any:
        """The model as a function of batches of any size, traced once."""
        batch = [tf.TensorSpec([None, IMAGE_SIZE, IMAGE_SIZE], tf.uint8)]
        return tf.function(partial(self.model, training=False), batch, jit_compile=False)


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model of stock Keras layers as ``.keras``, without optimizer or compile state."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with atomic_path(path) as temporary:
        bare.save(temporary)


def load_model(path: Path) -> keras.Model:
    """Load what `save_model` wrote, in Keras's safe mode.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    if not path.exists():
        raise missing_artifact(path)
    try:
        model: keras.Model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        if not is_corruption(error):
            raise
        raise ArtifactError(
            f"{path} is damaged: Keras cannot load it ({str(error).splitlines()[0]}). "
            f"Bring it back with: dvc checkout --force {path.parent}"
        ) from None
    return model


def load_network(folder: Path) -> TrainedNetwork:
    """Load a member's folder, ``models/<member>``, as the train stage wrote it.

    Raises:
        ArtifactError: a file is missing or damaged, or the preprocessing is not one of ours.
    """
    record = read_json(folder / "member.json")
    match record:
        case {"preprocessing": forms} if are_forms(forms):
            return TrainedNetwork(load_model(folder / "model.keras"), forms)
    found = record.get("preprocessing", "nothing") if isinstance(record, dict) else record
    raise ArtifactError(
        f"{folder / 'member.json'} does not tell which preprocessing the network was trained with: "
        f"expected a list of forms, each a list of names among {', '.join(STEPS)}, or an empty "
        f"one, found {found}. "
        f"Another version of the pipeline may have trained it. Delete {folder}, then train it "
        "again with: dvc repro"
    )


def predict_probabilities(network: TrainedNetwork, images: Images) -> Probabilities:
    """Class probabilities for uint8 images ``(n, 28, 28)`` as they are before any preprocessing.

    Returns:
        float64 ``(n, 10)``, rows sum to 1; of several forms, as `ask_in_forms` averages them.
    """
    return ask_in_forms(network.logits, images, network.forms)
