"""Secrets that this process has read, kept out of everything that it shows."""

import re
import sys
import traceback
from types import TracebackType
from urllib.parse import quote

_SHORTEST_SECRET = 4
"""Shorter ones are no secrets, and hiding them would garble messages."""

_URL_LOGIN = re.compile(r"(?<=://)[^\s/@]+(?:/[^\s@]*)?@")
_URL_QUERY = re.compile(r"(?<=\w)\?[\w.%-]+=[^\s'\")]*")

_secrets: set[str] = set()


def remember(*secrets: str) -> None:
    """Keep ``secrets`` out of every later message and traceback of this process."""
    _secrets.update(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)
    sys.excepthook = _print_redacted


def redact(text: str) -> str:
    """``text`` without secrets: those remembered, logins in addresses, and signed addresses."""
    for secret in sorted(_secrets, key=len, reverse=True):
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, "…")
    return _URL_QUERY.sub("?…", _URL_LOGIN.sub("…@", text))


def _print_redacted(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    print(redact("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)
