"""The report and the model card, rendered from what evaluate and predict wrote.

Nothing is computed here. Each number on the page is a ``<data>`` element that names its file and
its place in the file, so that a test can compare both.
"""

import base64
import re
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup
from PIL import Image

from pipeline.data.dataset import IMAGE_SIZE, Images
from pipeline.errors import ArtifactError
from pipeline.files import write_text
from pipeline.wording import decimal, p_value, points

_SPRITE_COLUMNS = 40


def percent(fraction: float) -> str:
    """Two decimals, but 0 % and 100 % only for exactly 0 and 1."""
    if 0 < fraction < 0.00005:
        return "<0.01%"
    if 0.99995 <= fraction < 1:
        return ">99.99%"
    return f"{fraction:.2%}"


_FORMATS: dict[str, Callable[[float], str]] = {
    "count": "{:,.0f}".format,
    "percent": percent,
    "seconds": "{:,.0f} s".format,
    "change": partial(decimal, decimals=0, signed=True),
    "points": lambda value: f"{points(value)} points",
    "points_alone": points,
    "minutes": lambda seconds: f"{seconds / 60:.1f} min",
    "signed": partial(decimal, decimals=1, signed=True),
    "two": partial(decimal, decimals=2),
    "four": partial(decimal, decimals=4),
    "five": partial(decimal, decimals=5),
    "p": p_value,
}

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _name_score(name: str) -> str:
    """A score of ``metrics.json`` as people write it: ``macro F1``."""
    return re.sub(r"\bf(?=\d)", "F", name.replace("_", " "))


_TEMPLATES.filters["name_score"] = _name_score


class Findings:
    """The files of a run by name: the mapping of a JSON file, or the rows of a table."""

    def __init__(self, files: Mapping[str, Any]) -> None:
        self._files = files

    def __getitem__(self, file: str) -> Any:
        return self._files[file]

    def text(self, file: str, *keys: str | int, kind: str) -> str:
        """A value as people read it; a dash where it is missing.

        Args:
            file: name of the file.
            keys: down to the value: a key of JSON; the number of a row and the name of a column.
            kind: how it is written, a key of ``_FORMATS``.
        """
        value = self._value(file, *keys)
        return "–" if value is None else _FORMATS[kind](value)

    def element(self, file: str, *keys: str | int, kind: str) -> Markup:
        """`text` in an element that also holds the exact value and where it comes from."""
        value = self._value(file, *keys)
        if value is None:
            return Markup("–")
        place = " ".join(map(str, (file, *keys)))
        return Markup('<data data-from="{}" value="{}">{}</data>').format(
            place, value, self.text(file, *keys, kind=kind)
        )

    def _value(self, file: str, *keys: str | int) -> Any:
        value = self._files[file]
        for key in keys:
            try:
                value = value[key]
            except LookupError:
                raise _lacking(f"{file} has no {key}") from None
        return value


def as_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of plain Python values, None where one is missing."""
    plain = table.astype(object)
    rows: list[dict[str, Any]] = plain.where(plain.notna(), None).to_dict("records")
    return rows


def render(path: Path, template: str, **content: Any) -> None:
    """Render ``template``, a file of this folder, to ``path``; all its names must be given.

    Raises:
        ArtifactError: a file lacks what the page shows of it.
    """
    try:
        text = _TEMPLATES.get_template(template).render(**content)
    except jinja2.UndefinedError as error:
        raise _lacking(str(error)) from None
    write_text(path, text)


def _lacking(what: str) -> ArtifactError:
    return ArtifactError(
        f"The page cannot be written: {what}. Another version of the pipeline may have written "
        "the file. Write all of them again with: dvc repro --force evaluate"
    )


def draw_sprite(images: Images) -> str:
    """All images ``(n, 28, 28)`` in rows, as the data URI of one PNG."""
    num_rows = max(1, -(-len(images) // _SPRITE_COLUMNS))
    sheet = Image.new("L", (_SPRITE_COLUMNS * IMAGE_SIZE, num_rows * IMAGE_SIZE))
    for index, image in enumerate(images):
        row, column = divmod(index, _SPRITE_COLUMNS)
        sheet.paste(Image.fromarray(image), (column * IMAGE_SIZE, row * IMAGE_SIZE))
    png = BytesIO()
    sheet.save(png, "PNG", optimize=True)
    return _as_data_uri(png.getvalue())


def sprite_geometry() -> dict[str, int]:
    """How to find an image in a sprite: its height and width in pixels, and images per row."""
    return {"size": IMAGE_SIZE, "perRow": _SPRITE_COLUMNS}


def _inline_png(path: Path) -> str:
    return _as_data_uri(path.read_bytes())


def _as_data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _inline_svg(path: Path, alternative: str) -> Markup:
    """An SVG as an element of the page, its ids made its own, with a text alternative."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{path.stem}-", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    tag = Markup('<svg role="img" aria-label="{}" viewBox="{}">').format(
        alternative,
        re.search(r'viewBox="(.*?)"', text)[1],  # type: ignore[index]
    )
    return Markup(re.sub(r"<svg.*?>", lambda _: str(tag), text, count=1, flags=re.DOTALL))


_TEMPLATES.filters |= {"png": _inline_png, "svg": _inline_svg}
