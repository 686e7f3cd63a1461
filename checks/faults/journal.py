"""What was judged, kept so that an interrupted run goes on where it ended."""

import hashlib
import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

_ROOT = Path(__file__).parent.parent.parent
_CODE = ("pipeline/**/*.py", "checks/**/*.py", "tests/kaggle_server.py", "params.yaml")


def _describe_code() -> str:
    """Changes with the code, and with Python."""
    digest = hashlib.sha256(sys.version.encode())
    for pattern in _CODE:
        for path in sorted(_ROOT.glob(pattern)):
            digest.update(path.as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


class Journal:
    """Faults, and what was wrong after each.

    Args:
        path: of the file; one of other code is replaced. None: nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._judged: dict[tuple[str, str], list[str]] = {}
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        if self._path is None:
            return self
        code = _describe_code()
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        if lines[:1] == [json.dumps(code)]:
            for line in lines[1:]:
                if line.endswith("]"):  # the last one may be a half
                    name, fault, problems = json.loads(line)
                    self._judged[name, fault] = problems
            self._file = self._path.open("a", buffering=1)
            self._file.write("\n")
        else:
            self._file = self._path.open("w", buffering=1)
            self._file.write(json.dumps(code) + "\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file:
            self._file.close()

    def find(self, name: str, fault: str) -> list[str] | None:
        """What was wrong after a fault of a step; None if it was not tried."""
        return self._judged.get((name, fault))

    def note(self, name: str, fault: str, problems: list[str]) -> None:
        """Keep what was wrong."""
        if self._file:
            self._file.write(json.dumps([name, fault, problems]) + "\n")
