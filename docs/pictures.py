"""Draw the pictures of README and pages: ``python -m docs.pictures`` (``make pictures``).

A copy of the project runs on the sample that comes with scikit-learn, and Chromium photographs its
report. Digits are drawn with the mouse on the page of ``digits draw``. No image of the competition
and nobody's handwriting is shown.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO, StringIO
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from docs.chromium import LOOKED_FOR
from docs.chromium import find as find_chromium
from pipeline.files import read_json

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs/pictures"
MAX_BYTES = 1_000_000
"""Of all pictures together."""

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

INK = {"light": ("#ffffff", "#1f2328", "#59636e"), "dark": ("#0d1117", "#e6edf3", "#9198a1")}
"""Ground, text and lesser text in each colour scheme."""

STAGES = {
    "source": (0, 1),
    "download": (1, 1),
    "prepare": (2, 1),
    "train": (3, 1),
    "evaluate": (4, 0),
    "export": (4, 2),
    "embed": (5, 1),
    "predict": (5, 2),
    "explain": (6, 0),
    "report": (7, 1),
}
"""Column and row of each stage of dvc.yaml in the diagram."""

ARROWS = (
    ("source", "download"),
    ("download", "prepare"),
    ("prepare", "train"),
    ("train", "evaluate"),
    ("train", "export"),
    ("export", "predict"),
    ("evaluate", "embed"),
    ("evaluate", "explain"),
    ("predict", "explain"),
    ("embed", "report"),
    ("explain", "report"),
    ("predict", "report"),
)

WRITES = {
    "source": "source.json",
    "download": "data/raw",
    "prepare": "data/prepared",
    "train": "models",
    "evaluate": "metrics, errors",
    "export": "ONNX",
    "predict": "submission.csv",
    "explain": "kinds, drift",
    "embed": "places",
    "report": "report, map",
}

Stroke = list[tuple[float, float]]


def _arc(x: float, y: float, across: float, down: float, start: float, end: float) -> Stroke:
    turns = np.deg2rad(np.linspace(start, end, 40))
    return [(x + across * float(np.cos(t)), y + down * float(np.sin(t))) for t in turns]


def _line(*corners: tuple[float, float]) -> Stroke:
    points = [
        (x + (to_x - x) * share, y + (to_y - y) * share)
        for (x, y), (to_x, to_y) in pairwise(corners)
        for share in np.linspace(0, 1, 15).tolist()
    ]
    return list(dict.fromkeys(points))


DRAWN: tuple[list[Stroke], ...] = (
    [[*_arc(0.5, 0.34, 0.19, 0.17, -170, 40), *_line((0.63, 0.45), (0.31, 0.8), (0.71, 0.8))]],
    [_arc(0.5, 0.5, 0.2, 0.32, -90, 275)],
    [_line((0.42, 0.18), (0.29, 0.6), (0.74, 0.6)), _line((0.62, 0.38), (0.6, 0.84))],
)
"""What is drawn on the page: strokes in parts of the canvas, one list per digit."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a finished run on the sample; without: a new one")
    parser.add_argument("--draw", type=Path, help="the project whose networks read what is drawn")
    options = parser.parse_args(arguments)
    PICTURES.mkdir(exist_ok=True)
    draw_pipeline()
    with tempfile.TemporaryDirectory() as folder:
        project = options.run or copy_project(Path(folder) / "project")
        if not options.run:
            for command in ("digits profile quick", "dvc repro"):
                print(f"> {command}", flush=True)
                run(project, *command.split())
        draw_terminal(run(project, "digits", "errors"), "errors")
        gallery = Image.open(project / "reports/evaluation/error_gallery.png")
        gallery.thumbnail((900, 900))
        save(gallery, "gallery.png")
        with chromium() as browser:
            photograph_report(browser, project / "reports/report.html")
            film_drawing(browser, options.draw or (ROOT if is_trained(ROOT) else project))
    sizes = {path.name: path.stat().st_size for path in sorted(PICTURES.iterdir())}
    for name, size in sizes.items():
        print(f"docs/pictures/{name}: {size / 1000:.0f} kB")
    if sum(sizes.values()) > MAX_BYTES:
        sys.exit(f"error: expected at most {MAX_BYTES:,} bytes, found {sum(sizes.values()):,}")


def is_trained(project: Path) -> bool:
    """Whether networks that know the competition's digits are there to read drawn ones."""
    record = project / "exported/ensemble.json"
    return record.exists() and not read_json(record)["sample"]


def copy_project(folder: Path) -> Path:
    """The tracked files, set to hold back each fold in turn, so that there are errors to show."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("data/", "reports/", "dvc.lock")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    profile = folder / "pipeline/profiles/quick.yaml"
    text, count = re.subn(r"folds: \[0\]", "folds: [0, 1, 2, 3, 4]", profile.read_text())
    assert count == 1
    profile.write_text(text)
    return folder


def run(project: Path, *command: str) -> str:
    """Run a command in the project without anyone's credentials, and give what it printed."""
    done = subprocess.run(
        command,
        cwd=project,
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def environment(project: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "HOME": str(project), "PYTHONPATH": str(project)}
    return kept | own | {"COLUMNS": "84", "FORCE_COLOR": "1", "DVC_NO_ANALYTICS": "1"}


def save(image: Image.Image, name: str) -> None:
    """As PNG with a palette."""
    colours = image.convert("RGB").quantize(96, dither=Image.Dither.NONE)
    colours.save(PICTURES / name, optimize=True)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium."""
    found = find_chromium()
    if found is None:
        sys.exit(f"error: no Chromium found; {LOOKED_FOR}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        yield browser
        browser.close()


def photograph_report(browser: Browser, path: Path) -> None:
    """The report in either colour scheme, from its headline on."""
    for scheme in SCHEMES:
        page = browser.new_page(viewport={"width": 1200, "height": 900}, color_scheme=scheme)
        page.goto(path.resolve().as_uri())
        page.evaluate("document.querySelector('.hero').scrollIntoView({behavior: 'instant'})")
        save(Image.open(BytesIO(page.screenshot())), f"report-{scheme}.png")
        page.close()


def film_drawing(browser: Browser, project: Path) -> None:
    """Digits drawn on the page of ``digits draw``, as an animated GIF."""
    server = subprocess.Popen(
        ["digits", "draw", "--no-browser", "--port", "0"],
        cwd=project,
        env=environment(project) | {"FORCE_COLOR": "", "NO_COLOR": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        printed = iter(server.stdout.readline, "")
        found = next(filter(None, (re.search(r"http://\S+\d/?", line) for line in printed)), None)
        if found is None:
            sys.exit("error: digits draw serves nothing; its message stands above")
        page = browser.new_page(viewport={"width": 900, "height": 750})
        page.goto(found[0])
        page.wait_for_load_state("networkidle")
        frames = [frame for strokes in DRAWN for frame in _draw(page, strokes)]
    finally:
        server.terminate()
        server.wait()
    images = [image.resize((600, 500), Image.Resampling.LANCZOS) for image, _ in frames]
    palette = images[-1].quantize(48)
    pressed = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    pressed[0].save(
        PICTURES / "draw.gif",
        save_all=True,
        append_images=pressed[1:],
        duration=[milliseconds for _, milliseconds in frames],
        loop=0,
        optimize=True,
    )


def _draw(page: Page, strokes: list[Stroke]) -> Iterator[tuple[Image.Image, int]]:
    """Frames with their milliseconds: a digit appears stroke by stroke and is read."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for place, point in enumerate(points[1:]):
            page.mouse.move(*point)
            if place % 5 == 4:
                page.wait_for_timeout(60)
                yield _screenshot(page), 110
        page.mouse.up()
    page.mouse.move(2, 2)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    yield _screenshot(page), 1600
    page.locator("#clear").click()
    page.mouse.move(2, 2)
    page.wait_for_timeout(100)


def _screenshot(page: Page) -> Image.Image:
    return Image.open(BytesIO(page.screenshot())).convert("RGB")


def draw_terminal(output: str, name: str) -> None:
    """What a command printed, as SVG in either colour scheme."""
    text = Text.from_ansi(output.rstrip("\n"))
    width = max(line.cell_len for line in text.split())
    for scheme in SCHEMES:
        ground, ink, _ = map(_rgb, INK[scheme])
        bright = [(255, 123, 114), (126, 231, 135), (210, 153, 34), (121, 192, 255)]
        deep = [(207, 34, 46), (26, 127, 55), (154, 103, 0), (9, 105, 218)]
        red, green, yellow, blue = bright if scheme == "dark" else deep
        theme = TerminalTheme(ground, ink, [ink, red, green, yellow, blue, blue, blue, ink])
        console = Console(record=True, width=width, file=StringIO(), force_terminal=True)
        console.print(text, soft_wrap=True)
        svg = console.export_svg(
            theme=theme, title=f"digits {name}", code_format=_TERMINAL, unique_id=f"{name}-{scheme}"
        )
        (PICTURES / f"{name}-{scheme}.svg").write_text(svg, encoding="utf-8")


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


_TERMINAL = f"""\
<svg class="rich-terminal" viewBox="0 0 {{width}} {{height}}" xmlns="http://www.w3.org/2000/svg">
<style>
.{{unique_id}}-matrix {{{{
  font-family: {_FONT}; font-size: {{char_height}}px; line-height: {{line_height}}px;
  font-variant-east-asian: full-width;
}}}}
{{styles}}
</style>
<defs>{{lines}}</defs>
{{chrome}}
<g transform="translate({{terminal_x}}, {{terminal_y}})">
{{backgrounds}}
<g class="{{unique_id}}-matrix">
{{matrix}}
</g>
</g>
</svg>
"""


def draw_pipeline() -> None:
    """The stages of dvc.yaml and what each writes, as SVG in either colour scheme."""
    for scheme in SCHEMES:
        path = PICTURES / f"pipeline-{scheme}.svg"
        path.write_text(_pipeline(*INK[scheme]), encoding="utf-8")


def _pipeline(ground: str, ink: str, lesser: str) -> str:
    across, down, width, height, gap = 132, 62, 104, 44, 12
    centre = {
        name: (gap + column * across, gap + row * down) for name, (column, row) in STAGES.items()
    }
    parts = []
    for start, end in ARROWS:
        (x, y), (to_x, to_y) = centre[start], centre[end]
        x, y, to_x, to_y = x + width, y + height // 2, to_x - 3, to_y + height // 2
        bend = f"C{x + 18} {y} {to_x - 18} {to_y} {to_x} {to_y}"
        parts.append(
            f'<path d="M{x} {y}{bend}" fill="none" stroke="{lesser}" stroke-width="1.5" '
            'marker-end="url(#tip)"/>'
        )
    for name, (x, y) in centre.items():
        middle = x + width / 2
        parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{ground}" '
            f'stroke="{lesser}"/>'
            f'<text x="{middle}" y="{y + 19}" font-size="14" font-weight="600" fill="{ink}">{name}'
            f'</text><text x="{middle}" y="{y + 35}" font-size="11" fill="{lesser}">{WRITES[name]}'
            "</text>"
        )
    total_width, total_height = 2 * gap + 7 * across + width, 2 * gap + 2 * down + height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total_width} {total_height}" '
        f'width="{total_width}" height="{total_height}" role="img" aria-label="The stages of the '
        'pipeline" font-family="system-ui, sans-serif" text-anchor="middle">\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{lesser}"/></marker></defs>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


if __name__ == "__main__":
    main()
