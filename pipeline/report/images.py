"""The images that the pages show, and what their scripts know of each."""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.data.dataset import NUM_CLASSES, Images
from pipeline.evaluation.examples import choose_contradicted, choose_errors, choose_suspected
from pipeline.report import draw_sprite, sprite_geometry

COLUMNS = (
    "sprite",
    "kind",
    "row",
    "true",
    "predicted",
    "runner_up",
    "loss",
    "refined",
    "label_suspected",
    "mapped",
    "p",
    "nearest",
)
"""What the page's script knows of a prediction; sprite is the place of its image, mapped whether it
is on the map. Of each of the nearest training images it knows sprite, row, label and distance."""

POINT_COLUMNS = ("fold", "row", "x", "y", "true", "predicted")


def collect_predictions(tables: dict[str, pd.DataFrame], most_errors: int) -> pd.DataFrame:
    """The predictions that the page shows: `COLUMNS` but for sprite, and p_0 to p_9.

    The kind tells the gallery: error, low_confidence and typical (both correct), suspected (the
    label), contradicted (other labels, by confident predictions) and test.
    """
    errors = tables["errors.csv"]
    shown = choose_errors(errors, most_errors)
    suspected = choose_suspected(errors, tables["label_errors.csv"])
    contradicted = choose_contradicted(errors, tables["label_errors.csv"])
    test = tables["test/low_confidence.csv"].rename(columns={"image_id": "row"})
    predictions = pd.concat(
        [
            shown.assign(kind="error"),
            tables["correct.csv"].assign(label_suspected=False),
            suspected.assign(kind="suspected"),
            contradicted.assign(kind="contradicted"),
            test.assign(kind="test", true=None, loss=None, label_suspected=False),
        ],
        ignore_index=True,
    )
    probabilities = predictions[[f"p_{digit}" for digit in range(NUM_CLASSES)]]
    missing_values = predictions[["true", "loss"]].astype(object)
    return predictions.assign(
        p=probabilities.to_numpy().tolist(),
        **missing_values.where(missing_values.notna(), None),
    )


def place_images(
    predictions: pd.DataFrame,
    pairs: pd.DataFrame,
    nearest: pd.DataFrame,
    training: Images,
    test: Images,
) -> tuple[str, pd.DataFrame]:
    """Draw every image once, and note its place.

    Args:
        predictions: gets the column sprite.
        pairs: columns first and second, rows of the training data.
        nearest: from the explain stage; its neighbours get the column sprite.
        training: uint8 ``(n, 28, 28)``, all of them.
        test: the same of the images to label.

    Returns:
        The sprite as a data URI, and ``pairs`` with the columns first_sprite and second_sprite.
    """
    is_test = (predictions["kind"] == "test").to_numpy()
    rows = predictions["row"].to_numpy(np.intp)
    first, second = (pairs[name].to_numpy(np.intp) for name in ("first", "second"))
    alike = nearest["neighbour"].to_numpy(np.intp)
    shown = np.unique(np.concatenate([rows[~is_test], first, second, alike]))
    ids, test_places = np.unique(rows[is_test], return_inverse=True)
    nearest["sprite"] = np.searchsorted(shown, alike)
    predictions["sprite"] = 0
    predictions.loc[~is_test, "sprite"] = np.searchsorted(shown, rows[~is_test])
    predictions.loc[is_test, "sprite"] = len(shown) + test_places
    placed = pairs.assign(
        first_sprite=np.searchsorted(shown, first), second_sprite=np.searchsorted(shown, second)
    )
    return draw_sprite(np.concatenate([training[shown], test[ids - 1]])), placed


def attach_nearest(predictions: pd.DataFrame, nearest: pd.DataFrame) -> None:
    """Give the predictions a column nearest: what is known of the images they were most like.

    Args:
        predictions: of the page.
        nearest: from the explain stage, with the column sprite.
    """
    of_image: dict[tuple[bool, int], list[list[Any]]] = {}
    for each in nearest.itertuples():
        known = [each.sprite, each.neighbour, each.label, each.distance]
        of_image.setdefault((each.kind == "test", each.row), []).append(known)
    is_test = predictions["kind"] == "test"
    predictions["nearest"] = [
        of_image.get(key, []) for key in zip(is_test, predictions["row"], strict=True)
    ]


def lay_out_map(points: pd.DataFrame, training: Images) -> dict[str, Any]:
    """What the page of the map shows.

    Args:
        points: from the embed stage.
        training: uint8 ``(n, 28, 28)``, all images.

    Returns:
        sprite, the image of each point in its order; and predictions, by column, with neighbours as
        places in the columns.
    """
    place_of_row = {row: place for place, row in enumerate(points["row"])}
    neighbours = [
        [place_of_row[int(row)] for row in text.split()] for text in points["neighbours"].fillna("")
    ]
    columns = {name: points[name].tolist() for name in POINT_COLUMNS}
    probabilities = points[[f"p_{digit}" for digit in range(NUM_CLASSES)]].to_numpy().tolist()
    return {
        "sprite": draw_sprite(training[points["row"].to_numpy(np.intp)]),
        "predictions": {"points": columns | {"p": probabilities, "neighbours": neighbours}}
        | sprite_geometry(),
    }
