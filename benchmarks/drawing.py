"""The page of ``digits draw`` under a flood: does it keep answering, and does it stay small?

``python -m benchmarks.drawing`` starts ``digits draw``. For a minute it keeps connections half-open
and sends many drawings at once. Next to that it asks for the page and has one digit read, again and
again. What counts: the longest wait for any answer, and the most memory that the server held.
"""

import argparse
import http.client
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

BEGINNINGS = (
    b"",
    b"POST /read HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    b"POST /read HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5000\r\n\r\nabc",
)


def draw_seven() -> bytes:
    """A PNG as the page sends it."""
    picture = Image.new("RGB", (560, 560), "white")
    ImageDraw.Draw(picture).line([(150, 130), (400, 130), (270, 450)], fill="black", width=36)
    content = BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def ask(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, float]:
    """The status of an answer, and the seconds that it took; status 0 where there was none."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        return answer.status, time.monotonic() - began
    except OSError:
        return 0, time.monotonic() - began
    finally:
        connection.close()


def keep_half_open(port: int, count: int, end: float) -> None:
    """Hold so many unfinished requests; one that the server ends is begun again."""
    held: list[socket.socket] = []
    while time.monotonic() < end:
        while len(held) < count:
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall(BEGINNINGS[len(held) % len(BEGINNINGS)])
            connection.setblocking(False)
            held.append(connection)
        for connection in list(held):
            try:
                if not connection.recv(1 << 16):
                    raise ConnectionError
            except BlockingIOError:
                continue
            except OSError:
                connection.close()
                held.remove(connection)
        time.sleep(0.1)


def flood(port: int, count: int, end: float) -> list[tuple[int, float]]:
    """Send so many drawings at once, again and again."""
    body = draw_seven()
    answers: list[tuple[int, float]] = []
    with ThreadPoolExecutor(count) as pool:
        while time.monotonic() < end:
            answers += pool.map(lambda _: ask(port, "POST", "/read", body), range(count))
    return answers


def probe(port: int, end: float) -> dict[str, list[tuple[int, float]]]:
    """Ask for the page and for a reading, in turn."""
    body = draw_seven()
    answers: dict[str, list[tuple[int, float]]] = {"page": [], "reading": []}
    while time.monotonic() < end:
        answers["page"].append(ask(port, "GET", "/"))
        answers["reading"].append(ask(port, "POST", "/read", body))
        time.sleep(0.2)
    return answers


def describe(name: str, answers: list[tuple[int, float]]) -> str:
    """How many answers of each status, and how long they took."""
    seconds = [each for _, each in answers]
    counts = sorted(Counter(status for status, _ in answers).items())
    statuses = ", ".join(f"{count} × {status}" for status, count in counts)
    median, longest = statistics.median(seconds), max(seconds)
    return f"{name:8} {statuses}; median {median:.2f} s, longest {longest:.2f} s"


def most_memory(process: subprocess.Popen[str]) -> int:
    """The most that the process held, in MiB (Linux)."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", text)[0]) // 1024


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--at-once", type=int, default=500, help="drawings")
    parser.add_argument("--half-open", type=int, default=100, help="connections")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "pipeline.cli", "draw", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(re.findall(r":(\d+)/", process.stdout.readline())[0])
        try:
            end = time.monotonic() + arguments.seconds
            holder = threading.Thread(
                target=keep_half_open, args=(port, arguments.half_open, end), daemon=True
            )
            holder.start()
            with ThreadPoolExecutor(1) as pool:
                flooding = pool.submit(flood, port, arguments.at_once, end)
                probed = probe(port, end)
                flooded = flooding.result()
            for name, answers in {**probed, "flood": flooded}.items():
                print(describe(name, answers))
            print(f"most memory {most_memory(process):,} MiB")
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
