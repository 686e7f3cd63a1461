"""The stages of dvc.yaml, one module each: ``python -m pipeline.stages.<name>``.

A stage reads its section of params.yaml and the files of earlier stages, calls the rest of the
package, and writes its outputs. No stage imports another. The paths of all their files are here.
"""

from pathlib import Path

from pipeline.project import FOLDER
from pipeline.stage_process import begin
from pipeline.stage_process import run as run

begin()

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
