import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipeline.data.sources.kaggle import download_archive
from pipeline.errors import KaggleError
from pipeline.kaggle.client import Client
from pipeline.kaggle.session import Timeouts
from pipeline.stages import download
from tests.competition import make_hollow_archive
from tests.kaggle_fixtures import GOOD_KEY, QUICK, Outcome, Shell
from tests.kaggle_server import EXPIRED_TOKEN, KEY, TOKEN, WRONG_KEY, Fault, Kaggle, wait_until

Run = Callable[[Callable[[], object]], Outcome]
STAGE = (sys.executable, "-m", "pipeline.stages.download")
RAW = Path("data/raw")
DOWNLOADED = Path("data/.download/digit-recognizer.zip")
FETCH = partial(download.main, QUICK)
FETCH_ARCHIVE = partial(download_archive, DOWNLOADED.parent, QUICK)
RULES = "You must accept this competition's rules before you'll be able to download files."
OFFER = "set source.kind to sample in params.yaml to run on the embedded sample meanwhile"


@pytest.fixture(autouse=True)
def decision(tmp_path: Path) -> None:
    """The source stage has decided for Kaggle."""
    data = tmp_path / "project/data"
    data.mkdir(parents=True)
    (data / "source.json").write_text(json.dumps({"kind": "kaggle"}))


FAULTS = {
    "truncated always": ("storage", Fault(sent_share=0.5), "the connection could not be made, or"),
    "corrupt always": ("storage", Fault(corrupt=True), "What came from Kaggle, twice, is not usab"),
    "web page as archive": ("storage", Fault(html=True), "it is a web page, perhaps a login form"),
    "web page as answer": ("DownloadDataFiles", Fault(html=True), "Expected an archive, found som"),
    "401": ("DownloadDataFiles", Fault(401), "Kaggle refused the API key in KAGGLE_KEY (401: inj"),
    "403": ("DownloadDataFiles", Fault(403, RULES), f"(403: {RULES.rstrip('.')}). Join it and a"),
    "404": ("DownloadDataFiles", Fault(404), "expected the competition digit-recognizer. If http"),
    "400": ("DownloadDataFiles", Fault(400), "Kaggle refused the request (400: injected)."),
    "408": ("DownloadDataFiles", Fault(408), "Kaggle is out of order at the moment (408: injecte"),
    "429": ("DownloadDataFiles", Fault(429), "too many requests (429: injected). Wait for some m"),
    "500": ("DownloadDataFiles", Fault(500), "Kaggle is out of order at the moment (500: injecte"),
    "503": ("DownloadDataFiles", Fault(503), "Kaggle is out of order at the moment (503: injecte"),
    "403 at storage": ("storage", Fault(403), "Kaggle's storage did not accept the link"),
    "network gone": ("DownloadDataFiles", Fault(closes=True), "or lost the connection. Check"),
    "network gone midway": ("storage", Fault(closes=True), "or lost the connection. Check the"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_lasting_fault_names_the_cure_leaves_nothing_and_the_next_run_heals(
    name: str, kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    step, fault, message = FAULTS[name]
    kaggle.inject(step, fault)

    failed = kaggle_outcome(FETCH)

    assert failed.status == 1
    assert failed.stderr.count("error: ") == 1
    assert message in failed.stderr
    assert OFFER in failed.stderr or "put it at data/digit-recognizer.zip" in failed.stderr
    assert not RAW.exists()
    kaggle.heal()
    assert kaggle_outcome(FETCH).status == 0
    assert sorted(path.name for path in RAW.iterdir()) == [
        "provenance.json",
        "test.csv",
        "train.csv",
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusal_is_not_repeated(
    status: int, kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.inject("DownloadDataFiles", Fault(status))
    kaggle_outcome(FETCH)
    assert kaggle.counts["DownloadDataFiles"] == 1


PASSING = {
    "truncated": ("storage", Fault(sent_share=0.5)),
    "truncated without length": ("storage", Fault(sent_share=0.5, length=False)),
    "truncated without validators": ("storage", Fault(sent_share=0.5, validators=False)),
    "corrupt": ("storage", Fault(corrupt=True)),
    "no length": ("storage", Fault(length=False)),
    "no validators": ("storage", Fault(validators=False)),
    "429": ("DownloadDataFiles", Fault(429)),
    "408": ("DownloadDataFiles", Fault(408)),
    "500": ("DownloadDataFiles", Fault(500)),
    "503": ("storage", Fault(503)),
    "connection lost": ("DownloadDataFiles", Fault(closes=True)),
}


@pytest.mark.parametrize("name", PASSING)
def test_passing_fault_is_overcome(
    name: str, kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.inject(*PASSING[name], times=1)
    assert kaggle_outcome(FETCH_ARCHIVE).status == 0
    assert DOWNLOADED.read_bytes() == kaggle.archive


def test_truncated_download_is_continued(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.inject("storage", Fault(sent_share=0.5), times=1)
    assert kaggle_outcome(FETCH).status == 0
    assert {path.name for path in RAW.iterdir()} == {"provenance.json", "test.csv", "train.csv"}
    begun = [wanted for wanted in kaggle.ranges if wanted]
    assert begun and int(begun[0].removeprefix("bytes=").removesuffix("-")) >= 1 << 20


def test_wait_that_kaggle_asks_for_is_kept(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.inject("DownloadDataFiles", Fault(429, headers={"Retry-After": "1"}), times=1)
    start = time.monotonic()
    assert kaggle_outcome(FETCH_ARCHIVE).status == 0
    assert time.monotonic() - start >= 1  # the header knows whole seconds alone


@pytest.mark.parametrize("value", ["7200", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_long_wait_is_reported_instead(
    value: str, kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.inject("DownloadDataFiles", Fault(429, headers={"Retry-After": value}))
    failed = kaggle_outcome(FETCH)
    assert failed.status == 1
    assert " seconds, then try again." in failed.stderr
    assert kaggle.counts["DownloadDataFiles"] == 1


def test_command_to_copy_ends_its_line(kaggle: Kaggle, kaggle_project: Path) -> None:
    kaggle.inject("DownloadDataFiles", Fault(404, "no"))
    with pytest.raises(KaggleError, match=r"pip install --upgrade kaggle\nWithout Kaggle: "):
        download_archive(Path("down"), QUICK)


@pytest.mark.parametrize("step", ["DownloadDataFiles", "storage"])
def test_silent_server_is_given_up(
    step: str, kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.inject(step, Fault(stalls=True))
    impatient = Timeouts(timeout_seconds=0.3, tries=2, delay_seconds=0.01)
    failed = kaggle_outcome(partial(download.main, impatient))
    assert failed.status == 1
    assert "Kaggle does not answer: nothing came for too long" in failed.stderr
    assert not RAW.exists()
    kaggle.heal()
    assert kaggle_outcome(FETCH_ARCHIVE).status == 0


def test_server_that_falls_silent_midway_is_given_up(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.inject("storage", Fault(sent_mib=1))
    impatient = Timeouts(timeout_seconds=0.3, tries=2, delay_seconds=0.01)
    failed = kaggle_outcome(partial(download.main, impatient))
    assert failed.status == 1
    assert "Kaggle does not answer: nothing came for too long" in failed.stderr
    assert not RAW.exists()


def test_archive_with_too_few_rows_is_refused(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.archive = make_hollow_archive(train_rows=41_999)
    failed = kaggle_outcome(FETCH)
    assert failed.status == 1
    assert "expected 42,000 rows, found 41,999" in failed.stderr
    assert not RAW.exists() and not DOWNLOADED.exists()


def test_repeated_run_asks_for_nothing(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kaggle_outcome(FETCH_ARCHIVE).status == 0
    asked = kaggle.counts.total()
    monkeypatch.delenv("KAGGLE_KEY")
    assert kaggle_outcome(FETCH_ARCHIVE).status == 0
    assert kaggle.counts.total() == asked


def test_archive_damaged_on_disk_is_fetched_again(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle_outcome(FETCH_ARCHIVE)
    content = bytearray(DOWNLOADED.read_bytes())
    content[1000:1064] = bytes(64)
    DOWNLOADED.write_bytes(content)
    assert kaggle_outcome(FETCH_ARCHIVE).status == 0
    assert DOWNLOADED.read_bytes() == kaggle.archive


def test_no_credentials_are_named_with_all_places(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "")
    failed = kaggle_outcome(FETCH)
    assert failed.status == 1
    assert "none were found: expected an access token" in failed.stderr
    assert OFFER in failed.stderr
    assert not kaggle.counts


def test_wrong_key_is_named_by_its_place(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_KEY", WRONG_KEY)
    failed = kaggle_outcome(FETCH)
    assert failed.status == 1
    assert "Kaggle refused the API key in KAGGLE_KEY (401: Unauthenticated)" in failed.stderr


def test_expired_token_alone_is_named(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    monkeypatch.setenv("KAGGLE_API_TOKEN", EXPIRED_TOKEN)
    failed = kaggle_outcome(FETCH)
    assert failed.status == 1
    assert "Kaggle refused the access token in KAGGLE_API_TOKEN (401: Unauth" in failed.stderr
    assert "it is wrong, expired or was revoked. Create a new token at" in failed.stderr
    assert "Authentication required" not in failed.stdout + failed.stderr


def test_expired_token_beside_a_good_key_is_told_apart(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", EXPIRED_TOKEN)
    failed = kaggle_outcome(FETCH_ARCHIVE)
    assert failed.status == 1
    assert "Kaggle refused the access token in KAGGLE_API_TOKEN" in failed.stderr
    assert "Replace the token, or remove it to use the other one." in failed.stderr
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    assert kaggle_outcome(FETCH_ARCHIVE).status == 0


def test_good_token_is_used_before_the_key(
    kaggle: Kaggle, kaggle_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    Client(QUICK).submissions()
    assert kaggle.logins["ListSubmissions"] == "Bearer"


def test_secret_that_kaggle_repeats_is_not_shown(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.inject("DownloadDataFiles", Fault(401, f"the key {KEY} is wrong"))
    failed = kaggle_outcome(FETCH)
    assert "(401: the key … is wrong)" in failed.stderr


def test_untrusted_certificate_is_named(
    kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    failed = kaggle_outcome(FETCH)
    assert failed.status == 1
    assert "its certificate could not be verified" in failed.stderr
    assert "REQUESTS_CA_BUNDLE" in failed.stderr


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("missing.pem", "names missing.pem, which does not exist. Correct the variable"),
        ("empty.pem", "names empty.pem, which holds no certificates in PEM form"),
        ("text.pem", "names text.pem, which holds no certificates in PEM form"),
        ("empty", "names empty, a folder without certificates"),
    ],
)
def test_unusable_list_of_authorities_is_named(
    variable: str,
    value: str,
    problem: str,
    kaggle: Kaggle,
    kaggle_project: Path,
    kaggle_outcome: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("empty.pem").touch()
    Path("text.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    Path("empty").mkdir()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv(variable, value)
    failed = kaggle_outcome(FETCH)
    assert failed.status == 1
    assert f"The certificates to trust cannot be read: {variable} {problem}" in failed.stderr


@pytest.mark.parametrize(
    ("variable", "proxy", "problem"),
    [
        ("https_proxy", "http://user:5ecre7c0ffee@127.0.0.1:9", "user and password in https_proxy"),
        ("HTTPS_PROXY", "http://user:5ecre7c0ffee@127.0.0.1:9", "user and password in HTTPS_PROXY"),
        ("HTTPS_PROXY", "nonsense://", "HTTPS_PROXY is no address of a proxy: expected http://H"),
        ("ALL_PROXY", "ftp://u:5ecre7c0ffee@127.0.0.1", "ALL_PROXY is no address of a proxy"),
        ("HTTPS_PROXY", "http://u:5ecre7c0ffee@127.0.0.1:99999", "HTTPS_PROXY is no address"),
        ("HTTPS_PROXY", " http://u:5ecre7c0ffee@127.0.0.1:9", "HTTPS_PROXY is no address"),
        (
            "HTTPS_PROXY",
            "socks5://u:5ecre7c0ffee@127.0.0.1:9",
            "names a SOCKS proxy (socks5://…), ",
        ),
        ("all_proxy", "socks5h://127.0.0.1:9", "Install it with: pip install pysocks"),
        ("ALL_PROXY", "socks4://127.0.0.1:9", "ALL_PROXY names a SOCKS proxy (socks4://…), and"),
        ("HTTPS_PROXY", "http://u:5ecre7c0ffee€@127.0.0.1:9", "and none beyond Latin-1. Correct"),
        ("HTTPS_PROXY", "http://u:5ecre7c0ffee%E2%82%AC@127.0.0.1:9", "beyond Latin-1. Correct"),
        ("ALL_PROXY", "socks://u:5ecre7c0ffee@127.0.0.1:9", "(socks://…): expected socks5h:// or"),
    ],
)
def test_unusable_proxy_is_named_without_its_password(
    variable: str,
    proxy: str,
    problem: str,
    kaggle: Kaggle,
    kaggle_project: Path,
    kaggle_outcome: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, proxy)
    failed = kaggle_outcome(FETCH)
    assert failed.status == 1
    assert problem in failed.stderr
    assert "5ecre7c0ffee" not in failed.stderr


@pytest.mark.parametrize("address", ["captive:portal", "https://:443/portal"])
def test_redirect_to_no_address_is_not_blamed_on_the_proxy(
    address: str, kaggle: Kaggle, kaggle_project: Path, kaggle_outcome: Run
) -> None:
    kaggle.inject("DownloadDataFiles", Fault(302, headers={"Location": address}))
    failed = kaggle_outcome(FETCH)
    assert failed.status == 1
    assert "expected a link, found something that is none, perhaps the login page" in failed.stderr
    assert "HTTPS_PROXY" not in failed.stderr


def test_ctrl_c_ends_with_130_and_the_next_run_continues(
    kaggle: Kaggle, kaggle_shell: Shell
) -> None:
    kaggle.inject("storage", Fault(sent_mib=2))
    partly = kaggle_shell.folder / DOWNLOADED

    def two_mib_arrived() -> None:
        wait_until(lambda: partly.exists() and partly.stat().st_size >= 2 << 20)

    interrupted = kaggle_shell.interrupt(*STAGE, when=two_mib_arrived, **GOOD_KEY)

    assert interrupted.status == 130
    assert "interrupted" in interrupted.stderr and "Traceback" not in interrupted.stderr
    assert not (kaggle_shell.folder / RAW).exists()
    kaggle.heal()
    assert kaggle_shell.run(*STAGE, **GOOD_KEY).status == 0
    assert any(wanted and wanted != "bytes=0-" for wanted in kaggle.ranges)
