"""The stages of dvc.yaml, one module each: ``python -m pipeline.stages.<name>``.

A stage reads its section of params.yaml and the files of earlier stages, calls the rest of the
package, and writes its outputs. No stage imports another.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline import environment
from pipeline.errors import INTERRUPTED, end_when_interrupted, exit_status
from pipeline.project import FOLDER

_STAGE = os.environ.get("DVC_STAGE", "")
"""The stage that DVC runs; empty where a stage is run by hand."""


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


if any(word.startswith("pipeline.stages.") for word in sys.orig_argv):
    end_when_interrupted(_describe_interruption)

if importlib.util.find_spec("keras") is None:
    sys.exit(
        f"error: DVC found {sys.executable} as its python, which lacks the project's packages. Run "
        "the pipeline with `make`, or activate the environment: source .venv/bin/activate"
    )

_TRAIN_STAGE = "pipeline.stages.train"

if os.environ.get("RAY_ADDRESS") and _TRAIN_STAGE in sys.orig_argv and "--ahead" not in sys.argv:
    # Before TensorFlow is imported: `pipeline.cluster` takes this process over.
    place = sys.orig_argv.index(_TRAIN_STAGE)
    before, after = sys.orig_argv[1:place], sys.orig_argv[place + 1 :]
    os.execv(sys.executable, [sys.executable, *before, "pipeline.cluster", *after])

environment.let_warnings_pass()
environment.use_own_matplotlib()
environment.use_own_number_format()

SOURCE = FOLDER / "data/source.json"
NETWORKS = FOLDER / "data/networks"
LABELS = FOLDER / "data/labels.csv"
LABEL_CORRECTIONS = FOLDER / "data/label_corrections.json"
RAW = FOLDER / "data/raw"
TRAIN = FOLDER / "data/prepared/train.npz"
TEST = FOLDER / "data/prepared/test.npz"
DATA_REPORT = FOLDER / "reports/data"
MODELS = FOLDER / "models"
EXPORTED = FOLDER / "exported"
EVALUATION = FOLDER / "reports/evaluation"
TEST_REPORT = FOLDER / "reports/test"
EXPLANATION = FOLDER / "reports/explanation"
MAP_REPORT = FOLDER / "reports/map"
SUBMISSION = FOLDER / "submissions/submission.csv"
REPORT = FOLDER / "reports/report.html"
MAP = FOLDER / "reports/map.html"
MODEL_CARD = FOLDER / "reports/model_card.md"

SAMPLE_NOTICE = (
    "THIS RUN USES THE EMBEDDED SAMPLE, NOT THE COMPETITION'S DATA.\n"
    "Its scores say nothing about the competition, and its CSV cannot be submitted.\n"
    "Put the competition's archive at data/digit-recognizer.zip and run the pipeline again."
)


def workspace() -> Path:
    """The project's own folder, also in the copies of it that DVC makes for experiments.

    A copy holds what Git tracks: neither the archive nor an uncommitted ``data/source.json``.
    """
    for folder in Path.cwd().parents:
        if folder.parts[-3:] == (".dvc", "tmp", "exps"):
            return folder.parents[2]
    return FOLDER


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
