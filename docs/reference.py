"""The hook of mkdocs that writes the reference: settings, command line, pages of the repository.

Settings come from the pydantic models in `pipeline.params` and the comments in ``params.yaml``,
commands from the typer application, so that neither can differ from what the code accepts.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from ruamel.yaml import YAML

from pipeline import params, profiles
from pipeline.cli import app
from pipeline.cli.help import without_type

ROOT = Path(__file__).parent.parent
SETTINGS = "<!-- settings -->"
COMMANDS = "<!-- commands -->"
"""What a page holds where the reference belongs."""

REPOSITORY_PAGES = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "security.md": "SECURITY.md",
}
"""Pages of the site that are files in the repository's root."""

FIGURES = "comparison/results"
"""Where the comparison keeps its figures."""

UNITS = {
    "degrees": "degrees",
    "pixels": "pixels",
    "fraction": "fraction, 1 = all",
    "epochs": "epochs",
    "grey_levels": "grey levels of 255",
    "images": "images",
    "bins": "bins",
    "folds": "folds",
    "rate": "step size",
    "size": "images",
    "threshold": "probability",
    "digit": "images",
    "confusion": "images",
}
"""What the last words of a key say about its unit."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages and figures that live elsewhere in the repository."""
    for page, source in REPOSITORY_PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_relink(text)))
    for path in sorted((ROOT / FIGURES).glob("*.png")):
        files.append(File.generated(config, f"figures/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the reference where a page asks for it, and find figures where the site has them."""
    markdown = markdown.replace(f"](../{FIGURES}/", "](figures/")
    if SETTINGS in markdown:
        markdown = markdown.replace(SETTINGS, "\n".join(describe_settings()))
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, "\n".join(describe_commands()))
    return markdown


def _relink(text: str) -> str:
    """Make a page's links relative to docs/; what lies outside becomes plain text."""
    text = re.sub(r"\]\(docs/", "](", text)
    for page, source in REPOSITORY_PAGES.items():
        text = text.replace(f"]({source}", f"]({page}")
    return re.sub(r"\[([^\]]+)\]\((?!https?:|#|[\w/-]+\.md)[^)]+\)", r"\1", text)


def describe_settings() -> Iterator[str]:
    """Lines of Markdown: every key of ``params.yaml`` by section."""
    comments = read_comments((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values = {name: profiles.read(name) for name in profiles.names()}
    current = YAML(typ="safe", pure=True).load(ROOT / "params.yaml")
    alone = [
        ("", params.Params, key)
        for key, field in params.Params.model_fields.items()
        if section_of(field.annotation) is None
    ]
    yield from _describe_section("Top level", "", alone, comments, values, current)
    for name, field in params.Params.model_fields.items():
        if (section := section_of(field.annotation)) is not None:
            doc = inspect.cleandoc(section.__doc__ or "")
            keys = [(name, section, key) for key in section.model_fields]
            yield from _describe_section(f"`{name}`", doc, keys, comments, values, current)
            if name == "networks":
                yield "\nThe networks of the profile `record`:\n\n```yaml\nnetworks:"
                for network, entry in values["record"]["networks"].items():
                    shown = ", ".join(f"{key}: {_plain(entry[key])}" for key in entry)
                    yield f"  {network}: {{{shown}}}"
                yield "```"


Key = tuple[str, type[BaseModel], str]
"""A section's name ("" at the top level), its model, and a key."""


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The model behind an annotation, also where it is the value of a mapping or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [section_of(each) for each in get_args(annotation)]
    return next((each for each in inner if each is not None), None)


def _describe_section(
    title: str,
    doc: str,
    keys: Sequence[Key],
    comments: Mapping[str, str],
    values: Mapping[str, Mapping[str, Any]],
    current: Mapping[str, Any],
) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield _to_markdown(doc) + "\n"
    columns = ["key", "what it is", "allowed", "unit", *values]
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for section, model, key in keys:
        field = model.model_fields[key]
        path = f"{section}.{key}" if section else key
        about = field.description or comments.get(path) or _find_about(comments, section, key)
        allowed = _bounded(describe_type(field.annotation), field.metadata)
        shown = [_show(_look_up(settings, path, current)) for settings in values.values()]
        cells = [f"`{key}`", _to_markdown(about), allowed, unit_of(key), *shown]
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _find_about(comments: Mapping[str, str], section: str, key: str) -> str:
    """What a comment anywhere in the section says after ``key:``, up to the next key."""
    for path, comment in comments.items():
        found = re.search(rf"\b{key}: (.*?)(?=; \w+: |\.? [A-Z]|$)", comment)
        if found and path.startswith(f"{section}."):
            return found[1].rstrip(".")
    return ""


def _look_up(settings: Mapping[str, Any], path: str, current: Mapping[str, Any]) -> Any:
    """A profile's value, or that of params.yaml where profiles leave it alone."""
    for source in (settings, current):
        value: Any = source
        for part in path.split("."):
            value = value.get(part, KeyError) if isinstance(value, Mapping) else KeyError
        if value is not KeyError:
            return value
    return KeyError


def _show(value: Any) -> str:
    if value is KeyError:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"`{key}`" for key in value)
    if isinstance(value, list):
        return f"`{_plain(value)}`"
    return f"`{'null' if value is None else value}`"


def _plain(value: Any) -> str:
    """A value as YAML writes it on one line."""
    return f"[{', '.join(map(_plain, value))}]" if isinstance(value, list) else str(value)


def unit_of(key: str) -> str:
    """The unit that a key's name ends in."""
    return next((unit for ending, unit in UNITS.items() if key.endswith(ending)), "")


def describe_type(annotation: Any) -> str:
    """What a key accepts, in words: kind and bounds."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _bounded(describe_type(args[0]), args[1:])
    if origin is Literal:
        return " · ".join(f"`{value}`" for value in args)
    if origin in (Union, UnionType):
        return " or ".join(describe_type(arg) for arg in args)
    if origin in (list, tuple):
        return f"list of {describe_type(args[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return ", ".join(f"`{key}`" for key in annotation.model_fields)
    return {int: "whole number", float: "number", str: "text", bool: "true or false"}.get(
        annotation, "`null`" if annotation in (None, NoneType) else str(annotation)
    )


def _bounded(kind: str, metadata: Iterable[Any]) -> str:
    bounds = " and ".join(filter(None, map(_describe_bound, _flatten(metadata))))
    return f"{kind}, {bounds}" if bounds else kind


def _flatten(metadata: Iterable[Any]) -> Iterator[Any]:
    """Bounds, also those that pydantic's ``Field`` holds."""
    for each in metadata:
        yield from _flatten(each.metadata) if hasattr(each, "metadata") else [each]


def _describe_bound(bound: Any) -> str:
    match bound:
        case annotated_types.Ge(ge):
            return f"at least {ge}"
        case annotated_types.Gt(gt):
            return f"more than {gt}"
        case annotated_types.Le(le):
            return f"at most {le:,}" if isinstance(le, int) else f"at most {le}"
        case annotated_types.Lt(lt):
            return f"less than {lt:,}" if isinstance(lt, int) else f"less than {lt}"
        case annotated_types.MinLen(length):
            return "at least one entry" if length == 1 else f"at least {length} entries"
    return ""


_LINE = re.compile(r"(?P<indent> *)(?P<key>\w+):(?P<value>[^#]*)(?:#(?P<comment>.*))?$")


def read_comments(text: str) -> dict[str, str]:
    """The comment of each key in YAML: what stands on its line, and the comment lines above it."""
    comments: dict[str, str] = {}
    above: list[str] = []
    section = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            above.append(line.strip(" #"))
            continue
        found = _LINE.match(line)
        if found and len(found["indent"]) <= 2:
            key = found["key"] if not found["indent"] else f"{section}.{found['key']}"
            if not found["indent"]:
                section = found["key"]
                above = []
            comment = " ".join([*above, (found["comment"] or "").strip()]).strip()
            comments[key] = comment.removeprefix(f"{found['key']}: ")
        above = []
    return comments


def describe_commands() -> Iterator[str]:
    """Lines of Markdown: every command of ``digits``, its arguments and options."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("digits", [], resilient_parsing=True)
    yield f"\n{_to_markdown(group.help or '')}\n"
    yield from _parameters(group, context)
    yield from _describe_group(group, context, "digits")


def _describe_group(group: Any, context: Any, path: str) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = command.make_context(name, [], parent=context, resilient_parsing=True)
        yield f"\n## {path} {name}\n"
        usage = " ".join(command.collect_usage_pieces(inner))
        yield f"```text\n{path} {name} {usage}\n```\n"
        yield _to_markdown(re.sub(r"\n(?!\n)", " ", command.help or "")) + "\n"
        yield from _parameters(command, inner)
        if hasattr(command, "commands"):
            yield from _describe_group(command, inner, f"{path} {name}")


def _parameters(command: Any, context: Any) -> Iterator[str]:
    records = [
        parameter.get_help_record(context)
        for parameter in command.get_params(context)
        if parameter.name != "help"
    ]
    if any(records):
        yield "| argument or option | what it does |\n| --- | --- |"
    for names, help_text in filter(None, records):
        about = re.sub(r"\s+\[(default|required)(?:: )?([^\]]*)\]$", _show_default, help_text)
        yield f"| `{without_type(names)}` | {_to_markdown(about)} |".replace("||", "\\|\\|")


def _show_default(found: re.Match[str]) -> str:
    default, _, bounds = found[2].partition("; ")
    between = f", `{bounds}`" if bounds else ""
    return f" Default: `{default}`{between}." if found[1] == "default" else " Required."


def _to_markdown(text: str) -> str:
    """Text of a docstring or a help in Markdown."""
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r"<(\w[\w-]*)>", r"&lt;\1&gt;", text)
