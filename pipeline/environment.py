"""What the user's terminal, variables and folders must neither break nor change."""

import importlib.util
import os
import re
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path

from pipeline import project
from pipeline.errors import ProjectError

KERAS_BACKEND = "PIPELINE_KERAS_BACKEND"
"""The variable by which tests and the comparison run Keras on another library than TensorFlow;
KERAS_BACKEND by itself decides nothing."""

OUTPUT_FOLDERS = (
    "data",
    "data/prepared",
    "models",
    "reports",
    "reports/evaluation",
    "submissions",
)
"""The folders that hold outputs of dvc.yaml."""


def adapt() -> None:
    """Make this process print what the terminal can show, and tell whose code it runs.

    Entry points call it once, before the work.
    """
    _open_missing_streams()
    _replace_unencodable()
    other = describe_other_code()
    if other:
        print(f"warning: {other}", file=sys.stderr)


def _open_missing_streams() -> None:
    """Give a process that was started with a closed stream one that is empty, or goes nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nothing, mode, encoding="utf-8"))


def _replace_unencodable() -> None:
    """Print ``?`` for a character that the encoding of the terminal or pipe lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def let_warnings_pass() -> None:
    """Undo ``PYTHONWARNINGS=error``, here and in child processes: Keras and others do warn."""
    if not any(option.startswith("e") for option in sys.warnoptions):
        return
    os.environ.pop("PYTHONWARNINGS", None)
    sys.warnoptions.clear()
    warnings.resetwarnings()
    for category in (
        DeprecationWarning,
        PendingDeprecationWarning,
        ImportWarning,
        ResourceWarning,
    ):
        warnings.simplefilter("ignore", category)  # as Python does by itself


def use_own_number_format() -> None:
    """Undo an older form of numbers that the user's Python has set NumPy to; it shortens CSVs."""
    if numpy := sys.modules.get("numpy"):
        numpy.set_printoptions(legacy=False)


def use_own_matplotlib() -> None:
    """Have Matplotlib open no windows and ignore the user's settings.

    Call it before anything imports Matplotlib. With some values of MPLBACKEND, such as Jupyter's
    where Jupyter is not installed, or a ``matplotlibrc`` that is not UTF-8, its import would fail.
    """
    os.environ["MPLBACKEND"] = "Agg"
    found = importlib.util.find_spec("matplotlib")
    if found and found.origin:
        own = Path(found.origin).parent / "mpl-data/matplotlibrc"
        os.environ["MATPLOTLIBRC"] = str(own)


def describe_other_code() -> str | None:
    """Whose code runs, if it is not that of the project in which the user stands; else None."""
    here = project.find()
    running = Path(__file__).resolve().parent
    if here is None or not (here / "pipeline/__init__.py").exists():
        return None
    if (here / "pipeline").resolve() == running:
        return None
    return (
        f"the code of {running.parent} runs, not that of {here.resolve()}, where you are. "
        "A copied environment belongs to the original. In this folder, run: make"
    )


def check_folders() -> None:
    """Refuse folders that DVC cannot use, and warn of those that it can use in part.

    Called in the project's folder, before DVC runs anything.

    Raises:
        ProjectError: the project's path has a brace in it; or a folder for outputs is a symbolic
            link, and the project is in Git.
    """
    place = str(Path.cwd())
    if braces := re.search(r"[{}]", place):
        raise ProjectError(
            f"The path {place} contains {braces[0]}. In such a folder DVC fails, after it has "
            "deleted old outputs. Nothing was run. Move the project to a path without braces."
        )
    if not _uses_git():
        return
    for folder in map(Path, OUTPUT_FOLDERS):
        if folder.is_symlink():
            raise ProjectError(
                f"{folder} is a symbolic link to {folder.readlink()}. DVC expects a folder: it "
                "refuses outputs outside the Git repository, after the work is done. Nothing was "
                f"run. Replace the link by a folder. To store {folder} elsewhere, move the whole "
                "project, or only DVC's cache: dvc cache dir --local PATH"
            )
    unusable = sorted(set(re.findall(r"[^ -~]|[#?]", place)))
    if unusable and ".dvc/tmp/exps" not in place:
        print(
            f"warning: the path {place} contains {' '.join(unusable)}. In such a folder, DVC fails "
            "at: dvc exp run --temp, dvc exp run --queue. Everything else works.",
            file=sys.stderr,
        )


def _uses_git() -> bool:
    """Whether DVC works with Git here: a repository is there, and ``core.no_scm`` is not set."""
    place = Path.cwd()
    if not any((folder / ".git").exists() for folder in (place, *place.parents)):
        return False
    configs = (Path(".dvc/config"), Path(".dvc/config.local"))
    texts = [path.read_text(errors="replace") for path in configs if path.is_file()]
    return not any(re.search(r"^\s*no_scm\s*=\s*true", text, re.MULTILINE) for text in texts)
