"""The way to a Ray cluster, and what is told where it is closed."""

import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

from pipeline.errors import ClusterError

ADDRESS = "RAY_ADDRESS"
"""Ray's own variable: which cluster."""

_SECONDS_TO_ANSWER = 5.0
_SECONDS_TO_CONNECT = 60.0
"""Two are usual, on a loaded machine twenty. Ray itself would try for minutes."""

_ON_THIS_MACHINE = "auto", "local"
"""Words instead of an address: the cluster that runs here, and one that begins and ends here."""

_USE_THIS_MACHINE = f"To train on this machine, run: env -u {ADDRESS} dvc repro"
_PACKAGE = Path(__file__).parent.parent


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a driver of the cluster at ``address`` until the block ends; its tasks end with it.

    The nodes are sent this package; their environments have the rest.

    Raises:
        ClusterError: Ray is not installed, or there is no usable cluster.
    """
    if importlib.util.find_spec("ray") is None:
        raise ClusterError(
            f"{ADDRESS} is set, but Ray is not installed. In the project's folder, run: "
            f"pip install -e '.[cluster]'. {_USE_THIS_MACHINE}"
        )
    if address not in _ON_THIS_MACHINE:
        _check_answers(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray warns without it
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    try:
        with _given_up_after(_SECONDS_TO_CONNECT, address):
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
            f"ray start --address={address}. {_USE_THIS_MACHINE}"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Find out within seconds whether anything listens; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ClusterError(
            f"{ADDRESS} is {address!r}, expected HOST:PORT, as ray start --head prints it, such as "
            f"10.0.0.1:6379, or auto: the cluster of which this machine is a node. "
            f"{_USE_THIS_MACHINE}"
        )
    try:
        socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise ClusterError(
            f"No cluster answers at {ADDRESS}={address}: {error.strerror or error}. Expected the "
            f"address that ray start --head printed. Start it, or open the port. "
            f"{_USE_THIS_MACHINE}"
        ) from None


@contextmanager
def _given_up_after(seconds: float, address: str) -> Iterator[None]:
    """End this process if the block takes longer: Ray does not let go while it connects."""

    def give_up() -> None:
        print(
            f"error: Something listens at {ADDRESS}={address}, but for {seconds:.0f} s it has not "
            "answered as the head node of a Ray cluster. Expected the address that ray start "
            f"--head printed. {_USE_THIS_MACHINE}",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)

    timer = Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(". ")
