"""The driver's process, seen from the train stage that starts it."""

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from typing import IO, Any

from rich.console import Console

from pipeline.cluster.connection import check_address
from pipeline.cluster.orders import Batch
from pipeline.errors import ClusterError

_SECONDS_TO_END = 20.0


def train_batch(batch: Batch) -> dict[str, str]:
    """Have the cluster train members and keep their states; why others failed, by name.

    Raises:
        ClusterError: the cluster cannot be used.
    """
    check_address(batch.address)
    end, other_end = os.pipe()
    with os.fdopen(end, "rb") as reports:
        try:
            driver = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cluster.driver", str(other_end)],
                stdin=subprocess.PIPE,
                pass_fds=[other_end],
                start_new_session=True,  # Ctrl-C is for this process; the driver ends with it
            )
        finally:
            os.close(other_end)
        try:
            with driver:
                return _attend(driver, batch, reports)
        finally:
            Console().show_cursor()  # the driver may have been ended while it had hidden it


def _attend(driver: subprocess.Popen[bytes], batch: Batch, reports: IO[bytes]) -> dict[str, str]:
    if driver.stdin:
        with suppress(BrokenPipeError):  # it is told below
            pickle.dump(batch, driver.stdin)
            driver.stdin.flush()
    try:
        report: Any = pickle.load(reports)
    except EOFError:
        raise ClusterError(
            f"The process that speaks with Ray ended with status {driver.wait()}. Members that "
            "came back are kept. To go on, run: dvc repro"
        ) from None
    with suppress(subprocess.TimeoutExpired):
        driver.wait(_SECONDS_TO_END)
    if isinstance(report, Exception):
        raise report
    failed: dict[str, str] = report
    return failed
