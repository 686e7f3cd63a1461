"""Which browsers are started, told by programs that note what they are asked to open."""

import shutil
from pathlib import Path

import pytest

from tests.cli.running import digits


@pytest.fixture
def report(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A report in the current folder, on a machine without a display and without browsers."""
    path = in_folder / "reports/report.html"
    path.parent.mkdir()
    path.write_text("<p>report</p>")
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PATH", str(in_folder / "bin"))
    monkeypatch.setattr("webbrowser._tryorder", None)
    monkeypatch.setattr("webbrowser._browsers", {})
    return path


def install(folder: Path, name: str) -> Path:
    """Put a browser on the path; gives the file in which it notes what it opens."""
    opened = folder / f"{name}.opened"
    program = folder / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!{shutil.which("sh", path="/bin:/usr/bin")}\nprintf %s "$1" > {opened}\n')
    program.chmod(0o755)
    return opened


def test_report_opens_in_the_browser_that_the_user_names(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = report.parents[1]
    opened = install(folder, "my-browser")
    monkeypatch.setenv("BROWSER", str(folder / "bin/my-browser"))
    assert digits(monkeypatch, "open") == 0
    assert opened.read_text() == report.as_uri()
    assert capsys.readouterr().out == "reports/report.html: open in the browser\n"


@pytest.mark.parametrize("variable", ["TERM", "BROWSER"])
def test_text_browser_is_not_started(
    variable: str, report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = install(report.parents[1], "w3m")
    monkeypatch.setenv("DISPLAY", ":0")
    if variable == "BROWSER":
        monkeypatch.setenv("BROWSER", "w3m")
    assert digits(monkeypatch, "open") == 0
    assert not opened.exists()
    printed = capsys.readouterr()
    assert printed.out == f"{report.as_uri()}\n"
    assert "No browser with windows was found here." in printed.err


def test_no_browser_is_started_without_a_display(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = install(report.parents[1], "xdg-open")
    assert digits(monkeypatch, "open") == 0
    assert not opened.exists()
    assert capsys.readouterr().out == f"{report.as_uri()}\n"


def test_empty_report_names_what_to_run(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report.write_text("")
    assert digits(monkeypatch, "open") == 1
    assert "reports/report.html is empty. Write it again with" in capsys.readouterr().err


def test_missing_report_names_what_to_run(
    report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report.unlink()
    assert digits(monkeypatch, "open") == 1
    assert "reports/report.html is missing: an earlier stage writes it" in capsys.readouterr().err
