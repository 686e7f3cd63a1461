"""What the pages show, held against the real things: commands, their output, links, anchors."""

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import ray.scripts.scripts
import typer
import typer.main
from dvc.cli.parser import get_main_parser
from ruamel.yaml import YAML

from pipeline.cli import app
from tests.conftest import ROOT

FOLDERS = "benchmarks", "comparison", "data", "submissions"
"""Those with a README of their own."""

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(
            ROOT / name / "README.md"
            for name in ("benchmarks", "comparison", "data", "submissions")
        ),
    ]
)
"""All that readers read, besides the site's generated reference."""

OTHERS = {"cat", "cd", "cp", "git", "kaggle", "pip", "pre-commit", "sbatch", "source", "taskset"}
"""Commands that are not ours to check."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```([\w-]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Commands in a page's shell blocks, and those in its text: where, and the words of each."""
    name = page.relative_to(ROOT)
    for block in blocks(page):
        lines = block.text.splitlines()
        if block.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        elif block.language != "sh":
            continue
        for line in lines:
            for words in split(line):
                yield f"{name}:{block.line}: {shlex.join(words)}", words
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for code in re.findall(r"`((?:digits|dvc|make|python -m|taskset) [^`]+)`", prose):
        for words in split(code):
            shown = [*words, "--help"] if _is_name(words) else words
            yield f"{name}: {shlex.join(words)}", shown


def _is_name(words: list[str]) -> bool:
    """Whether they name a command of ``digits``, and nothing that it is given."""
    command = _digits()
    if words[0] != "digits":
        return False
    for word in words[1:]:
        command = getattr(command, "commands", {}).get(word)
    return command is not None


def split(line: str) -> Iterator[list[str]]:
    """The simple commands of a line, without comments and settings of variables."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.wordchars += "[]{},:@=*~/.-+"
    words = list(lexer)
    while words:
        command = list(takewhile(lambda word: not set(word) <= set(";&|"), words))
        words = words[len(command) + 1 :]
        if command := list(dropwhile(re.compile(r"[A-Z_]+=").match, command)):
            yield command


def check(words: list[str]) -> None:
    """Hold a command against what would run it.

    Raises:
        Exception: the command line does not exist, or would be refused.
    """
    match words:
        case ["digits", *arguments]:
            _check_digits(arguments)
        case ["dvc", *arguments]:
            _check_dvc(arguments)
        case ["make", *targets]:
            rules = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
            unknown = {target for target in targets if "=" not in target} - set(rules)
            if unknown:
                raise LookupError(f"the Makefile has no {unknown}")
        case ["python", "-m", module, *_]:
            if find_spec(module) is None:
                raise LookupError(f"there is no module {module}")
        case ["ray", name, *arguments]:
            ray.scripts.scripts.cli.commands[name].make_context(name, arguments)
        case ["taskset", "-c", _, *rest]:
            check(rest)
        case [command, *_] if command not in OTHERS:
            raise LookupError(f"{command} is not known to the test")


@cache
def _digits() -> Any:
    return typer.main.get_command(app)


def _check_digits(arguments: list[str]) -> None:
    group = _digits()
    if not arguments or arguments[0] == "--version":
        return
    context = group.make_context("digits", list(arguments), resilient_parsing=False)
    path, rest = "digits", arguments
    while rest and hasattr(group, "commands"):
        name, *rest = rest
        command = group.get_command(context, name)
        if command is None:
            raise LookupError(f"there is no {path} {name}")
        with suppress(typer.Exit):  # of --help
            context = command.make_context(name, list(rest), parent=context)
        group, path = command, f"{path} {name}"
        if "--help" in rest[:1]:
            return


@cache
def _dvc_parser() -> ArgumentParser:
    parser: ArgumentParser = get_main_parser()
    return parser


def _check_dvc(arguments: list[str]) -> None:
    parsed = _dvc_parser().parse_args(arguments)
    for change in getattr(parsed, "set_param", None) or []:
        key, _, value = change.partition("=")
        _check_setting(key.split("."), value)
    if parsed.cmd in ("repro", "exp"):
        for target in getattr(parsed, "targets", None) or []:
            _check_stage(ROOT / parsed.cd, target)


@cache
def _read_yaml(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def _check_setting(keys: list[str], value: str) -> None:
    settings = _read_yaml(ROOT / "params.yaml")
    for key in keys:
        settings = settings[key]
    YAML(typ="safe").load(value)


def _check_stage(folder: Path, target: str) -> None:
    stages = _read_yaml(folder / "dvc.yaml")["stages"]
    if target.partition("@")[0] not in stages:
        raise LookupError(f"{folder.name}/dvc.yaml has no stage {target}")


def shown_runs(page: Path) -> Iterator[tuple[list[str], str]]:
    """Commands of a page's console blocks with the output that the page shows."""
    for block in blocks(page):
        if block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield shlex.split(command, comments=True), output


def is_output(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed; numbers may differ, and ``…`` is any lines."""
    parts = [
        ".*" if line.strip() == "…" else re.escape(_without_numbers(line)) + "\n"
        for line in shown.splitlines()
    ]
    lines = "".join(_without_numbers(line) + "\n" for line in printed.splitlines())
    return re.fullmatch("".join(parts), lines, re.DOTALL) is not None


def _without_numbers(line: str) -> str:
    return " ".join(re.sub(r"\d[\d,.]*", "0", line).split())


def links(page: Path) -> Iterator[str]:
    """Addresses that a page's links and pictures have, without those of other sites."""
    text = re.sub(r"^```.*?^```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(
        r'(?:src|srcset|href)="([^"]+)"', text
    )
    for address in found:
        if not address.startswith(("http:", "https:", "mailto:", "../../actions/")):
            yield address


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }
