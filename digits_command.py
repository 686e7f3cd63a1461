"""The command ``digits``: starts the code of the project in which the user stands.

A module of its own, outside the package: a copy of the project would otherwise run the original's
code, to which its environment belongs, and someone's ``pipeline.py`` on PYTHONPATH would take the
place of the package.
"""

import os
import signal
import sys
from importlib.machinery import PathFinder
from pathlib import Path

_MARKS = ("dvc.yaml", "params.yaml", "pipeline/cli/__init__.py")


def _end(*_: object) -> None:
    """Answer Ctrl-C while modules are imported, where an exception would leave a traceback."""
    print("interrupted: nothing was done", file=sys.stderr, flush=True)
    os._exit(130)


def main() -> None:
    """Entry point of the console script."""
    if sys.flags.optimize > 1 and os.environ.pop("PYTHONOPTIMIZE", None):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # docstrings are the helps
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # it may be ignored
        signal.signal(signal.SIGINT, _end)
    installed = Path(__file__).resolve().parent
    folder = _find_project() or installed
    namesake = PathFinder.find_spec("pipeline")
    sys.path.insert(0, str(folder))
    if namesake:
        place = Path(namesake.origin or next(iter(namesake.submodule_search_locations or ())))
        if not any(
            place.resolve().is_relative_to(each / "pipeline") for each in (folder, installed)
        ):
            print(
                f"note: {place} is another module named pipeline. digits passes it over and runs "
                f"the code of {folder}.",
                file=sys.stderr,
            )
    from pipeline.cli import main as run

    signal.signal(signal.SIGINT, before)
    run()


def _find_project() -> Path | None:
    """The nearest folder, at or above the current one, that holds a project's code."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        sys.exit(
            "error: The current folder was deleted or replaced, as dvc repro does with reports. "
            'Enter it again: cd "$PWD"'
        )
    for folder in (here, *here.parents):
        if all((folder / mark).exists() for mark in _MARKS):
            return folder
    return None
