"""Keras on TensorFlow, imported without the start-up messages, and what makes a run repeatable.

Everything that needs either takes it from here; the architectures take `keras` alone. Where Keras
runs on another library, TensorFlow is imported when it is first asked for, and need not be there.
"""

import gc
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pipeline import environment
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    import tensorflow as tf

ComputeDtype = Literal["bfloat16", "float32"]
WantedDtype = Literal["auto", "bfloat16", "float32"]

USES_ONEDNN = platform.machine() in ("x86_64", "AMD64")
"""TensorFlow leaves oneDNN off on x86 processors without AVX-512, where networks train 1.7 to 1.9
times as fast with it (docs/results.md)."""

_CHANGE_RESULTS = (
    "DNNL_CPU_ISA_HINTS",
    "DNNL_DEFAULT_FPMATH_MODE",
    "DNNL_MAX_CPU_ISA",
    "KERAS_MAX_EPOCHS",
    "KERAS_MAX_STEPS_PER_EPOCH",
    "KERAS_NNX_ENABLED",
    "ONEDNN_CPU_ISA_HINTS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
    "TF2_BEHAVIOR",
    "TF_ENABLE_AUTO_MIXED_PRECISION",
    "TF_FUNCTION_JIT_COMPILE_DEFAULT",
    "TF_SET_ONEDNN_FPMATH_MODE",
    "TF_USE_LEGACY_KERAS",
    "TF_XLA_FLAGS",
)
"""Variables with which TensorFlow or Keras computes something else, or does not start."""

_UNUSED = ("IPython", "cv2", "jax", "matplotlib", "pandas", "sklearn")
"""What Keras and TensorFlow import where it is installed, for functions that nothing here calls. It
takes as long as all the rest of them."""


@contextmanager
def suppress_stderr() -> Iterator[None]:
    """Keep what native code writes to stderr; show it only if the block fails."""
    with ExitStack() as stack:
        try:
            held = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # a full disk, say: whatever must write will tell
            yield
            return
        sys.stderr.flush()
        shown = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(shown, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)


@contextmanager
def _own_settings() -> Iterator[None]:
    """Keep the user's settings from TensorFlow and Keras while they are imported and used.

    Keras finds no ``keras.json``: TensorFlow, float32 and channels last are its defaults. It also
    writes none, so that the home directory may be read-only.
    """
    for name in _CHANGE_RESULTS:
        os.environ.pop(name, None)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # as much as is needed
    if USES_ONEDNN:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
    os.environ["KERAS_BACKEND"] = os.environ.get(environment.KERAS_BACKEND, "tensorflow")
    home = os.environ.pop("KERAS_HOME", None)
    os.environ["KERAS_HOME"] = os.devnull
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        if home is not None:
            os.environ["KERAS_HOME"] = home


def _import_tensorflow() -> Any:
    """TensorFlow, with every GPU hidden: `devices.take_device` may show one.

    Its warnings are hidden, too: they advise who writes the program, for instance where one process
    trains several networks.
    """
    import tensorflow

    tensorflow.get_logger().setLevel("ERROR")
    tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow


def __getattr__(name: str) -> Any:
    """``tf``, where Keras runs on another library and something needs TensorFlow nevertheless."""
    if name != "tf":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _own_settings(), suppress_stderr():
        globals()["tf"] = _import_tensorflow()
    return globals()["tf"]


@contextmanager
def _without_unused() -> Iterator[None]:
    """Let Keras and TensorFlow take for absent what they need not import, so that they start fast.

    Afterwards it can be imported as usual.
    """
    wanted = os.environ["KERAS_BACKEND"]
    hidden = [name for name in _UNUSED if name != wanted and name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _without_collections() -> Iterator[None]:
    """Look for no garbage meanwhile, nor later among what there is by then: of half a million
    imported objects none is any, and looking takes a fifth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


with _own_settings(), suppress_stderr(), _without_unused(), _without_collections():
    import keras

    if keras.backend.backend() == "tensorflow":
        tf = _import_tensorflow()


def make_repeatable(seed: int) -> None:
    """Seed every generator and allow only operations that give the same bits each time.

    The promise holds for one type of CPU, whatever the number of its cores, and for one type of GPU
    (docs/reproducibility.md).
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def use_threads(count: int) -> None:
    """Bound the operations that TensorFlow runs side by side, and start it.

    Each operation has one thread: several would divide sums, and so round them, by their number.

    Raises:
        PipelineError: the GPU that `devices.take_device` showed cannot be started, as where
            another program has all of its memory.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(count)
    try:
        tf.config.list_logical_devices()
    except tf.errors.OpError as error:
        reason = str(error.message).strip().rstrip(".")
        raise PipelineError(
            f"TensorFlow cannot start the GPU: {reason}. If its memory is full, end other programs "
            "that use it (nvidia-smi lists them). To use the CPU instead, run: "
            "CUDA_VISIBLE_DEVICES=-1 dvc repro"
        ) from error


@contextmanager
def forgotten_graphs() -> Iterator[None]:
    """Free what the block traced; nothing that it leaves may be trained further.

    TensorFlow registers each gradient that ``tf.custom_gradient`` traces and never lets go of it,
    of its graph and of the images that the graph holds
    (https://github.com/tensorflow/tensorflow/issues/97697). Where one process trains many networks
    in bfloat16, each takes its share of the memory and makes the next one slower.
    """
    from tensorflow.python.framework.ops import gradient_registry

    registered = gradient_registry._registry
    known = set(registered)
    gc.collect()
    gc.freeze()  # so that the second collection need not look at what is there by now
    try:
        yield
    finally:
        for name in registered.keys() - known:
            del registered[name]
        gc.collect()  # graphs refer to themselves


__all__ = [
    "USES_ONEDNN",
    "ComputeDtype",
    "WantedDtype",
    "forgotten_graphs",
    "keras",
    "make_repeatable",
    "suppress_stderr",
    "tf",
    "use_threads",
]
