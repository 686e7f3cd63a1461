"""Whether slices are named rightly: planted errors on the images of the last `dvc repro`.

In half of the draws one slice, taken at random, has five times the error rate of the others: it
should be named. In the other half errors fall on images at random: nothing should be. Three rules
are compared: exact intervals with Bonferroni's correction (ours), Wilson's with Šidák's, and the
permutation test of Westfall and Young ("Resampling-based multiple testing", 1993), which gives no
intervals.

    python -m benchmarks.slices            # 100 draws of each
    python -m benchmarks.slices 1000 8400  # as many draws, on the first 8,400 images
"""

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc
from scipy.stats import norm

from pipeline import stages
from pipeline.data import dataset
from pipeline.evaluation.image_properties import measure_properties
from pipeline.evaluation.slices import Slices, divide

ERROR_RATE = 0.004
TIMES_WORSE = 5
SMALLEST = 0.04
"""Of all images, in a slice that gets the planted errors."""

PERMUTATIONS = 200
AT_LEAST, AT_MOST = 0.95, 0.05

Errors = NDArray[np.bool_]
Rule = Callable[[Slices, Errors], NDArray[np.bool_]]


def main() -> None:
    """Print how often each rule names the planted slice, and any slice without one."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    size = int(sys.argv[2]) if len(sys.argv) > 2 else None
    slices = divide(measure_properties(dataset.load_labelled(stages.TRAIN).images[:size]))
    generator = np.random.default_rng(0)
    planted, where = plant(slices, draws, generator)
    shuffled = generator.permuted(planted, axis=1)
    print(f"{len(slices.parts)} slices of {planted.shape[1]:,} images, {draws} draws of each kind")
    within = True
    for name, rule in RULES.items():
        found = rule(slices, planted)[np.arange(draws), where].mean()
        alarms = rule(slices, shuffled).any(axis=1).mean()
        print(f"{name}: planted slice named in {found:.1%}, any slice named by chance {alarms:.1%}")
        if name == OURS:
            within = bool(found >= AT_LEAST and alarms <= AT_MOST)
    print("within the limits" if within else "BEYOND the limits")
    sys.exit(not within)


def plant(
    slices: Slices, draws: int, generator: np.random.Generator
) -> tuple[Errors, NDArray[np.intp]]:
    """Errors ``(draws, n)`` with one slice made worse, and which slice that is in each draw."""
    sizes = slices.members.mean(axis=1)
    where = generator.choice(np.flatnonzero(sizes >= SMALLEST), draws)
    rates = ERROR_RATE * np.where(slices.members[where], TIMES_WORSE, 1)
    return generator.random(rates.shape) < rates, where


def name_by_exact_intervals(slices: Slices, errors: Errors) -> NDArray[np.bool_]:
    """The rule of the pipeline."""
    return slices.find_worse(errors)


def name_by_wilson_intervals(slices: Slices, errors: Errors) -> NDArray[np.bool_]:
    """The same with Wilson's intervals, at Šidák's level."""
    k, n = slices.count(errors), slices.members.sum(axis=1)
    z = norm.isf((1 - 0.95 ** (1 / len(n))) / 2)
    centre = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
    return np.asarray(centre - half > errors.mean(axis=1, keepdims=True))


def name_by_permutation(slices: Slices, errors: Errors) -> NDArray[np.bool_]:
    """Slices whose binomial tail is smaller than the smallest of 95 % of permutations."""
    generator = np.random.default_rng(1)
    size, n = errors.shape[1], slices.members.sum(axis=1)

    def measure_tails(counts: NDArray[np.int64], rate: float) -> NDArray[np.float64]:
        return np.asarray(
            np.where(counts > 0, betainc(np.maximum(counts, 1), n - counts + 1, rate), 1)
        )

    named = []
    for total, counts in zip(errors.sum(axis=1), slices.count(errors), strict=True):
        places = generator.integers(size, size=(PERMUTATIONS, total))  # hardly any place twice
        permuted = np.array([slices.members[:, each].sum(axis=1) for each in places])
        smallest = measure_tails(permuted, total / size).min(axis=1)
        named.append(measure_tails(counts, total / size) < np.quantile(smallest, AT_MOST))
    return np.array(named)


OURS = "exact intervals, Bonferroni"
RULES: dict[str, Rule] = {
    OURS: name_by_exact_intervals,
    "Wilson's intervals, Šidák": name_by_wilson_intervals,
    "permutation test": name_by_permutation,
}

if __name__ == "__main__":
    main()
