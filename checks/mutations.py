"""Damage for files: bytes, values of JSON and YAML, members of archives.

What has an inner form is also damaged inside, and wrapped again so that its checksums fit: damage
that any checksum finds says little about what reads behind it.
"""

import json
import re
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from random import Random
from typing import Any

import numpy as np

_NUMBERS = [
    "-1",
    "0",
    "1",
    "255",
    "256",
    "1e400",
    "-1e400",
    "1e-3",
    "nan",
    ".inf",
    "9223372036854775808",
    "0x10",
    "1_000",
    "00",
    "٣",
]
_TOKENS = [
    *(number.encode() for number in _NUMBERS),
    *(b"", b"null", b"true", b"{}", b"[]", b'""', b"~", b"'", b'"', b",", b":", b"\n", b"\r\n"),
    *(b"\t", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"&a [*a]", b"!!python/name:os"),
    *(b"[" * 3_000, b"{" * 100, b"a" * 140_000, b"../../x", b"/", b"%s", b"{0}", b"\x1b[2J"),
]

_VALUES: list[Any] = [
    *(None, True, False, -1, 0, 1, 300, 2**63, 2**200, 0.5, float("nan"), float("inf"), -1e308),
    *("", "0", "nan", "../x", "\0", "\ud800", "a" * 2_000, [], {}, [[]], [None], {"": None}),
]

_ARRAYS: list[Any] = [
    *(np.zeros(()), np.zeros(0), np.zeros((0, 28, 28), np.uint8), np.full(3, np.nan)),
    *(np.ones((3, 28, 28), np.int8), np.ones(3, np.complex64), np.array(["a", "b"]), np.array("[")),
    *(np.array([2**63], np.uint64), np.array(b"\xff"), np.zeros(2, "M8[s]"), np.zeros(2, "V4")),
    *(np.zeros(2, [("a", "i4")]), np.full((3, 10), 0.1), np.array(["x" * 64]), np.arange(3)),
    *(np.array([[9]], ">u2"), np.asfortranarray(np.zeros((3, 28, 28), np.uint8)), np.array(True)),
]


def mutate(content: bytes, random: Random) -> bytes:
    """The content with one to three damages, of a kind that suits it."""
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        content = random.choice(_fitting(content))(content, random)
    return content


def _fitting(content: bytes) -> list[Callable[[bytes, Random], bytes]]:
    kinds: list[Callable[[bytes, Random], bytes]] = [_change_bytes, _replace_word]
    if content.startswith(b"PK"):
        return [*kinds, _change_member, _change_member, _change_member]
    if content.startswith((b"{", b"[")):
        return [*kinds, _change_json, _change_json]
    return kinds


def _change_bytes(content: bytes, random: Random) -> bytes:
    start = random.randint(0, len(content))
    end = min(len(content), start + random.choice([0, 1, 1, 2, 4, 16, 200, len(content)]))
    part = content[start:end]
    match random.randrange(6):
        case 0:
            part = random.choice(_TOKENS)
        case 1:
            part = random.randbytes(len(part))
        case 2:
            part = bytes(byte ^ 1 << random.randrange(8) for byte in part)
        case 3:
            part *= random.choice([0, 2, 3])
        case 4:
            return content[:start]
        case _:
            part = bytes(len(part))
    return content[:start] + part + content[end:]


def _replace_word(content: bytes, random: Random) -> bytes:
    """Another token where a word, a number or a line is."""
    pattern = random.choice([rb"[\w.+-]+", rb"[\d.]+", rb"[^\n]+\n?", rb"[^\s\w]"])
    places = [found.span() for found in re.finditer(pattern, content[:20_000])]
    if not places:
        return content + random.choice(_TOKENS)
    start, end = random.choice(places)
    other_start, other_end = random.choice(places)
    replacement = random.choice([*_TOKENS, content[other_start:other_end]])
    return content[:start] + replacement + content[end:]


def _change_json(content: bytes, random: Random) -> bytes:
    try:
        document = [json.loads(content)]
    except (ValueError, RecursionError):
        return _change_bytes(content, random)
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [document]
    while waiting:
        container = waiting.pop()
        keys = list(container) if isinstance(container, dict) else range(len(container))
        places += [(container, key) for key in keys]
        waiting += [container[key] for key in keys if isinstance(container[key], list | dict)]
    container, key = random.choice(places)
    if random.random() < 0.2 and container is not document:
        del container[key]
    elif random.random() < 0.2 and isinstance(container, dict):
        container[random.choice(["", "extra", "\0", "members"])] = random.choice(_VALUES)
    else:
        other, place = random.choice(places)
        container[key] = random.choice([*_VALUES, json.loads(json.dumps(other[place]))])
    return json.dumps(document[0]).encode() if document else b""


def _change_member(content: bytes, random: Random) -> bytes:
    """A zip with a member damaged, renamed, left out or twice, and checksums that fit."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            parts = [(name, archive.read(name)) for name in archive.namelist()]
    except Exception:  # damaged before
        return _change_bytes(content, random)
    place = random.randrange(len(parts) + 1)
    name, part = parts[place] if place < len(parts) else ("extra", b"")
    match random.randrange(6):
        case 0:
            name = random.choice([*(other for other, _ in parts), "../x", "/x", "", "a\\b", "x/"])
        case 1:
            parts.append((name, part))
        case 2:
            file = BytesIO()
            np.save(file, random.choice(_ARRAYS))
            part = file.getvalue()
        case _:
            part = mutate(part, random)
    changed = [*parts[:place], (name, part), *parts[place + 1 :]]
    if random.random() < 0.1:
        changed.pop(random.randrange(len(changed)))
    file = BytesIO()
    method = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    with zipfile.ZipFile(file, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name is there twice
        for each, data in changed:
            archive.writestr(zipfile.ZipInfo(each), data, compress_type=method)
    return file.getvalue()
