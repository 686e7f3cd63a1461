"""Where the trials of a sweep stand in the pictures of its page, in pixels."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pipeline.report.scales import Scale, Tick
from pipeline.wording import as_label

WIDTH, HEIGHT = 760, 320
"""Of each picture."""

LEFT, RIGHT, TOP, BOTTOM = 64, WIDTH - 20, 16, HEIGHT - 34
"""The edges of the history's field."""

_HEAD, _FOOT, _SIDE = 34.0, HEIGHT - 12.0, 64
"""Ends of the parallel axes, and how far the outer ones are from the picture's edges."""

_HIGHEST = 2.5
"""Times the median of the trials; what is above is drawn there."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """A trial in the history.

    Attributes:
        x: across.
        y: down.
        kind: base, complete, winner or stopped.
        title: in words.
    """

    x: float
    y: float
    kind: str
    title: str


@dataclass(frozen=True)
class Axis:
    """An axis of the parallel coordinates.

    Attributes:
        x: across.
        name: of what it shows.
        ticks: marks on it.
    """

    x: float
    name: str
    ticks: Sequence[Tick]


@dataclass(frozen=True)
class Line:
    """A trial in the parallel coordinates.

    Attributes:
        trial: its number.
        points: for the attribute of a polyline.
        kind: base, complete, winner or stopped.
        shade: 0 for the worst of the complete trials, 1 for the best.
        title: in words.
    """

    trial: int
    points: str
    kind: str
    shade: float
    title: str


def shorten(key: str) -> str:
    """A key without its section, as people say it."""
    return key.rpartition(".")[2].replace("_", " ")


def _scale(rows: Sequence[Row], measure: str, ends: tuple[float, float]) -> Scale:
    """Of what is minimized."""
    values = sorted(row[measure] for row in rows if row[measure] is not None)
    high = max(rows[0][measure], min(values[-1], _HIGHEST * values[len(values) // 2]))
    margin = 0.08 * (high - values[0]) or 0.1 * high or 1e-3
    return Scale(max(0.0, values[0] - margin), high + margin, ends)


def _kind(row: Row, winner: int) -> str:
    if row["trial"] == 0:
        return "base"
    if row["outcome"] != "complete":
        return "stopped"
    return "winner" if row["trial"] == winner else "complete"


def describe(row: Row, summary: Row) -> str:
    """A trial in words."""
    about = "params.yaml" if row["trial"] == 0 else f"trial {row['trial']}"
    measure = summary["minimize"]
    if row["outcome"] == "complete":
        came = f"{measure.replace('_', ' ')} {row[measure]:.5f}, {row['errors']:,.0f} errors"
    else:
        came = f"{row['outcome']} after epoch {row['epochs']}"
    keys = (f"{shorten(each['key'])} {row[each['key']]}" for each in summary["keys"])
    return f"{about}: {came}; {', '.join(keys)}"


# ---------------------------------------------------------------- history


def _across(place: int, count: int) -> float:
    return round(LEFT + (RIGHT - LEFT) * (place + 0.5) / count, 1)


def place_trials(rows: Sequence[Row], summary: Row) -> Iterator[Point]:
    """Each trial; those without a score at the foot."""
    scale = _scale(rows, summary["minimize"], (BOTTOM, TOP))
    for place, row in enumerate(rows):
        value = row[summary["minimize"]]
        y = float(BOTTOM) if value is None else scale.place(value)
        kind = _kind(row, summary["winner"])
        yield Point(_across(place, len(rows)), y, kind, describe(row, summary))


def trace_best(rows: Sequence[Row], measure: str) -> str:
    """The lowest value so far, as the path of a staircase."""
    scale = _scale(rows, measure, (BOTTOM, TOP))
    values = [math.inf if row[measure] is None else row[measure] for row in rows]
    ys = [scale.place(value) for value in accumulate(values, min)]
    steps = [f"H{_across(place, len(rows))}V{y}" for place, y in enumerate(ys)]
    return f"M{_across(0, len(rows))},{ys[0]}{''.join(steps)}"


def mark_levels(rows: Sequence[Row], measure: str) -> list[Tick]:
    """Marks of the history's axis."""
    return _scale(rows, measure, (BOTTOM, TOP)).ticks(5)


def number_trials(count: int) -> list[Tick]:
    """Marks below the history: numbers of trials, a dozen at most."""
    every = max(1, -(-count // 12))
    return [Tick(_across(number, count), str(number)) for number in range(0, count, every)]


# ---------------------------------------------------------------- parallel coordinates


def place_axes(rows: Sequence[Row], summary: Row) -> Iterator[Axis]:
    """An axis for each searched key, and one for what is minimized."""
    xs = _list_axes(summary)
    for x, each in zip(xs, summary["keys"], strict=False):
        yield Axis(x, shorten(each["key"]), _mark(each, rows))
    measure = summary["minimize"]
    scale = _scale(rows, measure, (_FOOT, _HEAD))
    yield Axis(xs[-1], measure.replace("_", " "), scale.ticks(3))


def draw_lines(rows: Sequence[Row], summary: Row) -> list[Line]:
    """A line for each trial; those to be seen best are the last."""
    measure, keys, xs = summary["minimize"], summary["keys"], _list_axes(summary)
    places = [_find_place(each, rows) for each in keys]
    values = sorted(row[measure] for row in rows if row[measure] is not None)
    scale = _scale(rows, measure, (_FOOT, _HEAD))
    lines = []
    for row in rows:
        ys = [place(row[each["key"]]) for place, each in zip(places, keys, strict=True)]
        shade = 0.0
        if row[measure] is not None:
            ys.append(scale.place(row[measure]))
            shade = 1 - values.index(row[measure]) / max(1, len(values) - 1)
        points = " ".join(f"{x},{y}" for x, y in zip(xs, ys, strict=False))
        kind = _kind(row, summary["winner"])
        lines.append(Line(row["trial"], points, kind, round(shade, 2), describe(row, summary)))
    order = ["stopped", "complete", "base", "winner"]
    return sorted(lines, key=lambda line: (order.index(line.kind), line.shade))


def _list_axes(summary: Row) -> list[float]:
    count = len(summary["keys"]) + 1
    return [round(_SIDE + (WIDTH - 2 * _SIDE) * i / (count - 1), 1) for i in range(count)]


def _mark(each: Row, rows: Sequence[Row]) -> list[Tick]:
    if not each["choices"]:
        return _scale_range(each, rows).ticks(3)
    labels = list(map(as_label, each["choices"]))
    return [Tick(_place_choice(i, len(labels)), str(text)) for i, text in enumerate(labels)]


def _find_place(each: Row, rows: Sequence[Row]) -> Callable[[Any], float]:
    """From a value of a searched key to its pixel; params.yaml may have none of the choices."""
    if not each["choices"]:
        return _scale_range(each, rows).place
    labels = list(map(as_label, each["choices"]))

    def place(value: Any) -> float:
        found = (i for i, text in enumerate(labels) if text == value or str(text) == str(value))
        i = next(found, None)
        return _FOOT if i is None else _place_choice(i, len(labels))

    return place


def _scale_range(each: Row, rows: Sequence[Row]) -> Scale:
    """Of a searched key; params.yaml may lie outside the range."""
    values = [row[each["key"]] for row in rows]
    low, high = min(each["low"], *values), max(each["high"], *values)
    return Scale(low, high, (_FOOT, _HEAD), log=each["log"] and low > 0)


def _place_choice(i: int, count: int) -> float:
    return round(_FOOT - (_FOOT - _HEAD) * (i + 0.5) / count, 1)
