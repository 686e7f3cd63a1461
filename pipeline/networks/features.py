"""What a network makes of an image before it decides: the features of its last hidden layer."""

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Images
from pipeline.data.preprocessing import preprocess
from pipeline.networks.backend import keras
from pipeline.networks.trained import TrainedNetwork


def last_hidden_features(network: TrainedNetwork, images: Images) -> NDArray[np.float32]:
    """The input of a network's last layer, float32 ``(n, k)``, in its first view.

    Args:
        network: its last layer gives the logits.
        images: uint8 ``(n, 28, 28)``, before any preprocessing.
    """
    model = network.model
    body = TrainedNetwork(keras.Model(model.input, model.layers[-1].input), network.views)
    features = body.logits(preprocess(images, network.views[0]))
    return features.reshape(len(images), -1)
