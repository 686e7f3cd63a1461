"""The way to a Ray cluster, and what is told where it is closed."""

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ClusterError

ADDRESS = "RAY_ADDRESS"
"""Ray's own variable: which cluster."""

_SECONDS_TO_ANSWER = 5.0
_ON_THIS_MACHINE = "auto", "local"
"""Words instead of an address: the cluster that runs here, and one that begins and ends here."""

USE_THIS_MACHINE = f"To train on this machine, run: env -u {ADDRESS} dvc repro"
_PACKAGE = Path(__file__).parent.parent


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a driver of the cluster at ``address`` until the block ends; its tasks end with it.

    The nodes are sent this package; their environments have the rest.

    Raises:
        ClusterError: there is no usable cluster.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray warns without it
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    try:
        ray.init(
            address,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            runtime_env={"py_modules": [str(_PACKAGE)], "excludes": ["**/__pycache__"]},
            **({"include_dashboard": False} if address == "local" else {}),
        )
    except (OSError, RuntimeError, TimeoutError, ValueError) as error:
        raise ClusterError(
            f"The cluster at {address} cannot be used: {_first_line(error)}. The driver's machine "
            "must be a node of it, with the same versions of Ray and Python. On this machine, run: "
            f"ray start --address={address}. {USE_THIS_MACHINE}"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def check_address(address: str) -> None:
    """Find out within seconds whether Ray is here and anything listens; Ray would try for minutes.

    Raises:
        ClusterError: otherwise.
    """
    if importlib.util.find_spec("ray") is None:
        raise ClusterError(
            f"{ADDRESS} is set, but Ray is not installed. In the project's folder, run: "
            f"pip install -e '.[cluster]'. {USE_THIS_MACHINE}"
        )
    if address in _ON_THIS_MACHINE:
        return
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ClusterError(
            f"{ADDRESS} is {address!r}, expected HOST:PORT, as ray start --head prints it, such as "
            f"10.0.0.1:6379, or auto: the cluster of which this machine is a node. "
            f"{USE_THIS_MACHINE}"
        )
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise ClusterError(
            f"No cluster answers at {ADDRESS}={address}: {error.strerror or error}. Expected the "
            f"address that ray start --head printed. Start it, or open the port. "
            f"{USE_THIS_MACHINE}"
        ) from None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(". ")
