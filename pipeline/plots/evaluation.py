"""All pictures of an evaluation but the architectures'."""

from pathlib import Path

from pipeline.data.dataset import Images
from pipeline.evaluation.results import Results
from pipeline.params import Evaluate
from pipeline.plots import scores, tiles
from pipeline.plots.learning_curves import learning_curve


def draw(folder: Path, found: Results, images: Images, settings: Evaluate) -> None:
    """Draw the confusion matrix, a gallery of errors, the calibration and the learning curves.

    Args:
        folder: to write into.
        found: what is drawn.
        images: of all training data, uint8 ``(n, 28, 28)``.
        settings: the section ``evaluate`` of params.yaml.
    """
    scores.confusion_matrix(folder / "confusion_matrix.png", found.confusions)
    errors = found.tables["errors"]
    of_each_kind = errors.groupby(["true", "predicted"]).head(settings.gallery_images_per_confusion)
    shown = of_each_kind.head(settings.gallery_images)
    tiles.error_gallery(
        folder / "error_gallery.png",
        images[shown["row"].to_numpy()],
        shown,
        num_errors=len(errors),
    )
    figures = folder / "figures"
    calibration = found.tables["calibration"]
    scores.calibration(figures / "calibration.svg", calibration)
    scores.confidence_histogram(figures / "confidence.svg", calibration[~calibration["scaled"]])
    curves, means = found.tables["learning_curves"], found.tables["learning_curves_mean"]
    for measure in ("loss", "error_rate"):
        learning_curve(figures / f"learning_{measure}.svg", curves, means, measure)
