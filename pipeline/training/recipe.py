"""How a network is fitted, as plain values: batches, schedule, augmentation."""

from dataclasses import dataclass

from pipeline.training.augmentation import WarpLimits


@dataclass(frozen=True)
class Recipe:
    """How a network is fitted.

    The learning rate rises linearly, stays, and falls linearly to zero. With a long decay it is the
    one-cycle schedule (Smith and Topin 2018); with a short one, that of a plateau.

    Attributes:
        batch_size: images per training step, at most.
        batch_parts: into which a batch is divided. They go through the network side by side, each
            normalised by its own statistics (ghost batch normalisation, Hoffer et al. 2017,
            arXiv:1705.08741).
        learning_rate: of Adam, at its highest.
        max_epochs: bound on the number of epochs; all are run where nothing stops the fit.
        warmup_epochs: epochs in which the learning rate rises.
        patience_epochs: after so many epochs without a lower validation loss the decay begins.
        decay_epochs: epochs in which the learning rate falls to zero before the end; with 0 the fit
            just stops.
        pruned_fraction: of the images with less than average loss, left out of an epoch and drawn
            again each time; the loss of the others of their kind counts for more instead
            (InfoBatch, Qin et al. 2024, arXiv:2303.04947). The first epoch and the last ones leave
            none out.
        warp: the augmentation.
    """

    batch_size: int
    batch_parts: int
    learning_rate: float
    max_epochs: int
    warmup_epochs: int
    patience_epochs: int
    decay_epochs: int
    pruned_fraction: float
    warp: WarpLimits

    def learning_rate_fraction(self, position: float, decay_from_epoch: int | None) -> float:
        """The learning rate at ``position``, in epochs from 0, as a fraction of the highest."""
        fraction = min(1.0, position / self.warmup_epochs) if self.warmup_epochs else 1.0
        if decay_from_epoch is None or position <= decay_from_epoch:
            return fraction
        decayed = (position - decay_from_epoch) / min(self.decay_epochs, self.max_epochs)
        return fraction * max(0.0, 1 - decayed)
