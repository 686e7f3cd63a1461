from dataclasses import replace

import pytest

from tests.training.test_loop import RECIPE


@pytest.mark.parametrize(
    ("position", "decay_from_epoch", "fraction"),
    [
        (0, None, 0),
        (1, None, 0.5),
        (2, None, 1),
        (9, None, 1),
        (9, 8, 0.75),
        (12, 8, 0),
        (1, 0, 0.375),
    ],
)
def test_learning_rate_rises_stays_and_falls_to_zero(
    position: float, decay_from_epoch: int | None, fraction: float
) -> None:
    recipe = replace(RECIPE, warmup_epochs=2, decay_epochs=4, max_epochs=20)
    assert recipe.learning_rate_fraction(position, decay_from_epoch) == pytest.approx(fraction)
