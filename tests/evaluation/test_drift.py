import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.drift import compare_properties
from pipeline.evaluation.image_properties import PROPERTIES


def draw(size: int, seed: int, **shifts: float) -> pd.DataFrame:
    """Normal properties; ``shifts`` are of the named ones, in standard deviations."""
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {name: generator.normal(shifts.get(name, 0), 1, size) for name in PROPERTIES}
    )


def verdicts(training: pd.DataFrame, test: pd.DataFrame) -> dict[str, str]:
    table = compare_properties(training, test)
    return dict(zip(table["property"], table["verdict"], strict=True))


def test_images_of_one_kind_are_the_same() -> None:
    found = verdicts(draw(42_000, 0), draw(28_000, 1))
    assert found == dict.fromkeys((prop.title for prop in PROPERTIES.values()), "same")


def test_shifted_property_drifts_and_only_that() -> None:
    found = verdicts(draw(4_000, 0), draw(3_000, 1, slant=0.5))
    assert found == {"stroke width": "same", "slant": "drift", "ink": "same",
                     "height to width": "same"}  # fmt: skip


def test_many_images_do_not_raise_an_alarm_for_a_trifle() -> None:
    found = verdicts(draw(42_000, 0), draw(28_000, 1, ink=0.06))
    assert found["ink"] == "slight"


def test_few_images_do_not_raise_an_alarm_for_a_large_distance() -> None:
    table = compare_properties(draw(20, 0), draw(20, 1))
    assert table["distance"].max() > 0.15
    assert set(table["verdict"]) == {"same"}


def test_chance_raises_an_alarm_in_one_of_twenty() -> None:
    alarms = [set(verdicts(draw(300, 2 * i), draw(300, 2 * i + 1)).values()) for i in range(200)]
    assert sum(found != {"same"} for found in alarms) <= 16  # 10 expected


def test_table_has_medians_and_a_corrected_p_value() -> None:
    training, test = draw(500, 0), draw(500, 1, slant=1)
    table = compare_properties(training, test).set_index("property")
    assert table.loc["slant", "test_median"] == test["slant"].median()
    assert table.loc["slant", "p_value"] < 1e-6
    assert (table["p_value"] <= 1).all()


def test_missing_values_do_not_count() -> None:
    training, test = draw(100, 0), draw(100, 1)
    test.loc[:, "slant"] = np.nan
    table = compare_properties(training, test).set_index("property")
    assert table.loc["slant", "verdict"] == "same"
    assert np.isnan(table.loc["slant", "test_median"])
    assert table.loc["ink", "p_value"] == pytest.approx(min(1, table.loc["ink", "p_value"]))
