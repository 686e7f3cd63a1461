"""Everything that follows from out-of-fold predictions, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.data.dataset import Labels, Probabilities, TrainingDigits
from pipeline.data.label_corrections import LabelCorrections
from pipeline.evaluation import calibration, metrics
from pipeline.evaluation.examples import tabulate_correct, tabulate_errors
from pipeline.evaluation.label_errors import suspect_labels
from pipeline.evaluation.learning_curves import average_curves, join_histories
from pipeline.evaluation.metrics import Metrics
from pipeline.evaluation.near_duplicates import tabulate_near_duplicates
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.evaluation.scores import SCORES
from pipeline.files import atomic_path
from pipeline.params import Evaluate


@dataclass(frozen=True)
class Results:
    """Numbers and tables.

    Attributes:
        metrics: the summary.
        confusions: ``(10, 10)`` from `metrics.count_confusions`.
        tables: by name: calibration (`calibration.compare_calibration`), confusion (columns true
            and predicted, a row per image), confusion_matrix (`metrics.tabulate_confusions`),
            correct and errors (`examples`; errors also tells label_suspected), label_errors,
            learning_curves and learning_curves_mean (`learning_curves`), members, near_duplicates,
            and per_digit (`metrics.tabulate_digits`).
    """

    metrics: Metrics
    confusions: NDArray[np.int64]
    tables: dict[str, pd.DataFrame]

    def write_tables(self, folder: Path) -> None:
        """Write each table as ``folder/<name>.csv``."""
        for name, table in self.tables.items():
            with atomic_path(folder / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False)


def evaluate(
    predictions: OutOfFoldPredictions,
    predictions_sha256: str,
    data: TrainingDigits,
    members: pd.DataFrame,
    histories: Mapping[str, pd.DataFrame],
    settings: Evaluate,
    corrections: LabelCorrections | None = None,
) -> Results:
    """Compute everything that is known about predictions.

    Args:
        predictions: of the held-out images.
        predictions_sha256: of the file that keeps them.
        data: the training data.
        members: one row per member, with at least the columns fold, training_seconds and those of
            `score_member`; the latter are missing for a member that holds out no fold.
        histories: of the members, as `learning_curves.join_histories` takes them.
        settings: the section ``evaluate`` of params.yaml.
        corrections: of the labels that networks train on, if there are any.
    """
    probabilities, labels = predictions.probabilities, predictions.labels
    num_bins = settings.calibration_bins
    scaled = calibration.cross_fit_temperature(probabilities, labels)
    confusions = metrics.count_confusions(predictions.predicted, labels)
    label_errors = suspect_labels(probabilities, labels, predictions.rows)
    errors = tabulate_errors(predictions)
    near_duplicates = tabulate_near_duplicates(
        data, grey_levels=settings.near_duplicate_grey_levels
    )
    across = near_duplicates[near_duplicates["first_fold"] != near_duplicates["second_fold"]]
    curves = join_histories(histories)
    evaluated = members[members["n"].notna()]
    correct_before = predictions.averages.argmax(axis=1) == labels
    summary = Metrics(
        **metrics.summarize(probabilities, labels),
        scores={name: score(probabilities, labels) for name, score in SCORES.items()},
        **calibration.summarize_calibration(probabilities, labels, scaled, num_bins=num_bins),
        evaluated_members=len(evaluated),
        members_per_image=len(evaluated) // evaluated["fold"].nunique(),
        training_seconds=float(members["training_seconds"].sum()),
        member_accuracy_mean=float(evaluated["accuracy"].mean()),
        member_accuracy_sd=float(evaluated["accuracy"].std()) if len(evaluated) > 1 else None,
        train_accuracy=float(evaluated["train_accuracy"].mean()),
        neighbours_refined=int(predictions.refined.sum()),
        neighbours_corrected=int((~correct_before & predictions.correct).sum()),
        neighbours_broken=int((correct_before & ~predictions.correct).sum()),
        suspected_label_errors=len(label_errors),
        near_duplicates_across_folds=len(across),
        evaluated_near_duplicates=len(
            np.intersect1d(across[["first", "second"]], predictions.rows)
        ),
        label_corrections=corrections.summarize() if corrections else None,
        predictions=[("out_of_fold.npz", predictions_sha256)],
        members=list(predictions.members.items()),
    )
    tables = {
        "calibration": calibration.compare_calibration(
            probabilities, labels, scaled, num_bins=num_bins
        ),
        "confusion": pd.DataFrame({"true": labels, "predicted": predictions.predicted}),
        "confusion_matrix": metrics.tabulate_confusions(confusions),
        "correct": tabulate_correct(predictions, num_of_each_kind=settings.page_images_per_digit),
        "errors": errors.assign(label_suspected=errors["row"].isin(label_errors["row"])),
        "label_errors": label_errors,
        "learning_curves": curves,
        "learning_curves_mean": average_curves(curves),
        "members": members,
        "near_duplicates": near_duplicates,
        "per_digit": metrics.tabulate_digits(confusions),
    }
    return Results(summary, confusions, tables)


def score_member(
    probabilities: Probabilities, labels: Labels, others: tuple[Probabilities, Labels]
) -> dict[str, float]:
    """How one member does on the images of its fold, and on others.

    Args:
        probabilities: of the images of its fold, ``(n, 10)``.
        labels: of the same, ``(n,)``.
        others: probabilities and labels of images outside its fold, most of them trained on.

    Returns:
        What `metrics.summarize` gives of its fold, and train_accuracy.
    """
    train_accuracy = float((others[0].argmax(axis=1) == others[1]).mean())
    return metrics.summarize(probabilities, labels) | {"train_accuracy": train_accuracy}
