"""Judge every image by the members that neither trained on it nor were stopped by it."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import classification_report

from pipeline import params, stages
from pipeline.data import dataset
from pipeline.data.dataset import Probabilities, TrainingDigits
from pipeline.ensemble import neighbours
from pipeline.ensemble.averaging import average_probabilities, predict_probabilities
from pipeline.errors import ArtifactError
from pipeline.evaluation import calibration, metrics
from pipeline.evaluation.label_errors import suspect_labels
from pipeline.evaluation.near_duplicates import find_near_duplicates
from pipeline.files import atomic_path, missing_artifact, sha256, write_json, write_text
from pipeline.networks.backend import keras, tf, use_threads
from pipeline.networks.record import read_record
from pipeline.networks.summary import describe_layers, tabulate_layers
from pipeline.networks.trained import load_model, load_network
from pipeline.parallel import count_processors
from pipeline.params import Evaluate, Fold, Member, Neighbours
from pipeline.plots import diagrams, scores, tiles

Rows = NDArray[np.intp]

_OF_THE_SLICE = ["val_loss", "val_accuracy"]
"""Columns that a history lacks where no slice of the rows ended the fit."""


@dataclass(frozen=True)
class OutOfFoldPredictions:
    """What the members say of the images that they held back.

    Attributes:
        rows: of the training data that were judged, in their order.
        averages: float64 ``(rows, 10)``, over the members that hold a row back.
        probabilities: the same after neighbours outside the fold were asked.
        errors: of each member, among the images of its fold.
        train_accuracy: the members' mean accuracy on the first images outside their folds, as many
            as they hold back, as they are, not warped.
    """

    rows: Rows
    averages: Probabilities
    probabilities: Probabilities
    errors: dict[Member, int]
    train_accuracy: float


def main() -> None:
    """Entry point of the stage."""
    settings = params.load()
    use_threads(count_processors())
    data = dataset.load_training(stages.TRAIN)
    members, judges = settings.members(), settings.evaluated_members()
    check_members(judges)
    predictions = judge(judges, data, settings.neighbours)
    with atomic_path(stages.EVALUATION / "out_of_fold.npz") as temporary:
        np.savez(
            temporary,
            rows=predictions.rows,
            labels=data.labels[predictions.rows],
            averages=predictions.averages,
            probabilities=predictions.probabilities,
            train_sha256=np.array(data.provenance.train_sha256),
        )
    write_json(
        stages.EVALUATION / "members.json",
        {member.name: sha256(stages.MODELS / member.name / "model.keras") for member in judges},
    )
    write_learning_curves(stages.EVALUATION, members)
    write_architectures(stages.EVALUATION / "architectures", judges)
    summary = write_findings(stages.EVALUATION, data, members, predictions, settings.evaluate)
    print(
        f"{summary['errors']} of {summary['n']:,} held-back images wrong: accuracy "
        f"{summary['accuracy']:.2%} (95 % interval {summary['accuracy_low']:.2%} to "
        f"{summary['accuracy_high']:.2%}). Per digit: digits errors"
    )


def check_members(members: list[Member]) -> None:
    """Refuse a member that was trained with other data or folds than are judged.

    Raises:
        ArtifactError: naming the member.
    """
    current = sha256(stages.TRAIN)
    for member in members:
        folder = stages.MODELS / member.name
        if read_record(folder).conditions.data_sha256 != current:
            raise ArtifactError(
                f"{folder} was trained with other images or folds than {stages.TRAIN} holds now: "
                "expected a network that never saw the images of its fold. Train it again with: "
                "dvc repro"
            )


def judge(
    members: list[Member], data: TrainingDigits, settings: Neighbours
) -> OutOfFoldPredictions:
    """Ask each member about the images that its fold holds back, then neighbours outside it."""
    of_fold: dict[Fold, list[Probabilities]] = {}
    errors, train_accuracies = {}, []
    for member in members:
        network = load_network(stages.MODELS / member.name)
        held_back = np.flatnonzero(data.folds == member.fold)
        others = np.flatnonzero(data.folds != member.fold)[: len(held_back)]
        asked = np.concatenate([held_back, others])
        answers = predict_probabilities(network, data.images[asked])
        right = answers.argmax(axis=1) == data.labels[asked]
        of_fold.setdefault(member.fold, []).append(answers[: len(held_back)])
        errors[member] = int((~right[: len(held_back)]).sum())
        train_accuracies.append(right[len(held_back) :].mean())
    averages, probabilities = np.zeros((2, len(data.labels), dataset.NUM_CLASSES))
    for fold, each in of_fold.items():
        held_back = data.folds == fold
        averages[held_back] = average_probabilities(each)
        probabilities[held_back] = neighbours.decide(
            averages[held_back],
            data.images[held_back],
            (data.images[~held_back], data.labels[~held_back]),
            **settings.model_dump(),
        )
    rows = np.flatnonzero(np.isin(data.folds, list(of_fold)))
    train_accuracy = float(np.mean(train_accuracies))
    return OutOfFoldPredictions(rows, averages[rows], probabilities[rows], errors, train_accuracy)


def write_findings(
    folder: Path,
    data: TrainingDigits,
    members: list[Member],
    predictions: OutOfFoldPredictions,
    settings: Evaluate,
) -> dict[str, Any]:
    """Everything that follows from the out-of-fold predictions; returns ``metrics.json``."""
    probabilities, labels = predictions.probabilities, data.labels[predictions.rows]
    table = tabulate_members(members, predictions.errors, data)
    _write_table(folder / "members.csv", table)
    summary = metrics.summarize(probabilities, labels)
    summary |= write_calibration(folder, probabilities, labels, settings.calibration_bins)
    summary |= summarize_members(table)
    summary["train_accuracy"] = predictions.train_accuracy
    summary |= summarize_neighbours(predictions, labels)
    write_digit_tables(folder, probabilities, labels)
    write_errors(folder, data, predictions, settings)
    summary["suspected_label_errors"] = write_label_errors(folder, predictions, labels)
    summary |= write_near_duplicates(
        folder, data, predictions.rows, settings.near_duplicate_grey_levels
    )
    write_json(folder / "metrics.json", summary)
    write_json(
        folder / "run.json",
        {
            "evaluated_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
    )
    return summary


def tabulate_members(
    members: list[Member], errors: dict[Member, int], data: TrainingDigits
) -> pd.DataFrame:
    """One row per member: how it was trained and how it did on the images of its fold.

    Returns:
        Columns member, fold, seed, architecture, preprocessing, parameters, epochs, best_epoch,
        training_seconds, cpu, threads, n (images judged), errors, accuracy, accuracy_low and
        accuracy_high; the last five are missing for a member that holds no fold back.
    """
    rows = []
    for member in members:
        record = read_record(stages.MODELS / member.name)
        row = {
            "member": member.name,
            "fold": member.fold,
            "seed": member.seed,
            "network": member.network,
            "architecture": member.architecture,
            "views": ", ".join("+".join(view) or "plain" for view in member.views),
            "parameters": record.parameters,
            "epochs": record.epochs,
            "best_epoch": record.best_epoch,
            "training_seconds": record.training_seconds,
            "cpu": record.conditions.machine["cpu"],
            "threads": record.threads,
            "compute_dtype": record.conditions.machine["compute_dtype"],
        }
        judged = int((data.folds == member.fold).sum()) if member in errors else 0
        if judged:
            right = judged - errors[member]
            low, high = metrics.wilson_interval(right, judged)
            row |= {
                "n": judged,
                "errors": errors[member],
                "accuracy": right / judged,
                "accuracy_low": float(low),
                "accuracy_high": float(high),
            }
        rows.append(row)
    return pd.DataFrame(rows).astype({"n": "Int64", "errors": "Int64"})


def summarize_members(table: pd.DataFrame) -> dict[str, Any]:
    """Number and time of the members, their mean accuracy and, if there are several, its spread."""
    judges = table[table["n"].notna()]
    summary = {
        "judges": len(judges),
        "judges_per_image": len(judges) // judges["fold"].nunique(),
        "training_seconds": float(table["training_seconds"].sum()),
        "member_accuracy_mean": float(judges["accuracy"].mean()),
    }
    if len(judges) > 1:
        summary["member_accuracy_sd"] = float(judges["accuracy"].std(ddof=1))
    return summary


def summarize_neighbours(
    predictions: OutOfFoldPredictions, labels: dataset.Labels
) -> dict[str, int]:
    """Of how many images neighbours were asked, and how many became right or wrong by it."""
    before, after = (
        each.argmax(axis=1) == labels for each in (predictions.averages, predictions.probabilities)
    )
    return {
        "neighbours_asked": neighbours.count_asked(predictions.averages, predictions.probabilities),
        "neighbours_mended": int((~before & after).sum()),
        "neighbours_broke": int((before & ~after).sum()),
    }


def write_calibration(
    folder: Path, probabilities: Probabilities, labels: dataset.Labels, num_bins: int
) -> dict[str, Any]:
    """The calibration curve before and after temperature scaling; returns its figures."""
    scaled = calibration.cross_fit_temperature(probabilities, labels)
    before = calibration.tabulate_calibration(probabilities, labels, num_bins=num_bins)
    tables = [before.assign(scaled=False)]
    if scaled is not None:
        after = calibration.tabulate_calibration(scaled[0], labels, num_bins=num_bins)
        tables.append(after.assign(scaled=True))
    table = pd.concat(tables, ignore_index=True)
    _write_table(folder / "calibration.csv", table)
    scores.calibration(folder / "figures/calibration.svg", table)
    scores.confidence_histogram(folder / "figures/confidence.svg", before)
    return calibration.summarize_calibration(probabilities, labels, scaled, num_bins=num_bins)


def write_digit_tables(folder: Path, probabilities: Probabilities, labels: dataset.Labels) -> None:
    """Per-digit errors, classification report and confusion matrix."""
    predicted = probabilities.argmax(axis=1).astype(np.uint8)
    confusions = metrics.count_confusions(predicted, labels)
    table = metrics.tabulate_digits(confusions)
    _write_table(folder / "per_digit.csv", table)
    write_text(folder / "per_digit.md", _markdown(metrics.describe_digits(table)))
    report = classification_report(
        labels, predicted, labels=range(dataset.NUM_CLASSES), digits=4, zero_division=np.nan
    )
    write_text(folder / "classification_report.txt", report)
    pairs = pd.DataFrame({"true": labels, "predicted": predicted})
    _write_table(folder / "confusion.csv", pairs)
    _write_table(folder / "confusion_matrix.csv", metrics.tabulate_confusions(confusions))
    scores.confusion_matrix(folder / "confusion_matrix.png", confusions)


def write_errors(
    folder: Path, data: TrainingDigits, predictions: OutOfFoldPredictions, settings: Evaluate
) -> None:
    """All misclassified images, a picture with few of each kind, and correct ones to compare."""
    labels = data.labels[predictions.rows]
    judged = predictions.probabilities, labels, predictions.rows
    errors = metrics.tabulate_errors(*judged)
    _write_table(folder / "errors.csv", errors)
    correct = metrics.tabulate_correct(*judged, num_of_each_kind=settings.page_images_per_digit)
    _write_table(folder / "correct.csv", correct)
    of_each_kind = errors.groupby(["true", "predicted"]).head(settings.gallery_images_per_confusion)
    shown = of_each_kind.head(settings.gallery_images)
    tiles.error_gallery(
        folder / "error_gallery.png",
        data.images[shown["row"].to_numpy()],
        shown,
        num_errors=len(errors),
    )


def write_label_errors(
    folder: Path, predictions: OutOfFoldPredictions, labels: dataset.Labels
) -> int:
    """The suspected label errors, ranked; returns how many."""
    suspected = suspect_labels(predictions.probabilities, labels, predictions.rows)
    _write_table(folder / "label_errors.csv", suspected)
    return len(suspected)


def write_near_duplicates(
    folder: Path, data: TrainingDigits, rows: Rows, grey_levels: float
) -> dict[str, int]:
    """The pairs of nearly equal images; returns how many lie in different folds.

    Only those can flatter a score: a network may have trained on one and is judged by the other.
    """
    pairs = find_near_duplicates(data.images, grey_levels=grey_levels)
    first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    table = pairs.assign(
        first_label=data.labels[first],
        second_label=data.labels[second],
        first_fold=data.folds[first],
        second_fold=data.folds[second],
    )
    _write_table(folder / "near_duplicates.csv", table)
    across = table[table["first_fold"] != table["second_fold"]]
    return {
        "near_duplicates_across_folds": len(across),
        "judged_near_duplicates": len(np.intersect1d(across[["first", "second"]], rows)),
    }


def write_learning_curves(folder: Path, members: list[Member]) -> None:
    """The histories of all members, their mean and spread, and figures of both."""
    histories = []
    for member in members:
        path = stages.MODELS / member.name / "history.csv"
        if not path.exists():
            raise missing_artifact(path)
        histories.append(pd.read_csv(path).assign(member=member.name))
    curves = pd.concat(histories, ignore_index=True)
    curves = curves.reindex(columns=curves.columns.union(_OF_THE_SLICE, sort=False))
    _write_table(folder / "learning_curves.csv", curves)
    drawn = curves.assign(
        error_rate=1 - curves["accuracy"], val_error_rate=1 - curves["val_accuracy"]
    )
    means = average_learning_curves(drawn)
    _write_table(folder / "learning_curves_mean.csv", means)
    for measure, title in (("loss", "cross-entropy loss"), ("error_rate", "error rate")):
        path = folder / f"figures/learning_{measure}.svg"
        scores.learning_curve(path, drawn, means, measure=measure, title=title)


def average_learning_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over the members that were still training, epoch by epoch.

    Returns:
        Columns epoch, members, and ``_mean`` and ``_sd`` of loss, val_loss, error_rate and
        val_error_rate; the standard deviations are missing where there is one member.
    """
    epochs = curves.groupby("epoch")
    columns = {"members": epochs["member"].nunique()}
    for name in ("loss", "val_loss", "error_rate", "val_error_rate"):
        columns |= {f"{name}_mean": epochs[name].mean(), f"{name}_sd": epochs[name].std(ddof=1)}
    return pd.DataFrame(columns).reset_index()


def write_architectures(path: Path, members: list[Member]) -> None:
    """A layer table and a diagram of each architecture among the members."""
    by_architecture = {member.architecture: member for member in members}
    with atomic_path(path) as folder:
        folder.mkdir()
        for name, member in by_architecture.items():
            layers = tabulate_layers(load_model(stages.MODELS / member.name / "model.keras"))
            write_text(folder / f"{name}.md", _markdown(describe_layers(layers)))
            diagrams.architecture(folder / f"{name}.png", layers, name)


def _write_table(path: Path, table: pd.DataFrame) -> None:
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def _markdown(rows: list[dict[str, str]]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


if __name__ == "__main__":
    stages.run(main)
