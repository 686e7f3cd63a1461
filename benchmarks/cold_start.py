"""``digits predict`` in fresh processes, beside ``import tensorflow``, in turns."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline import stages
from pipeline.data import dataset
from pipeline.errors import exit_status

REPEATS = 7
FOLDER_IMAGES = 1_000


def measure(*arguments: str) -> float:
    """Seconds that a fresh Python takes with these arguments."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    """Print medians, ranges and the ratio; then the time for a folder of 1,000 pictures."""
    images = dataset.load_test(stages.TEST).images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index in range(FOLDER_IMAGES):
            picture = Image.fromarray(255 - images[index]).resize(
                (280, 280), Image.Resampling.BICUBIC
            )
            picture.save(folder / f"{index:04}.png")
        predict = ("-m", "pipeline.cli", "predict")
        one = str(folder / "0000.png")
        measure(*predict, one)
        seconds = np.array(
            [(measure(*predict, one), measure("-c", "import tensorflow")) for _ in range(REPEATS)]
        )
        whole = measure(*predict, "--csv", name)
    for title, values, unit in (
        ("digits predict", seconds[:, 0], " s"),
        ("import tensorflow", seconds[:, 1], " s"),
        ("ratio", seconds[:, 0] / seconds[:, 1], ""),
    ):
        low, middle, high = np.percentile(values, [0, 50, 100])
        print(f"{title:18} median {middle:.2f}{unit} ({low:.2f} to {high:.2f}, n = {REPEATS})")
    print(f"{FOLDER_IMAGES:,} pictures of 280×280: {whole:.1f} s")


if __name__ == "__main__":
    sys.exit(exit_status(main))
