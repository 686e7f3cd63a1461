"""The files of a finished run, made from given predictions by the code of the stages."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pipeline import params, stages
from pipeline.data import dataset, label_corrections
from pipeline.data.dataset import Labels, TrainingDigits, UnlabelledDigits
from pipeline.data.label_corrections import LabelCorrections
from pipeline.data.sources import decision
from pipeline.data.sources.decision import ArchiveSource, SampleSource
from pipeline.evaluation import predictions
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.evaluation.results import score_member
from pipeline.files import sha256, write_json
from pipeline.params import Member
from pipeline.plots import bars, evaluation, tiles
from pipeline.stages import embed, evaluate, explain, predict
from tests.members import write_record

PREVIEW = stages.DATA_REPORT / "augmentation_preview.png"

Errors = Mapping[int, tuple[int, float]]
"""By row: the digit that is predicted, with its probability."""

_drawn: dict[str, dict[str, bytes]] = {}
"""The pictures of the process's first results, by what drew them and their path."""


def predict_with(labels: Labels, errors: Errors, confidence: float = 0.95) -> NDArray[np.float64]:
    """Probabilities ``(n, 10)`` that are correct, but for some images.

    Args:
        labels: ``(n,)``.
        errors: which; their true digit has nine tenths of the remaining probability.
        confidence: of the correct ones; the other digits have equal parts of the rest.
    """
    probabilities = np.full((len(labels), 10), (1 - confidence) / 9)
    probabilities[np.arange(len(labels)), labels] = confidence
    for row, (digit, p) in errors.items():
        probabilities[row] = 0.1 * (1 - p) / 8
        probabilities[row, labels[row]] = 0.9 * (1 - p)
        probabilities[row, digit] = p
    return probabilities


def write_results(
    data: TrainingDigits,
    test: UnlabelledDigits,
    probabilities: NDArray[np.float64],
    averages: NDArray[np.float64] | None = None,
    corrections: LabelCorrections | None = None,
) -> None:
    """Write into the current folder what ``report`` reads.

    Args:
        data: labelled images.
        test: images to label; their probabilities are those of the first labelled ones.
        probabilities: of all labelled images, ``(n, 10)``; those of the folds that params.yaml
            lists are taken.
        averages: the same before they were refined with neighbours; None if they were not.
        corrections: what the source stage made of ``labels.csv``.
    """
    settings = params.load()
    members = settings.members()
    averages = probabilities if averages is None else averages
    dataset.save(stages.TRAIN, data)
    dataset.save(stages.TEST, test)
    for place, member in enumerate(members):
        write_member(member, data, seed=place)
    label_corrections.write(stages.LABEL_CORRECTIONS, corrections)
    counts = np.bincount(data.labels, minlength=dataset.NUM_CLASSES)
    given = SampleSource() if data.provenance.sample else ArchiveSource("data/a.zip", {})
    decision.write(stages.SOURCE, given)
    write_json(
        stages.DATA_REPORT / "summary.json",
        {
            "training_images": len(data.labels),
            "training_images_by_digit": counts.tolist(),
            "duplicates_in_training": 0,
        },
    )
    Image.new("L", (2, 2)).save(PREVIEW)
    write_evaluation(data, probabilities, averages)
    of_test = slice(len(test.images))
    labelled = probabilities[of_test]
    with (
        patch.object(bars, "predicted_counts", _draw_counts),
        patch.object(tiles, "low_confidence", _draw_tiles),
    ):
        predict.write_report(stages.TEST_REPORT, test, averages[of_test], labelled, counts)
    hashes = predict.hash_models([stages.MODELS / member.name for member in members])
    used = predict.Used(sha256(params.FILE), settings.neighbours, hashes)
    predict.write_submission(stages.SUBMISSION, used, test.provenance, labelled)
    explain.explain(stages.EXPLANATION, settings)
    write_map(data)


def write_map(data: TrainingDigits, *, images: int = 120) -> None:
    """What embed writes, with pixels for a network's features and fewer images."""
    settings = params.load()
    found = predictions.load(stages.EVALUATION / "out_of_fold.npz")
    folds = data.folds[found.rows]
    with patch.object(embed, "IMAGES", images):
        chosen = embed.choose(settings, found, embed.first_members(settings), folds)
    features = {
        member: data.images[found.rows[places]].reshape(len(places), -1).astype(np.float32)
        for member, places in chosen.items()
    }
    embed.write_map(stages.MAP_REPORT, settings, found, folds, chosen, features)


def write_evaluation(
    data: TrainingDigits, probabilities: NDArray[np.float64], averages: NDArray[np.float64]
) -> None:
    """What evaluate writes but the architectures; arguments as of `write_results`."""
    settings = params.load()
    evaluated = settings.evaluated_members()
    rows = np.flatnonzero(np.isin(data.folds, [member.fold for member in evaluated]))
    found = OutOfFoldPredictions(
        rows=rows,
        labels=data.labels[rows],
        averages=averages[rows],
        probabilities=probabilities[rows],
        members={
            member.name: sha256(stages.MODELS / member.name / "model.keras") for member in evaluated
        },
        train_sha256=data.provenance.train_sha256,
    )
    of_fold = {member: data.folds == member.fold for member in evaluated}
    scores = {
        member: score_member(averages[own], data.labels[own], (averages[~own], data.labels[~own]))
        for member, own in of_fold.items()
    }
    with patch.object(evaluation, "draw", _draw_evaluation):
        evaluate.write_results(found, scores, settings, data)


def _draw_once(draw: Callable[..., None]) -> Callable[..., None]:
    """Draw the first results; take the same pictures for later ones, which look much alike."""

    def draw_or_copy(place: Path, *arguments: Any) -> None:
        if draw.__name__ not in _drawn:
            draw(place, *arguments)
            pictures = (
                [place] if place.is_file() else [*place.glob("*.png"), *place.glob("figures/*")]
            )
            _drawn[draw.__name__] = {
                str(path.relative_to(place)): path.read_bytes() for path in pictures
            }
        for name, content in _drawn[draw.__name__].items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return draw_or_copy


_draw_evaluation = _draw_once(evaluation.draw)
_draw_counts = _draw_once(bars.predicted_counts)
_draw_tiles = _draw_once(tiles.low_confidence)


def write_member(member: Member, data: TrainingDigits, *, seed: int) -> None:
    """The files of a trained network, but for the network."""
    folder = stages.MODELS / member.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.keras").write_text(member.name)
    generator = np.random.default_rng(seed)
    epochs = np.arange(1, 7 + seed % 3)
    history = pd.DataFrame({"epoch": epochs, "seconds": 9.5})
    for prefix, scale in (("", 1.0), ("val_", 0.4)):
        history[f"{prefix}loss"] = scale * generator.uniform(0.8, 1.2, len(epochs)) / epochs
        history[f"{prefix}accuracy"] = 1 - history[f"{prefix}loss"] / 5
    history.to_csv(folder / "history.csv", index=False)
    write_record(
        folder, **describe_member(member, data), epochs=len(epochs), best_epoch=len(epochs) - 1
    )


def describe_member(member: Member, data: TrainingDigits) -> dict[str, Any]:
    """What the record of a member tells of its place in the ensemble."""
    return {
        "fold": member.fold,
        "seed": member.seed,
        "network": member.network,
        "architecture": member.architecture,
        "preprocessing": [list(view) for view in member.views],
        "provenance": data.provenance,
    }
