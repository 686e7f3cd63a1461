"""Text as it arrives by copying: credentials in files and environment variables.

An editor adds a line end or a byte order mark, a word processor curly quotes, a shell on Windows
UTF-16; a CI system passes on what was pasted into a form. All of that is dropped here.
"""

import codecs
import json
import os
import re
from pathlib import Path
from typing import Any

from pipeline.kaggle.redaction import remember

WORD = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What a token or key is made of: RFC 6750's b64token."""

_DOUBLE_QUOTES = "“”„‟″«»＂"
_QUOTES = "\"'`´‘’‚‛′‹›＇" + _DOUBLE_QUOTES
_STRAIGHT = str.maketrans(dict.fromkeys(_DOUBLE_QUOTES, '"'))
_INVISIBLE = r"\s\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff"
_AROUND = rf"(?:[{_INVISIBLE}{re.escape(_QUOTES)}]|\\[nrt])+"
_TRIM = re.compile(rf"\A{_AROUND}|{_AROUND}\Z")
_MAYBE_SECRET = re.compile(r"[\w.~+/=-]{16,}", re.ASCII)

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SUFFICIENT_BYTES = 100_000


class UnusableError(Exception):
    """Something is there, but cannot be used.

    Attributes:
        place: where.
        problem: what was found there; never the text itself.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)
        self.place, self.problem = place, problem


def trim(text: str) -> str:
    """``text`` without white space, invisible characters and quotes around it."""
    return _TRIM.sub("", text)


def variable(name: str) -> str:
    """The trimmed value of an environment variable; empty if it is not set."""
    return trim(os.environ.get(name, ""))


def read(path: Path) -> str:
    """The trimmed text of a file in any usual encoding; empty if there is no such file.

    Raises:
        UnusableError: it is a folder or cannot be read.
    """
    if path.is_fifo() or path.is_char_device():
        raise UnusableError(str(path), "found a pipe or a device")
    try:
        with path.open("rb") as file:
            content = file.read(_SUFFICIENT_BYTES)
    except FileNotFoundError:
        return ""
    except NotADirectoryError:
        if path.parent.is_file():
            raise UnusableError(str(path.parent), "found a file where a folder belongs") from None
        return ""
    except OSError as error:
        problem = "found a folder" if path.is_dir() else f"but it cannot be read ({error.strerror})"
        raise UnusableError(str(path), problem) from None
    return trim(_decode(content))


def parse(place: str, text: str) -> str | dict[str, Any]:
    """A single word, or the object that ``text`` holds as JSON.

    Raises:
        UnusableError: it is neither.
    """
    remember(*_MAYBE_SECRET.findall(text))
    try:
        content = json.loads(text.translate(_STRAIGHT))
    except (ValueError, RecursionError):
        content = text
    if isinstance(content, dict):
        return content
    if not isinstance(content, str):
        raise UnusableError(place, "found a JSON value of another type")
    return check_word(place, content)


def check_word(place: str, text: object) -> str:
    """``text``, trimmed, if it can be a name, token or key.

    Raises:
        UnusableError: it cannot.
    """
    if not isinstance(text, str):
        raise UnusableError(place, "found a JSON value of another type")
    word = trim(text)
    if not word:
        raise UnusableError(place, "found an empty text")
    if not WORD.fullmatch(word):
        raise UnusableError(place, "found spaces or other characters in it that none has")
    return word


def _decode(content: bytes) -> str:
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    if encoding is None and b"\0" in content[:4]:
        encoding = "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    try:
        return content.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")  # as older editors on Windows write
