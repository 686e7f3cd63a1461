"""``run.json``: what one run of the comparison did, next to the record of its network."""

from dataclasses import asdict, dataclass
from pathlib import Path

from comparison.references import Whose
from pipeline.errors import ArtifactError
from pipeline.files import read_json, write_json

RECORD = "run.json"


@dataclass(frozen=True)
class RunRecord:
    """What one run did.

    Attributes:
        architecture: by name.
        recipe: whose.
        seed: of the settings.
        sample: whether the data is the embedded sample.
        parameters: how many the network has.
        multiply_adds: for one image.
        epochs: how many were run.
        max_epochs: how many the budget allowed.
        asked_epochs: the most that there would be without a budget.
        fitted_images: in all epochs together.
        training_seconds: how long they took.
        correct: predictions for images of the fold.
        evaluated_images: how many the fold has.
    """

    architecture: str
    recipe: Whose
    seed: int
    sample: bool
    parameters: int
    multiply_adds: int
    epochs: int
    max_epochs: int
    asked_epochs: int
    fitted_images: int
    training_seconds: float
    correct: int
    evaluated_images: int


def write_run(folder: Path, record: RunRecord) -> None:
    """Write the record of the run in ``folder``."""
    write_json(folder / RECORD, asdict(record))


def read_run(folder: Path) -> RunRecord:
    """Read what `write_run` wrote.

    Raises:
        ArtifactError: it is missing, damaged, or of another version of the comparison.
    """
    content = read_json(folder / RECORD)
    try:
        return RunRecord(**content)
    except TypeError:
        raise incomplete_run(folder, "is of another version of the comparison") from None


def incomplete_run(folder: Path, what: str) -> ArtifactError:
    """The error for the folder of a run that ``what`` is wrong with."""
    return ArtifactError(
        f"{folder} {what}: expected the results of a finished run. Delete it, then run: "
        "dvc --cd comparison repro"
    )
