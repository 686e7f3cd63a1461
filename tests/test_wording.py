"""Numbers as people read them."""

import pytest

from pipeline.wording import decimal, points


@pytest.mark.parametrize(
    ("number", "decimals", "signed", "written"),
    [
        (-2.128, 2, False, "−2.13"),
        (-0.004, 2, False, "0.00"),
        (1234.5, 1, False, "1,234.5"),
        (0.04, 1, True, "0.0"),
        (-0.04, 1, True, "0.0"),
        (0.05000001, 1, True, "+0.1"),
        (10, 0, True, "+10"),
        (0, 0, True, "0"),
        (-1234, 0, True, "−1,234"),
    ],
)
def test_zero_has_no_sign_and_minus_is_a_true_one(
    number: float, decimals: int, signed: bool, written: str
) -> None:
    assert decimal(number, decimals, signed=signed) == written


def test_points_have_their_sign() -> None:
    assert [points(each) for each in (0.0012, -0.0012, -0.00001)] == ["+0.12", "−0.12", "0.00"]
