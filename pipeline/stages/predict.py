"""Label the test images with the average of all members, and write the submission.

The members are the exported ones, which need no TensorFlow; the export stage compared their logits
with those of the trained ones. Low-confidence predictions are refined with nearest neighbours.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import git, params, stages
from pipeline.data import dataset, label_corrections
from pipeline.data.dataset import (
    NUM_CLASSES,
    Probabilities,
    Provenance,
    TrainingDigits,
    UnlabelledDigits,
)
from pipeline.ensemble.neighbours import refine_with_neighbours
from pipeline.ensemble.onnx import ExportedEnsemble
from pipeline.errors import ArtifactError
from pipeline.evaluation.label_shift import compare_counts
from pipeline.files import atomic_path, missing_artifact, sha256, write_json
from pipeline.networks.record import read_record
from pipeline.params import Neighbours
from pipeline.plots import bars, tiles
from pipeline.submissions import file as submission
from pipeline.submissions.file import SubmissionRecord

GRID_IMAGES = 60


@dataclass(frozen=True)
class Used:
    """What a submission was made with.

    Attributes:
        params_sha256: of params.yaml as it was read.
        neighbours: its section.
        models: SHA-256 of each member's model, by the member's name.
    """

    params_sha256: str
    neighbours: Neighbours
    models: dict[str, str]


def main() -> None:
    """Entry point of the stage."""
    params_sha256 = sha256(params.FILE)
    settings = params.load()
    test = dataset.load_test(stages.TEST)
    names = [member.name for member in settings.members()]
    folders = [stages.MODELS / name for name in names]
    check_provenance(folders, test.provenance)
    hashes = hash_models(folders)
    train = load_neighbours(test.provenance)
    averages = load_exported(names).probabilities(test.images)
    known = train.to_train_on()
    probabilities = refine_with_neighbours(
        averages, test.images, (known.images, known.labels), **settings.neighbours.model_dump()
    )
    training_counts = np.bincount(train.labels, minlength=NUM_CLASSES)
    write_report(stages.TEST_REPORT, test, averages, probabilities, training_counts)
    used = Used(params_sha256, settings.neighbours, hashes)
    write_submission(stages.SUBMISSION, used, test.provenance, probabilities)
    print(f"{stages.SUBMISSION}: {len(probabilities):,} rows, checked")


def check_provenance(folders: list[Path], provenance: Provenance) -> None:
    """Refuse a member that was trained on other data than the test images belong to.

    Other data may hold the test images, with labels.

    Raises:
        ArtifactError: naming the member.
    """
    for folder in folders:
        trained_on = read_record(folder).provenance
        if trained_on != provenance:
            raise ArtifactError(
                f"{folder} was trained on {trained_on}, but the test images belong to "
                f"{provenance}: expected a network that was trained on the training images of the "
                f"same data. Delete {folder}, then train it again with: dvc repro"
            )


def load_neighbours(provenance: Provenance) -> TrainingDigits:
    """The training images, which must be of the same data as the test images.

    Raises:
        ArtifactError: they belong to others, are missing or damaged.
    """
    train = dataset.load_labelled(stages.TRAIN)
    if train.provenance != provenance:
        raise ArtifactError(
            f"{stages.TRAIN} holds {train.provenance}, but the test images belong to {provenance}: "
            "expected the same data. Prepare both again with: dvc repro --force prepare"
        )
    return train


def hash_models(folders: list[Path]) -> dict[str, str]:
    """SHA-256 of each member's model, by the member's name.

    Raises:
        ArtifactError: one is missing.
    """
    paths = [folder / "model.keras" for folder in folders]
    for path in paths:
        if not path.exists():
            raise missing_artifact(path)
    return {path.parent.name: sha256(path) for path in paths}


def load_exported(names: list[str]) -> ExportedEnsemble:
    """The exported members, which must be these.

    Raises:
        ArtifactError: they are others, missing, damaged or older than the trained ones.
    """
    exported = ExportedEnsemble.load(stages.EXPORTED, stages.MODELS)
    if sorted(exported.names) != sorted(names):
        raise ArtifactError(
            f"{stages.EXPORTED} holds other networks than params.yaml lists: expected "
            f"{', '.join(names)}, found {', '.join(exported.names)}. Export them with: "
            "dvc repro export"
        )
    return exported


def write_submission(
    path: Path,
    used: Used,
    provenance: Provenance,
    probabilities: Probabilities,
) -> None:
    """Write the CSV, checked before it replaces the last one, and the JSON that explains it.

    Args:
        path: of the CSV.
        used: what it is made with.
        provenance: of the test images.
        probabilities: of their digits, ``(n, 10)``.
    """
    with atomic_path(path) as temporary:
        submission.write(temporary, probabilities.argmax(axis=1).astype(np.uint8))
        submission.read(temporary, expected_rows=len(probabilities))
    corrections = label_corrections.read(stages.LABEL_CORRECTIONS)
    submission.write_record(
        path,
        SubmissionRecord(
            sha256=sha256(path),
            rows=len(probabilities),
            provenance=provenance,
            members=used.models,
            params_sha256=used.params_sha256,
            commit=git.describe_commit(),
            label_corrections=corrections.summarize() if corrections else None,
            neighbours=used.neighbours.model_dump(),
        ),
    )


def write_report(
    path: Path,
    test: UnlabelledDigits,
    averages: Probabilities,
    probabilities: Probabilities,
    training_counts: NDArray[np.int64],
) -> None:
    """Show how often each digit was predicted, and the predictions of low confidence.

    Args:
        path: of the folder.
        test: the images.
        averages: over the networks, ``(n, 10)``.
        probabilities: the averages refined with neighbours.
        training_counts: training images of each digit, ``(10,)``.
    """
    refined = (averages != probabilities).any(axis=1)
    counts = np.bincount(probabilities.argmax(axis=1), minlength=NUM_CLASSES)
    table, comparison = compare_counts(training_counts, counts)
    low_confidence = tabulate_low_confidence(probabilities, refined)
    shown = low_confidence["image_id"].to_numpy() - 1
    with atomic_path(path) as folder:
        folder.mkdir()
        np.savez(folder / "probabilities.npz", averages=averages, probabilities=probabilities)
        table.to_csv(folder / "class_counts.csv", index=False)
        low_confidence.to_csv(folder / "low_confidence.csv", index=False)
        counts_of_all = {"n": len(probabilities), "neighbours_refined": int(refined.sum())}
        write_json(folder / "summary.json", counts_of_all | comparison)
        bars.predicted_counts(folder / "class_counts.svg", table)
        tiles.low_confidence(
            folder / "low_confidence.png", test.images[shown], probabilities[shown], shown + 1
        )


def tabulate_low_confidence(
    probabilities: Probabilities, refined: NDArray[np.bool_]
) -> pd.DataFrame:
    """The images with the smallest margin between the two most probable digits, that one first.

    Args:
        probabilities: ``(n, 10)``.
        refined: which of them with neighbours, ``(n,)``.

    Returns:
        Columns image_id (from 1), predicted, runner_up, p_predicted, p_runner_up, margin (their
        difference), p_0 to p_9, and refined.
    """
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    top = np.take_along_axis(probabilities, ranked, axis=1)
    margin = top[:, 0] - top[:, 1]
    smallest = np.argsort(margin, kind="stable")[:GRID_IMAGES]
    return pd.DataFrame(
        {
            "image_id": smallest + 1,
            "predicted": ranked[smallest, 0],
            "runner_up": ranked[smallest, 1],
            "p_predicted": top[smallest, 0],
            "p_runner_up": top[smallest, 1],
            "margin": margin[smallest],
        }
        | {f"p_{digit}": probabilities[smallest, digit] for digit in range(NUM_CLASSES)}
        | {"refined": refined[smallest]}
    )


if __name__ == "__main__":
    stages.run(main)
