"""The page behind ``digits draw``: a server on the loopback interface, for this machine alone.

The server answers to its own name only (`TrustedHostMiddleware`, against DNS rebinding) and refuses
requests from other web pages (`Origin`). It stores nothing, and the page fetches nothing from
elsewhere. Whatever is sent, it answers in time and stays small: what cannot be read soon is
refused.
"""

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import Interruption, PictureError, PipelineError
from pipeline.handwriting import pictures
from pipeline.handwriting.drawing.connections import Connection
from pipeline.handwriting.reader import SAMPLE_WARNING, Reader

MAX_UPLOAD_BYTES = 64 << 20
MAX_PIXELS = 16_000_000
"""Of a picture other than a JPEG: a page of A4, scanned at 400 dots per inch."""

_READ_AT_ONCE = 2
_LARGE_BYTES, _LARGE_AT_ONCE = 256 << 10, 2
"""Larger bodies than drawings are, and how many of them are held at a time."""

_PATIENCE_SECONDS = 1.0
"""How long a picture waits for its turn."""

_BODY_SECONDS = 10
"""In which a picture must have come."""

_MAX_CONNECTIONS = 700

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

    reading = asyncio.Semaphore(_READ_AT_ONCE)
    holding_large = asyncio.Semaphore(_LARGE_AT_ONCE)

    async def read(request: Request) -> Response:
        async with AsyncExitStack() as stack:
            try:
                content = await _body(request, stack, holding_large)
                await stack.enter_async_context(_turn(reading))
                return JSONResponse(await run_in_threadpool(_read, reader, content))
            except PictureError as error:
                return JSONResponse({"error": str(error)}, 422)
            except _RefusedError as refusal:
                return JSONResponse({"error": refusal.reason}, refusal.status)
            except ClientDisconnect:
                return Response(status_code=400)

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
        Interruption: Ctrl-C was pressed.
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
        try:
            make_server(reader).run([listening])
        except KeyboardInterrupt:
            raise Interruption("the page is closed.") from None


def make_server(reader: Reader) -> uvicorn.Server:
    """The server of the page, to be given a socket that listens."""
    config = uvicorn.Config(
        make_app(reader),
        http=Connection,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=2,
    )
    return uvicorn.Server(config)


def _read(reader: Reader, content: bytes) -> dict[str, object]:
    reading = reader.read(pictures.decode(content, "The picture", MAX_PIXELS))
    return {
        "digit": reading.digit,
        "probability": reading.probability,
        "runner_up": reading.runner_up,
        "probabilities": reading.probabilities.tolist(),
        "sure": reading.sure,
        "problem": reading.problem,
        "seen": base64.b64encode(reading.image.tobytes()).decode(),
    }


class _RefusedError(Exception):
    """A request that is not dealt with.

    Attributes:
        status: of the answer.
        reason: for the user.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status, self.reason = status, reason


@asynccontextmanager
async def _turn(places: asyncio.Semaphore) -> AsyncIterator[None]:
    """Hold one of so many places; refused where none gets free soon."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await places.acquire()
    except TimeoutError:
        raise _RefusedError(503, "Too many pictures came at once. Try again.") from None
    try:
        yield
    finally:
        places.release()


async def _body(request: Request, stack: AsyncExitStack, large: asyncio.Semaphore) -> bytes:
    """The body; a large one has a place among ``large``, which ``stack`` gives back."""
    content, is_large = bytearray(), False
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                if len(content) + len(part) > MAX_UPLOAD_BYTES:
                    limit = f"expected at most {MAX_UPLOAD_BYTES >> 20} MiB"
                    raise _RefusedError(413, f"The picture is too large: {limit}.")
                if len(content) + len(part) > _LARGE_BYTES and not is_large:
                    is_large = True
                    await stack.enter_async_context(_turn(large))
                content += part
    except TimeoutError:
        raise _RefusedError(408, "The picture did not come in time. Try again.") from None
    return bytes(content)


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
