"""From values to pixels along an axis."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where, and what stands there."""

    place: float
    text: str


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low: the value at the lower end.
        high: the value at the upper end.
        ends: pixels of the lower and the upper end.
        log: whether equal ratios are equally far apart.
    """

    low: float
    high: float
    ends: tuple[float, float]
    log: bool = False

    def place(self, value: float) -> float:
        """The pixel of a value; of one beyond an end, that of the end."""
        low, high, value = (
            math.log(each) if self.log else each for each in (self.low, self.high, value)
        )
        share = min(1.0, max(0.0, (value - low) / (high - low or 1)))
        foot, head = self.ends
        return round(foot - share * (foot - head), 1)

    def ticks(self, count: int) -> list[Tick]:
        """Marks, equally far apart."""
        shares = [i / (count - 1) for i in range(count)]
        if self.log:
            values = [self.low * (self.high / self.low) ** share for share in shares]
        else:
            values = [self.low + (self.high - self.low) * share for share in shares]
        return [Tick(self.place(value), f"{value:.3g}") for value in values]
