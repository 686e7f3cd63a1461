"""Trained models in formats that run without Keras, written by Keras's own exporters."""

import errno
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
from numpy.typing import NDArray

from pipeline.data.dataset import IMAGE_SIZE, Images
from pipeline.errors import PipelineError
from pipeline.files import atomic_path
from pipeline.networks.backend import keras, suppress_stderr, tf

INPUT = "images"
"""Name of an exported model's input: uint8 ``(n, 28, 28)``; its one output is float32 logits."""

TOLERANCE = 1e-3
"""Largest difference of a logit that rounding may make between Keras and an exported model."""


def to_onnx(model: keras.Model, path: Path) -> None:
    """Write ``model`` as ONNX, for any number of images at a time.

    Equal models give equal bytes where ``PYTHONHASHSEED`` is the same, as in all runs of the export
    stage.
    """
    with atomic_path(path) as temporary:
        _export(model, temporary, "onnx")
        _number_names(temporary)


def _number_names(path: Path) -> None:
    """Number the names that tf2onnx made up by their use: it numbers them as its sets come.

    Of equal constants it keeps one, under the name of any.
    """
    exported = onnx.load(path)
    graph, numbered = exported.graph, dict[str, str]()

    def rename(name: str) -> str:
        made_up = re.fullmatch(r"(.*)__\d+(:\d+)?", name)
        if made_up is None:
            return name
        base, output = re.sub("^const_.*", "const", made_up[1]), made_up[2] or ""
        return numbered.setdefault(name, f"{base}__{len(numbered)}{output}")

    for node in graph.node:
        node.input[:] = map(rename, node.input)
        node.output[:] = map(rename, node.output)
        node.name = rename(node.name)
    for value in (*graph.initializer, *graph.value_info):
        value.name = rename(value.name)
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = rename(size.dim_param)
    graph.initializer.sort(key=attrgetter("name"))
    graph.doc_string = ""  # another made-up name
    onnx.save(exported, path)


def to_litert(model: keras.Model, path: Path) -> None:
    """Write ``model`` as LiteRT (TensorFlow Lite), for phones and small devices."""
    _export(model, path, "litert")


def to_saved_model(model: keras.Model, path: Path) -> None:
    """Write ``model`` as a folder in TensorFlow's SavedModel format, for TensorFlow Serving."""
    _export(model, path, "tf_saved_model")


FORMATS: Mapping[str, tuple[str, Callable[[keras.Model, Path], None]]] = MappingProxyType(
    {
        "onnx": (".onnx", to_onnx),
        "litert": (".tflite", to_litert),
        "saved-model": ("", to_saved_model),
    }
)
"""Suffix and writer of each format."""


def _export(model: keras.Model, path: Path, kind: str) -> None:
    signature = [keras.InputSpec(shape=(None, IMAGE_SIZE, IMAGE_SIZE), dtype="uint8", name=INPUT)]
    with (
        atomic_path(path) as temporary,
        _system_errors(path),
        suppress_stderr(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", FutureWarning)  # Keras asks NumPy for a name of old
        model.export(temporary, format=kind, input_signature=signature, verbose=False)


@contextmanager
def _system_errors(path: Path) -> Iterator[None]:
    """Raise what the system refuses TensorFlow, which writes in C++, as an `OSError`."""
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
    except tf.errors.OpError as error:
        raise OSError(0, error.message, str(path)) from None


def check_parity(
    model: keras.Model,
    exported: Callable[[Images], NDArray[np.float32]],
    images: Images,
    path: Path,
) -> float:
    """Compare the logits of a model and of its exported form on uint8 images ``(n, 28, 28)``.

    Returns:
        The largest difference.

    Raises:
        PipelineError: it is above `TOLERANCE`; ``path`` is for the message.
    """
    expected = np.asarray(model(images, training=False))
    difference = float(np.abs(exported(images) - expected).max())
    if not difference <= TOLERANCE:
        raise PipelineError(
            f"{path} was not written: the exported network's logits differ from Keras's by up to "
            f"{difference:.2g}, expected at most {TOLERANCE:g}. This is a fault of the exporter or "
            "of the versions installed: set the project up again with make."
        )
    return difference
