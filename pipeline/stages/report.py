"""Put what the other stages wrote onto one page, with a map next to it, and into a model card."""

from pathlib import Path
from typing import Any

from pipeline import params, stages
from pipeline.data import dataset, label_corrections
from pipeline.data.dataset import Provenance
from pipeline.data.sources import decision
from pipeline.errors import ArtifactError
from pipeline.evaluation import metrics
from pipeline.evaluation.examples import SUGGESTIONS_SHOWN
from pipeline.evaluation.image_properties import PROPERTIES
from pipeline.evaluation.metrics import Metrics
from pipeline.files import missing_artifact, sha256
from pipeline.report import Findings, as_rows, records, render, sprite_geometry
from pipeline.report.images import (
    COLUMNS,
    attach_nearest,
    collect_predictions,
    lay_out_map,
    place_images,
)
from pipeline.submissions import log as submission_log
from pipeline.submissions.file import SubmissionRecord

RECORDS = {
    "metrics.json": (stages.EVALUATION / "metrics.json", Metrics),
    "run.json": (stages.EVALUATION / "run.json", records.Run),
    "explanation/summary.json": (stages.EXPLANATION / "summary.json", records.ExplanationSummary),
    "map/summary.json": (stages.MAP_REPORT / "summary.json", records.MapSummary),
    "data/summary.json": (stages.DATA_REPORT / "summary.json", records.DataSummary),
    "submission.json": (stages.SUBMISSION.with_suffix(".json"), SubmissionRecord),
    "test/summary.json": (stages.TEST_REPORT / "summary.json", records.TestSummary),
}
"""JSON files whose numbers the page shows, by the name that it gives them, and their form."""

TABLES = {
    "calibration.csv": stages.EVALUATION / "calibration.csv",
    "confusion_matrix.csv": stages.EVALUATION / "confusion_matrix.csv",
    "correct.csv": stages.EVALUATION / "correct.csv",
    "errors.csv": stages.EVALUATION / "errors.csv",
    "label_errors.csv": stages.EVALUATION / "label_errors.csv",
    "learning_curves_mean.csv": stages.EVALUATION / "learning_curves_mean.csv",
    "members.csv": stages.EVALUATION / "members.csv",
    "near_duplicates.csv": stages.EVALUATION / "near_duplicates.csv",
    "per_digit.csv": stages.EVALUATION / "per_digit.csv",
    "explanation/drift.csv": stages.EXPLANATION / "drift.csv",
    "explanation/nearest.csv": stages.EXPLANATION / "nearest.csv",
    "explanation/slices.csv": stages.EXPLANATION / "slices.csv",
    "map/points.csv": stages.MAP_REPORT / "points.csv",
    "test/class_counts.csv": stages.TEST_REPORT / "class_counts.csv",
    "test/low_confidence.csv": stages.TEST_REPORT / "low_confidence.csv",
}
"""Tables whose numbers the page shows, by the name that it gives them."""

FILES = TABLES | {name: path for name, (path, _) in RECORDS.items()}
"""All files whose numbers the page shows, by the name that it gives them."""

FIGURES = {
    "augmentation": stages.DATA_REPORT / "augmentation_preview.png",
    "calibration": stages.EVALUATION / "figures/calibration.svg",
    "class_counts": stages.TEST_REPORT / "class_counts.svg",
    "confidence": stages.EVALUATION / "figures/confidence.svg",
    "learning_error_rate": stages.EVALUATION / "figures/learning_error_rate.svg",
    "learning_loss": stages.EVALUATION / "figures/learning_loss.svg",
}

COSTLIEST_SHOWN = 10
PAIRS_SHOWN = 24
PAIRS_OF_SLICES_SHOWN = 12


def main() -> None:
    """Entry point of the stage."""
    settings = params.load()
    tables = {name: records.read_table(path, name) for name, path in TABLES.items()}
    contents = {name: records.read(path, kind) for name, (path, kind) in RECORDS.items()}
    source = {"kind": decision.read(stages.SOURCE).kind}
    digit_table = stages.EVALUATION / "per_digit.md"
    for path in (digit_table, *FIGURES.values()):
        if not path.exists():
            raise missing_artifact(path)
    check_scores(contents)
    predictions = collect_predictions(tables, settings.evaluate.page_images)
    pairs = tables["near_duplicates.csv"]
    pairs = pairs[pairs["first_fold"] != pairs["second_fold"]].head(PAIRS_SHOWN)
    nearest = tables.pop("explanation/nearest.csv")
    points = tables.pop("map/points.csv")
    training = dataset.load_labelled(stages.TRAIN).images
    test = dataset.load_test(stages.TEST).images
    sprite, pairs = place_images(predictions, pairs, nearest, training, test)
    attach_nearest(predictions, nearest)
    predictions["mapped"] = (predictions["kind"] != "test") & predictions["row"].isin(points["row"])
    findings = Findings(
        {name: as_rows(table) for name, table in tables.items()}
        | contents
        | {"data/source.json": source}
    )
    record = contents["submission.json"]
    content = {
        "findings": findings,
        "number": findings.element,
        "text": findings.text,
        "figures": FIGURES,
        "digits": metrics.describe_digits(tables["per_digit.csv"]),
        "digit_table": digit_table.read_text(encoding="utf-8"),
        "darkest_fraction": metrics.darkest_fraction(tables["confusion_matrix.csv"]),
        "near_duplicate_grey_levels": settings.evaluate.near_duplicate_grey_levels,
        "pairs": as_rows(pairs),
        "predictions": {
            "columns": COLUMNS,
            "rows": predictions[list(COLUMNS)].to_numpy(object).tolist(),
            "costliest": COSTLIEST_SHOWN,
        }
        | sprite_geometry(),
        "sprite": sprite,
        "labels_given": describe_labels(Provenance(**record["provenance"])),
        "costliest_shown": COSTLIEST_SHOWN,
        "suspected_shown": SUGGESTIONS_SHOWN,
        "properties": PROPERTIES,
        "pairs_of_slices_shown": PAIRS_OF_SLICES_SHOWN,
        "confidence_threshold": settings.neighbours.confidence_threshold,
        "upload": submission_log.find(
            submission_log.read(stages.SUBMISSION.with_name("log.csv")), record["sha256"]
        ),
        "params": Path("params.yaml").read_text(encoding="utf-8"),
        "sample_notice": stages.SAMPLE_NOTICE,
    }
    render(stages.MAP, "map.html", **content | lay_out_map(points, training))
    render(stages.REPORT, "report.html", **content)
    render(stages.MODEL_CARD, "model_card.md", **content)
    print(f"{stages.REPORT}: open it in a browser")
    if record["provenance"]["sample"]:
        print(stages.SAMPLE_NOTICE)


def check_scores(contents: dict[str, dict[str, Any]]) -> None:
    """Refuse scores that are not of the predictions and the networks at hand.

    Args:
        contents: of the JSON files, by name.

    Raises:
        ArtifactError: evaluate was interrupted, or a stage after it has not run since.
    """
    scores, submission = contents["metrics.json"], contents["submission.json"]
    predictions = stages.EVALUATION / "out_of_fold.npz"
    if not predictions.exists():
        raise missing_artifact(predictions)
    if dict(scores["predictions"]) != {predictions.name: sha256(predictions)}:
        raise ArtifactError(
            f"{FILES['metrics.json']} holds the scores of other predictions than {predictions}: "
            "evaluate was interrupted. Run: dvc repro"
        )
    others = [
        name for name, digest in scores["members"] if submission["members"].get(name) != digest
    ]
    if others:
        raise ArtifactError(
            f"{FILES['metrics.json']} holds the scores of other networks than made the submission: "
            f"{', '.join(others)}. Run: dvc repro"
        )
    for name in ("explanation/summary.json", "map/summary.json"):
        if contents[name]["predictions_sha256"] != sha256(predictions):
            raise ArtifactError(
                f"{FILES[name]} is about other predictions than {predictions}: a stage was "
                "interrupted. Run: dvc repro"
            )


def describe_labels(provenance: Provenance) -> dict[str, Any]:
    """What ``labels.csv`` holds, for the page to go on with.

    Args:
        provenance: of the data.

    Returns:
        data (`label_corrections.name_data`), sha256 of the file (None without one), and verdicts,
        each with row, label, verdict and correction.
    """
    corrections = label_corrections.read(stages.LABEL_CORRECTIONS)
    verdicts = corrections.verdicts if corrections else ()
    return {
        "data": label_corrections.name_data(provenance),
        "sha256": corrections.sha256 if corrections else None,
        "verdicts": [[each.row, each.label, each.verdict, each.correction] for each in verdicts],
    }


if __name__ == "__main__":
    stages.run(main)
