"""What a finished run gives, by whoever's recipe."""

from collections.abc import Sequence
from dataclasses import dataclass

from comparison.table import Movement
from pipeline.data.dataset import Probabilities


@dataclass(frozen=True)
class Outcome:
    """What a finished run gives.

    Attributes:
        probabilities: float64 ``(n, 10)``, of the images of its fold, in their order.
        parameters: how many the network has.
        multiply_adds: for one image.
        training_images: that it may have seen, with those that decided when to stop.
        history: a row per epoch: at least ``images`` and ``seconds``.
        machine: name of the processor or of the GPU.
        backend: library that Keras ran on, and versions of both.
        dtype: of the layers while they trained.
        movements: what it reads of moved digits, if that was asked.
    """

    probabilities: Probabilities
    parameters: int
    multiply_adds: int
    training_images: int
    history: Sequence[dict[str, float]]
    machine: str
    backend: str
    dtype: str
    movements: Sequence[Movement] = ()
