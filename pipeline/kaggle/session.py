"""Kaggle's official client, contained: nothing calls it but through this.

The client logs in when it is imported, reads credentials as they were pasted, prints help to stdout
and exits where others raise, waits forever for a silent server, shows whole tokens in tracebacks,
and with VERBOSE in the environment prints its Authorization headers. Here it does none of that.
"""

import contextlib
import io
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar, cast

import requests
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from pipeline.errors import KaggleError
from pipeline.kaggle import credentials, error_messages
from pipeline.kaggle.credentials import AccessToken, Credentials, Key, Login
from pipeline.kaggle.redaction import remember

Result = TypeVar("Result")

_NOWHERE = os.devnull
"""A home and a folder of settings that exist, and in which nothing can be found or written."""

_KEPT_VARIABLE = "KAGGLE_API_ENVIRONMENT"
_VERBOSITY = ("VERBOSE", "VERBOSE_OUTPUT")


@dataclass(frozen=True)
class Timeouts:
    """How long Kaggle is waited for.

    Attributes:
        timeout_seconds: for a connection, for an answer, and for each further piece of it.
        tries: how often a request is made that is safe to repeat.
        delay_seconds: before the second try; doubled before each further one.
        longest_delay_seconds: where Kaggle asks to wait longer than this, that is reported.
        scoring_seconds: for the score of a submission.
        polling_seconds: between two looks at a submission or a run.
    """

    timeout_seconds: float = 30
    tries: int = 4
    delay_seconds: float = 1
    longest_delay_seconds: float = 60
    scoring_seconds: float = 600
    polling_seconds: float = 5


DEFAULT_TIMEOUTS = Timeouts()


class AnswerLostError(Exception):
    """A request that must not be repeated was sent, and what became of it is unknown."""


class Session:
    """The client with the credentials at hand.

    Attributes:
        api: Kaggle's ``KaggleApi``, to be called through `ask`.

    Raises:
        KaggleError: there are no credentials, or they cannot be used.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._requested: list[str] = []
        found = credentials.find()
        if found is None:
            raise KaggleError(credentials.NONE_FOUND)
        self._credentials: Credentials = found
        self.api: Any = None
        self.api = self.ask(self._open)

    def ask(
        self,
        action: Callable[[], Result],
        *,
        only_once: str | None = None,
        before: Callable[[], object] = lambda: None,
    ) -> Result:
        """Call the client, again after a failure that may pass, or with a new token of a login.

        Nothing that the client raises leaves this method, nor hangs on to what does.

        Args:
            action: the call.
            only_once: a method of Kaggle's that must not be asked for again, once it was.
            before: is called right before that method is asked for.

        Raises:
            KaggleError: with the cause and its cure.
            AnswerLostError: ``only_once`` was asked for, and there is no answer.
        """
        result, failure, is_unknown = self._try(action, only_once, before)
        if is_unknown and self.api and isinstance(self._credentials, Login):
            self._credentials = replace(self._credentials, access_token="")
            _, failure, _ = self._try(partial(self._log_in, self.api))
            if not failure:
                result, failure, _ = self._try(action, only_once, before)
        if failure:
            raise failure
        return cast(Result, result)

    def _try(
        self,
        action: Callable[[], Result],
        only_once: str | None = None,
        before: Callable[[], object] = lambda: None,
    ) -> tuple[Result | None, Exception | None, bool]:
        """What came of an action, the error to raise, and whether Kaggle did not know who asks."""
        retrying = Retrying(
            stop=stop_after_attempt(self.timeouts.tries),
            wait=self._delay,
            retry=retry_if_exception(lambda error: self._may_pass(error, only_once)),
            reraise=True,
        )
        try:
            return retrying(self._call, action, only_once, before), None, False
        except (Exception, SystemExit) as error:
            is_unknown = error_messages.is_unknown_user(error)
            return None, self._translate(error, only_once), is_unknown

    def delays(self) -> Iterator[float]:
        """The seconds to wait before each further try."""
        return (self.timeouts.delay_seconds * 2**n for n in range(self.timeouts.tries - 1))

    def _call(
        self, action: Callable[[], Result], only_once: str | None, before: Callable[[], object]
    ) -> Result:
        self._requested.clear()

        def note(method: str) -> None:
            if method == only_once:
                before()
            self._requested.append(method)

        try:
            with _contained(self.timeouts, note):
                return action()
        except BaseException as error:
            _release(error)
            raise

    def _delay(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error_messages.seconds_to_wait(error) or 0
        return max(asked, self.timeouts.delay_seconds * 2.0 ** (state.attempt_number - 1))

    def _may_pass(self, error: BaseException, only_once: str | None) -> bool:
        asked = error_messages.seconds_to_wait(error)
        return (
            asked is not None
            and asked <= self.timeouts.longest_delay_seconds
            and not self._is_lost(error, only_once)
        )

    def _is_lost(self, error: BaseException, only_once: str | None) -> bool:
        return only_once in self._requested and not error_messages.is_refusal(error)

    def _translate(self, error: BaseException, only_once: str | None) -> Exception:
        if self._is_lost(error, only_once):
            return AnswerLostError()
        if isinstance(error, OSError) and error_messages.is_of_disk(error):
            return OSError(error.errno, error.strerror, error.filename)
        return KaggleError(error_messages.explain(error, self._credentials))

    def _open(self) -> Any:
        from kaggle.api.kaggle_api_extended import KaggleApi

        api = KaggleApi()
        api.download_file = partial(api.download_file, max_retries=0)
        self._log_in(api)
        return api

    def _log_in(self, api: Any) -> None:
        """Hand the credentials to the client."""
        match self._credentials:
            case AccessToken(token=token):
                api.config_values = {api.CONFIG_NAME_TOKEN: token}
            case Key(username=username, key=key):
                api.config_values = {api.CONFIG_NAME_USER: username, api.CONFIG_NAME_KEY: key}
            case Login(access_token=token, refresh_token=refresh_token):
                token = token or _ask_for_token(api, refresh_token)
                api.config_values = {api.CONFIG_NAME_TOKEN: token}


def _release(error: BaseException | None) -> None:
    """Let go of what the frames of an exception and of its causes hold: connections, secrets."""
    while error:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _ask_for_token(api: Any, refresh_token: str) -> str:
    from kagglesdk.kaggle_creds import KaggleCredentials

    with api.build_kaggle_client() as client:
        stored = KaggleCredentials(client, refresh_token=refresh_token)
        token = str(stored.generate_access_token().token)
    remember(token)
    return token


@contextlib.contextmanager
def _contained(timeouts: Timeouts, note: Callable[[str], object]) -> Iterator[None]:
    """Bound every request, note its method, and let the client print, log and find nothing.

    The client sets no timeout and repeats an upload for minutes.
    """
    send = HTTPAdapter.send

    def send_bounded(
        adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        note(str(request.url).rsplit("/", 1)[-1])
        retries = adapter.max_retries
        adapter.max_retries = retries.new(
            total=min(int(retries.total or 0), timeouts.tries - 1),
            backoff_factor=timeouts.delay_seconds,
            respect_retry_after_header=False,
        )
        return send(adapter, request, **options | {"timeout": timeouts.timeout_seconds})

    silenced = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    HTTPAdapter.send = send_bounded  # type: ignore[assignment, method-assign]
    try:
        with _own_environment(), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]
        logging.disable(silenced)


@contextlib.contextmanager
def _own_environment() -> Iterator[None]:
    """Hide the user's credentials from the client: it is handed those that were checked."""
    hidden = {name for name in os.environ if name.startswith("KAGGLE_")} - {_KEPT_VARIABLE}
    own = dict.fromkeys(("HOME", "USERPROFILE", "KAGGLE_CONFIG_DIR"), _NOWHERE)
    before = {name: os.environ.get(name) for name in {*hidden, *_VERBOSITY, *own}}
    _set_variables(dict.fromkeys(before) | own)
    try:
        yield
    finally:
        _set_variables(before)


def _set_variables(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
