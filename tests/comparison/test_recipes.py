from dataclasses import replace

import pytest

from comparison.recipes import plan_author, plan_ours, shorten
from comparison.references import REFERENCES
from comparison.settings import Budget
from pipeline.training.augmentation import WarpLimits
from pipeline.training.recipe import Recipe

BUDGET = Budget(author_multiply_adds=1e9, author_min_epochs=2, author_max_epochs=30, our_epochs=4)
RECIPE = Recipe(
    batch_size=128,
    batch_parts=2,
    learning_rate=0.003,
    max_epochs=20,
    warmup_epochs=4,
    patience_epochs=5,
    decay_epochs=16,
    pruned_fraction=0.5,
    warp=WarpLimits(8, 1.4, 0.1),
)


@pytest.mark.parametrize(
    ("multiply_adds", "epochs"),
    [
        (1_000, 12),  # all that the author ran; 1,000 would be affordable
        (200_000, 5),  # 1e9 / (200,000 × 1,000)
        (190_000, 5),
        (900_000, 2),  # one is affordable
    ],
)
def test_epochs_of_an_author_are_bounded_by_their_work(multiply_adds: int, epochs: int) -> None:
    reference = REFERENCES["shallow_cnn"]
    plan = plan_author(reference, multiply_adds=multiply_adds, num_rows=1_000, budget=BUDGET)
    assert plan.recipe.max_epochs == epochs
    assert plan.asked_epochs == 12


def test_no_author_gets_more_epochs_than_the_bound() -> None:
    plan = plan_author(REFERENCES["flat_mlp"], multiply_adds=1, num_rows=1_000, budget=BUDGET)
    assert (plan.recipe.max_epochs, plan.asked_epochs) == (30, 100)


def test_recipe_of_an_author_is_what_was_published() -> None:
    plan = plan_author(REFERENCES["deep_cnn"], multiply_adds=1, num_rows=1_000, budget=BUDGET)
    assert plan.recipe == Recipe(
        batch_size=128,
        batch_parts=1,
        learning_rate=0.001,
        max_epochs=30,
        warmup_epochs=0,
        patience_epochs=5,
        decay_epochs=0,
        pruned_fraction=0.0,
        warp=WarpLimits(rotation_degrees=8.0, shift_pixels=1.4, zoom_fraction=0.1),
    )
    assert plan.recipe.learning_rate_fraction(29.5, None) == 1
    assert plan.validation_fraction > 0


def test_author_whom_nothing_stopped_has_no_validation_set() -> None:
    plan = plan_author(REFERENCES["simple_cnn"], multiply_adds=1, num_rows=1_000, budget=BUDGET)
    assert plan.validation_fraction == 0
    assert plan.recipe.warp == WarpLimits(0, 0, 0)


@pytest.mark.parametrize("change", [{"optimizer": "SGD"}, {"loss": "MeanSquaredError"}])
def test_recipe_that_training_cannot_follow_is_refused(change: dict[str, str]) -> None:
    reference = replace(REFERENCES["simple_cnn"], **change)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match=next(iter(change.values()))):
        plan_author(reference, multiply_adds=1, num_rows=1, budget=BUDGET)


@pytest.mark.parametrize("name", REFERENCES)
def test_every_reference_has_a_recipe(name: str) -> None:
    plan_author(REFERENCES[name], multiply_adds=1, num_rows=1, budget=BUDGET)


@pytest.mark.parametrize(
    ("epochs", "warmup", "decay"), [(30, 4, 16), (10, 2, 8), (4, 1, 3), (2, 0, 2), (1, 0, 1)]
)
def test_schedule_is_shortened_in_proportion(epochs: int, warmup: int, decay: int) -> None:
    short = shorten(RECIPE, epochs)
    assert (short.max_epochs, short.warmup_epochs, short.decay_epochs) == (
        min(epochs, 20),
        warmup,
        decay,
    )
    assert replace(short, max_epochs=20, warmup_epochs=4, decay_epochs=16) == RECIPE


def test_our_epochs_do_not_depend_on_the_network() -> None:
    plan = plan_ours(RECIPE, validation_fraction=0.05, budget=BUDGET)
    assert (plan.recipe.max_epochs, plan.asked_epochs) == (4, 20)
    assert plan.recipe.batch_parts == 1


@pytest.mark.parametrize(("epochs", "fraction"), [(4, 0.0), (8, 0.05), (24, 0.05)])
def test_validation_set_is_only_where_it_can_stop_a_run(epochs: int, fraction: float) -> None:
    plateau = replace(RECIPE, max_epochs=24, warmup_epochs=1, decay_epochs=6)
    plan = plan_ours(
        plateau, validation_fraction=0.05, budget=BUDGET.model_copy(update={"our_epochs": epochs})
    )
    assert plan.recipe.max_epochs == epochs
    assert plan.validation_fraction == fraction
