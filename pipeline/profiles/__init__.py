"""Settings that belong together, by name; ``digits profile NAME`` writes them into params.yaml.

Each profile is a YAML file here: ``about``, a line for people; ``minutes`` of its training on two
cores that compute in bfloat16; and whole sections of params.yaml.
"""

import difflib
import math
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from pipeline import checked_yaml, git, params
from pipeline.checked_yaml import suggest
from pipeline.errors import ParamsError
from pipeline.files import atomic_path

_FOLDER = Path(__file__).parent
_NULL = "tag:yaml.org,2002:null"


def names() -> list[str]:
    """All profiles, the cheapest first."""
    return ["quick", "default", "record"]


def read(name: str) -> dict[str, Any]:
    """The content of a profile: ``about``, ``minutes`` and sections of params.yaml.

    Raises:
        ParamsError: there is none of that name.
    """
    if name not in names():
        raise ParamsError(
            f"There is no profile {name!r}{suggest(name, names())}; known: {', '.join(names())}."
        )
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(_FOLDER / f"{name}.yaml")
    return content


def count_networks(profile: dict[str, Any]) -> int:
    """How many networks a profile trains."""
    return math.prod(len(values) for values in profile["ensemble"].values())


def compare(name: str, path: Path = params.FILE) -> list[str]:
    """The keys in which params.yaml differs from a profile; none: it holds that profile.

    Raises:
        ParamsError: there is no such profile, or the file is not usable.
    """
    settings = params.load_file(path).model_dump()
    return [
        f"{section}.{key}"
        for section, key, value in _values(name)
        if settings[section].get(key) != value
    ]


def apply(name: str, path: Path = params.FILE) -> list[str]:
    """Write a profile's sections into params.yaml; what changed, as `write` gives it.

    Raises:
        ParamsError: there is no such profile, or the file is not usable, before or after.
    """
    return write(list(_values(name)), path, lambda content: _remove_leftovers(content, name))


def write(
    values: Sequence[tuple[str, str, Any]],
    path: Path = params.FILE,
    tidy: Callable[[CommentedMap], object] = bool,
) -> list[str]:
    """Write values into params.yaml; everything else in the file stays.

    A comment next to a value that changes stays if Git has it there, too; one that was written
    since then speaks of the value that goes, and goes with it.

    Args:
        values: of each its section, its key and itself.
        path: of the file.
        tidy: is given the content with the new values, to change it further.

    Returns:
        What changed, as the lines of a unified diff without its header; empty if nothing did.

    Raises:
        ParamsError: the file is not usable, before or after; it is then as it was.
    """
    params.load_file(path)
    before = path.read_text(encoding="utf-8")
    content, committed = _yaml().load(before), _read_committed(path)
    column = _comment_column(content)
    for section, key, value in values:
        earlier = content[section].get(key)
        content[section][key] = _in_style(value, earlier)
        if earlier != value and (comment := _comment(content[section], key)):
            if committed is not None:
                _restore(comment, _comment(committed.get(section), key))
            comment.start_mark.column = column
    tidy(content)
    written = StringIO()
    _yaml().dump(content, written)
    after = written.getvalue()
    target = path.resolve()  # of a link
    line_end = "\r\n" if b"\r\n" in path.read_bytes() else "\n"
    with atomic_path(target) as temporary:
        temporary.write_text(after, encoding="utf-8", newline=line_end)
        shutil.copymode(target, temporary)
        checked_yaml.check(checked_yaml.load(temporary), params.Params, f"{path} with these values")
    difference = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in difference if not line.startswith(("---", "+++", "@@"))]


def _values(name: str) -> Iterator[tuple[str, str, Any]]:
    """Section, key and value of everything that a profile sets."""
    for section, values in read(name).items():
        if isinstance(values, dict):
            for key, value in values.items():
                yield section, key, value


def _yaml() -> YAML:
    """Reads and writes params.yaml in its own style."""
    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar(_NULL, "null")
    )
    return yaml


def _read_committed(path: Path) -> Any:
    """The file as Git has it at HEAD; None if it has none."""
    done = git.run(path.parent, "show", f"HEAD:./{path.name}")
    if done is not None and done.returncode == 0:
        with suppress(YAMLError, UnicodeDecodeError):
            return _yaml().load(done.stdout.decode())
    return None


def _comment(section: Any, key: str) -> Any:
    """ruamel's token of the comment next to a value; None if there is none."""
    if not isinstance(section, CommentedMap):
        return None
    return section.ca.items.get(key, [None] * 3)[2]


def _restore(comment: Any, committed: Any) -> None:
    """Make a comment what Git has, or empty; lines of comment below it stay."""
    _, _, below = comment.value.partition("\n")
    there = committed.value.partition("\n")[0] if committed else ""
    comment.value = f"{there}\n{below}"


def _comment_column(content: CommentedMap) -> int:
    """The column in which most comments next to values begin."""
    sections = [section for section in content.values() if isinstance(section, CommentedMap)]
    comments = [_comment(section, key) for section in sections for key in section]
    columns = [comment.start_mark.column for comment in comments if comment]
    return statistics.mode(columns) if columns else 0


def _remove_leftovers(content: CommentedMap, name: str) -> None:
    """Remove networks that another profile defined; the user's own stay."""
    networks, kept = content["networks"], read(name)["networks"]
    for other in names():
        for network, definition in read(other)["networks"].items():
            if network not in kept and networks.get(network) == definition:
                del networks[network]


def _in_style(value: Any, before: Any) -> Any:
    """The value as the file writes it: as before if it is the same, else on one line."""
    if value == before:
        return before
    match value:
        case dict():
            on_one_line: CommentedMap | CommentedSeq = CommentedMap(value)
        case list():
            on_one_line = CommentedSeq(value)
        case _:
            return value
    on_one_line.fa.set_flow_style()
    return on_one_line
