"""Keras on TensorFlow, imported without the start-up messages, and what makes a run repeatable.

Everything that needs either takes it from here; the architectures take `keras` alone.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def suppress_stderr() -> Iterator[None]:
    """Keep what native code writes to stderr; show it only if the block fails."""
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as held:
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


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with suppress_stderr():
    import keras
    import tensorflow as tf


def make_repeatable(seed: int) -> None:
    """Seed every generator and allow only operations that give the same bits each time.

    The promise holds for one type of CPU and one number of threads; GPUs are not covered.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def use_threads(count: int, num_parts: int = 1) -> None:
    """Bound the threads of TensorFlow; before its first operation only.

    Args:
        count: of all threads.
        num_parts: how many independent parts of the work shall be done side by side.
    """
    threads_of_a_part = max(1, count // num_parts)
    tf.config.threading.set_intra_op_parallelism_threads(threads_of_a_part)
    tf.config.threading.set_inter_op_parallelism_threads(max(num_parts, threads_of_a_part))


__all__ = ["keras", "make_repeatable", "suppress_stderr", "tf", "use_threads"]
