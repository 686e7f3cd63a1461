"""The report and the model card, rendered from what evaluate and predict wrote."""

import base64
from pathlib import Path
from typing import Any

import jinja2

from pipeline.files import write_text

_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _as_data_uri(path: Path) -> str:
    """A PNG as the ``src`` of an image, so that the page needs no other file."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


_TEMPLATES.filters["data_uri"] = _as_data_uri
_TEMPLATES.filters["percent"] = lambda share: f"{share:.2%}"


def render(path: Path, template: str, **content: Any) -> None:
    """Render ``template``, a file of this folder, to ``path``; all its names must be given."""
    write_text(path, _TEMPLATES.get_template(template).render(**content))
