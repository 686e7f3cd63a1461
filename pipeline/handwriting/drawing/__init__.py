"""The page behind ``digits draw``: a server on the loopback interface, for this machine alone.

The server answers to its own name only (`TrustedHostMiddleware`, against DNS rebinding) and refuses
requests from other web pages (`Origin`). It stores nothing, and the page fetches nothing from
elsewhere.
"""

import base64
import socket
from collections.abc import Callable
from importlib.resources import files

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import PictureError, PipelineError
from pipeline.handwriting import pictures
from pipeline.handwriting.reader import SAMPLE_WARNING, Reader

MAX_UPLOAD_BYTES = 64 << 20

_LOOPBACK = "127.0.0.1"
_NAMES = (_LOOPBACK, "localhost")
_ASSETS = {
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


def make_app(reader: Reader) -> Starlette:
    """The ASGI application: the page at ``/``, and ``POST /read`` from a picture to JSON."""

    async def read(request: Request) -> Response:
        content = await _body(request)
        if content is None:
            limit = f"expected at most {MAX_UPLOAD_BYTES >> 20} MiB"
            return JSONResponse({"error": f"The picture is too large: {limit}."}, 413)
        try:
            return JSONResponse(await run_in_threadpool(_read, reader, content))
        except PictureError as error:
            return JSONResponse({"error": str(error)}, 422)

    routes = [
        Route("/", _serve(_page(reader), "text/html")),
        Route("/read", read, methods=["POST"]),
        *(Route(path, _serve(_asset(name), kind)) for path, (name, kind) in _ASSETS.items()),
    ]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=list(_NAMES), www_redirect=False),
        Middleware(_Guard),
    ]
    return Starlette(routes=routes, middleware=middleware)


def serve(reader: Reader, port: int, announce: Callable[[str], object]) -> None:
    """Serve the page until Ctrl-C; ``announce`` is given its address once it can be opened.

    Raises:
        PipelineError: the port is taken.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((_LOOPBACK, port))
        except OSError as error:
            raise PipelineError(
                f"Port {port} of this machine cannot be used ({error.strerror}). Take another: "
                "digits draw --port 0"
            ) from None
        listening.listen()
        announce(f"http://{_LOOPBACK}:{listening.getsockname()[1]}/")
        config = uvicorn.Config(
            make_app(reader),
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=32,
            timeout_graceful_shutdown=2,
        )
        uvicorn.Server(config).run([listening])


def _read(reader: Reader, content: bytes) -> dict[str, object]:
    reading = reader.read(pictures.decode(content, "The picture"))
    return {
        "digit": reading.digit,
        "probability": reading.probability,
        "runner_up": reading.runner_up,
        "probabilities": reading.probabilities.tolist(),
        "sure": reading.sure,
        "problem": reading.problem,
        "seen": base64.b64encode(reading.image.tobytes()).decode(),
    }


async def _body(request: Request) -> bytes | None:
    """The body, or None as soon as it is longer than `MAX_UPLOAD_BYTES`."""
    parts, total = [], 0
    async for part in request.stream():
        total += len(part)
        if total > MAX_UPLOAD_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _asset(name: str) -> bytes:
    return files(__name__).joinpath(name).read_bytes()


def _page(reader: Reader) -> bytes:
    """The page, with a warning where the networks trained on the embedded sample."""
    warning = f'<p class="warning">{SAMPLE_WARNING}</p>' if reader.ensemble.sample else ""
    return _asset("page.html").replace(b"<!-- warning -->", warning.encode())


def _serve(content: bytes, media_type: str) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return endpoint


class _Guard:
    """Refuses requests from pages of other origins; gives every answer its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        headers = dict(scope["headers"])
        origin, host = headers.get(b"origin"), headers.get(b"host", b"")
        if origin is not None and origin != b"http://" + host:
            refusal = JSONResponse(
                {"error": "Only the page of digits draw may send pictures here."}, 403
            )
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)
