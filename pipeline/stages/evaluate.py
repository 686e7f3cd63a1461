"""Judge every image by the members that neither trained on it nor were stopped by it."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import classification_report

from pipeline import digits, metrics, params, plots, stages
from pipeline.digits import TrainingDigits
from pipeline.errors import ArtifactError
from pipeline.files import missing, read_json, replacing, sha256, write_json, write_text
from pipeline.inference import load_model, load_network, predict_probabilities
from pipeline.layers import describe_layers, tabulate_layers
from pipeline.metrics import Probabilities
from pipeline.params import Evaluate, Member

Rows = NDArray[np.intp]


def main() -> None:
    """Entry point of the stage."""
    settings = params.load()
    data = digits.load_training(stages.TRAIN)
    members = [member for member in settings.ensemble.members() if member.fold != "all"]
    check_members(members)
    rows, probabilities, train_accuracy = judge(members, data)
    labels = data.labels[rows]

    summary = metrics.summarize(probabilities, labels, num_bins=settings.evaluate.calibration_bins)
    summary["train_accuracy"] = train_accuracy
    summary["judges_per_image"] = len(members) // len({member.fold for member in members})
    write_json(stages.EVALUATION / "metrics.json", summary)
    write_json(
        stages.EVALUATION / "members.json",
        {member.name: sha256(stages.MODELS / member.name / "model.keras") for member in members},
    )
    with replacing(stages.EVALUATION / "out_of_fold.npz") as temporary:
        np.savez(
            temporary,
            rows=rows,
            labels=labels,
            probabilities=probabilities,
            train_sha256=np.array(data.provenance.train_sha256),
        )
    write_digit_tables(stages.EVALUATION, probabilities, labels)
    write_errors(stages.EVALUATION, data, rows, probabilities, settings.evaluate)
    write_learning_curves(stages.EVALUATION, members)
    write_architectures(stages.EVALUATION / "architectures", members)
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
        if read_json(folder / "member.json")["conditions"]["data_sha256"] != current:
            raise ArtifactError(
                f"{folder} was trained with other images or folds than {stages.TRAIN} holds now: "
                "expected a network that never saw the images of its fold. Train it again with: "
                "dvc repro"
            )


def judge(members: list[Member], data: TrainingDigits) -> tuple[Rows, Probabilities, float]:
    """Out-of-fold probabilities, averaged over the members that hold an image's fold back.

    Returns:
        The judged rows of the training data, in their order; float64 ``(rows, 10)``; and the
        members' mean accuracy on the images outside their folds, as they are, not warped.
    """
    sums = np.zeros((len(data.labels), digits.NUM_CLASSES), dtype=np.float64)
    num_judges = np.zeros(len(data.labels), dtype=np.intp)
    train_accuracies = []
    for member in members:
        network = load_network(stages.MODELS / member.name)
        probabilities = predict_probabilities(network, data.images)
        held_back = data.folds == member.fold
        sums[held_back] += probabilities[held_back]
        num_judges[held_back] += 1
        right = probabilities.argmax(axis=1) == data.labels
        train_accuracies.append(right[~held_back].mean())
    rows = np.flatnonzero(num_judges)
    averages = sums[rows] / num_judges[rows, np.newaxis]
    return rows, averages, float(np.mean(train_accuracies))


def write_digit_tables(folder: Path, probabilities: Probabilities, labels: digits.Labels) -> None:
    """Per-digit errors, classification report and confusion matrix."""
    predicted = probabilities.argmax(axis=1).astype(np.uint8)
    confusions = metrics.count_confusions(predicted, labels)
    table = metrics.tabulate_digits(confusions)
    with replacing(folder / "per_digit.csv") as temporary:
        table.to_csv(temporary, index=False)
    write_text(folder / "per_digit.md", _markdown(metrics.describe_digits(table)))
    report = classification_report(
        labels, predicted, labels=range(digits.NUM_CLASSES), digits=4, zero_division=np.nan
    )
    write_text(folder / "classification_report.txt", report)
    pairs = pd.DataFrame({"true": labels, "predicted": predicted})
    with replacing(folder / "confusion.csv") as temporary:
        pairs.to_csv(temporary, index=False)
    plots.confusion_matrix(folder / "confusion_matrix.png", confusions)


def write_errors(
    folder: Path,
    data: TrainingDigits,
    rows: Rows,
    probabilities: Probabilities,
    settings: Evaluate,
) -> None:
    """The list of all misclassified images, and a gallery with few of each kind."""
    errors = metrics.tabulate_errors(probabilities, data.labels[rows], rows)
    with replacing(folder / "errors.csv") as temporary:
        errors.to_csv(temporary, index=False)
    of_each_kind = errors.groupby(["true", "predicted"]).head(settings.gallery_images_per_confusion)
    shown = of_each_kind.head(settings.gallery_images)
    plots.error_gallery(
        folder / "error_gallery.png",
        data.images[shown["row"].to_numpy()],
        shown,
        num_errors=len(errors),
    )


def write_learning_curves(folder: Path, members: list[Member]) -> None:
    """The histories of all members, as one table and one figure."""
    histories = []
    for member in members:
        path = stages.MODELS / member.name / "history.csv"
        if not path.exists():
            raise missing(path)
        histories.append(pd.read_csv(path).assign(member=member.name))
    curves = pd.concat(histories, ignore_index=True)
    with replacing(folder / "learning_curves.csv") as temporary:
        curves.to_csv(temporary, index=False)
    plots.learning_curves(folder / "learning_curves.png", curves)


def write_architectures(path: Path, members: list[Member]) -> None:
    """A layer table and a diagram of each architecture among the members."""
    by_architecture = {member.architecture: member for member in members}
    with replacing(path) as folder:
        folder.mkdir()
        for name, member in by_architecture.items():
            layers = tabulate_layers(load_model(stages.MODELS / member.name / "model.keras"))
            write_text(folder / f"{name}.md", _markdown(describe_layers(layers)))
            plots.architecture(folder / f"{name}.png", layers, name)


def _markdown(rows: list[dict[str, str]]) -> str:
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


if __name__ == "__main__":
    stages.run(main)
