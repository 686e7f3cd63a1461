"""What an epoch fits: which images, in which order, views and warps.

All is drawn from the generator of the epoch, so that it depends on (seed, epoch) and the losses of
the epochs before, and on nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.training.augmentation import Warps, draw_warps
from pipeline.training.recipe import Recipe

Losses = NDArray[np.float32]


class Batch(NamedTuple):
    """What one training step fits.

    Attributes:
        shown: int64 ``(m, 2)``, view and row of each image.
        warps: float32 ``(m, 8)``, of each image.
        weights: float32 ``(m,)``, of the loss of each image.
    """

    shown: NDArray[np.int64]
    warps: Warps
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class EpochPlan:
    """What an epoch fits, in this order.

    Attributes:
        rows: ``(m,)``, of the images to fit.
        views: ``(m,)``, in which each is shown.
        weights: float32 ``(m,)``, of the loss of each.
        warps: float32 ``(m, 8)``, of each.
        num_batches: of all but equal size, into which they are divided.
    """

    rows: NDArray[np.int64]
    views: NDArray[np.int64]
    weights: NDArray[np.float32]
    warps: Warps
    num_batches: int

    @classmethod
    def draw(
        cls,
        row_losses: Losses,
        num_views: int,
        recipe: Recipe,
        generator: np.random.Generator,
        *,
        keep_all: bool,
    ) -> Self:
        """Draw the images of an epoch, their order, their views and their warps.

        Args:
            row_losses: float32 ``(n,)``, of each image when it was last fitted.
            num_views: in which an image may be shown.
            recipe: how to fit.
            generator: of this epoch alone.
            keep_all: leave no image out.
        """
        kept = np.ones(len(row_losses), dtype=bool)
        weights = np.ones(len(row_losses), dtype=np.float32)
        if not keep_all:
            learned = row_losses < row_losses.mean()
            weights[learned] = 1 / (1 - recipe.pruned_fraction)
            kept = ~learned | (generator.random(len(row_losses)) >= recipe.pruned_fraction)
        rows = generator.permutation(np.flatnonzero(kept))
        warps = draw_warps(recipe.warp, len(rows), generator)
        views = generator.integers(num_views, size=len(rows))
        num_batches = -(-len(rows) // recipe.batch_size)
        return cls(rows, views, weights[rows], warps, num_batches)

    def batches(self) -> Iterator[Batch]:
        """The batches, of all but equal size."""
        shown = np.stack([self.views, self.rows], axis=1)
        for places in np.array_split(np.arange(len(self.rows)), self.num_batches):
            yield Batch(shown[places], self.warps[places], self.weights[places])
