"""Damaged files for every reader of the package.

    python -m checks.fuzz [--number N] [--seconds S] [--seed S] [READER …]

Each input is a valid file, or one of ``tests/corpus``, with some damage. A reader may refuse it as
the user is told (`PipelineError`), or accept it: then it must read as the same after it was written
again. Anything else is kept in ``tests/corpus``, where the tests find it.
"""

import argparse
import hashlib
import multiprocessing
import shutil
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rich.progress import Progress

from checks.mutations import mutate
from checks.readers import READERS, Reader
from pipeline.errors import PipelineError
from pipeline.parallel import count_processors

CORPUS = Path(__file__).parent.parent / "tests/corpus"

_MOST_SECONDS = 20
"""Without an answer to one input: it hangs."""

_BATCH = 500
"""Inputs of a reader before the next reader's turn."""


@dataclass
class Trial:
    """A reader in two folders of its own: one for the damaged file, one to write again.

    Attributes:
        reader: that is tried.
        folder: of both.
        valid: the valid file.
    """

    reader: Reader
    folder: Path
    valid: bytes = field(init=False)

    def __post_init__(self) -> None:
        for name in ("read", "written"):
            (self.folder / name).mkdir(parents=True)
            self.reader.prepare(self.folder / name)
        self.valid = (self.folder / "read" / self.reader.file).read_bytes()

    def run(self, content: bytes) -> bool:
        """Have the reader read ``content``; whether it accepts that.

        Raises:
            Exception: what the reader must not raise.
        """
        (self.folder / "read" / self.reader.file).write_bytes(content)
        try:
            self.reader.check(self.folder / "read", self.folder / "written")
        except PipelineError as refusal:
            assert str(refusal).strip()
            return False
        return True


def seeds(name: str, valid: bytes) -> list[bytes]:
    """What is damaged for a reader: the valid file, and what was found before."""
    return [valid, *(path.read_bytes() for path in sorted((CORPUS / name).glob("*")))]


def keep(name: str, content: bytes) -> Path:
    """Put what was found into the corpus."""
    path = CORPUS / name / hashlib.sha256(content).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


class Worker:
    """A process that tries inputs and may die of one; what it tries is in a file.

    Attributes:
        folder: its own.
    """

    def __init__(self, folder: Path, name: str, seed: int, number: int) -> None:
        context = multiprocessing.get_context("fork")
        self.folder, self.name, self.number = folder, name, number
        self.done = context.Value("q", 0)
        self.accepted = context.Value("q", 0)
        self.found: multiprocessing.queues.SimpleQueue[tuple[bytes, str]] = context.SimpleQueue()
        self._seed, self._prepared = seed, context.Event()
        self._process = context.Process(target=self._work)
        self._process.start()
        self._progress = (0, time.monotonic())

    def _work(self) -> None:
        warnings.simplefilter("ignore")
        trial = Trial(READERS[self.name], self.folder)
        self._prepared.set()
        random, choice = Random(self._seed), seeds(self.name, trial.valid)
        for _ in range(self.number):
            content = mutate(random.choice(choice), random)
            try:
                self.accepted.value += trial.run(content)
            except Exception as error:
                self.found.put((content, f"{type(error).__name__}: {str(error)[:200]}"))
            self.done.value += 1

    def end(self) -> tuple[bytes, str] | None:
        """What ended it too early, if something did; None while it works or once it is through."""
        done, since = self._progress
        if self.done.value != done or not self._prepared.is_set():
            self._progress = (self.done.value, time.monotonic())
        hangs = self._process.is_alive() and time.monotonic() - since > _MOST_SECONDS
        if self._process.is_alive() and not hangs:
            return None
        self._process.kill()
        self._process.join()
        if self.done.value == self.number:
            return None
        content = (self.folder / "read" / READERS[self.name].file).read_bytes()
        return content, "it hangs" if hangs else f"the process died: {self._process.exitcode}"

    @property
    def works(self) -> bool:
        """Whether it is not through."""
        return self._process.is_alive()


def fuzz(names: list[str], number: int, seconds: float, seed: int) -> int:
    """Try ``number`` inputs, reader after reader, and print what was found; how many were found."""
    random, end = Random(seed), time.monotonic() + seconds
    tried = accepted = found = 0
    with tempfile.TemporaryDirectory() as scratch, Progress() as progress:
        bar = progress.add_task("inputs", total=number)
        workers: list[Worker] = []
        turn = 0
        while workers or (turn * _BATCH < number and time.monotonic() < end):
            while len(workers) < count_processors() and turn * _BATCH < number:
                if time.monotonic() >= end:
                    break
                amount = min(_BATCH, number - turn * _BATCH)
                folder = Path(scratch) / str(turn)
                name = names[turn % len(names)]
                workers.append(Worker(folder, name, random.getrandbits(64), amount))
                turn += 1
            time.sleep(0.02)
            for worker in list(workers):
                ended = worker.end()
                cases = [ended] if ended else []
                while not worker.found.empty():
                    cases.append(worker.found.get())
                for content, why in cases:
                    found += 1
                    progress.print(f"{worker.name}: {why}\n  {keep(worker.name, content)}")
                if not worker.works:
                    workers.remove(worker)
                    tried += worker.done.value
                    accepted += worker.accepted.value
                    progress.update(bar, completed=tried)
                    shutil.rmtree(worker.folder, ignore_errors=True)
    print(f"{tried:,} inputs, {accepted:,} accepted, {found:,} found (kept in {CORPUS})")
    return found


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Damaged files for every reader.")
    parser.add_argument("readers", nargs="*", help=f"default: all: {', '.join(READERS)}")
    parser.add_argument("--number", type=int, default=10**9, help="of inputs; default: no end")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="default: no end")
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="of the damage")
    given = parser.parse_args()
    names = given.readers or list(READERS)
    if unknown := set(names) - set(READERS):
        parser.error(f"there is no reader {', '.join(sorted(unknown))}")
    try:
        return int(fuzz(names, given.number, given.seconds, given.seed) > 0)
    except KeyboardInterrupt:
        print("interrupted; what was found is kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
