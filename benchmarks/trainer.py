"""A process of `benchmarks.throughput`: trains whenever it is given a line, and tells the seconds.

The package always switches oneDNN on. TensorFlow decides by the environment when it is imported.
Here it is imported first, so that ``TF_ENABLE_ONEDNN_OPTS`` decides as the process was given it.
"""

import argparse
import os
import sys

from tensorflow.python.util import _pywrap_util_port

from benchmarks.read_tables import measure
from benchmarks.throughput import DTYPES, prepare_process, prepare_training


def main() -> None:
    """Train some batches per line of standard input; print their seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trainer", description=__doc__)
    parser.add_argument("architecture")
    parser.add_argument("dtype", choices=DTYPES)
    parser.add_argument("onednn", choices=["off", "on"], help="as the environment says; checked")
    parser.add_argument("isa", help="the highest that oneDNN uses, such as AVX2, or DEFAULT")
    arguments = parser.parse_args()
    os.environ["ONEDNN_MAX_CPU_ISA"] = arguments.isa  # which the package has removed
    if _pywrap_util_port.IsMklEnabled() is not (arguments.onednn == "on"):
        parser.error(f"TensorFlow's oneDNN is not {arguments.onednn}: set TF_ENABLE_ONEDNN_OPTS")
    prepare_process()
    train = prepare_training(arguments.architecture, arguments.dtype)
    for _ in sys.stdin:
        print(measure(train), flush=True)


if __name__ == "__main__":
    main()
