"""YAML files as typed, checked, read-only values, and what is wrong with them in plain words.

Read as YAML 1.2, as DVC does, so that ``1e-3`` is a number.
"""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.errors import ParamsError
from pipeline.files import read_bytes


class Section(BaseModel):
    """A section of a file: exactly these keys, exactly these types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


_Settings = TypeVar("_Settings", bound=Section)

_DEEPEST = 100
"""Brackets that may be open at once; the parser's time grows with their square."""

_LONGEST_NUMBER = 10_000
"""Bits of a number that is shown; Python writes none of over 4,300 digits."""


def read(path: Path, kind: type[_Settings]) -> _Settings:
    """Read a YAML file as the section ``kind`` and check it.

    Raises:
        ParamsError: naming every key at fault, what was expected and what was found.
    """
    return check(load(path), kind, str(path))


def load(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds sections.

    Raises:
        ParamsError: there is no such file, or it is no such YAML.
    """
    too_deep = ParamsError(f"{path} is not valid YAML: it is nested too deep.")
    try:
        text = read_bytes(path)
        text.decode()
        if _depth(text) > _DEEPEST:
            raise too_deep
        content = YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        raise describe_absent(path) from None
    except UnicodeDecodeError as error:
        raise ParamsError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8. Nothing was run."
        ) from None
    except RecursionError:
        raise too_deep from None
    except (YAMLError, ValueError) as error:
        raise ParamsError(f"{path} is not valid YAML: {_describe_syntax(error)}") from None
    if not isinstance(content, dict):
        raise ParamsError(
            f"{path} is not usable: expected sections, NAME: and its values, found "
            f"{describe_value(content)}. Nothing was run."
        )
    return content


def describe_absent(path: Path) -> ParamsError:
    """What to raise where a file of settings is not: the folder is the wrong one."""
    return ParamsError(
        f"There is no {path} in {Path.cwd()}. Run the command in the project's folder."
    )


def _depth(text: bytes) -> int:
    return max(accumulate((each in b"[{") - (each in b"]}") for each in text), default=0)


def check(content: Any, kind: type[_Settings], name: str) -> _Settings:
    """Check content as the section ``kind``.

    Args:
        content: as `load` gives it, or a part of that.
        kind: of section.
        name: of what holds it, for the error.

    Raises:
        ParamsError: naming every key at fault, what was expected and what was found.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(dict.fromkeys(_describe(problem, kind) for problem in error.errors()))
        raise ParamsError(f"{name} is not usable: {problems}. Nothing was run.") from None


def find_repeated(values: list[Any]) -> Any:
    """The first value that is there twice; None if none is."""
    return next((value for value in values if values.count(value) > 1), None)


def check_distinct(values: list[Any], expected: str) -> list[Any]:
    """Give the values back if none of them is there twice.

    Raises:
        ValueError: one is.
    """
    if (repeated := find_repeated(values)) is not None:
        shown = repeated if isinstance(repeated, str) else describe_value(repeated)
        raise ValueError(f"expected {expected}, found {shown} twice")
    return values


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint in brackets at the known name that is most like ``name``; empty if none is."""
    return "".join(
        f" (did you mean {each!r}?)" for each in get_close_matches(name, list(known), n=1)
    )


_EXPECTATIONS = {
    "dict_type": "a section with keys of its own",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list in square brackets",
    "model_type": "a section with keys of its own",
    "string_pattern_mismatch": "a name of small letters, digits and underscores",
    "string_type": "text",
    "too_short": "at least one entry",
}
"""What to say after "expected", where pydantic's own words are for programmers."""

_RENAMED = {
    "train.anneal_epochs": "decay_epochs",
    "train.stopping_fraction": "validation_fraction",
    "neighbours.unsure_below": "confidence_threshold",
}
"""Keys of versions before 1.0."""


def _describe(problem: Any, kind: type[BaseModel]) -> str:
    keys = [key for key in problem["loc"] if isinstance(key, str) and key != "[key]"]
    key, found = ".".join(keys), describe_value(problem["input"])
    match problem["type"]:
        case "invalid_key":
            return f"{found}: no such key, expected {', '.join(_fields_at(kind, keys))}"
        case "extra_forbidden":
            known = _fields_at(kind, keys[:-1])
            hint = f" ({_RENAMED[key]} since version 1.0)" if key in _RENAMED else ""
            hint = hint or suggest(keys[-1], known)
            return f"{key}: no such key{hint}, expected {', '.join(known)}"
        case "missing":
            return f"{key}: missing"
        case "value_error":
            told = str(problem["ctx"]["error"])
            found = "" if "found" in told else f", found {found}"
            return f"{key}: {told}{found}" if key else told
        case error:
            said = problem["msg"].removeprefix("Input should be ")
            expectation = _EXPECTATIONS.get(error, said)
            return f"{key}: expected {expectation}, found {found}"


def _describe_syntax(error: Exception) -> str:
    if not isinstance(error, MarkedYAMLError):
        return f"{' '.join(str(error).split())}."
    line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
    hint = " Indent with spaces." if "\\t" in str(error.problem) else ""
    problem = " ".join(str(error.problem).split()).removeprefix("but ")
    return f"{line}{problem}.{hint}"


def describe_value(value: Any) -> str:
    """A value as it would be written in YAML; what has parts by its kind."""
    match value:
        case dict():
            return "a section"
        case []:
            return "an empty list"
        case [*names] if all(isinstance(name, str) for name in names):
            return f"[{', '.join(names)}]"
        case list():
            return "a list"
        case None:
            return "nothing"
        case int() if value.bit_length() > _LONGEST_NUMBER:
            return "a number of thousands of digits"
    return json.dumps(value, ensure_ascii=False, default=str)


def _fields_at(section: type[BaseModel], keys: list[str]) -> list[str]:
    """The fields of the section at ``keys``; in a mapping of sections any key leads on."""
    for key in keys:
        kinds: tuple[Any, ...] = (section,)
        if key in section.model_fields:
            kind = section.model_fields[key].annotation
            kinds = (kind, *get_args(kind))  # of a mapping, a list or an optional section
        sections = [
            each for each in kinds if isinstance(each, type) and issubclass(each, BaseModel)
        ]
        if not sections:
            return []
        section = sections[0]
    return sorted(section.model_fields)
