"""Lay out held-out images in two dimensions by what a network makes of them.

Networks of different folds have different features, so each fold has a map of its own, by its first
member. The report stage draws them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import params, stages
from pipeline.data import dataset
from pipeline.data.dataset import NUM_CLASSES
from pipeline.errors import ArtifactError
from pipeline.evaluation import predictions
from pipeline.evaluation.embedding import (
    Embedding,
    Features,
    Places,
    choose_images,
    embed,
    round_probabilities,
)
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.files import atomic_path, sha256, write_json
from pipeline.networks.backend import use_threads
from pipeline.networks.features import last_hidden_features
from pipeline.networks.trained import load_network
from pipeline.parallel import count_processors
from pipeline.params import Member, Params
from pipeline.wording import counted

IMAGES = 4_500
"""On the maps of all folds together."""

NEIGHBOURS = 8


def main() -> None:
    """Entry point of the stage."""
    use_threads(count_processors())
    count, folds = embed_images(params.load())
    print(f"{stages.MAP_REPORT}: {count:,} images of {counted(folds, 'fold')}")


def embed_images(settings: Params) -> tuple[int, int]:
    """Lay out images by the features of the trained networks, and write the folder of the map.

    Returns:
        How many images and folds are on the maps.
    """
    data = dataset.load_labelled(stages.TRAIN)
    path = stages.EVALUATION / "out_of_fold.npz"
    found = predictions.load(path)
    members = first_members(settings)
    check_members(members, found)
    folds = data.folds[found.rows]
    chosen = choose(settings, found, members, folds)
    features = {
        member: last_hidden_features(
            load_network(stages.MODELS / member.name), data.images[found.rows[places]]
        )
        for member, places in chosen.items()
    }
    count = write_map(stages.MAP_REPORT, settings, found, folds, chosen, features)
    return count, len(members)


def first_members(settings: Params) -> list[Member]:
    """The first evaluated member of each fold, whose features lay out the fold's images."""
    firsts: dict[Any, Member] = {}
    for member in settings.evaluated_members():
        firsts.setdefault(member.fold, member)
    return list(firsts.values())


def check_members(members: list[Member], found: OutOfFoldPredictions) -> None:
    """Refuse a network that is not the one that made the predictions.

    Raises:
        ArtifactError: naming it.
    """
    for member in members:
        path = stages.MODELS / member.name / "model.keras"
        if not path.exists() or found.members.get(member.name) != sha256(path):
            raise ArtifactError(
                f"{path} is another network than was evaluated: expected the one that made the "
                f"predictions in {stages.EVALUATION / 'out_of_fold.npz'}. Run: dvc repro"
            )


def choose(
    settings: Params,
    found: OutOfFoldPredictions,
    members: list[Member],
    folds: NDArray[np.integer],
) -> dict[Member, Places]:
    """Which predictions are on the map of each member.

    Args:
        settings: of params.yaml.
        found: the predictions.
        members: one per fold.
        folds: of the predictions, ``(n,)``.
    """
    return {
        member: choose_images(
            found,
            np.flatnonzero(folds == member.fold),
            most=IMAGES // len(members),
            threshold=settings.neighbours.confidence_threshold,
        )
        for member in members
    }


def write_map(
    path: Path,
    settings: Params,
    found: OutOfFoldPredictions,
    folds: NDArray[np.integer],
    chosen: dict[Member, Places],
    features: dict[Member, Features],
) -> int:
    """Write the folder ``path``: points.csv, a row per image, and summary.json.

    Args:
        path: of the folder.
        settings: of params.yaml.
        found: the predictions.
        folds: of the predictions, ``(n,)``.
        chosen: by `choose`; one member per fold.
        features: of the chosen images.

    Returns:
        How many images are on the maps.
    """
    tables, summaries = [], {}
    for member, places in chosen.items():
        own = folds == member.fold
        layout = embed(features[member], num_neighbours=NEIGHBOURS, seed=settings.seed)
        tables.append(tabulate_points(member, found, places, layout))
        summaries[str(member.fold)] = {
            "member": member.name,
            "n": len(places),
            "n_of_fold": int(own.sum()),
            "errors": int((~found.correct[places]).sum()),
            "errors_of_fold": int((~found.correct[own]).sum()),
            "features": features[member].shape[1],
            "trustworthiness": layout.trustworthiness,
        }
    table = pd.concat(tables, ignore_index=True)
    with atomic_path(path) as folder:
        folder.mkdir()
        table.to_csv(folder / "points.csv", index=False)
        write_json(
            folder / "summary.json",
            {
                "n": len(table),
                "neighbours": NEIGHBOURS,
                "folds": summaries,
                "predictions_sha256": sha256(stages.EVALUATION / "out_of_fold.npz"),
            },
        )
    return len(table)


def tabulate_points(
    member: Member, found: OutOfFoldPredictions, places: Places, layout: Embedding
) -> pd.DataFrame:
    """One row per image of a map, the errors last, so that they are drawn on top.

    Returns:
        Columns fold, row (of train.csv), x and y (0 to 1,000), true, predicted, p_0 to p_9 (rounded
        by `round_probabilities`) and neighbours (rows of the nearest images of the map in the space
        of all features, the nearest first, separated by spaces).
    """
    probabilities = round_probabilities(found.probabilities[places])
    rows = found.rows[places]
    table = pd.DataFrame(
        {
            "fold": member.fold,
            "row": rows,
            "x": layout.points[:, 0],
            "y": layout.points[:, 1],
            "true": found.labels[places],
            "predicted": found.predicted[places],
        }
        | {f"p_{digit}": probabilities[:, digit] for digit in range(NUM_CLASSES)}
        | {"neighbours": list(_join(rows[layout.neighbours]))}
    )
    order = np.argsort((~found.correct[places]).astype(int), kind="stable")
    return table.iloc[order]


def _join(rows: NDArray[np.intp]) -> Iterator[str]:
    for each in rows:
        yield " ".join(map(str, each))


if __name__ == "__main__":
    stages.run(main)
