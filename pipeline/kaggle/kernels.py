"""Notebooks at Kaggle: sending one, following its run, fetching what it leaves.

A run is asked for by its version, as Kaggle otherwise answers for the newest, whoever made it. The
client's own methods do not pass a version on; its API takes one, as the label ``v3``.
"""

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from pipeline.errors import KaggleError
from pipeline.kaggle import error_messages, kernel_refusals
from pipeline.kaggle.client import OutcomeUnknownError
from pipeline.kaggle.kernel import LogLine, Output, RunStatus, Saved, Version, read_event, read_log
from pipeline.kaggle.session import DEFAULT_TIMEOUTS, AnswerLostError, Session, Timeouts

_CONFLICT = 409
_ABSENT = (403, 404)
"""Kaggle's answers where a notebook does not exist: it does not tell that from a foreign one."""

_LONGEST_LIST = 100
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
        name = known or self._session.ask(self._introspect)
        if not name:
            raise KaggleError(
                "Kaggle does not tell whose account the credentials belong to. Name the notebook "
                "with its owner: --id USER/SLUG"
            )
        return str(name)

    def read(self, kernel: str, number: int | None = None) -> Saved | None:
        """A version of a notebook, or the newest; None if the account has none there.

        Raises:
            KaggleError: Kaggle does not tell.
        """
        answer = self._ask_about("get_kernel", kernel, number)
        if answer is None:
            return None
        return Saved(int(answer.metadata.current_version_number), answer.blob.source)

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

        def send() -> Any:
            try:
                return self._api.kernels_push(str(folder))
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code == _CONFLICT:
                    return error_messages.quote(error.response)
                raise

        try:
            answer = self._session.ask(send, only_once="SaveKernel")
        except AnswerLostError:
            return self._find_lost(kernel, mark, earlier)
        if isinstance(answer, str):
            raise kernel_refusals.title_taken(kernel, answer)
        kernel_refusals.check(kernel, answer)
        if not answer.version_number:
            return self._find_lost(kernel, mark, earlier)
        return Version(_find_address(answer.ref, answer.url) or kernel, answer.version_number)

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
        for delay in [0, *self._session.delays()]:  # Kaggle may need a moment to know a version
            time.sleep(delay)
            answer = self._ask_about("get_kernel_session_status", *version)
            if answer is not None:
                message = kernel_refusals.shorten(answer.failure_message)
                return RunStatus(answer.status.name.lower(), message)
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
        except (KaggleError, OSError):
            return

    def output(self, version: Version) -> Output:
        """What the run has left, and its log.

        Raises:
            KaggleError: Kaggle does not tell.
        """
        files: dict[str, str] = {}
        log, token = "", None
        while True:
            answer = self._ask_about(
                "list_kernel_session_output", *version, page_size=_LONGEST_LIST, page_token=token
            )
            if answer is None:
                raise kernel_refusals.not_found(version)
            files |= {file.file_name: file.url for file in answer.files or []}
            log = log or answer.log
            if answer.next_page_token in ("", token):
                return Output(files, read_log(log))
            token = answer.next_page_token

    def download(self, address: str, path: Path) -> None:
        """Write what lies at a signed address to ``path``.

        Raises:
            KaggleError: it did not arrive.
        """

        def fetch() -> int | None:
            with requests.get(address, stream=True) as response:
                if 400 <= response.status_code < 500:
                    return response.status_code
                response.raise_for_status()
                with path.open("wb") as file:
                    for chunk in response.iter_content(_CHUNK_BYTES):
                        file.write(chunk)
            return None

        if refusal := self._session.ask(fetch):
            raise KaggleError(
                f"Kaggle's storage refused an output file ({refusal}); perhaps its address has "
                "expired. Run the same command again."
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

    def _ask_about(self, method: str, kernel: str, number: int | None, **options: Any) -> Any:
        """Kaggle's answer about a version, or the newest; None if it is not there."""

        def ask() -> Any:
            from kagglesdk.kernels.types import kernels_api_service

            request = getattr(kernels_api_service, _REQUESTS[method])()
            request.user_name, request.kernel_slug = kernel.split("/")
            request.version_label = f"v{number}" if number else None
            for name, value in options.items():
                setattr(request, name, value)
            with self._api.build_kaggle_client() as kaggle:
                try:
                    return getattr(kaggle.kernels.kernels_api_client, method)(request)
                except requests.HTTPError as error:
                    if error.response is not None and error.response.status_code in _ABSENT:
                        return None
                    raise

        return self._session.ask(ask)

    def _introspect(self) -> str:
        from kagglesdk.security.types.oauth_service import IntrospectTokenRequest

        request = IntrospectTokenRequest()
        request.token = self._api.config_values[self._api.CONFIG_NAME_TOKEN]
        with self._api.build_kaggle_client() as kaggle:
            return str(kaggle.security.oauth_client.introspect_token(request).username)


def _find_address(*references: str) -> str | None:
    """``USER/SLUG`` at the end of a reference or address of Kaggle's; None without one."""
    for reference in references:
        if found := re.search(r"([\w-]+/[\w-]+)/?$", reference or ""):
            return found[1]
    return None
