import numpy as np
import pytest

from pipeline.architectures import ARCHITECTURES, build
from pipeline.data.dataset import TrainingDigits
from pipeline.data.preprocessing import preprocess
from pipeline.networks.features import last_hidden_features
from pipeline.networks.trained import TrainedNetwork


@pytest.mark.parametrize("view", [(), ("deskew",)])
def test_last_layer_makes_the_logits_of_the_features(
    training_digits: TrainingDigits, view: tuple[str, ...]
) -> None:
    network = TrainedNetwork(build("pooled_cnn"), (view, ("normalize_stroke",)))
    images = training_digits.images[:20]
    features = last_hidden_features(network, images)
    kernel, bias = network.model.layers[-1].get_weights()
    logits = network.logits(preprocess(images, view))
    assert features.shape == (20, len(kernel))
    np.testing.assert_allclose(features @ kernel + bias, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture_has_features(name: str, training_digits: TrainingDigits) -> None:
    network = TrainedNetwork(build(name), ((),))
    features = last_hidden_features(network, training_digits.images[:2])
    assert features.ndim == 2 and features.shape[0] == 2
    assert np.isfinite(features).all()
