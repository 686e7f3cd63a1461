"""The whole notebook, by nbclient: a run on scikit-learn's digits, attached as at Kaggle.

The packages are those of the tests: what would install them finds them there. The command
``make kaggle-notebook`` installs them, too, in a tree like Kaggle's.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from playwright.sync_api import Browser

from benchmarks.kaggle_notebook import LEFT, write_tables
from notebooks import build
from pipeline import profiles
from pipeline.submissions import file as submission
from tests.conftest import FEW_NEIGHBOURS, PROJECT_FILES, ROOT, replace_text

TRAIN_ROWS, TEST_ROWS = 1437, 360
"""Instead of the competition's numbers, to be quick."""

SENT = (*PROJECT_FILES, "bootstrap.py", "digits_command.py", "pyproject.toml", "requirements.lock")


def put_project(folder: Path) -> Path:
    """A project of one small network and few neighbours, its packages installed."""
    for name in SENT:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    profiles.apply("quick", folder / "params.yaml")
    for name in ("params.yaml", "pipeline/profiles/quick.yaml"):
        replace_text(folder / name, FEW_NEIGHBOURS)
    rows = ("42_000", str(TRAIN_ROWS)), ("28_000", str(TEST_ROWS))
    replace_text(folder / "pipeline/data/tables.py", *rows)
    environment = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n{folder}\n")
    for name in ("digits", "dvc"):
        script = (Path(sys.executable).parent / name).read_text().partition("\n")[2]
        (environment / "bin" / name).write_text(f"#!{environment}/bin/python\n{script}")
        (environment / "bin" / name).chmod(0o755)
    state = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("requirements.lock", "pyproject.toml")
    }
    (environment / "bootstrap.json").write_text(json.dumps(state | {"place": str(folder)}))
    return folder


def execute(place: Path, **parameters: str) -> list[dict[str, Any]]:
    """Run the notebook with other folders than Kaggle's; what its cells show."""
    content = json.loads(build.NOTEBOOK.read_text(encoding="utf-8"))
    folders = {"PROJECT": place / "project", "INPUT": place / "input", "OUTPUT": place / "working"}
    (first, *_) = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    values = {name: str(each) for name, each in folders.items()} | parameters
    first["source"] += [f"\n{name} = {each!r}" for name, each in values.items()]
    notebook = nbformat.reads(json.dumps(content), as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": place}}).execute()
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kaggle")
    for name in ("input", "working"):
        (folder / name).mkdir()
    put_project(folder / "project")
    return folder


def test_nothing_attached_ends_the_notebook(place: Path) -> None:
    with pytest.raises(CellExecutionError, match=r"There is no data in .*Attach it: Add Input"):
        execute(place)
    assert not list((place / "working").iterdir())


def test_notebook_leaves_a_checked_submission_and_shows_the_run(
    place: Path, browser: Browser
) -> None:
    write_tables(place / "input/digits", TRAIN_ROWS, TEST_ROWS)
    (place / "project/data/digit-recognizer").symlink_to(place / "input/digits")
    outputs = execute(place, SECOND="quick")
    assert {path.name for path in (place / "working").iterdir()} == LEFT
    assert len(submission.read(place / "working/submission.csv", expected_rows=TEST_ROWS))
    text = "".join(each["text"] for each in outputs if each["output_type"] == "stream")
    assert "submissions/submission.csv: 360 rows, in the form that Kaggle accepts" in text
    assert re.search(r"epoch +\d+/\d+", text)
    assert "could be chance (McNemar's exact test: p = 1.000)" in text
    shown = [each["data"] for each in outputs if each["output_type"] == "display_data"]
    score, digits, report, comparison = shown
    assert re.match(r"\*\*Accuracy 9\d\.\d\d%\*\*, 95 % interval", score["text/markdown"])
    rows = digits["text/markdown"].splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == list("0123456789")
    for page, title in ((report, "Digit Recognizer"), (comparison, "HEAD")):
        assert re.search("<iframe[^>]* srcdoc=.&lt;!doctype html", page["text/html"])
        assert title in page["text/html"]
    (place / "shown.html").write_text(f"<!doctype html>{report['text/html']}", encoding="utf-8")
    opened = browser.new_page()
    opened.goto((place / "shown.html").as_uri())
    frame = opened.frames[1]
    frame.locator("a[href='#confusions']").first.click()
    assert frame.url == "about:srcdoc#confusions"
    assert frame.locator("#confusions").is_visible()
    opened.close()
