"""Why Kaggle's client failed, in one paragraph with the cure, and whether waiting may help."""

import errno
import importlib.util
import os
import ssl
import time
import traceback
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import ReadTimeoutError

from pipeline.kaggle import answers
from pipeline.kaggle.credentials import (
    COMPETITION,
    NEW_TOKEN,
    PAGE,
    SETTINGS,
    AccessToken,
    Credentials,
    Login,
    find_alternative,
)

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_PASSING = (408, 425, 429)
"""Refusals that a later request need not meet: it was too slow, too early, one too many."""

_REFUSALS = (400, 401, 403, 404, 409, 413, 422, 429)
"""Answers after which nothing was done for sure; others may come from a server in between."""

_ADDRESS = "https://www.kaggle.com"
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "http_proxy", "HTTP_PROXY")
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def explain(error: BaseException, used: Credentials) -> str:
    """What `error`, raised by the client, means, and what to do about it.

    Args:
        error: of any type.
        used: the credentials that the client was given.
    """
    match error:
        case requests.HTTPError() if error.response is not None:
            return _explain_status(error.response, used)
        case OSError() if "certificate" in str(error).lower() or _is_of_tls(error):
            return _explain_certificates()
        case (
            requests.exceptions.InvalidSchema() | requests.exceptions.InvalidURL() | UnicodeError()
        ) if problem := _find_proxy_problem():
            return problem
        case requests.exceptions.ProxyError():
            return (
                "The proxy between this machine and Kaggle did not let the request through, or "
                f"lost the connection. Check the address, user and password in {_proxy()} (or "
                "unset it, if none is needed) and the network, then try again."
            )
        case JSONDecodeError():
            return _explain_other_answer("JSON", "another text")
        case requests.exceptions.InvalidSchema() | requests.exceptions.InvalidURL():
            return _explain_other_answer("a link", "something that is none")
        case OSError() if _is_timeout(error):
            return (
                "Kaggle does not answer: nothing came for too long. Try again later, or, if a "
                "browser reaches https://www.kaggle.com, look at HTTPS_PROXY and firewalls. What "
                "was fetched so far is kept."
            )
        case requests.RequestException() | ConnectionError():
            return (
                "Kaggle is out of reach: the connection could not be made, or was lost. Check the "
                "network (does https://www.kaggle.com open in a browser?) and, behind a proxy, "
                "HTTPS_PROXY; then try again. What was fetched so far is kept."
            )
    return (
        f"Kaggle's client failed in an unknown way: {_describe(error)}. Try again. If it fails "
        "again, report it to this project with this message."
    )


def seconds_to_wait(error: BaseException | None) -> float | None:
    """How long Kaggle asks to wait before the next try: 0 if it does not say, None if never."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return _retry_after(error.response) if may_pass(error.response) else None
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    if isinstance(error, passing) and not isinstance(error, requests.exceptions.SSLError):
        return 0
    return None


def may_pass(response: requests.Response) -> bool:
    """Whether the same request may be answered well later."""
    return response.status_code in _PASSING or response.status_code >= 500


def is_refusal(error: BaseException) -> bool:
    """Whether Kaggle answered that it does not do what was asked."""
    response = error.response if isinstance(error, requests.HTTPError) else None
    return response is not None and response.status_code in _REFUSALS


def is_unknown_user(error: BaseException) -> bool:
    """Whether Kaggle answered that it does not know who asks."""
    response = error.response if isinstance(error, requests.HTTPError) else None
    return response is not None and response.status_code == 401


def describe(response: requests.Response) -> str:
    """The status of an answer, and Kaggle's own words if there are any: ``403: not yours``."""
    try:
        words = answers.quote(response.json()["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        words = ""
    return f"{response.status_code}{f': {words}' if words else ''}"


def is_of_disk(error: OSError) -> bool:
    """Whether a file could not be written or read."""
    network = isinstance(error, requests.RequestException)
    return not network and (error.filename is not None or error.errno in _DISK_ERRORS)


def _explain_status(response: requests.Response, used: Credentials) -> str:
    answer = describe(response)
    if response.status_code >= 400 and not (may_pass(response) or _is_of_api(response)):
        return (
            f"Kaggle's storage did not accept the link that Kaggle gave out ({answer}). Such a "
            "link is good for some minutes: try again. If it is refused again, look at this "
            "machine's clock, and at proxies that change addresses."
        )
    match response.status_code:
        case 401:
            return _explain_unknown_user(answer, used)
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
        case _ if may_pass(response):
            return f"Kaggle is out of order at the moment ({answer}). Try again later."
        case 400 | 413 | 422:
            return f"Kaggle refused the request ({answer}). Change what it names, then try again."
    return (
        f"Kaggle refused the request ({answer}). Try again in some minutes; if it is refused "
        "again, the client is probably too old: pip install --upgrade kaggle"
    )


def _explain_unknown_user(answer: str, used: Credentials) -> str:
    if isinstance(used, Login):
        return (
            f"The Kaggle login in {used.place} is no longer valid ({answer}). Log in again with: "
            "kaggle auth login"
        )
    other = find_alternative()
    if isinstance(used, AccessToken) and other:
        return (
            f"Kaggle refused the access token in {used.place} ({answer}): it is wrong or expired. "
            f"The {other.kind} in {other.place} is used only without it. Replace the token, or "
            "remove it to use the other one."
        )
    return (
        f"Kaggle refused the {used.kind} in {used.place} ({answer}): it is wrong, expired or was "
        f"revoked. {NEW_TOKEN}. Kaggle also answers so while the rules at {PAGE}/rules are not "
        "accepted."
    )


def _is_of_api(response: requests.Response) -> bool:
    """Whether Kaggle itself answered, and not the storage that its links lead to."""
    return not response.url or urlsplit(response.url).path.startswith(("/v1/", "/api/v1/"))


def _is_timeout(error: BaseException) -> bool:
    """Whether an exception, or one that it wraps, says that nothing came for too long."""
    wrapped = [*error.args, getattr(error, "reason", None)]
    return isinstance(error, requests.Timeout | TimeoutError | ReadTimeoutError) or any(
        _is_timeout(each) for each in wrapped if isinstance(each, BaseException)
    )


def _is_of_tls(error: OSError) -> bool:
    return isinstance(error, requests.exceptions.SSLError | ssl.SSLError)


def _explain_other_answer(expected: str, found: str) -> str:
    return (
        f"Something else than Kaggle answered: expected {expected}, found {found}, perhaps the "
        "login page of a network or a proxy. Open https://www.kaggle.com in a browser, log in "
        "where you are asked to, and try again."
    )


def _explain_certificates() -> str:
    """No trusted connection: a variable leads nowhere, or the certificate is not known."""
    name = next((name for name in _BUNDLES if os.environ.get(name)), None)
    path = Path(os.environ[name]) if name else None
    if path and (problem := _find_bundle_problem(path)):
        return (
            f"The certificates to trust cannot be read: {name} names {path}, {problem}. Correct "
            "the variable, or unset it to trust the usual authorities; then try again."
        )
    return (
        "The connection to Kaggle is not trusted: its certificate could not be verified. Expected "
        "one that this machine's list of authorities vouches for. If a proxy of your network signs "
        "with its own, name its PEM file in REQUESTS_CA_BUNDLE (SSL_CERT_FILE is not looked at); "
        "check the clock, too."
    )


def _find_bundle_problem(path: Path) -> str | None:
    try:
        if path.is_dir():
            return None if any(path.iterdir()) else "a folder without certificates"
        ssl.create_default_context(cafile=path)
    except FileNotFoundError:
        return "which does not exist"
    except ssl.SSLError:
        return "which holds no certificates in PEM form"
    except OSError as error:
        return f"which cannot be read ({error.strerror})"
    return None


def _proxy() -> str:
    """The variable that names the proxy on the way to Kaggle; empty if there is none."""
    used = select_proxy(_ADDRESS, get_environ_proxies(_ADDRESS))
    return next((name for name in _PROXIES if used and os.environ.get(name) == used), "")


def _find_proxy_problem() -> str | None:
    """Why the proxy's variable cannot be used, and what to do about it; None if it can."""
    name = _proxy()
    address = os.environ.get(name, "")
    scheme, separator, _ = address.partition("://")
    if separator and scheme.lower() in ("socks5", "socks5h", "socks4", "socks4a"):
        if importlib.util.find_spec("socks"):
            return None
        return (
            f"{name} names a SOCKS proxy ({scheme}://…), and Python lacks SOCKS support here. "
            "Install it with: pip install pysocks"
        )
    if separator and scheme.lower().startswith("socks"):
        return (
            f"{name} names a SOCKS proxy of an unknown version ({scheme}://…): expected socks5h:// "
            "or socks4a://. Write one of these, and install SOCKS support with: pip install pysocks"
        )
    if not name or _is_proxy_address(address if separator else f"http://{address}"):
        return None
    return (
        f"{name} is no address of a proxy: expected http://HOST:PORT or http://USER:PASSWORD@HOST:"
        "PORT, with special characters in the password written as %40 and the like, and none "
        "beyond Latin-1. Correct or unset it, then try again."
    )


def _is_proxy_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        unquote(f"{parts.username}{parts.password}").encode("latin-1")
        is_place = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(is_place) and address == address.strip()


def _describe(error: BaseException) -> str:
    """Type, message and place of an unknown exception, in one line and without secrets."""
    message = answers.quote(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f", in {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{f' ({message})' if message else ''}{place}"


def _retry_after(response: requests.Response) -> float:
    value = response.headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0)
    except ValueError:
        return 0
