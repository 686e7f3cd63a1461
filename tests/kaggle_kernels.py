"""Notebooks on the loopback Kaggle, which its API calls kernels: saved, run, followed, fetched.

A run does what the test says; its state moves on each time that the client asks for it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_SOURCE_BYTES = 1_000_000


@dataclass(frozen=True)
class Run:
    """What the run of a version does.

    Attributes:
        log: name of the stream and text of each event.
        files: what it leaves.
        state: how it ends.
        message: why it failed.
        queued, running: how often its status is asked for until it has gone on.
        saved_log: the log that is kept, where it is not that of the events.
    """

    log: Sequence[tuple[str, str]] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    state: str = "COMPLETE"
    message: str = ""
    queued: int = 1
    running: int = 1
    saved_log: str | None = None

    def events(self) -> list[dict[str, Any]]:
        """The log as Kaggle writes it."""
        return [
            {"stream_name": stream, "time": float(number), "data": text}
            for number, (stream, text) in enumerate(self.log)
        ]


@dataclass
class Version:
    """A version that was saved.

    Attributes:
        request: what it was saved with.
        run: what its run does.
        polls: how often its status was asked for.
    """

    request: dict[str, Any]
    run: Run
    polls: int = 0

    @property
    def state(self) -> str:
        """How far its run is."""
        if self.polls <= self.run.queued:
            return "QUEUED"
        return "RUNNING" if self.polls <= self.run.queued + self.run.running else self.run.state


class RefusedError(Exception):
    """Kaggle answers with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status, self.message = status, message


class Kernels:
    """The notebooks of one account.

    Attributes:
        versions: by address, the oldest first.
        run: what the run of a notebook does, told by its text.
        page_size: at most so many output files are listed at once.
    """

    def __init__(self, username: str) -> None:
        self.versions: dict[str, list[Version]] = {}
        self.run: Callable[[str], Run] = lambda source: Run()
        self.page_size = 20
        self._username = username

    def answer(self, method: str, request: dict[str, Any], origin: str) -> dict[str, Any]:
        """What an API method returns.

        Raises:
            LookupError: there is no such method.
            RefusedError: Kaggle refuses.
        """
        match method:
            case "SaveKernel":
                return self._save(request)
            case "GetKernel":
                return self._get(request)
            case "GetKernelSessionStatus":
                version = self.find(request)
                version.polls += 1
                return {"status": version.state, "failureMessage": self._message(version)}
            case "ListKernelSessionOutput":
                return self._list_output(request, origin)
        raise LookupError(method)

    def find(self, request: dict[str, Any]) -> Version:
        """The version that a request names, or the newest.

        Raises:
            RefusedError: there is none.
        """
        address = f"{request['userName']}/{request['kernelSlug']}"
        if address not in self.versions:
            raise RefusedError(403, "Permission 'kernels.get' was denied")
        versions = self.versions[address]
        label = request.get("versionLabel", f"v{len(versions)}")
        if not re.fullmatch(r"v[1-9]\d*", label) or int(label[1:]) > len(versions):
            raise RefusedError(404, "Not found")
        return versions[int(label[1:]) - 1]

    def file(self, path: str) -> bytes:
        """An output file by its address's path ``…/USER/SLUG/vN/NAME``."""
        user, slug, label, name = path.split("/")[-4:]
        version = self.find({"userName": user, "kernelSlug": slug, "versionLabel": label})
        return version.run.files[name]

    def _save(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted, title = request["slug"], request["newTitle"]
        if len(request["text"]) >= MAX_SOURCE_BYTES:
            message = "The kernel source must be less than 1 megabytes in size."
            raise RefusedError(400, message)
        if wanted.partition("/")[0] != self._username:
            raise RefusedError(403, "Permission 'kernels.update' was denied")
        titles = {a: versions[-1].request["newTitle"] for a, versions in self.versions.items()}
        if any(title == other and address != wanted for address, other in titles.items()):
            raise RefusedError(409, f'A notebook with the title "{title}" already exists.')
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
        address = wanted if wanted in self.versions else f"{self._username}/{slug}"
        versions = self.versions.setdefault(address, [])
        versions.append(Version(request, self.run(request["text"])))
        return {
            "ref": f"/{address}",
            "url": f"https://www.kaggle.com/code/{address}",
            "versionNumber": len(versions),
            "kernelId": 7,
        }

    def _get(self, request: dict[str, Any]) -> dict[str, Any]:
        version = self.find(request)
        address = f"{request['userName']}/{request['kernelSlug']}"
        return {
            "metadata": {
                "id": 7,
                "ref": address,
                "title": version.request["newTitle"],
                "slug": request["kernelSlug"],
                "currentVersionNumber": len(self.versions[address]),
            },
            "blob": {"source": version.request["text"], "slug": request["kernelSlug"]},
        }

    def _list_output(self, request: dict[str, Any], origin: str) -> dict[str, Any]:
        version = self.find(request)
        user, slug = request["userName"], request["kernelSlug"]
        place = f"{origin}/output/{user}/{slug}/{request.get('versionLabel', 'v1')}"
        start = int(request.get("pageToken") or 0)
        end = start + min(request.get("pageSize", 20), self.page_size)
        ended = version.state not in ("QUEUED", "RUNNING")
        names = sorted(version.run.files) if ended else []
        saved = version.run.saved_log
        log = json.dumps(version.run.events()) if saved is None else saved
        return {
            "files": [
                {"fileName": name, "url": f"{place}/{name}?X-Goog-Signature=5ecre7516na7ure"}
                for name in names[start:end]
            ],
            "log": log if ended else "",
            "nextPageToken": str(end) if end < len(names) else "",
        }

    def _message(self, version: Version) -> str:
        return version.run.message if version.state == version.run.state else ""
