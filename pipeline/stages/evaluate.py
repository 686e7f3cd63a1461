"""Evaluate each member on its fold, the images that it was not trained on."""

import platform
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import params, stages
from pipeline.data import dataset, label_corrections
from pipeline.data.dataset import NUM_CLASSES, Probabilities, TrainingDigits
from pipeline.ensemble.averaging import average_probabilities, predict_probabilities
from pipeline.ensemble.neighbours import refine_held_out
from pipeline.errors import ArtifactError
from pipeline.evaluation import metrics, results
from pipeline.evaluation.metrics import Metrics
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.evaluation.results import score_member
from pipeline.files import atomic_path, sha256, write_json, write_text
from pipeline.networks.backend import keras, tf, use_threads
from pipeline.networks.devices import CPU, Device, take_device
from pipeline.networks.record import read_record
from pipeline.networks.summary import describe_layers, tabulate_layers
from pipeline.networks.trained import load_model, load_network
from pipeline.parallel import count_processors
from pipeline.params import Fold, Member, Neighbours, Params
from pipeline.plots import diagrams, evaluation
from pipeline.stored import read_table
from pipeline.wording import counted

FOLDER = stages.EVALUATION
Scores = dict[Member, dict[str, float]]


def main() -> None:
    """Entry point of the stage."""
    settings = params.load()
    device, _ = take_device()
    use_threads(count_processors())
    summary = evaluate_members(settings, device)
    print(
        f"{counted(summary.errors, 'error')} in {counted(summary.n, 'held-out image')}: accuracy "
        f"{summary.accuracy:.2%} (95 % interval {summary.accuracy_low:.2%} to "
        f"{summary.accuracy_high:.2%}). Per digit: digits errors"
    )


def evaluate_members(settings: Params, device: Device = CPU) -> Metrics:
    """Predict every held-out image, and write the predictions and what follows from them."""
    data = dataset.load_labelled(stages.TRAIN)
    evaluated = settings.evaluated_members()
    check_members(evaluated)
    predictions, member_scores = predict_out_of_fold(evaluated, data, settings.neighbours, device)
    write_architectures(FOLDER / "architectures", evaluated)
    return write_results(predictions, member_scores, settings, data)


def check_members(members: list[Member]) -> None:
    """Refuse a member that was trained with other data or folds.

    Raises:
        ArtifactError: naming the member.
    """
    current = sha256(stages.TRAIN)
    for member in members:
        folder = stages.MODELS / member.name
        if read_record(folder).conditions.data_sha256 != current:
            raise ArtifactError(
                f"{folder} was trained with other images, labels or folds than {stages.TRAIN} "
                "holds now: expected a network that was not trained on the images of its fold. "
                "Train it again with: dvc repro"
            )


def predict_out_of_fold(
    members: list[Member], data: TrainingDigits, settings: Neighbours, device: Device = CPU
) -> tuple[OutOfFoldPredictions, Scores]:
    """Predict each fold by the average of its members, refined with neighbours of other folds.

    Scores are against the labels as given, also where corrected ones were trained on.

    Returns:
        The predictions, and the scores of each member alone.
    """
    of_fold: dict[Fold, list[Probabilities]] = {}
    member_scores: Scores = {}
    for member in members:
        network = load_network(stages.MODELS / member.name, device)
        held_out = np.flatnonzero(data.folds == member.fold)
        others = np.flatnonzero(data.folds != member.fold)[: len(held_out)]
        rows = np.concatenate([held_out, others])
        answers = predict_probabilities(network, data.images[rows])
        own, of_others = answers[: len(held_out)], answers[len(held_out) :]
        of_fold.setdefault(member.fold, []).append(own)
        member_scores[member] = score_member(
            own, data.labels[held_out], (of_others, data.labels[others])
        )
    averages, probabilities = np.zeros((2, len(data.labels), NUM_CLASSES))
    for fold, each in of_fold.items():
        held_out = data.folds == fold
        averages[held_out] = average_probabilities(each)
        probabilities[held_out] = refine_held_out(
            averages[held_out], data, fold, **settings.model_dump()
        )
    rows = np.flatnonzero(np.isin(data.folds, list(of_fold)))
    predictions = OutOfFoldPredictions(
        rows=rows,
        labels=data.labels[rows],
        averages=averages[rows],
        probabilities=probabilities[rows],
        members={each.name: sha256(stages.MODELS / each.name / "model.keras") for each in members},
        train_sha256=data.provenance.train_sha256,
    )
    return predictions, member_scores


def write_results(
    predictions: OutOfFoldPredictions,
    member_scores: Scores,
    settings: Params,
    data: TrainingDigits,
) -> Metrics:
    """Write the predictions and everything that follows from them, ``metrics.json`` last.

    That file also names the section ``neighbours`` of params.yaml, as pairs.
    """
    path = FOLDER / "out_of_fold.npz"
    predictions.save(path)
    members = settings.members()
    table = tabulate_members(members, member_scores)
    histories = {member.name: _read_history(member) for member in members}
    corrections = label_corrections.read(stages.LABEL_CORRECTIONS)
    found = results.evaluate(
        predictions, sha256(path), data, table, histories, settings.evaluate, corrections
    )
    found.write_tables(FOLDER)
    digits = metrics.describe_digits(found.tables["per_digit"])
    write_text(FOLDER / "per_digit.md", _markdown(digits))
    report = metrics.report_classes(predictions.predicted, predictions.labels)
    write_text(FOLDER / "classification_report.txt", report)
    evaluation.draw(FOLDER, found, data.images, settings.evaluate)
    write_json(
        FOLDER / "run.json",
        {
            "evaluated_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
    )
    refined_with = list(settings.neighbours.model_dump().items())
    write_json(FOLDER / "metrics.json", asdict(found.metrics) | {"neighbours": refined_with})
    return found.metrics


def tabulate_members(members: list[Member], member_scores: Scores) -> pd.DataFrame:
    """One row per member: how it was trained, and its score.

    Returns:
        Columns member, fold, seed, network, architecture, views, parameters, epochs, best_epoch,
        training_seconds, threads, device, compute_dtype and those of `score_member`; the latter are
        missing for a member that holds out no fold.
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
            "views": ", ".join(member.view_names),
        }
        row |= {
            name: getattr(record, name)
            for name in ("parameters", "epochs", "best_epoch", "training_seconds", "threads")
        }
        machine = record.conditions.machine
        row["device"] = machine.get("gpu") or machine["cpu"]
        row["compute_dtype"] = machine["compute_dtype"]
        rows.append(row | member_scores.get(member, {}))
    return pd.DataFrame(rows).astype({"n": "Int64", "errors": "Int64"})


def _read_history(member: Member) -> pd.DataFrame:
    return read_table(stages.MODELS / member.name / "history.csv", ["epoch", "loss", "accuracy"])


def write_architectures(path: Path, members: list[Member]) -> None:
    """A layer table and a diagram of each architecture among the members."""
    by_architecture = {member.architecture: member for member in members}
    with atomic_path(path) as folder:
        folder.mkdir()
        for name, member in by_architecture.items():
            layers = tabulate_layers(load_model(stages.MODELS / member.name / "model.keras"))
            write_text(folder / f"{name}.md", _markdown(describe_layers(layers)))
            diagrams.architecture(folder / f"{name}.png", layers, name)


def _markdown(rows: list[dict[str, str]]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


if __name__ == "__main__":
    stages.run(main)
