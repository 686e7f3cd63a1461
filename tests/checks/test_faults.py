"""A sample of the faults of file operations, and steps that do not stand them."""

import json
import subprocess
import sys

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

TRY_ALL = """
import json, os, sys
from pathlib import Path
from checks import faults

for problem, step in json.loads(sys.argv[1]).items():
    work = lambda: exec(step)
    faults.STEPS["faulty"] = faults.Step(lambda: Path("old").write_text("old"), work)
    print("step:", problem)
    print(faults.inject(["faulty"], None, 0))
"""


def python(*arguments: str) -> str:
    """What a process prints that ends well."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_sample_of_faults_does_no_harm() -> None:
    told = python("-m", "checks.faults", "--number", "40", "--seed", "1")
    assert "40 faults, 0 with something wrong" in told


def test_step_that_does_not_stand_a_fault_is_found() -> None:
    found = python("-c", TRY_ALL, json.dumps(FAULTY)).split("step: ")[1:]
    for problem, told in zip(FAULTY, found, strict=True):
        first, *lines = told.splitlines()
        assert first == problem
        assert any(problem in line for line in lines), told
        assert int(lines[-1]) > 0
