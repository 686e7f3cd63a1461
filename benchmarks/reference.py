"""An epoch of `deep_cnn` the way the reference's author trains it, beside ours, in turns.

The reference warps image by image with Keras's ``ImageDataGenerator``; ours warps batch by batch in
the input pipeline. Network, images, batch size and optimizer are the same, and so is the process.
"""

import sys
from collections.abc import Callable

import numpy as np

from benchmarks.read_tables import measure
from pipeline import digits, params, stages, training
from pipeline.architectures import build
from pipeline.backend import keras, make_repeatable, tf
from pipeline.digits import Images, Labels
from pipeline.errors import exit_status
from pipeline.stages.train import make_recipe
from pipeline.training import Recipe

REPEATS = 3


def build_compiled() -> keras.Model:
    """A fresh `deep_cnn`, ready to be fitted."""
    model = build("deep_cnn")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    return model


def prepare_reference(images: Images, labels: Labels, recipe: Recipe) -> Callable[[], None]:
    """A function that runs one epoch of the reference's training."""
    model = build_compiled()
    warp = recipe.warp
    generator = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=warp.rotation_degrees,
        width_shift_range=warp.shift_pixels / digits.IMAGE_SIZE,
        height_shift_range=warp.shift_pixels / digits.IMAGE_SIZE,
        zoom_range=warp.zoom_fraction,
    )
    batches = generator.flow(images[..., np.newaxis], labels, batch_size=recipe.batch_size)

    def run_epoch() -> None:
        for _ in range(len(batches)):
            warped, batch_labels = next(batches)
            model.train_on_batch(warped[..., 0], batch_labels)

    return run_epoch


def prepare_ours(images: Images, labels: Labels, recipe: Recipe) -> Callable[[], None]:
    """A function that runs one epoch of our training."""
    model = build_compiled()
    steps = -(-len(images) // recipe.batch_size)
    batches = iter(training.augmented_batches(images, labels, recipe, seed=0, first_epoch=0))

    def run_epoch() -> None:
        for _ in range(steps):
            model.train_on_batch(*next(batches))

    return run_epoch


def main() -> None:
    """Print seconds per epoch of both, and their ratio in each turn."""
    settings = params.load()
    recipe = make_recipe(settings.ensemble.members()[0], settings)
    data = digits.load_training(stages.TRAIN)
    fitted = data.folds != 0
    images, labels = data.images[fitted], data.labels[fitted]
    make_repeatable(0)
    reference = prepare_reference(images, labels, recipe)
    ours = prepare_ours(images, labels, recipe)

    print(f"{len(images):,} images per epoch")
    ratios = []
    for turn in range(REPEATS):
        theirs, mine = measure(reference), measure(ours)
        ratios.append(mine / theirs)
        print(
            f"turn {turn + 1}: reference {theirs:.1f} s, ours {mine:.1f} s, ratio {ratios[-1]:.2f}"
        )
    low, middle, high = np.percentile(ratios, [0, 50, 100])
    print(f"ratio: median {middle:.2f} ({low:.2f} to {high:.2f}, n = {REPEATS})")


if __name__ == "__main__":
    sys.exit(exit_status(main))
