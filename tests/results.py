"""What evaluate and predict leave behind for predictions of one's choice, without networks."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pipeline import params, stages
from pipeline.data import dataset
from pipeline.data.dataset import Labels, TrainingDigits, UnlabelledDigits
from pipeline.files import write_json
from pipeline.stages import evaluate, predict
from pipeline.stages.evaluate import OutOfFoldPredictions

PREVIEW = stages.DATA_REPORT / "augmentation_preview.png"


Misread = Mapping[int, tuple[int, float]]
"""By row: the digit that an image is read as, with its probability."""


def read_as(labels: Labels, misread: Misread, confidence: float = 0.95) -> NDArray[np.float64]:
    """Probabilities ``(n, 10)`` that are right, but for some images.

    Args:
        labels: ``(n,)``.
        misread: which; their true digit has nine tenths of what is left.
        confidence: of the right ones; what is left is shared equally.
    """
    probabilities = np.full((len(labels), 10), (1 - confidence) / 9)
    probabilities[np.arange(len(labels)), labels] = confidence
    for row, (digit, p) in misread.items():
        probabilities[row] = 0.1 * (1 - p) / 8
        probabilities[row, labels[row]] = 0.9 * (1 - p)
        probabilities[row, digit] = p
    return probabilities


def write_results(
    data: TrainingDigits,
    test: UnlabelledDigits,
    probabilities: NDArray[np.float64],
    averages: NDArray[np.float64] | None = None,
) -> None:
    """Write into the current folder what ``report`` reads, by the code that does so in earnest.

    Args:
        data: labelled images.
        test: images to label; they are read as ``probabilities`` says of the first ones.
        probabilities: of all labelled images, ``(n, 10)``; those of the folds that params.yaml
            lists are taken.
        averages: the same before neighbours were asked; None if they were not.
    """
    settings = params.load()
    members, judges = settings.ensemble.members(), settings.ensemble.judges()
    dataset.save(stages.TRAIN, data)
    dataset.save(stages.TEST, test)
    for place, member in enumerate(members):
        write_member(stages.MODELS / member.name, data, seed=place)
    right = probabilities.argmax(axis=1) == data.labels
    rows = np.flatnonzero(np.isin(data.folds, [judge.fold for judge in judges]))
    judgement = OutOfFoldPredictions(
        rows=rows,
        averages=(probabilities if averages is None else averages)[rows],
        probabilities=probabilities[rows],
        errors={judge: int((~right[data.folds == judge.fold]).sum()) for judge in judges},
        train_accuracy=0.998,
    )
    counts = np.bincount(data.labels, minlength=dataset.NUM_CLASSES)
    write_json(stages.SOURCE, {"kind": "sample" if data.provenance.sample else "archive"})
    write_json(
        stages.DATA_REPORT / "summary.json",
        {
            "training_images": len(data.labels),
            "training_images_by_digit": counts.tolist(),
            "duplicates_in_training": 0,
        },
    )
    Image.new("L", (2, 2)).save(PREVIEW)
    evaluate.write_learning_curves(stages.EVALUATION, members)
    evaluate.write_findings(stages.EVALUATION, data, members, judgement, settings.evaluate)
    labelled = probabilities[: len(test.images)]
    before = labelled if averages is None else averages[: len(test.images)]
    predict.write_report(stages.TEST_REPORT, test, before, labelled, counts)
    hashes = predict.hash_models([stages.MODELS / member.name for member in members])
    predict.write_submission(stages.SUBMISSION, hashes, test.provenance, labelled)


def write_member(folder: Path, data: TrainingDigits, *, seed: int) -> None:
    """The files of a trained network, but for the network."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.keras").write_bytes(b"no network")
    generator = np.random.default_rng(seed)
    epochs = np.arange(1, 7 + seed % 3)
    history = pd.DataFrame({"epoch": epochs, "seconds": 9.5})
    for prefix, scale in (("", 1.0), ("stopping_", 0.4)):
        history[f"{prefix}loss"] = scale * generator.uniform(0.8, 1.2, len(epochs)) / epochs
        history[f"{prefix}accuracy"] = 1 - history[f"{prefix}loss"] / 5
    history.to_csv(folder / "history.csv", index=False)
    write_json(
        folder / "member.json",
        {
            "provenance": asdict(data.provenance),
            "epochs": len(epochs),
            "kept_epoch": len(epochs) - 1,
            "parameters": 138_410,
            "training_seconds": 9.5 * len(epochs),
            "conditions": {"cpu": "A processor", "threads": 2, "compute_dtype": "bfloat16"},
        },
    )
