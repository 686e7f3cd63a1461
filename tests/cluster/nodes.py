"""Real nodes of a real Ray cluster on this machine, on Linux each with an address of its own."""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

# Newer versions of Ray ask for a token where the user's home has one, and `ray start --address`
# then does not show it.
os.environ.setdefault("RAY_AUTH_MODE", "disabled")

STORE_BYTES = 80_000_000
"""Of each node's object store: the least that Ray takes."""

_SETTINGS = {
    "RAY_worker_niceness": "0",  # 15 is usual: on a busy machine, workers would starve
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_local_fs_capacity_threshold": "0.01",  # a full object store is not continued on disk
}


_OVERLOADED = "The current node timed out during startup"
"""What ``ray start`` says where a node takes over thirty seconds; it is started again."""


class Cluster:
    """A head node, and nodes that join it.

    Attributes:
        address: for ``RAY_ADDRESS``.
        nodes: the processes that end them, in the order of their start.
    """

    def __init__(self, processors: int, address: str | None, **variables: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ray"))  # sockets have short paths
        self.nodes: list[subprocess.Popen[bytes]] = []
        host, port = address or "127.0.0.1", _find_port()
        log = self._start(
            "--head",
            f"--port={port}",
            f"--node-ip-address={host}",
            f"--ray-client-server-port={_find_port()}",  # 10001 may be another cluster's
            "--include-dashboard=false",
            "--no-monitor",  # of an autoscaler
            f"--temp-dir={self._folder}",
            f"--num-cpus={processors}",
            **variables,
        )
        (self.address,) = re.findall(r"ray start --address='([^']+)'", log)

    def join(
        self,
        place: int = 0,
        *options: str,
        address: str | None = None,
        processors: int = 1,
        prefix: Sequence[str] = (),
        **variables: str,
    ) -> subprocess.Popen[bytes]:
        """Start another node; the process that ends it.

        Args:
            place: the end of its loopback address, where the system has several.
            options: further ones of ``ray start``.
            address: its own, instead of a loopback address.
            processors: how many it has.
            prefix: of the command, up to Python.
            variables: of its environment.
        """
        if address is None and sys.platform == "linux":
            address = f"127.0.0.{place}"
        own = [f"--node-ip-address={address}"] if address else []
        self._start(
            f"--address={self.address}",
            f"--num-cpus={processors}",
            *own,
            *options,
            prefix=prefix,
            **variables,
        )
        return self.nodes[-1]

    def _start(self, *options: str, prefix: Sequence[str] = (), **variables: str) -> str:
        """Start a node; what it has printed once it is ready."""
        command = [
            *(prefix or [sys.executable]),
            *("-m", "ray.scripts.scripts", "start", "--block"),
            *("--disable-usage-stats", "--include-log-monitor=false"),
            *(f"--object-store-memory={STORE_BYTES}", *options),
        ]
        log = self._folder / f"node{len(self.nodes)}.log"
        told = _OVERLOADED
        while _OVERLOADED in told:
            with log.open("wb") as output:
                node = subprocess.Popen(
                    command,
                    env=os.environ | _SETTINGS | variables,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            while "Ray runtime started" not in (told := log.read_text()) and node.poll() is None:
                time.sleep(0.1)
        assert node.poll() is None, told
        self.nodes.append(node)
        return told

    def workers(self, members: Collection[str]) -> list[psutil.Process]:
        """The processes that train one of these members just now."""
        return [
            process
            for node in self.nodes
            if node.poll() is None
            for process in psutil.Process(node.pid).children(recursive=True)
            if process.name().removeprefix("ray::") in members
        ]

    def stop(self) -> None:
        """End all nodes."""
        for node in reversed(self.nodes):
            end(node)
        shutil.rmtree(self._folder, ignore_errors=True)


def _find_port() -> int:
    """A free port below those that systems give out, which servers of several clusters share."""
    while True:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError), socket.create_server(("", port)):
            return port


def end(node: subprocess.Popen[bytes]) -> None:
    """End a node with all its processes."""
    with ExitStack() as stack:
        children = psutil.Process(node.pid).children(recursive=True) if node.poll() is None else []
        for child in children:
            stack.callback(_kill, child)
        node.send_signal(signal.SIGKILL)
    node.wait()


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


@contextmanager
def running_cluster(
    processors: int = 1, address: str | None = None, **variables: str
) -> Iterator[Cluster]:
    """A cluster whose head node has so many processors and that address, until the block ends."""
    cluster = Cluster(processors, address, **variables)
    try:
        yield cluster
    finally:
        cluster.stop()
