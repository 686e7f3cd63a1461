"""Which credentials Kaggle's client would use, found without importing it.

Merely importing the client logs in over the network. Here the same places are looked at, in the
client's order, and nothing is sent. What is empty counts as absent.
"""

import base64
import json
import os
import sys
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any


class Kind(Enum):
    """The kinds, in the order in which the client prefers them."""

    ACCESS_TOKEN = "access token"
    KEY = "API key"
    LOGIN = "login"


@dataclass(frozen=True)
class Credentials:
    """Something to log in with.

    Attributes:
        kind: what it is.
        place: where it was found, for messages.
        secrets: what must never be shown.
    """

    kind: Kind
    place: str
    secrets: tuple[str, ...] = field(repr=False)


def find() -> list[Credentials]:
    """All credentials at hand, the one that the client would use first."""
    candidates = (_find_access_token(), _find_key(), _find_login())
    return [credentials for credentials in candidates if credentials]


def ignore_empty_variables() -> None:
    """Remove empty Kaggle variables from this process's environment.

    An unset secret of a CI system arrives as an empty variable; the client would take it for a
    user name or key and overrule ``kaggle.json`` with it.
    """
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        if os.environ.get(name) == "":
            del os.environ[name]


def redact(text: str) -> str:
    """``text`` without any secret of the credentials at hand."""
    for credentials in find():
        for secret in credentials.secrets:
            text = text.replace(secret, "…")
    return text


def _find_access_token() -> Credentials | None:
    in_notebook = {"KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_DATA_PROXY_URL"} <= os.environ.keys()
    path = os.environ.get("KAGGLE_API_V1_TOKEN") if in_notebook else None
    if path and (token := _read(Path(path))):
        return Credentials(Kind.ACCESS_TOKEN, path, (token,))
    if variable := os.environ.get("KAGGLE_API_TOKEN"):
        if not _exists(variable):
            return Credentials(Kind.ACCESS_TOKEN, "KAGGLE_API_TOKEN", (variable,))
        token = _read(Path(variable))
        return Credentials(Kind.ACCESS_TOKEN, variable, (token,)) if token else None
    for name in ("access_token", "access_token.txt"):
        if token := _read(_home() / name):
            return Credentials(Kind.ACCESS_TOKEN, f"~/.kaggle/{name}", (token,))
    return None


def _find_key() -> Credentials | None:
    path = _configuration_folder() / "kaggle.json"
    content = _read_json(path)
    user = os.environ.get("KAGGLE_USERNAME") or content.get("username")
    key = os.environ.get("KAGGLE_KEY") or content.get("key")
    if not (user and key):
        return None
    place = "KAGGLE_KEY" if os.environ.get("KAGGLE_KEY") else str(path)
    encoded = base64.b64encode(f"{user}:{key}".encode()).decode()
    return Credentials(Kind.KEY, place, (encoded, str(key)))


def _find_login() -> Credentials | None:
    content = _read_json(_home() / "credentials.json")
    if not content.get("refresh_token"):
        return None
    secrets = (content.get("refresh_token"), content.get("access_token"))
    return Credentials(
        Kind.LOGIN, "~/.kaggle/credentials.json", tuple(str(secret) for secret in secrets if secret)
    )


def _home() -> Path:
    return Path.home() / ".kaggle"


def _configuration_folder() -> Path:
    if named := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(named)
    if _home().exists() or not sys.platform.startswith("linux"):
        return _home()
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # too long for a file name, as some tokens are
        return False


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read(path))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
