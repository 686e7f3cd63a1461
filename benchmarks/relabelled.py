"""Networks trained on other labels than those of ``train.csv``, for the benchmarks of labels."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.reference import read_settings
from pipeline import architectures
from pipeline.data.dataset import Probabilities, TrainingDigits
from pipeline.ensemble.averaging import predict_probabilities
from pipeline.ensemble.neighbours import refine_with_neighbours
from pipeline.networks.backend import use_threads
from pipeline.networks.trained import TrainedNetwork
from pipeline.parallel import count_processors
from pipeline.stages import train
from pipeline.training import network


def predict_held_out(
    data: TrainingDigits, held_out: Sequence[int], profile: str, folder: Path
) -> Probabilities:
    """Train the first network of a profile on the other folds; predict the images of these.

    Args:
        data: with the corrected labels to train on, if there are any.
        held_out: folds; the network has the seed of a member that holds out the first.
        profile: names the network and how it is trained.
        folder: keeps what is finished, so that a second call takes it over.

    Returns:
        ``(n, 10)`` of all images, refined with neighbours that the network trained on; not a
        number for images of other folds.
    """
    settings = read_settings(profile, held_out[0], folder)
    _, threads = train.share_processors(count_processors(), 1, settings)
    use_threads(threads)
    trained_on = data.to_train_on()
    kept = ~np.isin(trained_on.folds, held_out[1:])
    trained_on = replace(
        trained_on,
        images=trained_on.images[kept],
        labels=trained_on.labels[kept],
        folds=trained_on.folds[kept],
    )
    task, *_ = train.list_tasks(settings)
    digest = hashlib.sha256()
    for array in vars(trained_on).values():
        digest.update(array.tobytes() if isinstance(array, np.ndarray) else b"")
    conditions = replace(task.conditions, data_sha256=digest.hexdigest())
    task = replace(task, conditions=conditions, states=folder)
    path = folder / f"{task.state.stem}.predictions.npy"
    if path.exists():
        finished: Probabilities = np.load(path)
        return finished
    fitted = network.fit(task, trained_on, architectures.build)
    rows = np.isin(data.folds, held_out)
    trained = TrainedNetwork(fitted.model, task.member.views)
    known = trained_on.folds != held_out[0]
    probabilities = np.full((len(data.labels), 10), np.nan)
    probabilities[rows] = refine_with_neighbours(
        predict_probabilities(trained, data.images[rows]),
        data.images[rows],
        (trained_on.images[known], trained_on.labels[known]),
        **settings.neighbours.model_dump(),
    )
    np.save(path, probabilities)
    task.discard_states(keep_current=False)
    return probabilities
