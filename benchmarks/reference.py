"""`deep_cnn` the way the reference's author trains it, next to our schedules, fold by fold.

The reference warps image by image with Keras's ``ImageDataGenerator`` and is stopped by the images
that it is scored on, so its accuracy is optimistic; ours predicts the fold once, at the end. Each
run has a process of its own, for its peak memory; they take turns.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import params, profiles, stages
from pipeline.data import dataset
from pipeline.errors import exit_status
from pipeline.parallel import count_processors

THRESHOLD = 0.993
PATIENCE_EPOCHS = 5
MAX_EPOCHS = 60


@dataclass(frozen=True)
class Run:
    """What one training showed.

    Attributes:
        way: the reference's, or a profile of ours.
        fold: that evaluated it.
        epochs: how many it ran.
        epoch_seconds: median of its epochs.
        crossing_seconds: until the accuracy on the fold first reached `THRESHOLD`; nan where it
            never did, or where that is not known.
        seconds: all of its training.
        accuracy: on the fold; the reference's is the best of its epochs.
        peak_megabytes: resident memory of the process.
    """

    way: str
    fold: int
    epochs: int
    epoch_seconds: float
    crossing_seconds: float
    seconds: float
    accuracy: float
    peak_megabytes: float


def train_reference(fold: int, to_the_end: bool) -> Run:
    """Train until the threshold is crossed, or until patience ends the run."""
    from pipeline.architectures import build
    from pipeline.networks.backend import keras, make_repeatable, tf

    data = dataset.load_labelled(stages.TRAIN)
    fitted, held_out = data.folds != fold, data.folds == fold
    make_repeatable(fold)
    model = build("deep_cnn")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=8,
        width_shift_range=1.4 / dataset.IMAGE_SIZE,
        height_shift_range=1.4 / dataset.IMAGE_SIZE,
        zoom_range=0.1,
    )
    images = data.images[fitted][..., np.newaxis]
    batches = generator.flow(images, data.labels[fitted], batch_size=128, seed=fold)

    seconds: list[float] = []
    accuracies: list[float] = []
    losses: list[float] = []
    while len(losses) < MAX_EPOCHS:
        began = time.perf_counter()
        for _ in range(len(batches)):
            warped, labels = next(batches)
            model.train_on_batch(warped[..., 0], labels)
        evaluated = data.images[held_out], data.labels[held_out]
        value, accuracy = model.evaluate(*evaluated, batch_size=128, verbose=0)
        seconds.append(time.perf_counter() - began)
        accuracies.append(accuracy)
        losses.append(value)
        if accuracy >= THRESHOLD and not to_the_end:
            break
        if len(losses) - int(np.argmin(losses)) > PATIENCE_EPOCHS:
            break
    crossed = np.flatnonzero(np.array(accuracies) >= THRESHOLD)
    crossing = float(np.sum(seconds[: crossed[0] + 1])) if crossed.size else float("nan")
    return Run(
        "reference",
        fold,
        len(losses),
        float(np.median(seconds)),
        crossing,
        float(np.sum(seconds)),
        accuracies[int(np.argmin(losses))],
        _peak_megabytes(),
    )


def train_profile(profile: str, fold: int) -> Run:
    """Train the first network of a profile as the train stage does; predict the fold once."""
    from pipeline import architectures
    from pipeline.ensemble.averaging import predict_probabilities
    from pipeline.networks.backend import use_threads
    from pipeline.networks.trained import TrainedNetwork
    from pipeline.stages import train
    from pipeline.training import network

    with tempfile.TemporaryDirectory() as folder:
        settings = read_settings(profile, fold, Path(folder))
        _, threads = train.share_processors(count_processors(), 1, settings)
        use_threads(threads)
        task, *_ = train.list_tasks(settings)
        data = dataset.load_labelled(stages.TRAIN)
        fitted = network.fit(replace(task, states=Path(folder)), data, architectures.build)
    held_out = data.folds == fold
    trained = TrainedNetwork(fitted.model, task.member.views)
    predicted = predict_probabilities(trained, data.images[held_out]).argmax(axis=1)
    seconds = [row["seconds"] for row in fitted.state.history]
    return Run(
        profile,
        fold,
        len(seconds),
        float(np.median(seconds)),
        float("nan"),
        float(np.sum(seconds)),
        float((predicted == data.labels[held_out]).mean()),
        _peak_megabytes(),
    )


def read_settings(profile: str, fold: int, folder: Path) -> params.Params:
    """params.yaml as it would be with ``profile``, its members in one fold from one seed."""
    copy = folder / "params.yaml"
    copy.write_bytes(Path("params.yaml").read_bytes())
    profiles.apply(profile, copy)
    settings = params.load(copy)
    ensemble = settings.ensemble.model_copy(update={"folds": [fold], "seeds": [0]})
    return settings.model_copy(update={"ensemble": ensemble})


def _peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Print a row per run, then means, and the ratio of times."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reference", description=__doc__)
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--profiles", nargs="+", default=["quick"], choices=profiles.names())
    parser.add_argument(
        "--to-the-end", action="store_true", help="let patience end the reference, not the crossing"
    )
    arguments = parser.parse_args()
    runs: list[Run] = []
    with ProcessPoolExecutor(
        max_workers=1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for fold in arguments.folds:
            jobs = [pool.submit(train_reference, fold, arguments.to_the_end)]
            jobs += [pool.submit(train_profile, name, fold) for name in arguments.profiles]
            for job in jobs:
                runs.append(job.result())
                print(runs[-1], flush=True)

    table = pd.DataFrame(runs)
    print(table.to_string(index=False, float_format="{:.4f}".format))
    crossings = table.loc[table["way"] == "reference", "crossing_seconds"]
    crossing = crossings.fillna(np.inf).median()  # what never crossed counts as later than all
    for name, ours in table.groupby("way"):
        accuracy = ours["accuracy"]
        print(
            f"{name}: accuracy {accuracy.mean():.3%} ± {accuracy.std():.3%} (n = {len(ours)}), "
            f"median {ours['seconds'].median():.0f} s of training, "
            f"{ours['seconds'].median() / crossing:.3f} of the reference's median "
            f"{crossing:.0f} s to {THRESHOLD:.1%}"
        )


if __name__ == "__main__":
    sys.exit(exit_status(main))
