"""The competition at Kaggle: its files, its submissions, and sending one."""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import KaggleError
from pipeline.kaggle import answers
from pipeline.kaggle.credentials import COMPETITION, PAGE, SETTINGS
from pipeline.kaggle.redaction import redact
from pipeline.kaggle.session import DEFAULT_TIMEOUTS, AnswerLostError, Session, Timeouts
from pipeline.kaggle.submission import Submission

_PAGE_SIZE = 100
_SMALLEST_FULL_PAGE = 20
"""A page with fewer entries is the last, even where Kaggle grants less than it is asked for."""

_MOST_PAGES = 50

_OTHER_SIZE = "does not match expected size"
"""In the client's words for a file of more bytes than were announced, which the caller finds."""


class OutcomeUnknownError(KaggleError):
    """A submission was on its way when the connection broke, and Kaggle does not list it."""


class Client:
    """A login at Kaggle for the competition.

    Raises:
        KaggleError: there are no credentials, they are refused, or Kaggle is out of reach.
    """

    def __init__(self, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        self._session = Session(timeouts)
        self._api = self._session.api

    def download(self, folder: Path) -> None:
        """Fetch the archive into ``folder``, or the rest of it; unchecked.

        Raises:
            KaggleError: it did not arrive.
        """
        quiet = not sys.stderr.isatty()
        if quiet:
            print(f"fetching the files of {COMPETITION} from Kaggle", file=sys.stderr)

        def fetch() -> None:
            try:
                self._api.competition_download_files(COMPETITION, path=str(folder), quiet=quiet)
            except ValueError as error:
                if _OTHER_SIZE not in str(error):
                    raise

        self._session.ask(fetch)

    def submissions(self, *, newest: bool = False) -> list[Submission]:
        """Everything that was submitted, the newest first.

        Args:
            newest: whether the newest ones will do, a single page.

        Raises:
            KaggleError: Kaggle does not tell.
        """
        found: dict[int, Submission] = {}
        for page in range(1, 2 if newest else _MOST_PAGES + 1):
            listed = self._session.ask(partial(self._list_page, page))
            unseen = [item for item in listed if item.reference not in found]
            found |= {submission.reference: submission for submission in unseen}
            if len(unseen) < _SMALLEST_FULL_PAGE:
                break
        return list(found.values())

    def submissions_left(self) -> int:
        """How many submissions are still allowed today.

        Raises:
            KaggleError: Kaggle does not tell, or the account has not joined the competition.
        """

        def look() -> tuple[int, bool]:
            limits = self._api.competition_get_submission_limits(COMPETITION)
            made = limits.num_today or limits.num_total
            return answers.read_integer(limits.num_allowed_now), bool(made)

        left, has_submitted = self._session.ask(look)
        if not (left or has_submitted):
            raise KaggleError(
                "Kaggle allows no submission, though none was made: the account has not joined the "
                f"competition. Join it and accept its rules at {PAGE}/rules; if Kaggle asks for "
                f"it, verify your phone number at {SETTINGS}."
            )
        return left

    def submit(
        self, path: Path, description: str, earlier: set[int], *, before: Callable[[], object]
    ) -> int:
        """Upload a CSV and submit it, once; its reference.

        When Kaggle's answer is lost, the submission is looked for among those listed, and not made
        again.

        Args:
            path: the CSV.
            description: the message, which must tell this file from others.
            earlier: references of all submissions made before.
            before: is called when the bytes are at Kaggle, right before the submission is made.

        Raises:
            KaggleError: it was not submitted.
            OutcomeUnknownError: it may have been.
        """

        def send() -> int | None:
            response = self._api.competition_submit(
                str(path), description, COMPETITION, not sys.stderr.isatty()
            )
            failed = response.message == self._api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE
            return None if failed else answers.read_integer(response.ref, least=1)

        try:
            reference = self._session.ask(send, only_once="CreateSubmission", before=before)
        except AnswerLostError:
            reference = 0
        if reference is None:
            raise KaggleError(
                f"Kaggle did not take the bytes of {path}, or the connection broke on the way. "
                "Nothing was submitted, and nothing counts towards the day's quota. Try again."
            )
        return reference or self._find_lost(description, earlier)

    def _find_lost(self, description: str, earlier: set[int]) -> int:
        problem = "Kaggle does not list it"
        for delay in [0, *self._session.delays()]:
            time.sleep(delay)
            try:
                listed = self.submissions(newest=True)
            except KaggleError as error:
                problem = f"Kaggle's list could not be read: {error}"
                break
            for submission in listed:
                is_new = submission.reference not in earlier
                if is_new and submission.description == answers.read_text(description):
                    return submission.reference
        raise OutcomeUnknownError(
            "The connection was lost while Kaggle was taking the submission. Whether it did is "
            "unknown; it was not sent again, as a second one would count towards the day's quota. "
            "Look in some minutes with: digits scores\n"
            f"Why it is unknown: {problem}"
        )

    def _list_page(self, page: int) -> list[Submission]:
        listed = self._api.competition_submissions(
            COMPETITION, page_number=page, page_size=_PAGE_SIZE
        )
        return [_read(item) for item in listed or []]


def _read(item: Any) -> Submission:
    return Submission(
        reference=answers.read_integer(item.ref, least=1),
        time=answers.read_time(item.date),
        description=answers.read_text(item.description),
        file_name=answers.read_text(item.file_name),
        status=item.status.name.lower(),
        public_score=answers.read_text(item.public_score),
        error=redact(answers.read_text(item.error_description)),
    )
