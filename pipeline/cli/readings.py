"""How ``digits predict`` shows what it read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from pipeline.cli.console import print_line, print_table
from pipeline.cli.digit_pictures import to_text

if TYPE_CHECKING:
    from pipeline.handwriting.batch import Outcome

_FEW = 20
"""So many are listed where there are too many to list all."""

_MANY = 200
"""More readings than this are summarized."""


def print_outcomes(outcomes: Sequence[Outcome], *, show: bool) -> None:
    """A table of readings; of many a summary, and of labelled ones the errors and the accuracy."""
    labelled = [outcome for outcome in outcomes if outcome.item.label is not None]
    listed = [
        outcome
        for outcome in outcomes
        if len(outcomes) <= _FEW or outcome.item.label is None or not outcome.correct
    ]
    num_correct = len(outcomes) - len(listed)
    if len(listed) > _MANY:
        _print_counts(outcomes)
        listed = _least_sure(listed)
    if listed:
        rows = [_describe_outcome(outcome, labelled=bool(labelled)) for outcome in listed]
        print_table(rows, text={"picture"})
    if num_left := len(outcomes) - num_correct - len(listed):
        print_line(f"{num_left:,} others are not listed (--csv lists all)")
    if num_correct:
        print_line(f"{num_correct:,} correct ones are not listed (--csv lists all)")
    if show:
        for outcome in listed:
            _show_seen(outcome)
    if labelled:
        _print_accuracy([outcome for outcome in labelled if outcome.reading])


def _least_sure(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """A few readings, the least probable first."""
    read = [outcome for outcome in outcomes if outcome.reading and not outcome.reading.problem]
    return sorted(read, key=lambda outcome: outcome.reading.probability if outcome.reading else 0)[
        :_FEW
    ]


def _print_counts(outcomes: Sequence[Outcome]) -> None:
    """How often each digit was read, and how often not for sure."""
    counts: Counter[str] = Counter()
    not_sure: Counter[str] = Counter()
    for outcome in outcomes:
        digit = outcome.reading.digit if outcome.reading else None
        name = "unreadable" if outcome.reading is None else "none" if digit is None else str(digit)
        counts[name] += 1
        not_sure[name] += digit is not None and not (outcome.reading and outcome.reading.sure)
    rows = [
        {"digit": name, "read": f"{counts[name]:,}", "not sure": f"{not_sure[name]:,}"}
        for name in [*"0123456789", "none", "unreadable"]
        if counts[name] or name.isdecimal()
    ]
    print_table(rows)
    print_line("")


def _describe_outcome(outcome: Outcome, *, labelled: bool) -> dict[str, str | Text]:
    """The row of a table; the column of true digits only where some are known."""
    reading, label = outcome.reading, outcome.item.label
    row: dict[str, str | Text] = {"picture": outcome.item.name}
    if labelled:
        row["true"] = "–" if label is None else str(label)
    if reading is None or reading.problem:
        style = "red" if reading is None else "yellow"
        remark = "unreadable" if reading is None else str(reading.problem)
        row |= {"digit": Text("–", style), "probability": "", "runner-up": ""}
        return row | {"remark": Text(remark, style)}
    is_error = label is not None and not outcome.correct
    remarks = [Text("misclassified", "red")] * is_error
    remarks += [Text("not sure", "yellow")] * (not reading.sure)
    style = "red" if is_error else "green" if reading.sure else "yellow"
    return row | {
        "digit": Text(str(reading.digit), style),
        "probability": f"{reading.probability:.1%}",
        "runner-up": f"{reading.runner_up}  {reading.runner_up_probability:5.1%}",
        "remark": Text(", ").join(remarks),
    }


def _show_seen(outcome: Outcome) -> None:
    """Draw what the networks saw."""
    if outcome.reading is None:
        return
    print_line(outcome.item.name, "bold")
    for line in to_text(outcome.reading.image):
        print_line(Text("  ") + line)


def _print_accuracy(labelled: Sequence[Outcome]) -> None:
    """The accuracy on labelled pictures, and the confusions."""
    from pipeline.evaluation.metrics import wilson_interval
    from pipeline.handwriting import batch

    if not labelled:
        return
    correct = sum(outcome.correct for outcome in labelled)
    low, high = wilson_interval(correct, len(labelled))
    print_line(
        f"Accuracy {correct / len(labelled):.2%}: {correct:,} of {len(labelled):,} "
        f"(95 % interval {low:.2%} – {high:.2%})",
        "bold",
    )
    rows = []
    for true, counts in enumerate(batch.count_confusions(labelled)):
        row: dict[str, str | Text] = {"true": str(true)}
        for read, count in zip([*"0123456789", "none"], counts, strict=True):
            style = "dim" if not count else "green" if read == str(true) else "red"
            row[read] = Text(str(count) if count else ".", style)
        rows.append(row)
    print_line("")
    print_table(rows, "Confusions: true digit down, read across")
