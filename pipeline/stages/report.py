"""Put what evaluate and predict wrote onto one page, with a model card beside it."""

import pandas as pd

from pipeline import metrics, stages
from pipeline.files import missing, read_json
from pipeline.report import render

PICTURES = (
    (
        stages.EVALUATION / "confusion_matrix.png",
        "Which digit was taken for which",
        "Heatmap of true against predicted digits; the same numbers are in confusion.csv.",
    ),
    (
        stages.EVALUATION / "error_gallery.png",
        "Misread images",
        "Images with true digit, predicted digit and runner-up; all of them are in errors.csv.",
    ),
    (
        stages.EVALUATION / "learning_curves.png",
        "Learning curves",
        "Loss and error rate over epochs; the same numbers are in learning_curves.csv.",
    ),
    (
        stages.DATA_REPORT / "augmentation_preview.png",
        "What training sees",
        "One image of each digit beside warped copies.",
    ),
    (
        stages.TEST_REPORT / "least_certain.png",
        "Test images read with the least certainty",
        "Test images with their two most probable digits.",
    ),
)


def main() -> None:
    """Entry point of the stage."""
    per_digit, per_digit_text = (stages.EVALUATION / f"per_digit.{kind}" for kind in ("csv", "md"))
    for path in (per_digit, per_digit_text, *(picture[0] for picture in PICTURES)):
        if not path.exists():
            raise missing(path)
    table = pd.read_csv(per_digit, dtype={"confused_with": "Int64", "confused_times": "Int64"})
    submission = read_json(stages.SUBMISSION.with_suffix(".json"))
    content = {
        "metrics": read_json(stages.EVALUATION / "metrics.json"),
        "submission": submission,
        "members": list(submission["members"]),
        "sample_notice": stages.SAMPLE_NOTICE,
        "digits": metrics.describe_digits(table),
        "digit_table": per_digit_text.read_text(encoding="utf-8"),
        "pictures": [
            {"path": path, "title": title, "alternative": alternative}
            for path, title, alternative in PICTURES
        ],
    }
    render(stages.REPORT, "report.html", **content)
    render(stages.MODEL_CARD, "model_card.md", **content)
    print(f"{stages.REPORT}: open it in a browser")
    if submission["provenance"]["sample"]:
        print(stages.SAMPLE_NOTICE)


if __name__ == "__main__":
    stages.run(main)
