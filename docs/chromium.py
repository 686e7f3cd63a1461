"""Chromium or Chrome, as the system has it: from PATH, or as an application of macOS."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "CHROME_BIN"
"""Names another one."""

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
"""Of the command; the runners of GitHub with Linux have ``google-chrome``."""

APPLICATIONS = (Path("/Applications"), Path.home() / "Applications")
PROGRAMS = ("Google Chrome", "Chromium")
"""Of macOS, where neither is on PATH; GitHub's runners have the first."""

LOOKED_FOR = (
    f"looked for {', '.join(NAMES)} on PATH and for {' and '.join(PROGRAMS)} in /Applications; "
    f"{VARIABLE} may name it"
)


def find(applications: Sequence[Path] = APPLICATIONS) -> str | None:
    """The path of the browser; None if there is none.

    Args:
        applications: folders of macOS's applications.
    """
    named = os.environ.get(VARIABLE)
    candidates = [
        *([named] if named else NAMES),
        *(
            str(folder / f"{name}.app/Contents/MacOS/{name}")
            for folder in (() if named else applications)
            for name in PROGRAMS
        ),
    ]
    return next(filter(None, map(shutil.which, candidates)), None)
