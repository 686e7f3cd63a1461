"""What a run of the comparison does: whose recipe, and for how many epochs.

An author's run is what the author published, except that its epochs are bounded by the work they
are: images fitted times multiply-adds. Work is counted and not clocked, so that the bound is the
same on every machine and at every hour. Our own runs all have the same number of epochs, so that
differences between them come from the networks.
"""

from dataclasses import dataclass, replace

from comparison.references import Reference
from comparison.settings import Budget
from pipeline.training.augmentation import WarpLimits
from pipeline.training.recipe import Recipe

VALIDATION_FRACTION = 0.05
"""Of the training rows, in the validation set of an author who stops early."""

BATCH_PARTS = 1
"""Batches are normalised as a whole, as the authors' are; each run has one thread."""


@dataclass(frozen=True)
class Plan:
    """How one run is fitted.

    Attributes:
        recipe: what the training loop follows; its ``max_epochs`` is within the budget.
        asked_epochs: the most epochs there would be without a budget.
        validation_fraction: of the training rows in the validation set, which decides when to stop;
            with 0 all epochs are run.
    """

    recipe: Recipe
    asked_epochs: int
    validation_fraction: float


def plan_author(reference: Reference, *, multiply_adds: int, num_rows: int, budget: Budget) -> Plan:
    """The author's own recipe, within the budget.

    Deviations: where the author stops early, so do we, but by a validation set of training rows
    instead of the evaluated images, and the weights are those of the best epoch. Where nothing
    stops the author, all rows outside the fold are fitted and the weights are those of the last
    epoch. Layers compute in the type of the profile `default`, and rates of dropout are rounded to
    1/256.

    Args:
        reference: what the author published.
        multiply_adds: of the network, for one image.
        num_rows: outside the fold.
        budget: see comparison/params.yaml.

    Raises:
        NotImplementedError: the optimizer or loss is none that the training loop has.
    """
    if (reference.optimizer, reference.loss) != ("Adam", "SparseCategoricalCrossentropy"):
        raise NotImplementedError(
            f"training has Adam with softmax cross-entropy, and not {reference.optimizer} with "
            f"{reference.loss}"
        )
    validation_fraction = VALIDATION_FRACTION if reference.patience_epochs else 0.0
    epoch_cost = multiply_adds * num_rows * (1 - validation_fraction)
    affordable = int(budget.author_multiply_adds / epoch_cost)
    bound = min(max(affordable, budget.author_min_epochs), budget.author_max_epochs)
    epochs = min(reference.epochs, bound)
    return Plan(
        recipe=Recipe(
            batch_size=reference.batch_size,
            batch_parts=BATCH_PARTS,
            learning_rate=reference.learning_rate,
            max_epochs=epochs,
            warmup_epochs=0,
            patience_epochs=reference.patience_epochs or epochs,
            decay_epochs=0,
            pruned_fraction=0.0,
            warp=WarpLimits(
                rotation_degrees=reference.rotation_degrees,
                shift_pixels=reference.shift_pixels,
                zoom_fraction=reference.zoom_fraction,
            ),
        ),
        asked_epochs=reference.epochs,
        validation_fraction=validation_fraction,
    )


def plan_ours(recipe: Recipe, *, validation_fraction: float, budget: Budget) -> Plan:
    """The recipe of the default profile, its schedule shortened in proportion.

    Where it becomes too short for patience to run out, it has no validation set.
    """
    short = replace(shorten(recipe, budget.our_epochs), batch_parts=BATCH_PARTS)
    may_stop = short.patience_epochs < short.max_epochs - short.decay_epochs
    return Plan(
        recipe=short,
        asked_epochs=recipe.max_epochs,
        validation_fraction=validation_fraction if may_stop else 0.0,
    )


def shorten(recipe: Recipe, epochs: int) -> Recipe:
    """``recipe`` with at most ``epochs`` epochs, its warm-up and decay in proportion."""
    if epochs >= recipe.max_epochs:
        return recipe
    fraction = epochs / recipe.max_epochs
    warmup = min(round(recipe.warmup_epochs * fraction), epochs - 1)
    return replace(
        recipe,
        max_epochs=epochs,
        warmup_epochs=warmup,
        decay_epochs=min(round(recipe.decay_epochs * fraction), epochs - warmup),
    )
