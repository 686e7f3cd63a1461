"""The map: built in 60 s at most, 3 MB at most, and moved at 30 frames a second in Chromium.

The stages embed and report run as processes on the results of the last `dvc repro`. Then headless
Chromium shows every image at once, those of all folds, and moves the map in each frame, far and
near.

    python -m benchmarks.map
"""

import subprocess
import sys
import time

from playwright.sync_api import Page, sync_playwright

from docs import chromium
from pipeline import stages
from pipeline.files import read_json

MOST_SECONDS, MOST_MEGABYTES, LEAST_FRAMES = 60, 3, 30
FRAMES = 120
ZOOMS = (1, 2, 8)

MOVE = """async ([zoomed, frames]) => {
  state.shown = points.row.map((_, i) => i);
  showWhole();
  zoom(zoomed);
  const next = () => new Promise(requestAnimationFrame);
  const start = await next();
  let now = start;
  for (let i = 0; i < frames; i++) {
    pan(i % 40 < 20 ? 6 : -6, i % 20 < 10 ? 4 : -4);
    now = await next();
  }
  return 1000 * frames / (now - start);
}"""


def main() -> None:
    """Print the figures; exit 1 if they are beyond the limits."""
    seconds = 0.0
    for stage in ("embed", "report"):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", f"pipeline.stages.{stage}"], check=True)
        seconds += time.perf_counter() - start
        print(f"{stage}: {time.perf_counter() - start:.1f} s")
    megabytes = stages.MAP.stat().st_size / 1e6
    count = read_json(stages.MAP_REPORT / "summary.json")["n"]
    print(f"{count:,} images, {megabytes:.2f} MB, together {seconds:.1f} s")
    found = chromium.find()
    if found is None:
        sys.exit(f"error: no Chromium found; {chromium.LOOKED_FOR}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(stages.MAP.resolve().as_uri())
        rates = {zoom: measure(page, zoom) for zoom in ZOOMS}
        browser.close()
    for zoom, rate in rates.items():
        print(f"moved at zoom {zoom}: {rate:.0f} frames/s")
    within = (
        seconds <= MOST_SECONDS
        and megabytes <= MOST_MEGABYTES
        and min(rates.values()) >= LEAST_FRAMES
    )
    print("within the limits" if within else "BEYOND the limits")
    sys.exit(not within)


def measure(page: Page, zoom: float) -> float:
    """Frames a second while the map moves."""
    page.evaluate("ready.then(() => new Promise(requestAnimationFrame))")
    return float(page.evaluate(MOVE, [zoom, FRAMES]))


if __name__ == "__main__":
    main()
