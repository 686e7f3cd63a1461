"""Why Kaggle's client failed, in one paragraph with the cure, and whether waiting may help."""

import time
from email.utils import parsedate_to_datetime
from json import JSONDecodeError

import requests

from pipeline.kaggle.credentials import Credentials, Kind, redact

COMPETITION = "digit-recognizer"
PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
SETTINGS = "https://www.kaggle.com/settings"

_QUOTED_CHARACTERS = 300
_NEW_TOKEN = f"Create a new token at {SETTINGS} and save it as ~/.kaggle/access_token"


def explain_absence() -> str:
    """No credentials were found."""
    return (
        "Kaggle asks for credentials, and none were found: expected an access token (in "
        "KAGGLE_API_TOKEN or ~/.kaggle/access_token), an API key (in KAGGLE_USERNAME and "
        "KAGGLE_KEY, or kaggle.json), or a login (kaggle auth login); empty ones do not count. "
        f"{_NEW_TOKEN}."
    )


def explain_login(at_hand: list[Credentials]) -> str:
    """The client did not get as far as a request: it found ``at_hand`` unusable."""
    first = at_hand[0]
    if first.kind is Kind.LOGIN:
        return (
            f"The Kaggle login in {first.place} is no longer valid. Log in again with: kaggle auth "
            "login"
        )
    return f"The {first.kind.value} in {first.place} is wrong or expired. {_NEW_TOKEN}."


def explain(error: Exception, at_hand: list[Credentials]) -> str:
    """What `error`, raised by the client, means, and what to do about it.

    Args:
        error: a failure of the network or an answer that refuses.
        at_hand: the credentials that were used, in the client's order.
    """
    match error:
        case requests.HTTPError() if error.response is not None:
            return _explain_status(error.response, at_hand)
        case requests.exceptions.SSLError() | OSError() if "certificate" in str(error).lower():
            return (
                "The connection to Kaggle is not trusted: its certificate could not be verified. "
                "Expected one that this machine's list of authorities vouches for. If a proxy of "
                "your network signs with its own, name its PEM file in REQUESTS_CA_BUNDLE; check "
                "the clock, too."
            )
        case requests.exceptions.ProxyError() | requests.exceptions.InvalidProxyURL():
            return (
                "The proxy between this machine and Kaggle did not let the request through, or "
                "lost the connection. Check the address, user and password in HTTPS_PROXY (or "
                "unset it, if none is needed) and the network, then try again."
            )
        case JSONDecodeError():
            return (
                "Something else than Kaggle answered: expected JSON, found another text, perhaps "
                "the login page of a network or a proxy. Open https://www.kaggle.com in a browser, "
                "log in where you are asked to, and try again."
            )
        case requests.Timeout():
            return (
                "Kaggle does not answer: nothing came for too long. Try again later, or, if a "
                "browser reaches https://www.kaggle.com, look at HTTPS_PROXY and firewalls. What "
                "was fetched so far is kept."
            )
    return (
        "Kaggle is out of reach: the connection could not be made, or was lost. Check the network "
        "(does https://www.kaggle.com open in a browser?) and, behind a proxy, HTTPS_PROXY; then "
        "try again. What was fetched so far is kept."
    )


def seconds_to_wait(error: Exception) -> float | None:
    """How long Kaggle asks to wait before the next try: 0 if it does not say, None if never."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        if error.response.status_code != 429 and error.response.status_code < 500:
            return None
        return _retry_after(error.response)
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    if isinstance(error, passing) and not isinstance(error, requests.exceptions.SSLError):
        return 0
    return None


def _explain_status(response: requests.Response, at_hand: list[Credentials]) -> str:
    answer = f"{response.status_code}{_quote(response)}"
    match response.status_code:
        case 401:
            return _explain_unknown_user(answer, at_hand)
        case 403:
            return (
                f"Kaggle refuses access to the competition {COMPETITION} ({answer}). Join it and "
                f"accept its rules at {PAGE}/rules, with the account that the credentials belong "
                f"to; if Kaggle asks for it, verify your phone number at {SETTINGS}."
            )
        case 404:
            return (
                f"Kaggle does not know what was asked for ({answer}): expected the competition "
                f"{COMPETITION}. If {PAGE} opens in a browser, the client is probably too old: "
                "pip install --upgrade kaggle"
            )
        case 429:
            seconds = _retry_after(response)
            wait = f"for {seconds:.0f} seconds" if seconds else "for some minutes"
            return f"Kaggle received too many requests ({answer}). Wait {wait}, then try again."
        case status if status >= 500:
            return f"Kaggle is out of order at the moment ({answer}). Try again later."
    return f"Kaggle refused the request ({answer})."


def _explain_unknown_user(answer: str, at_hand: list[Credentials]) -> str:
    first, *others = at_hand
    if first.kind is Kind.ACCESS_TOKEN and others:
        return (
            f"Kaggle refused the access token in {first.place} ({answer}): it is wrong or expired. "
            f"The client sends it although {others[0].place} holds another credential, an "
            f"{others[0].kind.value}. Replace the token, or remove it to use the other one."
        )
    return (
        f"Kaggle refused the {first.kind.value} in {first.place} ({answer}): it is wrong, expired "
        f"or was revoked. {_NEW_TOKEN}. Kaggle also answers so while the rules at {PAGE}/rules are "
        "not accepted."
    )


def _quote(response: requests.Response) -> str:
    """Kaggle's own words, if there are any, without secrets."""
    try:
        message = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    words = " ".join(str(message).split())[:_QUOTED_CHARACTERS]
    return f": {redact(words).rstrip('.')}" if words else ""


def _retry_after(response: requests.Response) -> float:
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0)
    except ValueError:
        return 0
