"""Check and reshape every row, draw the folds, and show what people look at first."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import params, stages
from pipeline.data import dataset, label_corrections, tables
from pipeline.data.dataset import NUM_CLASSES, Provenance, TrainingDigits, UnlabelledDigits
from pipeline.data.folds import assign_folds, find_duplicates
from pipeline.data.label_corrections import LabelCorrections
from pipeline.data.preprocessing import preprocess
from pipeline.data.transforms import TRANSFORMS
from pipeline.files import atomic_path, write_json
from pipeline.plots import bars, tiles
from pipeline.training.augmentation import WarpLimits, apply_warps, draw_warps

GRID_IMAGES = 100
PREVIEW_WARPS = 9


def main() -> None:
    """Entry point of the stage."""
    settings = params.load()
    provenance = dataset.read_provenance(stages.RAW / "provenance.json")
    corrections = label_corrections.read(stages.LABEL_CORRECTIONS)
    training, test, summary = prepare(stages.RAW, settings, provenance, corrections)
    dataset.save(stages.TRAIN, training)
    dataset.save(stages.TEST, test)
    with atomic_path(stages.DATA_REPORT) as folder:
        folder.mkdir()
        write_json(folder / "summary.json", summary)
        draw(folder, training, settings)
    print(
        f"{summary['training_images']:,} labelled images ({summary['duplicates_in_training']} of "
        f"them duplicates) in {settings.prepare.folds} folds, {summary['test_images']:,} to label"
    )
    if corrections:
        print(f"{corrections.summarize()}, as {stages.LABELS} says")


def prepare(
    raw: Path,
    settings: params.Params,
    provenance: Provenance,
    corrections: LabelCorrections | None = None,
) -> tuple[TrainingDigits, UnlabelledDigits, dict[str, Any]]:
    """Read both CSVs in ``raw`` and assign the folds; also a summary of what was found.

    Labels as given decide the folds, so that corrections move no image to another fold.

    Raises:
        TableError: a row, a header or the number of rows is wrong, or the corrections are of other
            data.
    """
    rows = (None, None) if provenance.sample else (tables.TRAIN_ROWS, tables.TEST_ROWS)
    images, labels = tables.read_train(raw / "train.csv", expected_rows=rows[0])
    test_images = tables.read_test(raw / "test.csv", expected_rows=rows[1])
    if corrections:
        label_corrections.check(stages.LABELS, corrections, labels, provenance)
    corrected_labels = label_corrections.apply(corrections, labels)
    first_rows = find_duplicates(images)
    folds = assign_folds(labels, first_rows, num_folds=settings.prepare.folds, seed=settings.seed)
    repeated = np.flatnonzero(first_rows != np.arange(len(labels)))
    known = {image.tobytes() for image in images}
    summary = {
        "sample": provenance.sample,
        "training_images": len(labels),
        "test_images": len(test_images),
        "training_images_by_digit": np.bincount(labels, minlength=NUM_CLASSES).tolist(),
        "training_images_by_fold": np.bincount(folds).tolist(),
        "duplicates_in_training": len(repeated),
        "duplicates_with_another_label": int(
            (labels[repeated] != labels[first_rows[repeated]]).sum()
        ),
        "duplicates_in_test": int(
            (find_duplicates(test_images) != np.arange(len(test_images))).sum()
        ),
        "test_images_also_in_training": sum(image.tobytes() in known for image in test_images),
        "blank_images": int(
            (~images.any(axis=(1, 2))).sum() + (~test_images.any(axis=(1, 2))).sum()
        ),
    }
    return (
        TrainingDigits(images, labels, folds, provenance, corrected_labels),
        UnlabelledDigits(test_images, provenance),
        summary,
    )


def draw(folder: Path, training: TrainingDigits, settings: params.Params) -> None:
    """Draw the class counts, a grid of samples, and what preprocessing and augmentation do."""
    generator = np.random.default_rng(settings.seed)
    shown = generator.permutation(len(training.labels))[:GRID_IMAGES]
    bars.class_counts(folder / "class_counts.png", training.labels)
    tiles.sample_grid(folder / "sample_grid.png", training.images[shown], training.labels[shown])

    by_digit = [int(np.flatnonzero(training.labels == digit)[0]) for digit in range(NUM_CLASSES)]
    originals = training.images[by_digit]
    tiles.preprocessing(
        folder / "preprocessing.png",
        {
            "as it is": originals,
            **{step: preprocess(originals, [step]) for step in TRANSFORMS},
            "all, in\nthis order": preprocess(originals, TRANSFORMS),
        },
    )
    repeated = np.repeat(originals, PREVIEW_WARPS, axis=0)
    warps = draw_warps(WarpLimits(**settings.augmentation.model_dump()), len(repeated), generator)
    warped = apply_warps(repeated, warps).numpy()
    tiles.augmentation_preview(
        folder / "augmentation_preview.png",
        originals,
        warped.reshape(NUM_CLASSES, PREVIEW_WARPS, *originals.shape[1:]),
    )


if __name__ == "__main__":
    stages.run(main)
