"""How the authors trained their networks, and what accuracy they report.

Where an author is silent, the value is ours and is named in `Reference.assumed`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Whose = Literal["author", "ours", "plain"]
"""Whose recipe a network is trained by; ``plain`` is ours with images as they are, in no other
view."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What is published of one network.

    Attributes:
        project: the author's, as the architecture's docstring names it.
        claim: the accuracy that the author reports, between 0 and 1.
        claimed_on: the images that the claim is of: held back from the labelled ones, or the
            10,000 test images of MNIST.
        held_back_fraction: of the labelled images; None where the author used MNIST's own split.
        trained_on: images that the author trained on.
        epochs: the most that are run.
        patience_epochs: epochs without a lower loss on the held-back images before the run stops;
            None where nothing stops it.
        stopped_epochs: after so many the author's run had stopped.
        batch_size: images per step.
        optimizer: name in `keras.optimizers`.
        learning_rate: constant.
        loss: name in `keras.losses` of what is computed from the logits.
        rotation_degrees: bound of the augmentation, in both directions, like the next two.
        shift_pixels: along each axis.
        zoom_fraction: along each axis.
        assumed: names of the attributes above that the author does not publish.
    """

    project: str
    claim: float
    claimed_on: Literal["held back", "test"]
    held_back_fraction: float | None
    trained_on: int
    epochs: int
    patience_epochs: int | None = None
    stopped_epochs: int | None = None
    batch_size: int = 128
    optimizer: str = "Adam"
    learning_rate: float = 0.001
    loss: str = "SparseCategoricalCrossentropy"
    rotation_degrees: float = 0.0
    shift_pixels: float = 0.0
    zoom_fraction: float = 0.0
    assumed: frozenset[str] = frozenset()


def _regularization(*, claim: float, epochs: int) -> Reference:
    return Reference(
        project="MNIST Digit Recognizer",
        claim=claim,
        claimed_on="held back",
        held_back_fraction=0.1,
        trained_on=54_000,
        epochs=epochs,
        assumed=frozenset({"batch_size", "learning_rate"}),
    )


def _two_models(*, claim: float) -> Reference:
    return Reference(
        project="mnist-digit-classification",
        claim=claim,
        claimed_on="test",
        held_back_fraction=None,
        trained_on=60_000,
        epochs=100,
        assumed=frozenset({"batch_size", "optimizer", "learning_rate", "loss"}),
    )


_SHALLOW = Reference(
    project="CNN Classifying Images with Handwritten Digits",
    claim=0.99,
    claimed_on="test",
    held_back_fraction=None,
    trained_on=60_000,
    epochs=12,
    assumed=frozenset(
        {
            "claimed_on",
            "held_back_fraction",
            "epochs",
            "batch_size",
            "optimizer",
            "learning_rate",
            "loss",
        }
    ),
)
"""The claim is more than 99 % for `shallow_cnn`, near 99 % with poorly chosen maps or filters."""

REFERENCES: Mapping[str, Reference] = MappingProxyType(
    {
        "deep_cnn": Reference(
            project="digit-recognizer",
            claim=0.993,
            claimed_on="held back",
            held_back_fraction=0.2,
            trained_on=33_600,
            epochs=100,
            patience_epochs=5,
            stopped_epochs=25,
            rotation_degrees=8.0,
            shift_pixels=1.4,
            zoom_fraction=0.1,
        ),
        "dense_baseline": _regularization(claim=0.973, epochs=5),
        "simple_cnn": _regularization(claim=0.990, epochs=10),
        "regularized_cnn": _regularization(claim=0.993, epochs=12),
        "conv4_normalized": _two_models(claim=0.9932),
        "flat_mlp": _two_models(claim=0.9746),
        "shallow_cnn": _SHALLOW,
        "shallow_cnn_few_maps": _SHALLOW,
        "shallow_cnn_many_maps": _SHALLOW,
        "shallow_cnn_small_filters": _SHALLOW,
        "shallow_cnn_large_filters": _SHALLOW,
        "dropout_cnn": Reference(
            project="Handwritten-Digit-Classification-MNIST",
            claim=0.992,
            claimed_on="test",
            held_back_fraction=None,
            trained_on=60_000,
            epochs=10,
            assumed=frozenset({"claimed_on", "held_back_fraction", "batch_size", "learning_rate"}),
        ),
    }
)
"""By architecture; one of our own has no reference."""
