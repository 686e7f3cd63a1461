"""What a run of the comparison does: whose recipe, and for how many epochs.

An author's run is what the author published, except that its epochs are bounded by the work they
are: images fitted times multiply-adds. Work is counted and not clocked, so that the bound is the
same on every machine and at every hour. Our own runs all have the same number of epochs: what
their differences show is then the networks' doing.
"""

from dataclasses import dataclass, replace
from typing import Literal

from comparison.references import Reference
from comparison.settings import Budget
from pipeline.training.augmentation import Warp
from pipeline.training.loop import Recipe

Whose = Literal["author", "ours"]

STOPPING_FRACTION = 0.05
"""Share of the training rows that stops an author's run, where the author stops early."""


@dataclass(frozen=True)
class Plan:
    """How one run is fitted.

    Attributes:
        recipe: what the training loop follows; its ``max_epochs`` is within the budget.
        asked_epochs: the most epochs there would be without a budget.
        stopping_fraction: share of the training rows that decides when to stop; with 0 all epochs
            are run.
    """

    recipe: Recipe
    asked_epochs: int
    stopping_fraction: float


def plan_author(reference: Reference, *, multiply_adds: int, num_rows: int, budget: Budget) -> Plan:
    """The author's own recipe, within the budget.

    Deviations: where the author stops early, so do we, but by a slice of the training rows instead
    of the images that judge, and the best epoch's weights are kept. Where nothing stops the
    author, all rows outside the fold are fitted and the last epoch's weights are kept. Layers
    compute in the type of the profile `default`, and rates of dropout are rounded to 1/256.

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
    stopping_fraction = STOPPING_FRACTION if reference.patience_epochs else 0.0
    epoch_cost = multiply_adds * num_rows * (1 - stopping_fraction)
    affordable = int(budget.author_multiply_adds / epoch_cost)
    bound = min(max(affordable, budget.author_min_epochs), budget.author_max_epochs)
    epochs = min(reference.epochs, bound)
    return Plan(
        recipe=Recipe(
            batch_size=reference.batch_size,
            learning_rate=reference.learning_rate,
            max_epochs=epochs,
            warmup_epochs=0,
            patience_epochs=reference.patience_epochs or epochs,
            anneal_epochs=0,
            pruned_fraction=0.0,
            warp=Warp(
                rotation_degrees=reference.rotation_degrees,
                shift_pixels=reference.shift_pixels,
                zoom_fraction=reference.zoom_fraction,
            ),
        ),
        asked_epochs=reference.epochs,
        stopping_fraction=stopping_fraction,
    )


def plan_ours(recipe: Recipe, *, stopping_fraction: float, budget: Budget) -> Plan:
    """The recipe of the default profile, its schedule shortened in proportion.

    Where it becomes too short for patience to run out, no rows are put aside to stop it.
    """
    short = shorten(recipe, budget.our_epochs)
    may_stop = short.patience_epochs < short.max_epochs - short.anneal_epochs
    return Plan(
        recipe=short,
        asked_epochs=recipe.max_epochs,
        stopping_fraction=stopping_fraction if may_stop else 0.0,
    )


def shorten(recipe: Recipe, epochs: int) -> Recipe:
    """``recipe`` with at most ``epochs`` epochs, its warm-up and anneal in proportion."""
    if epochs >= recipe.max_epochs:
        return recipe
    share = epochs / recipe.max_epochs
    warmup = min(round(recipe.warmup_epochs * share), epochs - 1)
    return replace(
        recipe,
        max_epochs=epochs,
        warmup_epochs=warmup,
        anneal_epochs=min(round(recipe.anneal_epochs * share), epochs - warmup),
    )
