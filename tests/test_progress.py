"""What a training shows, in a pipe and in a real terminal."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from pipeline.progress import EpochDisplay, FinishedEpoch
from tests.cli.terminal import run_in_terminal
from tests.conftest import ROOT


def row(epoch: int, seconds: float) -> dict[str, float]:
    losses = {"loss": 0.12345, "accuracy": 0.9}
    return {"epoch": epoch, "seconds": seconds} | losses | {"val_loss": 0.2, "val_accuracy": 0.95}


def show(
    capsys: pytest.CaptureFixture[str],
    epochs: Sequence[tuple[int, float, int, bool]],
    finished_epochs: int = 0,
) -> list[str]:
    """The lines of epochs, each with its seconds, the last epoch and whether it is the best."""
    with EpochDisplay("0-0-small", 36, finished_epochs) as display:
        for epoch, seconds, last, is_best in epochs:
            display.advance(epoch - 0.5)
            display.finish_epoch(FinishedEpoch(row(epoch, seconds), last, is_best))
    return capsys.readouterr().out.splitlines()


def test_lines_tell_the_total_and_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    lines = show(capsys, [(1, 60, 36, True), (2, 4, 36, True), (3, 6, 36, False)])
    figures = "loss 0.1235  val_loss 0.2000  val_acc 0.950"
    assert lines == [
        f"0-0-small  epoch  1/36             {figures}",
        f"0-0-small  epoch  2/36  2:16 left  {figures}",
        f"0-0-small  epoch  3/36  2:45 left  {figures}",
    ]


def test_time_left_follows_an_earlier_end_and_counts_hours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = show(capsys, [(5, 9, 36, True), (6, 100, 36, True), (7, 100, 15, True)], 4)
    assert lines[0] == "0-0-small: continuing after epoch 4"
    assert "epoch  6/36  50:00 left" in lines[2]
    assert "epoch  7/15  13:20 left" in lines[3]
    assert "1:10:00 left" in show(capsys, [(1, 9, 36, True), (2, 4200 / 34, 36, True)])[1]


def test_only_an_epoch_whose_weights_are_kept_is_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = show(capsys, [(1, 1, 3, True), (2, 1, 3, True), (3, 1, 3, True)])
    assert [line for line in kept if "kept" in line or "best" in line] == kept[2:]
    assert "epoch  3/3       kept  loss" in kept[2]
    stopped = show(capsys, [(1, 1, 36, True), (2, 1, 2, False)])
    assert not [line for line in stopped if "kept" in line or "best" in line]


def test_accuracy_is_shown_where_there_is_no_validation_set(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with EpochDisplay("all-0-small", 1, 0) as display:
        plain = {key: value for key, value in row(1, 1).items() if not key.startswith("val_")}
        display.finish_epoch(FinishedEpoch(plain, 1, True))
    assert "loss 0.1235  accuracy 0.9000" in capsys.readouterr().out


def test_terminal_of_80_columns_shows_a_bar_and_unbroken_lines() -> None:
    program = f"""
from pipeline.progress import EpochDisplay, FinishedEpoch
row = {row(2, 4)!r}
with EpochDisplay("0-0-small", 36, 0) as display:
    for epoch in 1, 2:
        display.advance(epoch - 0.5)
        display.finish_epoch(FinishedEpoch(row | {{"epoch": epoch}}, 36, True))
    display.advance(2.5)
"""
    output = run_in_terminal(sys.executable, "-c", program, columns=80, folder=ROOT)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output).replace("\r", "\n")
    assert "0-0-small  epoch 3/36 ━" in plain
    assert "2:14 left\n" in plain
    lines = [line for line in plain.splitlines() if "val_acc" in line]
    assert len(lines) == 2
    assert all(len(line) <= 80 for line in lines)


def test_terminal_without_a_width_gets_lines() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from pipeline.progress import print_line; print_line('a line')"],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "a line\n"
