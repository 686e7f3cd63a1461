"""That the browser fixture notices what it is there to notice."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from docs import chromium
from tests.browser import NARROW, accessibility_findings, opened

HEAD = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title></head>'


def write(folder: Path, body: str) -> Path:
    path = folder / "page.html"
    path.write_text(f"{HEAD}<body><main><h1>t</h1>{body}</main></body></html>")
    return path


def put_program(path: Path) -> str:
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_browser_is_found_on_path_in_applications_and_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(chromium.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    applications = [tmp_path / "none", tmp_path / "Applications"]
    assert chromium.find(applications) is None
    of_macos = put_program(applications[1] / "Google Chrome.app/Contents/MacOS/Google Chrome")
    assert chromium.find(applications) == of_macos
    on_path = put_program(tmp_path / "bin/google-chrome")
    assert chromium.find(applications) == on_path
    own = put_program(tmp_path / "own/chrome")
    monkeypatch.setenv(chromium.VARIABLE, own)
    assert chromium.find(applications) == own
    monkeypatch.setenv(chromium.VARIABLE, str(tmp_path / "mistyped"))
    assert chromium.find(applications) is None


def test_quiet_page_passes(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, write(tmp_path, "<p>words</p>")) as page:
        assert page.title() == "t"
        assert accessibility_findings(page) == []


@pytest.mark.parametrize(
    "body",
    [
        "<script>console.error('no')</script>",
        "<script>nothing()</script>",
        "<script>fetch('https://example.org').catch(() => 0)</script>",
        "<img src='https://example.org/x.png' alt=''>",
        "<img src='other.png' alt=''>",
        "<p style='width: 2000px'>wide</p>",
    ],
)
def test_page_that_complains_fetches_or_overflows_fails(
    body: str, browser: Browser, tmp_path: Path
) -> None:
    with (
        pytest.raises(AssertionError),
        opened(browser, write(tmp_path, body), width=NARROW) as page,
    ):
        page.wait_for_load_state("networkidle")


def test_pale_text_and_nameless_picture_are_serious(browser: Browser, tmp_path: Path) -> None:
    body = "<p style='color: #ccc'>pale</p><img src='data:image/png;base64,'>"
    with opened(browser, write(tmp_path, body)) as page:
        findings = accessibility_findings(page)
    assert [finding.partition(":")[0] for finding in findings] == ["color-contrast", "image-alt"]
