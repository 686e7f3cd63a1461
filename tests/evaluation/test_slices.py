"""Planted truth: a slice that is worse is named, and chance names none."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from pipeline.evaluation.slices import Slices, divide, simultaneous_interval, tabulate_slices

DRAWS = 100
IMAGES = 12_000
ERROR_RATE = 0.004


@pytest.fixture(scope="module")
def properties() -> pd.DataFrame:
    """Correlated as those of digits: bold ones have more ink."""
    generator = np.random.default_rng(0)
    stroke = generator.gamma(16, 0.16, IMAGES)
    return pd.DataFrame(
        {
            "stroke_width": stroke,
            "slant": generator.normal(6, 14, IMAGES),
            "ink": 0.05 * stroke + generator.normal(0, 0.02, IMAGES),
            "height_to_width": np.round(generator.gamma(9, 0.15, IMAGES), 1),
        }
    )


@pytest.fixture(scope="module")
def slices(properties: pd.DataFrame) -> Slices:
    return divide(properties)


def draw_errors(rates: float | np.ndarray, draws: int = DRAWS) -> np.ndarray:
    generator = np.random.default_rng(1)
    return generator.random((draws, IMAGES)) < rates


def test_each_property_and_each_pair_is_divided(properties: pd.DataFrame, slices: Slices) -> None:
    names = [tuple(part.name for part in parts) for parts in slices.parts]
    assert names.count(("slant",)) == 5
    assert names.count(("stroke_width", "slant")) == 9
    assert len(set(names)) == 4 + 6
    own = [place for place, name in enumerate(names) if name == ("slant",)]
    assert (slices.members[own].sum(axis=0) == 1).all()
    assert slices.members[own].sum(axis=1).tolist() == [IMAGES // 5] * 5
    crossed = [place for place, name in enumerate(names) if name == ("stroke_width", "slant")]
    assert (slices.members[crossed].sum(axis=0) == 1).all()


def test_equal_values_stay_together(properties: pd.DataFrame, slices: Slices) -> None:
    heights = properties["height_to_width"].to_numpy()
    for members in slices.members:
        (parts,) = [
            each for each, own in zip(slices.parts, slices.members, strict=True) if own is members
        ] or [()]
        if [part.name for part in parts] == ["height_to_width"]:
            assert not set(heights[members]) & set(heights[~members])


@pytest.mark.parametrize("name", ["slant", "height_to_width", "stroke_width and slant"])
def test_slice_that_is_five_times_worse_is_named(slices: Slices, name: str) -> None:
    wanted = name.split(" and ")
    place = next(
        place for place, parts in enumerate(slices.parts) if [part.name for part in parts] == wanted
    )
    errors = draw_errors(ERROR_RATE * np.where(slices.members[place], 5, 1))
    assert slices.find_worse(errors)[:, place].mean() >= 0.95


def test_chance_names_no_slice(slices: Slices) -> None:
    errors = draw_errors(ERROR_RATE)
    assert slices.find_worse(errors).any(axis=1).mean() <= 0.05


def test_shuffled_errors_of_a_bad_slice_name_none(slices: Slices) -> None:
    errors = draw_errors(ERROR_RATE * np.where(slices.members[0], 5, 1))
    shuffled = np.random.default_rng(2).permuted(errors, axis=1)
    assert slices.find_worse(errors).any()
    assert slices.find_worse(shuffled).any(axis=1).mean() <= 0.05


def test_intervals_are_exact_and_corrected_for_the_number_of_slices() -> None:
    totals = np.array([40, 700, 40, 3])
    errors = np.array([3, 0, 40, 1])
    low, high = simultaneous_interval(errors, totals)
    for place in range(4):
        expected = binomtest(int(errors[place]), int(totals[place])).proportion_ci(
            1 - 0.05 / 4, method="exact"
        )
        assert (low[place], high[place]) == pytest.approx((expected.low, expected.high))


def test_table_tells_counts_and_names_what_stands_out(slices: Slices) -> None:
    errors = draw_errors(ERROR_RATE * np.where(slices.members[7], 6, 1), draws=1)[0]
    table = tabulate_slices(slices, errors)
    assert len(table) == len(slices.parts)
    row = table.loc[7]
    assert row["slice"].startswith("slant ") and " to " in row["slice"]
    inside = slices.members[7]
    assert (row["n"], row["errors"]) == (inside.sum(), errors[inside].sum())
    assert row["error_rate"] == row["errors"] / row["n"]
    assert row["error_rate_low"] < row["error_rate"] < row["error_rate_high"]
    assert row["worse"] and row["error_rate_low"] > errors.mean()
    assert pd.isna(table.loc[0, "first_low"]) and pd.isna(table.loc[0, "second"])
    pairs = table[table["second"].notna()]
    assert " and " in pairs.iloc[0]["slice"]


def test_no_errors_name_nothing(slices: Slices) -> None:
    table = tabulate_slices(slices, np.zeros(IMAGES, np.bool_))
    assert not table["worse"].any()
    assert (table["error_rate_low"] == 0).all()


def test_few_alike_images_make_few_slices() -> None:
    alike = pd.DataFrame({"slant": [1.0, 1.0, 1.0], "ink": [0.1, 0.1, np.nan]})
    slices = divide(alike)
    assert slices.members.any(axis=1).all()
    table = tabulate_slices(slices, np.array([True, False, False]))
    assert not table["worse"].any()
