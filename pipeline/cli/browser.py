"""Pages in the user's browser, where there is one with windows."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rich.console import Console

from pipeline import stages
from pipeline.cli.console import console, print_line, stderr
from pipeline.errors import ArtifactError

_TEXT_BROWSERS = {"browsh", "carbonyl", "elinks", "links", "links2", "lynx", "w3m", "www-browser"}
"""Browsers that would take over the terminal."""


def open_report() -> None:
    """Open the report in the browser."""
    from pipeline.files import missing_artifact, open_file

    if not stages.REPORT.exists():
        raise missing_artifact(stages.REPORT)
    with open_file(stages.REPORT) as report:
        if not report.read(1):
            raise ArtifactError(
                f"{stages.REPORT} is empty. Write it again with: dvc repro --force report"
            )
    if show_page(stages.REPORT, address_to=console):
        print_line(f"{stages.REPORT}: open in the browser")


def show_page(page: Path, *, address_to: Console) -> bool:
    """Open a page in a browser, or print its address; whether a browser opened it."""
    address = page.resolve().as_uri()
    if open_page(address):
        return True
    print_line("No browser with windows was found here. Open this in one:", to=stderr)
    print_line(address, to=address_to)
    return False


def open_page(address: str) -> bool:
    """Open an address in a browser with windows; False if there is none.

    A browser that ``BROWSER`` names needs no display here: it may show the page elsewhere, as the
    editors do that work on another machine.
    """
    import webbrowser

    named = bool(os.environ.get("BROWSER"))
    has_display = sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if not (named or has_display):
        return False
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    in_terminal = type(browser) is webbrowser.GenericBrowser
    if in_terminal and (not named or Path(browser.name).name in _TEXT_BROWSERS):
        return False
    return browser.open(address)
