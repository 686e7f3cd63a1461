"""Notebooks at Kaggle: sending one, following its run, fetching what it leaves.

A run is asked for by its version, as Kaggle otherwise answers for the newest, whoever made it. The
client's own methods do not pass a version on; its API takes one, as the label ``v3``.
"""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import requests

from pipeline.errors import KaggleError
from pipeline.kaggle import answers, error_messages, kernel_refusals
from pipeline.kaggle.client import OutcomeUnknownError
from pipeline.kaggle.kernel import LogLine, Output, RunStatus, Saved, Version, read_event, read_log
from pipeline.kaggle.session import DEFAULT_TIMEOUTS, AnswerLostError, Session, Timeouts

Result = TypeVar("Result")

_ABSENT = (403, 404)
"""Kaggle's answers where a notebook does not exist: it does not tell that from a foreign one."""

_LONGEST_LIST = 100
_MOST_LISTS = 50
_CHUNK_BYTES = 1 << 20
_REQUESTS = {
    "get_kernel": "ApiGetKernelRequest",
    "get_kernel_session_status": "ApiGetKernelSessionStatusRequest",
    "list_kernel_session_output": "ApiListKernelSessionOutputRequest",
}


class Kernels:
    """A login at Kaggle for notebooks.

    Raises:
        KaggleError: there are no credentials, they are refused, or Kaggle is out of reach.
    """

    def __init__(self, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
        self._session = Session(timeouts)
        self._api = self._session.api

    def username(self) -> str:
        """Whose account it is.

        Raises:
            KaggleError: Kaggle does not tell.
        """
        known = self._api.config_values.get(self._api.CONFIG_NAME_USER)
        name = str(known or self._session.ask(self._introspect))
        if not re.fullmatch(r"[\w-]+", name):
            raise KaggleError(
                "Kaggle does not tell whose account the credentials belong to. Name the notebook "
                "with its owner: --id USER/SLUG"
            )
        return name

    def read(self, kernel: str, number: int | None = None) -> Saved | None:
        """A version of a notebook, or the newest; None if the account has none there.

        Raises:
            KaggleError: Kaggle does not tell.
        """

        def read(answer: Any) -> Saved:
            number = answers.read_integer(answer.metadata.current_version_number, least=1)
            return Saved(number, str(answer.blob.source))

        return self._ask_about("get_kernel", kernel, number, read)

    def push(self, folder: Path, kernel: str, mark: str, earlier: int) -> Version:
        """Send a notebook once, which starts its run.

        When Kaggle's answer is lost, the version is looked for, and not sent again.

        Args:
            folder: with the notebook and ``kernel-metadata.json``.
            kernel: the address that the latter names.
            mark: text that tells this notebook from others.
            earlier: the number of the newest version before; 0 without one.

        Raises:
            KaggleError: it was not sent, or Kaggle lacks what it needs.
            OutcomeUnknownError: it may have been sent.
        """

        def send() -> Version | KaggleError | None:
            try:
                answer = self._api.kernels_push(str(folder))
            except requests.HTTPError as error:
                if refusal := kernel_refusals.of_status(kernel, error):
                    return refusal
                raise
            address = _find_address(answer.ref, answer.url) or kernel
            number = answer.version_number
            found = Version(address, answers.read_integer(number, least=1)) if number else None
            return kernel_refusals.of_answer(kernel, answer) or found

        try:
            answer = self._session.ask(send, only_once="SaveKernel")
        except AnswerLostError:
            answer = None
        if isinstance(answer, KaggleError):
            raise answer
        return answer or self._find_lost(kernel, mark, earlier)

    def find(self, kernel: str, mark: str, earlier: int) -> Version | None:
        """The first version after ``earlier`` whose text holds ``mark``; None without one.

        Later ones that hold it were made from it in a browser.

        Raises:
            KaggleError: Kaggle does not tell.
        """
        newest = self.read(kernel)
        for number in range(earlier + 1, newest.newest + 1 if newest else 0):
            saved = newest if newest and number == newest.newest else self.read(kernel, number)
            if saved and mark in saved.source:
                return Version(kernel, number)
        return None

    def status(self, version: Version) -> RunStatus:
        """How far the run is.

        Raises:
            KaggleError: Kaggle does not tell.
        """

        def read(answer: Any) -> RunStatus:
            return RunStatus(answer.status.name.lower(), answers.quote(answer.failure_message))

        for delay in [0, *self._session.delays()]:  # Kaggle may need a moment to know a version
            time.sleep(delay)
            if status := self._ask_about("get_kernel_session_status", *version, read):
                return status
        raise kernel_refusals.not_found(version)

    def follow_log(self, version: Version) -> Iterator[LogLine]:
        """The lines of the newest run from its beginning, as they are printed.

        It ends with the run, and also where the connection breaks or nothing comes for long: what
        is missing comes with the next call, and the whole log with the output.
        """

        def begin() -> Iterator[Any]:
            events = self._api.kernels_logs_stream(version.kernel)
            return itertools.chain([next(events, None)], events)

        try:
            for event in self._session.ask(begin):
                yield from read_event(event)
        except (KaggleError, OSError, ValueError, TypeError, LookupError, RecursionError):
            return

    def output(self, version: Version) -> Output:
        """What the run has left, and its log.

        Raises:
            KaggleError: Kaggle does not tell.
        """
        files: dict[str, str] = {}
        log: list[LogLine] = []
        token = ""
        asked = {token}

        def read(answer: Any) -> tuple[Output, str]:
            addresses = {
                answers.read_text(file.file_name): answers.read_text(file.url)
                for file in answer.files or []
            }
            next_token = answers.read_text(answer.next_page_token)
            return Output(addresses, read_log(answer.log)), next_token

        for _ in range(_MOST_LISTS):
            found = self._ask_about(
                "list_kernel_session_output",
                *version,
                read,
                page_size=_LONGEST_LIST,
                page_token=token or None,
            )
            if found is None:
                raise kernel_refusals.not_found(version)
            listed, token = found
            files |= listed.files
            log = log or listed.log
            if token in asked:
                break
            asked.add(token)
        return Output(files, log)

    def download(self, address: str, path: Path) -> None:
        """Write what lies at a signed address to ``path``.

        Raises:
            KaggleError: it did not arrive.
        """

        def fetch() -> int:
            with requests.get(address, stream=True) as response:
                if error_messages.may_pass(response):
                    response.raise_for_status()
                if response.status_code == HTTPStatus.OK:
                    with path.open("wb") as file:
                        for chunk in response.iter_content(_CHUNK_BYTES):
                            file.write(chunk)
            return response.status_code

        status = self._session.ask(fetch)
        if status != HTTPStatus.OK:
            raise KaggleError(
                f"Kaggle's storage did not give an output file ({status}): perhaps its address has "
                "expired, or a proxy answered instead. Run the same command again."
            )

    def _find_lost(self, kernel: str, mark: str, earlier: int) -> Version:
        for delay in [0, *self._session.delays()]:
            time.sleep(delay)
            try:
                found = self.find(kernel, mark, earlier)
            except KaggleError:
                break
            if found:
                return found
        raise OutcomeUnknownError(
            "The connection was lost while Kaggle was taking the notebook, and whether it did is "
            "unknown. It was not sent again. Run the same command again in a minute: it asks "
            "Kaggle before it sends anything."
        )

    def _ask_about(
        self,
        method: str,
        kernel: str,
        number: int | None,
        read: Callable[[Any], Result],
        **options: Any,
    ) -> Result | None:
        """What ``read`` makes of Kaggle's answer about a version, or the newest; None: absent."""

        def ask() -> Result | None:
            from kagglesdk.kernels.types import kernels_api_service

            request = getattr(kernels_api_service, _REQUESTS[method])()
            request.user_name, request.kernel_slug = kernel.split("/")
            request.version_label = f"v{number}" if number else None
            for name, value in options.items():
                setattr(request, name, value)
            with self._api.build_kaggle_client() as kaggle:
                try:
                    answer = getattr(kaggle.kernels.kernels_api_client, method)(request)
                except requests.HTTPError as error:
                    if error.response is not None and error.response.status_code in _ABSENT:
                        return None
                    raise
            return read(answer)

        return self._session.ask(ask)

    def _introspect(self) -> str:
        from kagglesdk.security.types.oauth_service import IntrospectTokenRequest

        request = IntrospectTokenRequest()
        request.token = self._api.config_values[self._api.CONFIG_NAME_TOKEN]
        with self._api.build_kaggle_client() as kaggle:
            answer = kaggle.security.oauth_client.introspect_token(request)
        return answers.read_text(answer.username)


def _find_address(*references: str) -> str | None:
    """``USER/SLUG`` at the end of a reference or address of Kaggle's; None without one."""
    for reference in references:
        if found := re.search(r"([\w-]+/[\w-]+)/?$", reference or ""):
            return found[1]
    return None
