"""A sample of the faults of file operations, and steps that do not stand them."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

FAULTY = {
    "torn": "Path('a').write_text('x' * 100)",
    "half-written": "Path('.a.1.partial').write_text('x'); Path('a').write_text('y')",
    "exit status 70": "try: Path('a').touch()\nexcept OSError: 1 / 0",
    "lost": "Path('old').unlink(); Path('new').write_text('x'); Path('old').write_text('old')",
    "it ended well with other files": "try: Path('a').touch()\nexcept OSError: pass",
    "the next run differs": "Path('a').write_text(str(len(os.listdir())))",
}
"""What is wrong with a step, and the step."""

TRY = """
import os
from pathlib import Path
from checks import faults

faults.STEPS["faulty"] = faults.Step(lambda: Path("old").write_text("old"), lambda: exec({step!r}))
print(faults.inject(["faulty"], None, 0))
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_sample_of_faults_does_no_harm() -> None:
    done = python("-m", "checks.faults", "--number", "40", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 faults, 0 with something wrong" in done.stdout


@pytest.mark.parametrize("problem", FAULTY)
def test_step_that_does_not_stand_a_fault_is_found(problem: str) -> None:
    done = python("-c", TRY.format(step=FAULTY[problem]))
    assert problem in done.stdout, done.stdout + done.stderr
    assert int(done.stdout.split()[-1]) > 0
