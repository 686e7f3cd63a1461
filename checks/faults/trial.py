"""A step, tried with each fault and judged."""

import hashlib
import json
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from checks.faults.clockless import without_times
from checks.faults.running import (
    ERRORS,
    KILL,
    LIMIT,
    Beside,
    Ended,
    Fault,
    Step,
    is_half,
    is_of_others,
    plain_name,
    run,
)

Files = dict[str, bytes | None]
"""Contents by path, without what tells the time; None for a folder."""


_OF_TENSORFLOW = "__autograph_generated_file"
"""It leaves such a file where it could not write all of it."""


def files(folder: Path) -> Files:
    """What is below a folder, but for DVC's and Git's own, and temporary files."""
    found: Files = {}
    for path in sorted(folder.rglob("*")):
        name = plain_name(path.relative_to(folder).as_posix())
        if not is_of_others(f"{name}/") and not name.startswith(".tmp/"):
            found[name] = without_times(name, path.read_bytes()) if path.is_file() else None
    return found


class Trial:
    """A step, and how it goes undisturbed.

    Attributes:
        operations: of the undisturbed run.
    """

    def __init__(self, name: str, step: Step, folder: Path) -> None:
        self.name, self.step, self._folder = name, step, folder
        self._before = folder / "before"
        self._before.mkdir(parents=True)
        os.chdir(self._before)
        step.prepare()
        self._old = files(self._before) | {".tmp": None}
        beside = step.beside()
        undisturbed = self._copy("undisturbed")
        ended = run(step, undisturbed, beside)
        if ended.status or not ended.operations:
            raise AssertionError(f"{name}, undisturbed: {ended.said}")
        self.operations = ended.operations
        self._new = files(undisturbed)
        (folder / "judged").mkdir()

    def _copy(self, name: str) -> Path:
        copied = self._folder / name
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(self._before, copied, symlinks=True)
        (copied / ".tmp").mkdir()
        return copied

    def faults(self) -> list[Fault]:
        """All that can go wrong, one at a time.

        Of more than three equal operations on a file, such as the writes of a long one, these are
        tried: the first, the last, and one in between that is drawn at random.
        """
        places = []
        for (call, name), count in Counter(self.operations).items():
            middle = Random(f"{call} {name}").randint(2, max(2, count - 1))
            places += [(call, name, at) for at in sorted({1, middle, count}) if at <= count]
        sizes = {
            len(content) // 2
            for name, content in self._new.items()
            if content and content != self._old.get(name)
        }
        return [
            *(Fault(kind, *place) for place in places for kind in (*ERRORS, KILL)),
            *(Fault(LIMIT, at=size) for size in sorted(sizes)),
        ]

    def problems(self, fault: Fault) -> list[str]:
        """What is wrong after a fault, and after the run that follows it."""
        folder, beside = self._copy(f"disturbed-{os.getpid()}"), self.step.beside()
        ended = run(self.step, folder, beside, fault)
        left = files(folder)
        found = list(self._judge(fault, ended, left))
        temporary = sorted(path.name for path in (folder / ".tmp").iterdir())
        if fault.kind == LIMIT:
            temporary = [name for name in temporary if not name.startswith(_OF_TENSORFLOW)]
        of_libraries = fault.name.startswith(".tmp/")  # where they fail, they leave their own
        if ended.status in (0, 1) and temporary and not of_libraries and fault.call != "remove":
            found.append(f"left in the folder for temporary files: {', '.join(temporary)}")
        os.chdir(folder)
        try:
            self.step.check()
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
        finally:
            os.chdir(self._before)
        return found + self._problems_of_next(folder, left, beside)

    def _judge(self, fault: Fault, ended: Ended, left: Files) -> Iterator[str]:
        status, said = ended.status, ended.said.strip()
        if not ended.reached:
            yield "it did not come to the fault"
        told = status != 1 or re.search(r"^error: \S", said, re.MULTILINE)
        if status not in (0, 1, -signal.SIGKILL) or "Traceback" in said or not told:
            yield f"exit status {status}: {said[-1500:]}"
        torn = [
            name
            for name, content in left.items()
            if content is not None
            and not is_half(name)
            and content not in (self._old.get(name), self._new.get(name))
            and not self.step.is_between(name, content)
        ]
        if torn:
            yield f"torn: {', '.join(torn)}"
        halves = [name for name in left if is_half(name)]
        if status == 1 and halves and not (fault.call == "remove" and fault.name in halves):
            yield f"half-written: {', '.join(halves)}"
        if status == 0 and left != self._new and self.step.settle is None:
            yield f"it ended well with other files: {_differences(left, self._new)}"
        kept = {*left, *(re.sub(r"(^|/)\.([^/]+)\.N\.partial-replaced", r"\1\2", n) for n in left)}
        if lost := [name for name in self._old if name not in kept and name in self._new]:
            yield f"lost: {', '.join(lost)}"

    def _problems_of_next(self, folder: Path, left: Files, beside: Beside) -> list[str]:
        """What is wrong after the next run. It follows from the files, so equal ones run once."""
        state = hashlib.sha256(repr((sorted(left.items()), beside.state())).encode()).hexdigest()
        judged = self._folder / "judged" / state
        if not judged.exists():
            ended = run(self.step, folder, beside)
            if self.step.settle is not None:
                os.chdir(folder)
                found = self.step.settle(ended, beside)
                os.chdir(self._before)
            else:
                found = self._compare_next(ended, files(folder))
            judged.write_text(json.dumps(found))
        problems: list[str] = json.loads(judged.read_text())
        return problems

    def _compare_next(self, ended: Ended, after: Files) -> list[str]:
        if ended.status == 0 and after == self._new:
            return []
        said = ended.said.strip()[-1500:]
        return [
            f"the next run differs ({ended.status}: {said}) in {_differences(after, self._new)}"
        ]


def _differences(one: Files, other: Files) -> str:
    return ", ".join(sorted({name for name, _ in one.items() ^ other.items()}))
