"""What a user sees, in real terminals and pipes of other processes."""

import os
import re
import subprocess
import sys

import pytest
from rich.cells import cell_len
from rich.text import Text

from pipeline.cli.console import print_line, print_table
from tests.cli.terminal import run_in_terminal
from tests.conftest import ROOT

HOSTILE = "[red]a[/red] [/off] :smile: 'b' 12 http://x.org \x1b[31m\u202e " + "long/" * 40 + "end"
ROWS = [
    {"network": "deep_pooled_cnn", "accuracy": "99.31 – 99.55 %", "parameters": "1,010,826"},
    {"network": "[v2] " + "many words " * 12, "accuracy": "9.1 %", "parameters": "12"},
]
PROGRAM = f"""
from pipeline.cli.console import print_line, print_table
print_line({HOSTILE!r}, "green")
print_table({ROWS!r}, "two networks")
"""
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def in_terminal(columns: int, **variables: str) -> str:
    return run_in_terminal(sys.executable, "-c", PROGRAM, columns=columns, folder=ROOT, **variables)


def in_pipe(**variables: str) -> bytes:
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_COLOR")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=kept | {"COLUMNS": "40"} | variables,
        capture_output=True,
        check=True,
    )
    return done.stdout


def test_users_text_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(HOSTILE)
    shown = HOSTILE.replace("\x1b", r"\x1b").replace("\u202e", r"\u202e")
    assert capsys.readouterr().out == f"{shown}\n"


def test_lines_of_a_text_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("one\ntwo")
    print_line(Text("three"))
    assert capsys.readouterr().out == "one\ntwo\nthree\n"


def test_pipe_gets_whole_lines_without_colour_or_padding() -> None:
    output = in_pipe().decode()
    assert "\x1b[" not in output
    long, title, header, rule, *rows = output.splitlines()
    assert "long/" * 40 + "end" in long
    assert title == "two networks"
    assert set(rule) == {"─"}
    assert header.split() == ["network", "accuracy", "parameters"]
    assert [row.split("  ")[0] for row in rows] == ["deep_pooled_cnn", ROWS[1]["network"].strip()]
    assert all(line == line.rstrip() for line in (header, rule, *rows))


@pytest.mark.parametrize("columns", [80, 60])
def test_table_is_not_wider_than_the_terminal_and_breaks_no_number(columns: int) -> None:
    output = ESCAPES.sub("", in_terminal(columns))
    _, table = output.split("two networks\n")
    assert all(cell_len(line) <= columns for line in table.splitlines())
    for row in ROWS:
        assert row["accuracy"] in table
        assert row["parameters"] in table
    words = " ".join(line[: columns - 28].strip() for line in table.splitlines()[3:])
    assert words.startswith("[v2] many words many words")


def test_terminal_too_narrow_for_a_table_gets_lists() -> None:
    output = ESCAPES.sub("", in_terminal(30))
    assert "accuracy 99.31 – 99.55 %\nparameters 1,010,826\n" in output


def test_terminal_without_a_width_gets_text() -> None:
    assert in_pipe(COLUMNS="0") == in_pipe(COLUMNS="80")


def test_colours_follow_the_terminal_and_the_variables() -> None:
    green = "\x1b[32m"
    assert green in in_terminal(80)
    assert green not in in_terminal(80, NO_COLOR="1")
    assert b"\x1b[" not in in_pipe(NO_COLOR="1")
    assert green.encode() in in_pipe(FORCE_COLOR="1")


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
def test_other_encodings_get_rules_that_they_have(encoding: str) -> None:
    output = in_pipe(PYTHONIOENCODING=f"{encoding}:replace").decode(encoding)
    assert "\n-------" in output
    assert "99.31 ? 99.55 %" in output


def test_figures_stand_to_the_right_unless_they_are_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [{"name": "1", "n": "1", "took": "4 s"}, {"name": "1000", "n": "1,000", "took": "12 s"}]
    print_table(rows, text={"name"})
    assert capsys.readouterr().out.splitlines() == [
        "name      n  took",
        "─────────────────",
        "1         1   4 s",
        "1000  1,000  12 s",
    ]
