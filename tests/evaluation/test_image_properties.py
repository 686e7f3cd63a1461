import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.image_properties import PROPERTIES, measure_properties


def draw_stroke(
    *, width: int = 3, lean: float = 0, height: int = 20, grey: int = 255
) -> np.ndarray:
    """A stroke from top to bottom; ``lean`` is how far the top stands to the right per row."""
    image = np.zeros((28, 28), np.uint8)
    top = (28 - height) // 2
    for row in range(height):
        left = round(14 - width / 2 + lean * (height / 2 - row))
        image[top + row, left : left + width] = grey
    return image


def measure(*images: np.ndarray) -> pd.DataFrame:
    return measure_properties(np.stack(images).astype(np.uint8))


def test_stroke_width_is_that_of_the_stroke_drawn() -> None:
    widths = measure(*(draw_stroke(width=width) for width in (1, 2, 4)))["stroke_width"]
    assert widths.is_monotonic_increasing
    assert widths.tolist() == pytest.approx([1, 2, 4], rel=0.25)


@pytest.mark.parametrize("lean", [-0.5, -0.2, 0.0, 0.3, 0.6])
def test_slant_is_positive_where_the_top_leans_to_the_right(lean: float) -> None:
    (slant,) = measure(draw_stroke(lean=lean))["slant"]
    assert slant == pytest.approx(np.degrees(np.arctan(lean)), abs=2)


def test_ink_is_the_mean_grey_level() -> None:
    full, half = measure(draw_stroke(), draw_stroke(grey=51))["ink"]
    assert full == pytest.approx(60 / 784)
    assert half == pytest.approx(full / 5)


def test_height_to_width_is_that_of_the_box_of_all_ink() -> None:
    tall = draw_stroke(width=4, height=20)
    wide = tall.T.copy()
    faint = draw_stroke(width=4, height=20)
    faint[5, 2] = 1
    assert measure(tall, wide, faint)["height_to_width"].tolist() == [5, 0.2, 20 / 14]


def test_blank_image_has_neither_slant_nor_box() -> None:
    blank, other = np.zeros((28, 28)), draw_stroke()
    table = measure(blank, other)
    assert table.loc[0, ["slant", "height_to_width"]].isna().all()
    assert table.loc[0, "ink"] == 0
    assert table.loc[1].notna().all()


def test_many_images_are_measured_as_each_alone() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4_100, 28, 28), dtype=np.uint8)
    table = measure_properties(images)
    assert list(table) == list(PROPERTIES)
    for row in (0, 1_999, 2_000, 4_099):
        alone = measure(images[row]).iloc[0]
        pd.testing.assert_series_equal(table.iloc[row], alone, check_names=False)


def test_no_images_give_an_empty_table() -> None:
    assert len(measure_properties(np.empty((0, 28, 28), np.uint8))) == 0


def test_values_are_written_with_their_units() -> None:
    written = {name: prop.write(-0.125) for name, prop in PROPERTIES.items()}
    assert written["stroke_width"] == "−0.1 px"
    assert written["slant"] == "0°"
    assert written["ink"] == "−12.5 %"


@pytest.mark.parametrize(
    ("slant", "expected"), [(-3.4, "−3°"), (-0.4, "0°"), (0.4, "0°"), (0.6, "+1°"), (12, "+12°")]
)
def test_slant_has_a_sign_unless_it_rounds_to_zero(slant: float, expected: str) -> None:
    assert PROPERTIES["slant"].write(slant) == expected
