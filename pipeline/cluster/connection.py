"""The way to a Ray cluster, and what is told where it is closed."""

import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ClusterError

ADDRESS = "RAY_ADDRESS"
"""Ray's own variable: which cluster."""

_SECONDS_TO_CONNECT = 5.0
_SECONDS_TO_ANSWER = 60.0
"""Both are far more than a head node needs; the second also on a machine that is overloaded."""

_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""How HTTP/2 begins, with an empty frame of settings (RFC 9113, section 3.4). The head node speaks
gRPC, which is HTTP/2, and answers with a frame of settings, type 4."""

_ON_THIS_MACHINE = "auto", "local"
"""Words instead of an address: the cluster that runs here, and one that begins and ends here."""

USE_THIS_MACHINE = f"To train on this machine, run before: unset {ADDRESS}"
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
    from ray.exceptions import RayError

    try:
        with _without_stderr():
            ray.init(
                address,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                runtime_env={"py_modules": [str(_PACKAGE)], "excludes": ["**/__pycache__"]},
                **({"include_dashboard": False} if address == "local" else {}),
            )
    except (OSError, RayError, RuntimeError, ValueError) as error:
        join = "--head" if address in _ON_THIS_MACHINE else f"--address={address}"
        raise ClusterError(
            f"The cluster at {address} cannot be used: {_first_line(error)}. The driver's machine "
            "must be a node of it, with the same versions of Ray and Python, and its token if it "
            f"has one. On this machine, run: ray start {join}. {USE_THIS_MACHINE}"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def count_node_processors() -> tuple[int, int]:
    """Processors of all nodes, and of the largest node; of a cluster that has none yet, 1."""
    import ray

    each = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    return max(1, sum(each)), max(1, *each)


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Drop what Ray's native code writes there: it repeats what is raised, once a second."""
    sys.stderr.flush()
    shown = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(shown, 2)
        os.close(shown)


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
    try:
        with socket.create_connection(_split(address), _SECONDS_TO_CONNECT) as connection:
            speaks = _speaks_grpc(connection)
    except OSError as error:
        raise ClusterError(
            f"No cluster answers at {ADDRESS}={address}: {error.strerror or error}. Expected the "
            f"address that ray start --head printed. Start it, or open the port. "
            f"{USE_THIS_MACHINE}"
        ) from None
    if not speaks:
        raise ClusterError(
            f"Something listens at {ADDRESS}={address}, but it is not the head node of a Ray "
            f"cluster. Expected the address that ray start --head printed. {USE_THIS_MACHINE}"
        )


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether a gRPC server is at the other end; of one behind TLS, nothing is found out."""
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("0", "false"):
        return True
    connection.settimeout(_SECONDS_TO_ANSWER)
    try:
        connection.sendall(_GREETING)
        return connection.recv(4, socket.MSG_WAITALL)[3:] == b"\4"
    except OSError:
        return False


def _split(address: str) -> tuple[str, int]:
    """The host and the port of ``HOST:PORT``.

    Raises:
        ClusterError: it is no such address.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        host.encode("idna")  # as sockets encode it
        if host and "/" not in host and port.isdecimal() and 0 < int(port) < 2**16:
            return host, int(port)
    except UnicodeError:
        pass
    raise ClusterError(
        f"{ADDRESS} is {address!r}, expected HOST:PORT, as ray start --head prints it, such as "
        f"10.0.0.1:6379, or auto: the cluster of which this machine is a node. {USE_THIS_MACHINE}"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(". ")
