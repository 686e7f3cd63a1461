"""README and documentation: commands, links, sizes, words; and the site, built and opened."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from ruamel.yaml import YAML

from docs import pictures, reference
from pipeline import params
from tests import documentation
from tests.browser import NARROW, WIDE, accessibility_findings
from tests.conftest import ROOT
from tests.documentation import PAGES

README = ROOT / "README.md"


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_commands_on_the_page_exist(page: Path) -> None:
    faults = []
    for where, words in documentation.commands(page):
        try:
            documentation.check(words)
        except (Exception, SystemExit) as error:
            faults.append(f"{where}: {error!r}")
    assert faults == []


@pytest.mark.parametrize(
    "line",
    [
        "digits error",
        "digits errors --agianst HEAD",
        "digits predict",
        "digits export onyx",
        "digits kaggle wheel folder",
        "digits kaggle wheels",
        "dvc exp rum",
        "dvc repro trian",
        "dvc --cd comparison repro trian",
        "dvc exp run -S train.batchsize=64",
        "make tests",
        "python -m benchmarks.member",
        "sudo make",
    ],
)
def test_mistyped_command_is_found(line: str) -> None:
    (words,) = documentation.split(line)
    with pytest.raises((Exception, SystemExit)):
        documentation.check(words)


def test_lines_are_divided_into_commands() -> None:
    assert list(documentation.split("a -S 'b=[0,1]' && G=-1 c; d | e - # f")) == [
        ["a", "-S", "b=[0,1]"],
        ["c"],
        ["d"],
        ["e", "-"],
    ]


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        ("3 of 288 wrong\n| 1 | x |\n", True),
        ("38 of 8,400 wrong\n…\n", True),
        ("…\n| 7 |   x |\n", True),
        ("3 of 288 wrong\n", False),
        ("3 of 288 right\n…\n", False),
        ("", False),
    ],
)
def test_output_is_compared_but_for_numbers(shown: str, same: bool) -> None:
    assert documentation.is_output(shown, "5 of 1,437 wrong\n| 0 |  x |\n") is same


# ---------------------------------------------------------------- links and pictures


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for address in documentation.links(page):
        path, _, anchor = address.partition("#")
        if anchor in ("only-light", "only-dark"):
            anchor = ""
        target = (page.parent / path).resolve() if path else page
        if page.is_relative_to(ROOT / "docs") and path in reference.REPOSITORY_PAGES:
            target = ROOT / reference.REPOSITORY_PAGES[path]
        if not target.exists() or (anchor and anchor not in documentation.anchors(target)):
            dead.append(address)
    assert dead == []


def test_pictures_are_shown_and_small() -> None:
    made = set(pictures.PICTURES.iterdir())
    shown = {
        (page.parent / address.partition("#")[0]).resolve()
        for page in PAGES
        for address in documentation.links(page)
    }
    assert made <= shown
    assert sum(path.stat().st_size for path in made) <= pictures.MAX_BYTES


def test_diagram_has_the_stages_of_dvc() -> None:
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    assert set(pictures.STAGES) == set(pictures.WRITES) == set(stages)
    assert {name for arrow in pictures.ARROWS for name in arrow} == set(stages)
    for scheme in pictures.SCHEMES:
        drawn = (pictures.PICTURES / f"pipeline-{scheme}.svg").read_text(encoding="utf-8")
        assert all(f">{name}</text>" in drawn for name in stages)
    explained = re.findall(r"^- `(\w+)` ", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert explained == list(sorted(stages, key=explained.index))


# ---------------------------------------------------------------- sizes


def test_readme_is_short_and_shows_itself_early() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert next(number for number, line in enumerate(lines, 1) if "docs/pictures/" in line) <= 15
    assert [line for line in lines if len(line) > 130 and not line.startswith("|")] == []


def test_readme_shows_the_architecture_of_contributing() -> None:
    (shown,) = [block.text for block in documentation.blocks(README) if block.language == "python"]
    recipes = documentation.blocks(ROOT / "CONTRIBUTING.md")
    whole = next(block.text for block in recipes if block.language == "python").splitlines()
    assert [line for line in shown.splitlines() if line not in whole] == [
        '    """A single convolution of 11×11; 169,258 parameters."""'
    ]


def test_results_are_one_page() -> None:
    assert len((ROOT / "docs/results.md").read_text(encoding="utf-8").splitlines()) <= 120


# ---------------------------------------------------------------- words

WORDS = {
    "stopping (slice|loss|accuracy|fraction)": "validation set",
    "kept (epoch|weights)": "best epoch",
    "(two|three|five|several|other|both|all|its) forms": "views",
    "judge[sd]?|judgements?": "evaluated",
    "misread": "misclassified",
    "waver(s|ed|ing)?|undecided|in doubt|unsure|least certain": "low confidence",
    "held[- ]back|hold back": "held out",
    "anew": "again",
    "beside": "next to, compared with",
    "in place of": "instead of",
}
"""What is not said, and what is said for it."""

ELSEWHERE = ("pipeline",)
"""Folders whose messages and pages are read, too."""

ALLOWED: dict[str, set[str]] = {
    "pipeline/handwriting/drawing/page.js": {"unsure"},
}
"""Words that a file may hold all the same, as names in the code."""


def texts() -> list[Path]:
    found = [*PAGES, ROOT / "params.yaml", ROOT / "dvc.yaml"]
    for folder in ELSEWHERE:
        for suffix in ("py", "html", "js", "md", "yaml"):
            found += (ROOT / folder).rglob(f"*.{suffix}")
    return found


def test_plain_words_are_used() -> None:
    found = [
        f"{name}:{number}: {match[0]!r}, say: {better}"
        for path in texts()
        for name in [path.relative_to(ROOT).as_posix()]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for word, better in WORDS.items()
        for match in re.finditer(rf"\b({word})\b", line, re.IGNORECASE)
        if match[0].lower() not in ALLOWED.get(name, set())
    ]
    assert found == [], "\n".join(found)


# ---------------------------------------------------------------- habits


def test_changelog_starts_with_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == version


def test_hosted_ci_runs_what_developers_run() -> None:
    workflow = YAML(typ="safe").load(ROOT / ".github/workflows/tests.yml")["jobs"]["test"]
    assert [step["run"] for step in workflow["steps"] if "run" in step][-1] == "make test"
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    versions = {name.rpartition(" ")[2] for name in classifiers if ":: 3." in name}
    assert set(workflow["strategy"]["matrix"]["python"]) == versions


def test_hooks_call_the_tools_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (repository,) = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"]
    for hook in repository["hooks"]:
        tool = hook["entry"].removeprefix(".venv/bin/").removesuffix(" --fix")
        assert f"$(BIN)/{tool}" in makefile


# ---------------------------------------------------------------- reference and site


def test_every_setting_is_described() -> None:
    page = "\n".join(reference.describe_settings())
    for name, field in params.Params.model_fields.items():
        section = reference.section_of(field.annotation)
        for key in section.model_fields if section else [name]:
            (row,) = re.findall(rf"^\| `{key}` \|.*$", _section(page, name, section), re.MULTILINE)
            _, _, about, allowed, *_ = row.split("|")
            assert about.strip()
            assert allowed.strip()


def _section(page: str, name: str, section: object) -> str:
    heading = f"## `{name}`" if section else "## Top level"
    return page.partition(f"{heading}\n")[2].partition("\n## ")[0]


def test_bounds_are_those_of_the_models() -> None:
    page = "\n".join(reference.describe_settings())
    assert "whole number, at least 2 and at most 20 | folds | `5` | `5` | `5` |" in page
    assert "number, at least 0 and less than 0.5 | fraction, 1 = all | `0.1`" in page


def test_every_command_is_described() -> None:
    page = "\n".join(reference.describe_commands())
    assert "## digits predict\n" in page
    assert "| `--json` | Print a JSON array. |" in page
    assert "Default: `submissions/submission.csv`." in page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as ``make docs`` builds it: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_site_works_from_disk_and_fetches_nothing(site: Path, browser: Browser) -> None:
    context = browser.new_context(offline=True, viewport={"width": WIDE, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: complaints.append(request.url) if "http" in request.url[:4] else None,
    )
    page.goto((site / "index.html").as_uri())
    page.get_by_role("textbox", name="Search").click()
    page.keyboard.type("nearest neighbours")
    page.locator(".md-search-result__item a", has_text="Do nearest neighbours help").first.click()
    page.wait_for_url("**/experiments/neighbours.html*")
    assert page.get_by_role("heading", level=1).inner_text().startswith("Do nearest neighbours")
    assert complaints == []
    context.close()


THEMES_OWN = {"aria-dialog-name", "scrollable-region-focusable"}
"""What axe-core holds against the theme's search and its frames around wide tables."""


@pytest.mark.parametrize("scheme", pictures.SCHEMES)
def test_pages_fit_a_phone_and_can_be_read_by_all(
    scheme: pictures.Scheme, site: Path, browser: Browser
) -> None:
    context = browser.new_context(
        offline=True, viewport={"width": NARROW, "height": 900}, color_scheme=scheme
    )
    page = context.new_page()
    for name in ("index", "configuration", "results", "comparison"):
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
        shown = page.locator(f"img[src$='#only-{scheme}']")
        hidden = page.locator("img[src*='#only-']:visible")
        assert hidden.count() == shown.count()
    findings = accessibility_findings(page)
    assert [each for each in findings if each.partition(":")[0] not in THEMES_OWN] == []
    context.close()
