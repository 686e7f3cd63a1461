"""Clusters that cannot be used: each is told within seconds."""

import importlib.util
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cluster import connection, driving
from pipeline.cluster.orders import Batch
from pipeline.errors import ClusterError
from tests.conftest import modules_after


def refuse(address: str) -> str:
    """What is told of an address that is no usable cluster."""
    began = time.monotonic()
    with pytest.raises(ClusterError) as caught:
        connection.check_address(address)
    assert time.monotonic() - began < 30
    return str(caught.value)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "10.0.0.1:", "10.0.0.1:six", "10.0.0.1:70000", "ray://10.0.0.1:10001"]
)
def test_what_is_no_address_is_named(address: str) -> None:
    told = refuse(address)
    assert f"RAY_ADDRESS is {address!r}, expected HOST:PORT" in told
    assert told.endswith("To train on this machine, run: env -u RAY_ADDRESS dvc repro")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port of this machine where something listens that is no cluster."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_address_where_nothing_listens_is_named(silent_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    told = refuse(f"127.0.0.1:{closed}")
    assert f"No cluster answers at RAY_ADDRESS=127.0.0.1:{closed}: Connection refused" in told


def test_address_where_something_else_listens_is_named(
    silent_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driving, "_SECONDS_TO_CONNECT", 3)
    batch = Batch([], tmp_path, tmp_path, 1, f"127.0.0.1:{silent_port}")
    with pytest.raises(ClusterError, match="for 3 s it has not answered as the head node"):
        driving.train_batch(batch)


def test_missing_ray_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "Ray is not installed" in refuse("127.0.0.1:9")
    assert "pip install -e '.[cluster]'" in refuse("127.0.0.1:9")


def test_nothing_of_ray_is_imported_until_a_cluster_is_used() -> None:
    assert "ray" not in modules_after("import pipeline.cluster.members")


def test_driver_does_without_tensorflow() -> None:
    assert {"tensorflow", "keras"}.isdisjoint(modules_after("import pipeline.cluster.driver"))
