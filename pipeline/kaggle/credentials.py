"""The credentials at hand, read from where Kaggle's client reads them, in its order.

Nothing is sent, and the client is not imported: that alone logs in over the network. What is empty
counts as absent. What is there but cannot be used is an error that names the place.
"""

import base64
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipeline.errors import KaggleError
from pipeline.files import expand_user
from pipeline.kaggle import pasted
from pipeline.kaggle.pasted import UnusableError
from pipeline.kaggle.redaction import remember

COMPETITION = "digit-recognizer"
PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
SETTINGS = "https://www.kaggle.com/settings"
NEW_TOKEN = f"Create a new token at {SETTINGS} and save it as ~/.kaggle/access_token"
NONE_FOUND = (
    "Kaggle asks for credentials, and none were found: expected an access token (in "
    "KAGGLE_API_TOKEN or ~/.kaggle/access_token), an API key (in KAGGLE_USERNAME and KAGGLE_KEY, "
    f"or kaggle.json), or a login (kaggle auth login); empty ones do not count. {NEW_TOKEN}."
)

_EXPIRES_SOON = timedelta(minutes=10)
_BEGINS_LIKE_A_PATH = ("/", "./", "../", "~")


@dataclass(frozen=True)
class AccessToken:
    """A token that stands for a user.

    Attributes:
        place: where it was found, for messages.
        token: the secret.
    """

    place: str
    token: str = field(repr=False)
    kind = "access token"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return (self.token,)


@dataclass(frozen=True)
class Key:
    """A user's name and API key, the older way.

    Attributes:
        place: where the key was found, for messages.
        username: whose it is.
        key: the secret.
    """

    place: str
    username: str
    key: str = field(repr=False)
    kind = "API key"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, and the form in which it is sent."""
        return (self.key, base64.b64encode(f"{self.username}:{self.key}".encode()).decode())


@dataclass(frozen=True)
class Login:
    """What ``kaggle auth login`` left.

    Attributes:
        place: where it was found, for messages.
        refresh_token: what an access token is asked for with.
        access_token: one that stays valid for some minutes at least; empty without.
    """

    place: str
    refresh_token: str = field(repr=False)
    access_token: str = field(repr=False)
    kind = "login"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return (self.refresh_token, self.access_token)


Credentials = AccessToken | Key | Login


def find() -> Credentials | None:
    """The credentials that Kaggle's client would use; None if there are none.

    Raises:
        KaggleError: those that it would use are there, but cannot be used.
    """
    return next(_find_all(), None)


def find_alternative() -> Credentials | None:
    """The credentials that come after those that `find` gives; None if there are none."""
    found = _find_all()
    with suppress(KaggleError):
        next(found, None)
        return next(found, None)
    return None


def _find_all() -> Iterator[Credentials]:
    readers: tuple[Callable[[], Credentials | None], ...] = (
        _read_notebook_token,
        _read_token_variable,
        lambda: _read_token(_home() / "access_token"),
        lambda: _read_token(_home() / "access_token.txt"),
        _read_key,
        _read_login,
    )
    for read in readers:
        try:
            found = read()
        except UnusableError as error:
            place = _shorten(error.place)
            expected = "a login" if read is _read_login else "an access token or API key"
            cure = "Log in again with: kaggle auth login" if read is _read_login else NEW_TOKEN
            raise KaggleError(
                f"The Kaggle credentials in {place} cannot be used: expected {expected}, "
                f"{error.problem}. Correct or remove them. {cure}"
            ) from None
        if found:
            remember(*found.secrets)
            yield found


def _read_notebook_token() -> Credentials | None:
    in_notebook = {"KAGGLE_KERNEL_RUN_TYPE", "KAGGLE_DATA_PROXY_URL"} <= os.environ.keys()
    path = pasted.variable("KAGGLE_API_V1_TOKEN") if in_notebook else ""
    return _read_token(expand_user(path)) if path else None


def _read_token_variable() -> Credentials | None:
    name = "KAGGLE_API_TOKEN"
    value = pasted.variable(name)
    with suppress(OSError, RuntimeError):  # too long for a file's name, or of an unknown user
        path = Path(value).expanduser()
        if value and path.exists():
            if found := _read_token(path):
                return found
            raise UnusableError(str(path), "found an empty file")
    if value.startswith(_BEGINS_LIKE_A_PATH):
        raise UnusableError(name, "found the name of a file that does not exist")
    return _parse_token(name, value)


def _read_token(path: Path) -> Credentials | None:
    return _parse_token(_shorten(path), pasted.read(path))


def _parse_token(place: str, text: str) -> Credentials | None:
    if not text:
        return None
    content = pasted.parse(place, text)
    if isinstance(content, str):
        return AccessToken(place, content)
    return _make_key(place, content.get("username"), content.get("key"))


def _read_key() -> Credentials | None:
    user, key = pasted.variable("KAGGLE_USERNAME"), pasted.variable("KAGGLE_KEY")
    path = _configuration_folder() / "kaggle.json"
    place = "KAGGLE_KEY" if key else _shorten(path)
    if user and key:
        return _make_key(place, user, key)
    text = pasted.read(path)
    content = pasted.parse(_shorten(path), text) if text else {}
    if isinstance(content, str):
        return AccessToken(_shorten(path), content)
    if not content.keys() & {"username", "key"}:
        return None  # the client keeps other settings there, too
    return _make_key(place, user or content.get("username"), key or content.get("key"))


def _make_key(place: str, username: object, key: object) -> Key:
    for name, value in (("username", username), ("key", key)):
        if value is None:
            raise UnusableError(place, f"found no {name}")
    return Key(place, pasted.check_word(place, username), pasted.check_word(place, key))


def _read_login() -> Credentials | None:
    path = _home() / "credentials.json"
    place, text = _shorten(path), pasted.read(path)
    content = pasted.parse(place, text) if text else {}
    if isinstance(content, str):
        raise UnusableError(place, "found a single word")
    if not content.get("refresh_token"):
        return None
    refresh_token = pasted.check_word(place, content["refresh_token"])
    if not (content.get("access_token") and _lasts(content)):
        return Login(place, refresh_token, "")
    return Login(place, refresh_token, pasted.check_word(place, content["access_token"]))


def _lasts(content: dict[str, Any]) -> bool:
    try:
        expiration = datetime.fromisoformat(content["access_token_expiration"])
        return expiration > datetime.now(UTC) + _EXPIRES_SOON
    except (KeyError, TypeError, ValueError):
        return False


def _home() -> Path:
    return expand_user("~") / ".kaggle"


def _shorten(path: Path | str) -> str:
    return str(path).replace(f"{expand_user('~')}{os.sep}", f"~{os.sep}", 1)


def _configuration_folder() -> Path:
    if named := pasted.variable("KAGGLE_CONFIG_DIR"):
        return expand_user(named)
    if _home().exists() or not sys.platform.startswith("linux"):
        return _home()
    return Path(pasted.variable("XDG_CONFIG_HOME") or expand_user("~") / ".config") / "kaggle"
