from dataclasses import replace

import numpy as np

from pipeline.training.epoch import EpochPlan
from tests.training.test_loop import RECIPE


def test_epoch_leaves_out_some_learned_images_and_lets_the_others_count_for_more() -> None:
    losses = np.repeat(np.array([0.01, 5], dtype=np.float32), (900, 100))
    recipe = replace(RECIPE, pruned_fraction=0.75)
    plan = EpochPlan.draw(losses, 1, recipe, np.random.default_rng(0), keep_all=False)
    assert np.isin(np.arange(900, 1000), plan.rows).all()
    assert len(np.unique(plan.rows)) == len(plan.rows) == len(plan.warps)
    assert 100 + 900 / 4 * 0.8 < len(plan.rows) < 100 + 900 / 4 * 1.2
    np.testing.assert_array_equal(plan.weights, np.where(plan.rows < 900, 4, 1))
    assert plan.num_batches == -(-len(plan.rows) // 16)


def test_epoch_that_keeps_all_leaves_nothing_out() -> None:
    losses = np.full(50, np.inf, dtype=np.float32)
    plan = EpochPlan.draw(losses, 1, RECIPE, np.random.default_rng(0), keep_all=True)
    np.testing.assert_array_equal(np.sort(plan.rows), np.arange(50))
    np.testing.assert_array_equal(plan.weights, 1)
