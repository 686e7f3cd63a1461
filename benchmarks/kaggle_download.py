"""Fetch the competition's archive, verify and unpack it: at most 5 s and 300 MB.

A server on loopback hands out an archive of generated digits in the competition's form, about as
large as the real one; the stage runs as `dvc repro` runs it, with the official client.

    python -m benchmarks.kaggle_download
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.competition import make_archive
from tests.kaggle_fixtures import GOOD_KEY, REPOSITORY
from tests.kaggle_server import make_certificates, serving, tls_environment

MOST_SECONDS = 5
MOST_MEGABYTES = 300


def main() -> None:
    """Print the figures; exit 1 if they are beyond the limits."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        # elsewhere, because a process's peak memory counts as its children's, too
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            archive = pool.submit(make_archive, folder).result()
        make_certificates(folder)
        (folder / "data").mkdir()
        (folder / "data/source.json").write_text(json.dumps({"kind": "kaggle"}))
        with serving(archive, folder) as kaggle:
            environment = tls_environment(kaggle, folder / "home", folder) | GOOD_KEY
            start = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.stages.download"],
                cwd=folder,
                env=environment | {"PYTHONPATH": str(REPOSITORY)},
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"the download failed with status {process.returncode}")
        unpacked = sum(path.stat().st_size for path in (folder / "data/raw").iterdir())
    megabytes = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    print(
        f"{len(archive) / 1e6:.1f} MB fetched, verified and unpacked to {unpacked / 1e6:.0f} MB: "
        f"{seconds:.1f} s (at most {MOST_SECONDS}), {megabytes:.0f} MB of memory (at most "
        f"{MOST_MEGABYTES})"
    )
    if seconds > MOST_SECONDS or megabytes > MOST_MEGABYTES:
        sys.exit(1)


if __name__ == "__main__":
    main()
