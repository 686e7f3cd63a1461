"""A network by its author's recipe: plain Keras, on TensorFlow or on JAX.

Layers, optimizer and loss are Keras's own, in float32, and `fit` trains them, an epoch at a time.
Between two epochs all is written down. What an epoch draws, its order, warps and dropout masks,
comes from (seed, epoch) alone. So a run that is killed at any moment continues after its last
finished epoch; on a CPU, and with the same library, it ends with the same bits.

On TensorFlow the layers of batch normalisation are the pipeline's faster ones, whose arithmetic is
the same.

Deviations from the authors: where one stops early, by images that score the network as well, a
twentieth of the training rows decides here, and the weights are those of the best epoch. Where
nothing stops the author, all training rows are fitted, and the last epoch counts.
"""

import random
import time
from importlib.metadata import version
from pathlib import Path
from zlib import crc32

import numpy as np

from comparison import backends, recipes
from comparison.outcome import Outcome
from comparison.references import REFERENCES, Reference
from comparison.rows import Rows, choose_rows, hold_back
from comparison.runs import Run
from comparison.warps import warp
from pipeline import architectures
from pipeline.data.dataset import Images, Labels, Probabilities, TrainingDigits
from pipeline.ensemble.averaging import softmax
from pipeline.errors import PipelineError
from pipeline.networks.backend import keras
from pipeline.networks.summary import tabulate_layers
from pipeline.progress import EpochDisplay, FinishedEpoch
from pipeline.training.state import TrainingState

DTYPE = "float32"
_BATCH = 1_000
"""Images that are predicted at once."""


def train(run: Run, data: TrainingDigits, state_path: Path) -> Outcome:
    """Fit a run by its author's recipe, from where it was interrupted, and score it.

    Args:
        run: whose recipe is the author's.
        data: all labelled digits.
        state_path: where an interrupted run waits; the caller keeps other processes off it.

    Raises:
        PipelineError: the loss is not finite.
    """
    reference, seed = REFERENCES[run.network], derive_seed(run)
    rows = choose_rows(data.labels, data.folds, run)
    _make_repeatable(seed)
    model = build(run.network)
    compile_model(model, reference)
    state = _fit(model, run, data, rows, seed, state_path)
    model.set_weights(state.best_weights)
    return Outcome(
        probabilities=_predict(model, data.images[data.folds == run.fold]),
        parameters=model.count_params(),
        multiply_adds=int(tabulate_layers(model)["multiply_adds"].sum()),
        training_images=len(rows),
        history=state.history,
        machine=backends.name_machine(),
        backend=name_backend(),
        dtype=DTYPE,
    )


def _make_repeatable(seed: int) -> None:
    """Seed the draw of the weights; on TensorFlow, allow only operations that repeat bit for bit.

    Keras takes the seeds of its initializers from Python's generator. Its `set_random_seed` would
    import TensorFlow wherever that is installed.
    """
    if keras.backend.backend() == "tensorflow":
        from pipeline.networks.backend import make_repeatable

        make_repeatable(seed)
    else:
        random.seed(seed)


def derive_seed(run: Run) -> int:
    """A run's own seed, a 32-bit integer; the same for every fraction."""
    entropy = [run.seed, crc32(run.network.encode()), run.fold]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def build(network: str) -> keras.Model:
    """The network with fresh weights; on TensorFlow, with faster layers of the same arithmetic."""
    model = architectures.build(network)
    if keras.backend.backend() != "tensorflow":
        return model
    from pipeline.training.fast_layers import FusedBatchNormalization

    def clone(layer: keras.Layer) -> keras.Layer:
        kind = type(layer)
        fast = FusedBatchNormalization if kind is keras.layers.BatchNormalization else kind
        return fast.from_config(layer.get_config())

    faster = keras.models.clone_model(model, clone_function=clone)
    faster.set_weights(model.get_weights())
    return faster


def compile_model(model: keras.Model, reference: Reference) -> None:
    """Give the model its author's optimizer and loss."""
    model.compile(
        getattr(keras.optimizers, reference.optimizer)(reference.learning_rate),
        getattr(keras.losses, reference.loss)(from_logits=True),
        metrics=["accuracy"],
        jit_compile=keras.backend.backend() != "tensorflow",  # oneDNN's kernels are faster
    )
    model.optimizer.build(model.trainable_variables)


def _fit(
    model: keras.Model, run: Run, data: TrainingDigits, rows: Rows, seed: int, state_path: Path
) -> TrainingState:
    """Fit the model in place to the end of its recipe; each epoch is written to ``state_path``."""
    reference = REFERENCES[run.network]
    training, validation = hold_back(
        data.labels, rows, recipes.validation_fraction(reference), seed
    )
    state = TrainingState.load(state_path)
    if state.history:
        model.set_weights(state.weights)
        for variable, value in zip(model.optimizer.variables, state.optimizer, strict=True):
            variable.assign(value)
    with EpochDisplay(run.name, reference.epochs, len(state.history)) as display:
        while not state.finished:
            row = fit_epoch(model, reference, data, training, [seed, len(state.history)])
            if validation.size:
                row |= _validate(model, data.images[validation], data.labels[validation])
            _note(state, row, model, reference)
            state.save(state_path)
            last = row["epoch"] if state.finished else reference.epochs
            best = state.best_epoch == row["epoch"]
            display.finish_epoch(FinishedEpoch(row, int(last), is_best=best))
    return state


def fit_epoch(
    model: keras.Model,
    reference: Reference,
    data: TrainingDigits,
    training: Rows,
    entropy: list[int],
) -> dict[str, float]:
    """Fit all ``training`` rows once, in an order, warps and masks drawn from ``entropy``."""
    began, generator = time.perf_counter(), np.random.default_rng(entropy)
    order = generator.permutation(training)
    images = warp(data.images[order], reference, generator)
    for variable in model.non_trainable_variables:
        if variable.path.endswith("seed_generator_state"):  # of the dropout
            variable.assign(generator.integers(2**32, size=2, dtype=np.uint32))
    fitted = model.fit(
        images, data.labels[order], batch_size=reference.batch_size, shuffle=False, verbose=0
    )
    return {
        "epoch": entropy[-1] + 1,
        "images": len(order),
        "loss": float(fitted.history["loss"][0]),
        "accuracy": float(fitted.history["accuracy"][0]),
        "seconds": round(time.perf_counter() - began, 3),
    }


def _validate(model: keras.Model, images: Images, labels: Labels) -> dict[str, float]:
    """Mean loss and accuracy, without training."""
    loss, accuracy = model.evaluate(images, labels, batch_size=_BATCH, verbose=0)
    return {"val_loss": float(loss), "val_accuracy": float(accuracy)}


def _note(
    state: TrainingState, row: dict[str, float], model: keras.Model, reference: Reference
) -> None:
    """Bring the state up to date after the epoch that ``row`` describes."""
    monitored = row.get("val_loss", row["loss"])
    if not np.isfinite([row["loss"], monitored]).all():
        raise PipelineError(
            f"Training diverged in epoch {row['epoch']}: the loss is {row['loss']}, expected a "
            "finite number."
        )
    state.weights = model.get_weights()
    state.optimizer = [
        keras.ops.convert_to_numpy(variable) for variable in model.optimizer.variables
    ]
    best = state.history[state.best_epoch - 1].get("val_loss") if state.best_epoch else np.inf
    state.history.append(row)
    epoch = len(state.history)
    if "val_loss" not in row or row["val_loss"] < best:  # type: ignore[operator]
        state.best_epoch, state.best_weights = epoch, state.weights
    patience = reference.patience_epochs or reference.epochs
    state.finished = epoch >= reference.epochs or epoch - state.best_epoch >= patience


def _predict(model: keras.Model, images: Images) -> Probabilities:
    return softmax(model.predict(images, batch_size=_BATCH, verbose=0))


def name_backend() -> str:
    """The library that Keras runs on, and the versions of both."""
    library = keras.backend.backend()
    return f"{library} {version(library)}, keras {keras.__version__}"
