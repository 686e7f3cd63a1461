"""Kaggle's official client, contained: the one module that imports it.

The client logs in when it is imported, prints help to stdout and exits where others raise, waits
forever for a silent server, keeps whatever bytes it was sent, and returns normally from an upload
that failed. Here it does none of that.
"""

import contextlib
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

from pipeline.errors import KaggleError
from pipeline.kaggle import credentials, messages
from pipeline.kaggle.messages import COMPETITION

Result = TypeVar("Result")

_NETWORK_ERRORS = (requests.RequestException, JSONDecodeError)
_PAGE_SIZE = 100
_SMALLEST_FULL_PAGE = 20
"""A page with fewer entries is the last, even where Kaggle grants less than it is asked for."""

_MOST_PAGES = 50


@dataclass(frozen=True)
class Timeouts:
    """How long Kaggle is waited for.

    Attributes:
        timeout_seconds: for a connection, for an answer, and for each further piece of it.
        tries: how often a request is made that is safe to repeat.
        delay_seconds: before the second try; doubled before each further one.
        longest_delay_seconds: where Kaggle asks to wait longer than this, that is reported.
        scoring_seconds: for the score of a submission.
        polling_seconds: between two looks at a submission.
    """

    timeout_seconds: float = 30
    tries: int = 4
    delay_seconds: float = 1
    longest_delay_seconds: float = 60
    scoring_seconds: float = 600
    polling_seconds: float = 5


DEFAULT_TIMEOUTS = Timeouts()


@dataclass(frozen=True)
class Submission:
    """A submission as Kaggle lists it.

    Attributes:
        reference: Kaggle's number for it.
        time: when it was made.
        description: the message it was made with.
        file_name: the name of the uploaded file.
        status: ``pending``, ``complete`` or ``error``.
        public_score: as Kaggle writes it; empty without one.
        error: why it could not be scored; empty if it could.
    """

    reference: int
    time: datetime
    description: str
    file_name: str
    status: str
    public_score: str
    error: str


class OutcomeUnknownError(KaggleError):
    """A submission was on its way when the connection broke, and Kaggle does not list it."""


class Client:
    """A login at Kaggle for the competition.

    Raises:
        KaggleError: there are no credentials, they are refused, or Kaggle is out of reach.
    """

    def __init__(self, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        credentials.ignore_empty_variables()
        self._patience = timeouts
        self._credentials = credentials.find()
        if not self._credentials:
            raise KaggleError(messages.explain_absence())
        self._api = self._ask(_log_in)

    def download(self, folder: Path) -> None:
        """Fetch the archive into ``folder``, or the rest of it; unchecked.

        Raises:
            KaggleError: it did not arrive.
        """
        quiet = not sys.stderr.isatty()
        if quiet:
            print(f"fetching the files of {COMPETITION} from Kaggle", file=sys.stderr)
        with contextlib.suppress(ValueError):  # more bytes than announced, which the caller finds
            self._ask(
                partial(
                    self._api.competition_download_files, COMPETITION, path=str(folder), quiet=quiet
                )
            )

    def submissions(self, *, newest: bool = False) -> list[Submission]:
        """Everything that was submitted, the newest first.

        Args:
            newest: whether the newest ones will do, a single page.

        Raises:
            KaggleError: Kaggle does not tell.
        """
        found: dict[int, Submission] = {}
        for page in range(1, 2 if newest else _MOST_PAGES + 1):
            listed = self._ask(
                partial(
                    self._api.competition_submissions,
                    COMPETITION,
                    page_number=page,
                    page_size=_PAGE_SIZE,
                )
            )
            unseen = [_read(item) for item in listed or [] if item.ref not in found]
            found |= {submission.reference: submission for submission in unseen}
            if len(unseen) < _SMALLEST_FULL_PAGE:
                break
        return list(found.values())

    def submissions_left(self) -> int:
        """How many submissions are still allowed today.

        Raises:
            KaggleError: Kaggle does not tell, or the account has not joined the competition.
        """
        limits = self._ask(partial(self._api.competition_get_submission_limits, COMPETITION))
        if not (limits.num_allowed_now or limits.num_today or limits.num_total):
            raise KaggleError(
                "Kaggle allows no submission, though none was made: the account has not joined the "
                f"competition. Join it and accept its rules at {messages.PAGE}/rules; if Kaggle "
                f"asks for it, verify your phone number at {messages.SETTINGS}."
            )
        return int(limits.num_allowed_now)

    def submit(self, path: Path, description: str, earlier: set[int]) -> int:
        """Upload a CSV and submit it, once; its reference.

        When Kaggle's answer is lost, the submission is looked for among those listed, and not made
        again.

        Args:
            path: the CSV.
            description: the message, which must tell this file from others.
            earlier: references of all submissions made before.

        Raises:
            KaggleError: it was not submitted.
            OutcomeUnknownError: it may have been.
        """
        quiet = not sys.stderr.isatty()
        try:
            response = self._ask(
                partial(self._api.competition_submit, str(path), description, COMPETITION, quiet),
                may_repeat=_is_harmless,
            )
        except _AnswerLostError:
            return self._find_lost(description, earlier)
        if response.message == self._api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE:
            raise KaggleError(
                f"Kaggle did not take the bytes of {path}, or the connection broke on the way. "
                "Nothing was submitted, and nothing counts towards the day's quota. Try again."
            )
        return int(response.ref) or self._find_lost(description, earlier)

    def _find_lost(self, description: str, earlier: set[int]) -> int:
        problem = "it is not among the submissions that Kaggle lists"
        for delay in [0, *self._delays()]:
            time.sleep(delay)
            try:
                listed = self.submissions(newest=True)
            except KaggleError as error:
                problem = f"the list of submissions could not be read. {error}"
                break
            for submission in listed:
                if submission.description == description and submission.reference not in earlier:
                    return submission.reference
        raise OutcomeUnknownError(
            "The connection was lost while Kaggle was taking the submission, and whether it did is "
            f"unknown: {problem.rstrip('.')}. It was not sent again, as a second one would count "
            "towards the day's quota. Look in a few minutes with: digits scores. If it is not "
            "listed then, submit again."
        )

    def _ask(
        self,
        action: Callable[[], Result],
        *,
        may_repeat: Callable[[Exception], bool] = lambda error: True,
    ) -> Result:
        """Call the client, again after a failure that may pass.

        Args:
            action: the call.
            may_repeat: whether the call, having failed so, can be made again without harm.

        Raises:
            KaggleError: with the cause and its cure.
            _AnswerLostError: it failed in a way that must not be repeated and left no answer.
        """
        for delay in [*self._delays(), None]:
            try:
                with _contained(self._patience):
                    return action()
            except SystemExit:
                raise KaggleError(messages.explain_login(self._credentials)) from None
            except (OSError, JSONDecodeError) as error:
                if not isinstance(error, _NETWORK_ERRORS) and error.errno is not None:
                    raise  # the disk's
                asked = messages.seconds_to_wait(error)
                refused = asked is None and isinstance(error, requests.HTTPError)
                if not refused and not may_repeat(error):
                    raise _AnswerLostError from None
                if asked is None or delay is None or asked > self._patience.longest_delay_seconds:
                    message = messages.explain(error, self._credentials)
                    raise KaggleError(message) from None
                time.sleep(max(asked, delay))
        raise AssertionError

    def _delays(self) -> list[float]:
        return [self._patience.delay_seconds * 2**n for n in range(self._patience.tries - 1)]


class _AnswerLostError(Exception):
    """A request that must not be repeated was sent, and what became of it is unknown."""


def _log_in() -> Any:
    from kaggle.api.kaggle_api_extended import KaggleApi

    api = KaggleApi()
    api.authenticate()
    api.download_file = partial(api.download_file, max_retries=0)
    return api


def _is_harmless(error: Exception) -> bool:
    """Whether submitting failed before Kaggle was asked to score, or because it declined to."""
    request = getattr(error, "request", None)
    response = getattr(error, "response", None)
    if response is not None and response.status_code == 429:
        return True
    return request is not None and not str(request.url).endswith("/CreateSubmission")


@contextlib.contextmanager
def _contained(timeouts: Timeouts) -> Iterator[None]:
    """Keep the client from waiting without end and from printing or logging anything.

    It sets no timeout and repeats an upload for minutes; with VERBOSE in the environment it prints
    its Authorization headers, and urllib3 logs signed addresses.
    """
    send = HTTPAdapter.send

    def send_bounded(
        adapter: HTTPAdapter, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        retries = adapter.max_retries
        adapter.max_retries = retries.new(
            total=min(int(retries.total or 0), timeouts.tries - 1),
            backoff_factor=timeouts.delay_seconds,
        )
        return send(adapter, request, **options | {"timeout": timeouts.timeout_seconds})

    silenced = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    HTTPAdapter.send = send_bounded  # type: ignore[assignment, method-assign]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        HTTPAdapter.send = send  # type: ignore[method-assign]
        logging.disable(silenced)


def _read(item: Any) -> Submission:
    return Submission(
        reference=int(item.ref),
        time=item.date,
        description=item.description or "",
        file_name=item.file_name or "",
        status=item.status.name.lower(),
        public_score=item.public_score or "",
        error=item.error_description or "",
    )
