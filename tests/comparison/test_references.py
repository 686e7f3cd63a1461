import math
from dataclasses import fields

import pytest

from comparison.references import REFERENCES, Reference
from pipeline.architectures import ARCHITECTURES, build
from pipeline.data.dataset import TrainingDigits
from pipeline.networks.backend import keras
from pipeline.params import Augmentation

NAMES = {field.name for field in fields(Reference)}


def test_references_are_of_architectures_that_can_be_built() -> None:
    assert set(REFERENCES) <= set(ARCHITECTURES)


@pytest.mark.parametrize("name", REFERENCES)
def test_architecture_names_the_project_of_its_reference(name: str) -> None:
    family = "shallow_cnn" if name.startswith("shallow_cnn") else name
    assert f'"{REFERENCES[name].project}"' in (ARCHITECTURES[family].__doc__ or "")


@pytest.mark.parametrize("name", REFERENCES)
def test_what_is_assumed_is_named_and_never_the_claim(name: str) -> None:
    assert REFERENCES[name].assumed <= NAMES - {"project", "claim", "assumed"}
    assert 0.9 < REFERENCES[name].claim < 1


@pytest.mark.parametrize("name", REFERENCES)
def test_author_trained_on_what_was_not_held_back(name: str) -> None:
    reference = REFERENCES[name]
    held_back = reference.held_back_fraction or 0
    assert reference.trained_on in ((1 - held_back) * 42_000, (1 - held_back) * 60_000)
    if reference.patience_epochs:
        assert reference.stopped_epochs and reference.stopped_epochs < reference.epochs


def test_reference_of_the_default_is_published_in_full() -> None:
    assert not REFERENCES["deep_cnn"].assumed


@pytest.mark.parametrize("name", REFERENCES)
def test_augmentation_is_one_that_can_be_asked_for(name: str) -> None:
    reference = REFERENCES[name]
    Augmentation(
        rotation_degrees=reference.rotation_degrees,
        shift_pixels=reference.shift_pixels,
        zoom_fraction=reference.zoom_fraction,
    )


RECIPES = dict.fromkeys(
    (reference.optimizer, reference.learning_rate, reference.loss)
    for reference in REFERENCES.values()
)


@pytest.mark.parametrize(("optimizer", "learning_rate", "loss"), RECIPES)
def test_recipe_trains_in_keras(
    optimizer: str, learning_rate: float, loss: str, training_digits: TrainingDigits
) -> None:
    keras.utils.set_random_seed(0)
    model = build("dense_baseline")
    model.compile(
        getattr(keras.optimizers, optimizer)(learning_rate),
        getattr(keras.losses, loss)(from_logits=True),
    )
    digits = training_digits.images, training_digits.labels
    before = model.evaluate(*digits, verbose=0)
    model.fit(*digits, epochs=10, verbose=0)
    after = model.evaluate(*digits, verbose=0)
    assert math.isfinite(after) and after < before
