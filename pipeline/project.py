"""Where the project lies, seen from where the user stands."""

from pathlib import Path

_MARKS = ("dvc.yaml", "params.yaml", "pipeline")
"""What the project's folder holds; ``comparison/``, a project inside it, lacks the last."""


def find(start: Path | None = None) -> Path | None:
    """The nearest folder at or above ``start`` that holds a project; None if there is none.

    Args:
        start: an absolute path; None: the current folder.

    Returns:
        A path relative to ``start``: ``.``, ``..``, ``../..`` and so on, so that what is named by
        it is named as the user would.
    """
    start = start or Path.cwd()
    for levels, folder in enumerate((start, *start.parents)):
        if all((folder / mark).exists() for mark in _MARKS):
            return Path(*[".."] * levels)
    return None


FOLDER = find() or Path()
"""The project's folder; the current one where there is none."""
