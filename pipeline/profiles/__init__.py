"""Settings that belong together, by name; ``digits profile NAME`` writes them into params.yaml.

Each profile is a YAML file here: ``about``, a line for people, and whole sections of params.yaml.
"""

import difflib
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipeline import params
from pipeline.errors import ParamsError
from pipeline.files import atomic_path

_FOLDER = Path(__file__).parent
_NULL = "tag:yaml.org,2002:null"


def names() -> list[str]:
    """All profiles, the cheapest first."""
    return ["quick", "default", "record"]


def read(name: str) -> dict[str, Any]:
    """The content of a profile: ``about`` and sections of params.yaml.

    Raises:
        ParamsError: there is none of that name.
    """
    if name not in names():
        raise ParamsError(f"There is no profile {name!r}; known: {', '.join(names())}.")
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(_FOLDER / f"{name}.yaml")
    return content


def apply(name: str, path: Path = Path("params.yaml")) -> list[str]:
    """Write a profile's sections into params.yaml; everything else in the file stays.

    Returns:
        What changed, as the lines of a unified diff without its header; empty if nothing did.

    Raises:
        ParamsError: there is no such profile, or the file is not usable, before or after.
    """
    profile = read(name)
    params.load(path)
    before = path.read_text(encoding="utf-8")
    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar(_NULL, "null")
    )
    content = yaml.load(before)
    del profile["about"]
    for section, values in profile.items():
        for key, value in values.items():
            content[section][key] = _in_style(value, content[section][key])
    written = StringIO()
    yaml.dump(content, written)
    after = written.getvalue()
    with atomic_path(path) as temporary:
        temporary.write_text(after, encoding="utf-8")
        params.load(temporary)
    difference = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in difference if not line.startswith(("---", "+++", "@@"))]


def _in_style(value: Any, before: Any) -> Any:
    """The value as the file writes it: as before if it is the same, else its parts on one line."""
    if value == before:
        return before
    if not isinstance(value, list):
        return value
    if not isinstance(value[0], dict):
        values = CommentedSeq(value)
        values.fa.set_flow_style()
        return values
    entries = [CommentedMap(entry) for entry in value]
    for entry in entries:
        entry.fa.set_flow_style()
    return entries
