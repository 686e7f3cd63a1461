"""The process of a stage: how it begins, and how it ends."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline import environment
from pipeline.errors import INTERRUPTED, end_when_interrupted, exit_status

_STAGE = os.environ.get("DVC_STAGE", "")
"""The stage that DVC runs; empty where a stage is run by hand."""

_TRAIN_STAGE = "pipeline.stages.train"
_EXPORT_STAGE = "pipeline.stages.export"

_HASH_SEED = "0"
"""Of the export stage: tf2onnx optimises a network in the order of sets of names, which follows
from Python's hashes of text, so that it writes one of several equivalent files."""


def begin() -> None:
    """Make this process ready for a stage, before anything imports TensorFlow or Matplotlib.

    Where ``RAY_ADDRESS`` names a cluster, `pipeline.cluster` takes over the train stage's process.
    """
    if any(word.startswith("pipeline.stages.") for word in sys.orig_argv):
        end_when_interrupted(_describe_interruption)
    if importlib.util.find_spec("keras") is None:
        sys.exit(
            f"error: DVC found {sys.executable} as its python, which lacks the project's packages. "
            "Run the pipeline with `make`, or activate the environment: source .venv/bin/activate"
        )
    on_cluster = os.environ.get("RAY_ADDRESS") and "--ahead" not in sys.argv
    if on_cluster and _TRAIN_STAGE in sys.orig_argv:
        place = sys.orig_argv.index(_TRAIN_STAGE)
        before, after = sys.orig_argv[1:place], sys.orig_argv[place + 1 :]
        os.execv(sys.executable, [sys.executable, *before, "pipeline.cluster", *after])
    if _EXPORT_STAGE in sys.orig_argv and os.environ.get("PYTHONHASHSEED") != _HASH_SEED:
        os.environ["PYTHONHASHSEED"] = _HASH_SEED
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    environment.let_warnings_pass()
    environment.use_own_matplotlib()
    environment.use_own_number_format()


def run(main: Callable[[], object]) -> None:
    """Run a stage's ``main`` as a process and exit with its status.

    DVC deletes a stage's outputs before it runs the stage; after a failure the command that brings
    them back is named.
    """
    environment.adapt()
    status = exit_status(main)
    if status not in (0, INTERRUPTED) and _has_run_before(_STAGE):
        print(_describe_removal("The stage's"), file=sys.stderr)
    sys.exit(status)


def _describe_interruption() -> str:
    """What Ctrl-C leaves of a stage."""
    if _STAGE.startswith("train@"):
        return "the next run continues after the last finished epoch."
    again = "the next run begins this stage again."
    if not _has_run_before(_STAGE):
        return again
    return f"{again} {_describe_removal('Its')}"


def _describe_removal(whose: str) -> str:
    return (
        f"{whose} earlier results, which DVC removed before it ran, come back with: "
        f"dvc checkout --force {_STAGE}"
    )


def _has_run_before(stage: str) -> bool:
    """Whether DVC removes results of an earlier run before it runs this stage."""
    lock = Path("dvc.lock")
    if stage in ("", "source") or not lock.is_file():
        return False
    return f"\n  {stage}:\n" in lock.read_text(encoding="utf-8", errors="replace")
