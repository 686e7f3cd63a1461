"""What a terminal and a pipe show while nodes train."""

from io import StringIO

import pytest
from rich.console import Console

from pipeline.cluster.display import ClusterDisplay
from pipeline.cluster.orders import News


def show(display: ClusterDisplay, height: int = 24) -> str:
    console = Console(width=80, file=StringIO())
    with console.capture() as captured:
        console.print(display.render(height))
    return captured.get()


def make_display() -> ClusterDisplay:
    return ClusterDisplay({"0-0-small": 8, "0-1-small": 8, "0-2-small": 8, "0-3-small": 8})


def test_table_says_what_runs_where_and_how_much_is_left() -> None:
    display = make_display()
    display.update(
        [
            News("0-0-small", "one (10.0.0.1)", 0, 8, 0),
            News("0-1-small", "two (10.0.0.2)", 0, 8, 0),
            News("0-0-small", "one (10.0.0.1)", 3, 8, 10),
        ]
    )
    text = show(display)
    assert "0-0-small  one (10.0.0.1)  3/8" in text
    assert "0-1-small  two (10.0.0.2)  0/8" in text
    # 5 + 8 + 8 + 8 epochs of 10 s, two at a time
    assert "0 of 4 trained · 2 running · 2 waiting · about 2:25 left" in text


def test_lines_tell_each_event_once(capsys: pytest.CaptureFixture[str]) -> None:
    display = make_display()
    display.update([News("0-0-small", "one", 0, 8, 0), News("0-0-small", "two", 0, 8, 0)])
    display.finish("0-0-small", "two")
    display.fail("0-1-small", "the loss is nan")
    display.update([News("0-0-small", "two", 8, 8, 1)])  # late news of what is back
    assert capsys.readouterr().out == (
        "0-0-small: on one\n"
        "0-0-small: again on two\n"
        "0-0-small: trained on two; 1 of 4\n"
        "0-1-small: failed: the loss is nan\n"
    )
    assert "1 of 4 trained · 0 running · 2 waiting · 1 failed" in show(display)


def test_table_is_no_higher_than_the_terminal() -> None:
    display = ClusterDisplay({f"0-{seed}-small": 8 for seed in range(100)})
    display.update([News(f"0-{seed}-small", "one", 0, 8, 0) for seed in range(100)])
    assert len(show(display, height=20).splitlines()) < 20
    assert "100 running · 0 waiting" in show(display, height=20)
