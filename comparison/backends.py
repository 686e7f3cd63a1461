"""Which library Keras runs on: decided once, before anything imports Keras."""

import importlib.util
import os

from pipeline.environment import KERAS_BACKEND
from pipeline.errors import ParamsError
from pipeline.networks.cpu import cpu_model

_BACKENDS = ("tensorflow", "jax")


def choose() -> str:
    """Take ``KERAS_BACKEND`` as the library that Keras runs on in this process; tell which it is.

    On JAX, float32 products are exact ones also on GPUs that would round their factors, and
    several processes share a GPU's memory.

    Raises:
        ParamsError: it is none of the two that the comparison runs on, or is not installed.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in _BACKENDS:
        raise ParamsError(
            f"KERAS_BACKEND is {backend!r}: expected one of {', '.join(_BACKENDS)}. Nothing was "
            "run."
        )
    if importlib.util.find_spec(backend) is None:
        other = "jax" if backend == "tensorflow" else "tensorflow"
        raise ParamsError(
            f"Keras is to run on {backend}, which is not installed. Install it, or set "
            f"KERAS_BACKEND={other} (on jax, the authors' recipes alone). Nothing was run."
        )
    os.environ[KERAS_BACKEND] = backend
    if backend == "jax":
        os.environ["JAX_DEFAULT_MATMUL_PRECISION"] = "highest"
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return backend


def use_threads(count: int) -> None:
    """Bound the operations that TensorFlow runs side by side; before its first operation only."""
    from pipeline.networks import backend

    backend.use_threads(count)


def uses_gpu() -> bool:
    """Whether networks train on a GPU: on JAX if it finds one, on TensorFlow never."""
    if os.environ.get(KERAS_BACKEND) != "jax":
        return False
    import jax

    return bool(jax.default_backend() != "cpu")


def name_machine() -> str:
    """The GPU that networks train on, else the processor."""
    if not uses_gpu():
        return cpu_model()
    import jax

    return str(jax.devices()[0].device_kind)
