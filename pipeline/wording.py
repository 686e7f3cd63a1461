"""Numbers, values and text, as sentences and tables have them."""

import json
import re
from typing import Any

_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def one_line(text: str) -> str:
    """Text in one line: a blank for each run of control characters and of what is no UTF-8."""
    return _NO_TEXT.sub(" ", text)


def counted(number: int, noun: str, many: str = "") -> str:
    """A number with its noun: ``1 error``, ``2,000 errors``.

    Args:
        number: how many.
        noun: for one of them.
        many: for any other number; without, ``noun`` with an s.
    """
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def decimal(number: float, decimals: int, *, signed: bool = False) -> str:
    """A number with commas and the true minus sign; what rounds to zero has no sign.

    Args:
        number: to write.
        decimals: how many.
        signed: whether numbers above zero have a plus sign.
    """
    text = f"{number:{'+' if signed else ''}z,.{decimals}f}"
    zero = not text.strip("+0.")
    return text.removeprefix("+") if zero else text.replace("-", "−")


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points, with its sign: ``+0.12`` of 0.0012."""
    return decimal(100 * fraction, 2, signed=True)


def p_value(p: float) -> str:
    """A p-value as tables have it: ``0.042``, ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def describe_p(p: float) -> str:
    """A p-value in a sentence: ``p = 0.042``, ``p < 0.001``."""
    value = p_value(p)
    return f"p {value}" if value.startswith("<") else f"p = {value}"


def as_label(value: Any) -> Any:
    """A value of params.yaml as a table has it: what has parts as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value
