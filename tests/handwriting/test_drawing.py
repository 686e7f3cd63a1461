"""The page of ``digits draw``, served for real and used in a real browser."""

import base64
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pipeline.errors import PipelineError
from pipeline.handwriting import drawing, pictures
from pipeline.handwriting.drawing import MAX_UPLOAD_BYTES, connections
from pipeline.handwriting.reader import Reader
from tests.browser import NARROW, WIDE, accessibility_findings, high_contrast, lent
from tests.handdrawn import draw_ink, paint
from tests.handwriting.test_pictures import PNG, SVG, png


def picture(digit: int) -> bytes:
    content = BytesIO()
    Image.fromarray(paint(draw_ink(digit, np.random.default_rng(0)))).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def port(reader: Reader) -> Iterator[int]:
    """The port of a server that runs in this process."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = drawing.make_server(reader)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


def ask(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
    finally:
        connection.close()


def read(port: int, body: bytes, **headers: str) -> tuple[int, Any]:
    status, content, _ = ask(port, "POST", "/read", body, headers)
    return status, json.loads(content)


def test_picture_is_read(port: int) -> None:
    status, answer = read(port, picture(4))
    assert status == 200
    assert answer["digit"] == 4 and answer["sure"] is True and answer["problem"] is None
    assert sum(answer["probabilities"]) == pytest.approx(1)
    assert len(base64.b64decode(answer["seen"])) == 784


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The picture is empty"),
        (b"not a picture", "The picture is no picture"),
        (SVG, "SVG drawing"),
        (PNG[:60], "is damaged"),
        (png(30_000, 30_000, b""), "too many pixels"),
        (png(5_000, 4_000, b""), "too many pixels: expected at most 16 million"),
    ],
)
def test_hostile_picture_is_refused_and_the_server_goes_on(
    body: bytes, message: str, port: int
) -> None:
    status, answer = read(port, body)
    assert status == 422 and message in answer["error"]
    assert read(port, picture(7))[1]["digit"] == 7


def test_too_large_upload_is_refused(port: int) -> None:
    status, answer = read(port, bytes(MAX_UPLOAD_BYTES + 1))
    assert status == 413 and "expected at most 64 MiB" in answer["error"]


def half_open(port: int, sent: bytes) -> socket.socket:
    """A connection that has sent the beginning of a request."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.sendall(sent)
    return connection


HEAD = b"POST /read HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def test_head_that_does_not_come_in_time_ends_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    for beginning in (b"", HEAD):
        with half_open(port, beginning) as connection:
            assert connection.recv(1) == b""
    with half_open(port, b"GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(HEAD)
        while connection.recv(1 << 16):
            pass


def test_body_that_does_not_come_in_time_is_refused(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_BODY_SECONDS", 0.2)
    with half_open(port, HEAD + b"Content-Length: 1000\r\n\r\nabc") as connection:
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 408 ")


def test_half_open_connections_starve_nobody(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of slow heads only so many are waited for; bodies wait without a place."""
    monkeypatch.setattr(connections, "SLOW_SECONDS", 0)
    body = HEAD + b"Content-Length: 300000\r\n\r\n" + bytes(200_000)
    waiting = [half_open(port, HEAD)]
    assert ask(port, "GET", "/")[0] == 200  # by now that head is read; unread, it would be reset
    waiting += [half_open(port, sent) for sent in [HEAD] * 99 + [body] * 20]
    try:
        began = time.monotonic()
        assert read(port, picture(7))[1]["digit"] == 7
        assert ask(port, "GET", "/")[0] == 200
        assert time.monotonic() - began < 20  # on a loaded machine, too
        first, last = waiting[0], waiting[99]
        assert first.recv(1) == b""
        last.sendall(b"Content-Length: 3\r\n\r\nabc")
        assert last.recv(1 << 16).startswith(b"HTTP/1.1 422 ")
    finally:
        for connection in waiting:
            connection.close()


def test_flood_of_pictures_is_answered(port: int) -> None:
    content = picture(7)
    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(lambda _: read(port, content), range(180)))
    assert {status for status, _ in answers} <= {200, 503}
    assert [answer["digit"] for status, answer in answers if status == 200].count(7) >= 2
    assert all("Try again" in answer["error"] for status, answer in answers if status == 503)
    assert read(port, content)[0] == 200


def test_no_more_than_two_pictures_are_decoded_at_once(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most = [0], [0]
    decode, lock = pictures.decode, threading.Lock()

    def count(*arguments: Any) -> Any:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        try:
            time.sleep(0.05)
            return decode(*arguments)
        finally:
            with lock:
                running[0] -= 1

    monkeypatch.setattr(pictures, "decode", count)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: read(port, picture(7)), range(12)))
    assert most == [2]


def test_other_pages_cannot_use_it(port: int) -> None:
    for origin in ("http://example.org", "null", f"http://127.0.0.1:{port + 1}"):
        assert read(port, picture(7), Origin=origin)[0] == 403
    assert read(port, picture(7), Origin=f"http://127.0.0.1:{port}")[0] == 200


def test_other_names_are_refused(port: int) -> None:
    assert ask(port, "GET", "/", headers={"Host": "example.org"})[0] == 400
    assert ask(port, "GET", "/", headers={"Host": f"localhost:{port}"})[0] == 200


def test_answers_forbid_foreign_content(port: int) -> None:
    for path in ("/", "/page.css", "/page.js"):
        status, content, headers = ask(port, "GET", path)
        assert status == 200 and content
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert not re.search(rb"https?://", content)
    assert ask(port, "GET", "/../pyproject.toml")[0] == 404
    assert ask(port, "GET", "/read")[0] == 405


def test_taken_port_is_named(reader: Reader, port: int) -> None:
    with pytest.raises(PipelineError, match=rf"Port {port} .*digits draw --port 0"):
        drawing.serve(reader, port, print)


@contextmanager
def opened(
    browser: Browser,
    port: int,
    *,
    width: int = WIDE,
    scheme: Literal["light", "dark"] = "light",
    refused: bool = False,
) -> Iterator[Page]:
    """The page; fails when it complains, asks any other server, or is wider than the window.

    The browser itself notes a ``refused`` picture in its console.
    """
    own = f"http://127.0.0.1:{port}/"
    with lent(browser, width=width, color_scheme=scheme, offline=False) as visit:
        visit.page.goto(own)
        yield visit.page
        assert [url for url in visit.requests if not url.startswith((own, "data:", "blob:"))] == []
        assert [each for each in visit.complaints if not (refused and "422" in each)] == []
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def draw_seven(page: Page) -> None:
    box = page.locator("#canvas").bounding_box()
    assert box
    places = [
        (box["x"] + x * box["width"], box["y"] + y * box["height"])
        for x, y in ((0.3, 0.25), (0.68, 0.25), (0.48, 0.8))
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()


def wait_for(page: Page, digit: str) -> None:
    expect(page.locator("#digit")).to_have_text(digit, timeout=60_000)


def seen(page: Page) -> int:
    """How many of the 784 pixels are not black."""
    count: int = page.evaluate(
        "[...document.getElementById('seen').getContext('2d').getImageData(0, 0, 28, 28).data]"
        ".filter((level, index) => index % 4 === 0 && level > 0).length"
    )
    return count


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_drawn_seven_is_read_and_cleared(width: int, browser: Browser, port: int) -> None:
    with opened(browser, port, width=width) as page:
        draw_seven(page)
        wait_for(page, "7")
        assert seen(page) > 30
        best = page.locator("#bars .best")
        assert best.count() == 1 and best.inner_text().startswith("7")
        assert re.search(r"Second guess: \d \(\d+\.\d.%\)", page.locator("#second").inner_text())
        page.get_by_role("button", name="Clear").click()
        wait_for(page, "?")
        assert page.locator("#remark").inner_text() == "Nothing is drawn yet."
        assert seen(page) == 0 and page.locator("#bars .best").count() == 0


def test_blank_canvas_gives_no_digit(browser: Browser, port: int) -> None:
    with opened(browser, port) as page:
        assert page.locator("#digit").inner_text() == "?"
        assert page.get_by_role("button", name="Undo").is_disabled()


def test_undo_takes_back_the_last_stroke(browser: Browser, port: int) -> None:
    with opened(browser, port) as page:
        draw_seven(page)
        wait_for(page, "7")
        page.locator("#canvas").click(position={"x": 40, "y": 40})
        page.keyboard.press("u")
        wait_for(page, "7")
        page.keyboard.press("u")
        wait_for(page, "?")
        assert page.get_by_role("button", name="Undo").is_disabled()


def test_undo_brings_back_a_picture_that_was_drawn_over(browser: Browser, port: int) -> None:
    with opened(browser, port) as page:
        drop(page, "two.png", picture(2))
        wait_for(page, "2")
        shown = looks(page)
        draw_seven(page)
        wait_for(page, "7")
        page.keyboard.press("u")
        wait_for(page, "2")
        assert looks(page) == shown


def test_undo_brings_back_what_a_picture_and_clear_replaced(browser: Browser, port: int) -> None:
    with opened(browser, port) as page:
        draw_seven(page)
        drop(page, "two.png", picture(2))
        wait_for(page, "2")
        page.keyboard.press("c")
        wait_for(page, "?")
        for digit in "27?":
            page.keyboard.press("u")
            wait_for(page, digit)


def test_picture_keeps_its_proportions(browser: Browser, port: int) -> None:
    content = BytesIO()
    Image.new("L", (100, 400)).save(content, "PNG")
    with opened(browser, port) as page:
        drop(page, "tall.png", content.getvalue())
        expect(page.locator("#remark")).not_to_have_text("Nothing is drawn yet.")
        levels = page.evaluate(
            """[0.1, 0.3, 0.5, 0.7, 0.9].map((share) => {
                const canvas = document.getElementById("canvas");
                const [x, y] = [canvas.width * share, canvas.height / 2];
                return canvas.getContext("2d").getImageData(x, y, 1, 1).data[0];
            })"""
        )
    assert levels == [255, 255, 0, 255, 255]


def test_keys_of_the_browser_are_left_to_it(browser: Browser, port: int) -> None:
    with opened(browser, port) as page:
        draw_seven(page)
        wait_for(page, "7")
        page.keyboard.press("Control+u")
        wait_for(page, "7")
        page.locator("#width").focus()
        page.keyboard.press("Shift+C")
        wait_for(page, "?")


def looks(page: Page) -> str:
    """The canvas as a PNG in text."""
    return str(page.evaluate("document.getElementById('canvas').toDataURL()"))


def drop(page: Page, name: str, content: bytes) -> None:
    """What the browser does when a file is dropped onto the page."""
    page.evaluate(
        """([name, content]) => {
            const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name));
            for (const kind of ["dragover", "drop"])
                document.body.dispatchEvent(
                    new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
        }""",
        [name, base64.b64encode(content).decode()],
    )


def test_dropped_pictures_are_read(browser: Browser, port: int) -> None:
    with opened(browser, port) as page:
        drop(page, "two.png", picture(2))
        wait_for(page, "2")
        assert page.locator("#drop").is_hidden()
        page.locator("#file").set_input_files(
            {"name": "five.png", "mimeType": "image/png", "buffer": picture(5)}
        )
        wait_for(page, "5")
        draw_seven(page)
        wait_for(page, "7")


def test_dropped_text_is_refused_in_words(browser: Browser, port: int) -> None:
    with opened(browser, port, refused=True) as page:
        drop(page, "notes.txt", b"not a picture")
        expect(page.locator("#remark")).to_contain_text("is no picture", timeout=60_000)
        assert page.locator("#digit").inner_text() == "?"


def test_seven_is_drawn_with_the_keyboard(browser: Browser, port: int) -> None:
    with opened(browser, port) as page:
        page.locator("#canvas").focus()
        page.keyboard.press("Space")
        for key, times in (("ArrowRight", 10), ("ArrowDown", 16)):
            for _ in range(times):
                page.keyboard.press(key)
        page.keyboard.press("Space")
        wait_for(page, "7")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(scheme: Literal["light", "dark"], browser: Browser, port: int) -> None:
    with opened(browser, port, scheme=scheme) as page:
        draw_seven(page)
        wait_for(page, "7")
        assert accessibility_findings(page) == []


def test_bars_stand_out_in_high_contrast(browser: Browser, port: int) -> None:
    with opened(browser, port) as page, high_contrast(page):
        draw_seven(page)
        wait_for(page, "7")
        colours = page.evaluate(
            """() => ["#bars li:not(.best) .bar", "#bars .best .bar", "#bars .track"].map(
              (part) => getComputedStyle(document.querySelector(part)).backgroundColor)"""
        )
        assert len(set(colours)) == 3
