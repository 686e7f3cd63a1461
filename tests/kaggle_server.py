"""Kaggle on loopback, as far as the official client needs it, with a switch for every fault.

The unmodified client reaches it as its HTTP proxy, in one of two ways: as `LOCALHOST`, without TLS
(`plain_environment`), or as production, through CONNECT and a certificate of our own
(`tls_environment`). It serves one archive, takes submissions and scores them, and runs notebooks
(`kaggle_kernels`).
"""

import base64
import json
import os
import ssl
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.kaggle_kernels import Kernels, RefusedError

USERNAME = "digit_tester"
KEY = "5ecre7c0ffee0123456789abcdef5ecr"
TOKEN = "KGAT_5ecre7c0ffeec0ffeec0ffeec0ffee01"
REFRESH_TOKEN = "KGRT_5ecre7c0ffeec0ffeec0ffeec0ffee02"
WRONG_KEY = "5ecre7badbadbadbadbadbadbadbad99"
EXPIRED_TOKEN = "KGAT_5ecre7badbadbadbadbadbadbadbad98"
SIGNATURE = "5ecre7516na7ure"
TRACES = (b"5ecre7", base64.b64encode(USERNAME.encode()))
"""What may turn up nowhere but in the files that hold the tests' credentials.

The first is part of every secret above; the second begins what Basic authorization sends.
"""

_LAST_MODIFIED = "Wed, 11 Dec 2019 02:42:05 GMT"
_MIB = 1 << 20
_CLIENT_VARIABLES = ("KAGGLE_", "XDG_CONFIG_HOME", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request.

    Attributes:
        status: answer this instead of doing what was asked, with `message` as Kaggle's JSON.
        headers: sent with `status`.
        html: answer 200 with a web page.
        answer: answer 200 with this as JSON, after doing what was asked; as it is to who follows a
            log.
        stalls: never answer.
        loses_answer: do what was asked, then close the connection without a word.
        holds_answer: do what was asked, then say nothing.
        closes: close the connection without doing what was asked.
        sent_share: of the archive, the share that is sent before the connection is closed.
        corrupt: send the archive with some bytes changed.
        length: whether the archive's length is told.
        validators: whether ETag, Last-Modified and Accept-Ranges are told.
        sent_mib: after so many MiB of the archive nothing more comes, but the connection stays.
    """

    status: int | None = None
    message: str = "injected"
    headers: dict[str, str] = field(default_factory=dict)
    html: bool = False
    answer: Any = None
    stalls: bool = False
    loses_answer: bool = False
    holds_answer: bool = False
    closes: bool = False
    sent_share: float = 1
    corrupt: bool = False
    length: bool = True
    validators: bool = True
    sent_mib: int | None = None


class Kaggle:
    """The state of the pretended Kaggle.

    A step is the name of an API method, or ``storage`` (where the archive is fetched), ``upload``
    (where a submission's bytes are put), ``log`` (where a notebook's log is followed) or ``output``
    (where its files are fetched).

    Attributes:
        archive: the bytes of the competition's zip.
        counts: how often each step was asked for.
        logins: the kind of each request's Authorization (Basic, Bearer or none), by step.
        ranges: the Range header of each fetch from storage, None where there was none.
        submissions: what was submitted, oldest first, as Kaggle lists it.
        uploads: the bytes that were put, by token.
        kernels: the notebooks.
        polls_until_scored: how often a submission is listed as pending.
        unlisted: so many of the newest submissions are not listed yet.
        score: what every submission is worth.
        error_description: why no submission can be scored; empty where they can.
        daily_quota: how many submissions are allowed.
        last_step: the step whose first request is the last to be dealt with; its answer is lost.
        zips_single_files: whether ``train.csv`` is served as ``train.csv.zip``.
    """

    def __init__(self, archive: bytes) -> None:
        self.archive = archive
        self.counts: Counter[str] = Counter()
        self.logins: dict[str, str] = {}
        self.ranges: list[str | None] = []
        self.submissions: list[dict[str, Any]] = []
        self.uploads: dict[str, bytes] = {}
        self.uploaded_names: dict[str, str] = {}
        self.polls_until_scored = 1
        self.unlisted = 0
        self.daily_quota = 5
        self.score = "0.99457"
        self.error_description = ""
        self.kernels = Kernels(USERNAME)
        self.zips_single_files = False
        self.last_step: str | None = None
        self.port = 0
        self.released = threading.Event()
        self._faults: dict[str, tuple[Fault, int | None]] = {}
        self._lock = threading.Lock()

    def inject(self, step: str, fault: Fault, *, times: int | None = None) -> None:
        """Let ``step`` go wrong the next ``times`` times, or always."""
        self._faults[step] = (fault, times)

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self._faults.clear()
        self.last_step = None

    def next_fault(self, step: str) -> Fault:
        """Count a request and tell what goes wrong with it."""
        with self._lock:
            if self.last_step and self.counts[self.last_step]:
                return Fault(closes=True)
            self.counts[step] += 1
            if step == self.last_step:
                return Fault(loses_answer=True)
            fault, times = self._faults.get(step, (Fault(), None))
            if times is not None:
                if times <= 1:
                    self._faults.pop(step)
                else:
                    self._faults[step] = (fault, times - 1)
            return fault

    def answer(self, method: str, request: dict[str, Any], origin: str) -> dict[str, Any]:
        """What an API method returns, other than the two that redirect."""
        with self._lock:
            match method:
                case "IntrospectToken":
                    active = request["token"] == TOKEN
                    return {"active": active, "username": USERNAME if active else ""}
                case "GenerateAccessToken":
                    return {"token": TOKEN, "expiresIn": 43200, "userName": USERNAME}
                case "ListDataFiles":
                    return {"files": self._list_files(), "nextPageToken": ""}
                case "StartSubmissionUpload":
                    token = f"blob{self.counts[method]}"
                    self.uploaded_names[token] = request["fileName"]
                    return {
                        "token": token,
                        "createUrl": f"{origin}/upload/{token}?signature={SIGNATURE}",
                    }
                case "CreateSubmission":
                    return self._create(request)
                case "ListSubmissions":
                    return self._list_submissions(request)
                case "GetSubmissionLimits":
                    used = len(self.submissions)
                    return {
                        "numToday": used,
                        "numTotal": used,
                        "numAllowedNow": max(self.daily_quota - used, 0),
                    }
            return self.kernels.answer(method, request, origin)

    def _list_files(self) -> list[dict[str, Any]]:
        with zipfile.ZipFile(BytesIO(self.archive)) as archive:
            return [
                {
                    "ref": member.filename,
                    "name": member.filename,
                    "totalBytes": member.file_size,
                    "creationDate": "2019-12-11T02:42:05.2342424Z",
                }
                for member in archive.infolist()
            ]

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        token = request["blobFileTokens"]
        reference = 41_000_001 + len(self.submissions)
        made = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(minutes=len(self.submissions))
        self.submissions.append(
            {
                "ref": reference,
                "totalBytes": len(self.uploads[token]),
                "date": made.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "description": request.get("submissionDescription", ""),
                "fileName": self.uploaded_names[token],
                "publicScore": "",
                "status": "PENDING",
                "submittedBy": USERNAME,
                "polls": 0,
            }
        )
        return {"message": "Successfully submitted to Digit Recognizer", "ref": reference}

    def _list_submissions(self, request: dict[str, Any]) -> dict[str, Any]:
        size, page = request.get("pageSize", 20), request.get("page", 1)
        listed = self.submissions[: len(self.submissions) - self.unlisted]
        newest_first = listed[::-1][(page - 1) * size : page * size]
        for submission in newest_first:
            if submission["status"] == "PENDING":
                submission["polls"] += 1
                if submission["polls"] > self.polls_until_scored:
                    if self.error_description:
                        scored = {"status": "ERROR", "errorDescription": self.error_description}
                    else:
                        scored = {"status": "COMPLETE", "publicScore": self.score}
                    submission.update(scored)
        shown = [{k: v for k, v in row.items() if k != "polls"} for row in newest_first]
        return {"submissions": shown, "nextPageToken": ""}


class _Handler(BaseHTTPRequestHandler):
    """One connection of the client, plain or, after CONNECT, under TLS."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")
        self.close_connection = False
        self.tunnel = self.path.removesuffix(":443")

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.connection.close()

    def do_POST(self) -> None:
        method = urlsplit(self.path).path.rsplit("/", 1)[-1]
        request = json.loads(self._body() or b"{}")
        fault = self._begin(method)
        if fault is None:
            return
        open_to_all = method in ("IntrospectToken", "GenerateAccessToken")
        if not open_to_all and not self._is_known():
            self._send_json(401, {"code": 401, "message": "Unauthenticated"})
        elif request.get("competitionName", "digit-recognizer") != "digit-recognizer":
            self._send_json(404, {"code": 404, "message": "Competition not found"})
        elif method in ("DownloadDataFiles", "DownloadDataFile"):
            name = request.get("fileName", "digit-recognizer.zip")
            ending = ".zip" if self.kaggle.zips_single_files and name.endswith(".csv") else ""
            place = f"{self._origin('storage')}/files/{name}{ending}"
            self._send(302, b"", {"Location": f"{place}?X-Goog-Signature={SIGNATURE}"})
        else:
            self._answer(method, request, fault)

    def _answer(self, method: str, request: dict[str, Any], fault: Fault) -> None:
        """Do what was asked, and say so, unless the fault prevents that."""
        try:
            answer = self.kaggle.answer(method, request, self._origin("upload"))
        except RefusedError as error:
            self._send_json(error.status, {"code": error.status, "message": error.message})
            return
        if fault.holds_answer:
            self.kaggle.released.wait(30)
        if fault.loses_answer or fault.holds_answer:
            self.close_connection = True
        else:
            self._send_json(200, answer if fault.answer is None else fault.answer)

    def do_PUT(self) -> None:
        body = self._body()
        if self._begin("upload") is not None:
            self.kaggle.uploads[urlsplit(self.path).path.rsplit("/", 1)[-1]] = body
            self._send(201, b"")

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if "/kernels/logs/stream/" in path:
            self._send_log(*path.split("/")[-2:])
        elif "/output/" in path:
            self._send_output(path)
        else:
            self._send_archive()

    def _send_log(self, user: str, slug: str) -> None:
        """The newest run's log: as events while it runs, as JSON afterwards."""
        fault = self._begin("log")
        if fault is None:
            return
        try:
            version = self.kaggle.kernels.find({"userName": user, "kernelSlug": slug})
        except RefusedError as error:
            self._send_json(error.status, {"code": error.status, "message": error.message})
            return
        events = version.run.events()
        if version.state != "RUNNING":
            self._send_json(200, events)
            return
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        lines = [f"data: {json.dumps(event)}\n\n".encode() for event in events]
        if fault.answer is not None:
            lines = [f"data: {fault.answer}\n\n".encode()]
        for line in lines[: int(len(lines) * fault.sent_share)]:
            self.wfile.write(line)
        if fault.sent_share == 1:
            self.wfile.write(b"data: END_OF_LOG\n\n")
        self.wfile.flush()
        if fault.holds_answer:
            self.kaggle.released.wait(30)

    def _send_output(self, path: str) -> None:
        fault = self._begin("output")
        if fault is None:
            return
        content = self.kaggle.kernels.file(path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: int(len(content) * fault.sent_share)])
        self.wfile.flush()
        if fault.holds_answer:
            self.kaggle.released.wait(30)
        if fault.sent_share < 1 or fault.holds_answer:
            self.close_connection = True

    def _send_archive(self) -> None:
        wanted = self.headers.get("Range")
        self.kaggle.ranges.append(wanted)
        fault = self._begin("storage")
        if fault is None:
            return
        content = self._file(urlsplit(self.path).path.rsplit("/", 1)[-1])
        if fault.corrupt:
            middle = len(content) // 2
            content = content[:middle] + bytes(64) + content[middle + 64 :]
        start = 0
        headers = {"Content-Type": "application/zip"}
        if fault.validators:
            headers |= {
                "ETag": '"digits-1"',
                "Last-Modified": _LAST_MODIFIED,
                "Accept-Ranges": "bytes",
            }
        if wanted and fault.validators and self.headers.get("If-Range") == '"digits-1"':
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if fault.length:
            headers["Content-Length"] = str(len(content) - start)
        else:
            headers["Connection"] = "close"
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        end = start + int((len(content) - start) * fault.sent_share)
        if fault.sent_mib is not None:
            end = min(end, start + fault.sent_mib * _MIB)
        self.wfile.write(content[start:end])
        self.wfile.flush()
        if fault.sent_mib is not None:
            self.kaggle.released.wait(30)
        if end < len(content) or not fault.length:
            self.close_connection = True

    @property
    def kaggle(self) -> Kaggle:
        return self.server.kaggle

    def _begin(self, step: str) -> Fault | None:
        """Note the request; None if a fault has dealt with it."""
        kind = self.headers.get("Authorization", "none").split()[0]
        self.kaggle.logins[step] = kind
        fault = self.kaggle.next_fault(step)
        if fault.stalls:
            self.kaggle.released.wait(30)
            self.close_connection = True
        elif fault.closes:
            self.close_connection = True
        elif fault.html:
            page = b"<!DOCTYPE html><title>Sign in to the network</title>" + b" " * 5000
            self._send(200, page, {"Content-Type": "text/html", "Last-Modified": _LAST_MODIFIED})
        elif fault.status is not None:
            body = {"code": fault.status, "message": fault.message}
            self._send_json(fault.status, body, fault.headers)
        else:
            return fault
        return None

    def _is_known(self) -> bool:
        basic = base64.b64encode(f"{USERNAME}:{KEY}".encode()).decode()
        return self.headers.get("Authorization") in (f"Basic {basic}", f"Bearer {TOKEN}")

    def _file(self, name: str) -> bytes:
        if name == "digit-recognizer.zip":
            return self.kaggle.archive
        with zipfile.ZipFile(BytesIO(self.kaggle.archive)) as archive:
            content = archive.read(name.removesuffix(".zip"))
        if not name.endswith(".zip"):
            return content
        zipped = BytesIO()
        with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as single:
            single.writestr(name.removesuffix(".zip"), content)
        return zipped.getvalue()

    def _origin(self, name: str) -> str:
        host = getattr(self, "tunnel", None)
        return f"https://{name}.kaggle.test" if host else "http://localhost"

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send_json(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self._send(status, body, {"Content-Type": "application/json"} | (headers or {}))

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the state is looked at instead."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    kaggle: Kaggle
    tls: ssl.SSLContext

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that hang up, as interrupted ones do, and show any other error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving(archive: bytes, certificates: Path) -> Iterator[Kaggle]:
    """Run the server on a free port of 127.0.0.1 for the length of the block.

    Args:
        archive: the competition's zip.
        certificates: the folder with ``ca.pem`` and ``server.pem``, as `make_certificates` made it.
    """
    kaggle = Kaggle(archive)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.kaggle = kaggle
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(certificates / "server.pem")
    kaggle.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield kaggle
    finally:
        kaggle.released.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def make_certificates(folder: Path) -> None:
    """Write ``ca.pem``, and ``server.pem`` (certificate and key) signed by it, into ``folder``."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    authority, leaf = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        for name in ("Authority of the tests", "api.kaggle.com")
    )
    now = datetime.now(UTC)

    def builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key())
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(identifier, critical=False)
            .add_extension(issuer, critical=False)
        )

    ca = (
        builder(authority, keys[0])
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    names = [
        x509.DNSName("api.kaggle.com"),
        x509.DNSName("*.kaggle.test"),
        x509.IPAddress(ip_address("127.0.0.1")),
    ]
    served = (
        builder(leaf, keys[1])
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.sign(keys[0], hashes.SHA256()).public_bytes(pem))
    private = keys[1].private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = served.sign(keys[0], hashes.SHA256()).public_bytes(pem)
    (folder / "server.pem").write_bytes(certificate + private)


def _key_usage(**allowed: bool) -> x509.KeyUsage:
    """What a key may be used for, and nothing else; stated, as strict verification demands."""
    uses = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**(dict.fromkeys(uses, False) | allowed))


def plain_environment(kaggle: Kaggle, home: Path) -> dict[str, str]:
    """An environment in which the client meets ``kaggle`` without TLS; it holds no credentials."""
    proxy = f"http://127.0.0.1:{kaggle.port}"
    return _clean_environment(home) | {
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
    }


def tls_environment(kaggle: Kaggle, home: Path, certificates: Path) -> dict[str, str]:
    """An environment in which the client, as in production, meets ``kaggle`` through TLS."""
    proxy = f"http://127.0.0.1:{kaggle.port}"
    return _clean_environment(home) | {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "REQUESTS_CA_BUNDLE": str(certificates / "ca.pem"),
    }


def _clean_environment(home: Path) -> dict[str, str]:
    home.mkdir(parents=True, exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_CLIENT_VARIABLES) and not name.lower().endswith("_proxy")
    }
    executables = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    return kept | {"HOME": str(home), "PATH": executables}


def wait_until(condition: Any, seconds: float = 20) -> None:
    """Wait for ``condition()`` to hold.

    Raises:
        TimeoutError: it does not within ``seconds``.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.02)
