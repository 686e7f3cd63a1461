"""Which credentials are found, in which order, and that the real client gets them clean."""

import codecs
import json
import os
import sys
from pathlib import Path

import pytest

from pipeline.errors import KaggleError
from pipeline.kaggle import credentials
from pipeline.kaggle.client import Client
from tests.kaggle_fixtures import GOOD_KEY, QUICK, Shell
from tests.kaggle_server import (
    EXPIRED_TOKEN,
    KEY,
    REFRESH_TOKEN,
    TOKEN,
    USERNAME,
    Fault,
    Kaggle,
)

KEY_FILE = json.dumps({"username": USERNAME, "key": KEY})
LOGIN_FILE = json.dumps(
    {
        "refresh_token": REFRESH_TOKEN,
        "access_token": TOKEN,
        "access_token_expiration": "2999-01-01T00:00:00+00:00",
        "username": USERNAME,
        "scopes": [],
    }
)

Files = dict[str, str | bytes]
Variables = dict[str, str]

# files under the home folder, variables, the place found, and how the client logs in with it
FOUND: dict[str, tuple[Files, Variables, str, str]] = {
    "token in a variable": ({}, {"KAGGLE_API_TOKEN": TOKEN}, "KAGGLE_API_TOKEN", "Bearer"),
    "token in a named file": (
        {"my/access_token": f"{TOKEN}\n"},
        {"KAGGLE_API_TOKEN": "~/my/access_token"},
        "~/my/access_token",
        "Bearer",
    ),
    "token in a file": (
        {".kaggle/access_token": f"{TOKEN}\n"},
        {},
        "~/.kaggle/access_token",
        "Bearer",
    ),
    "token in a .txt": (
        {".kaggle/access_token.txt": TOKEN},
        {},
        "~/.kaggle/access_token.txt",
        "Bearer",
    ),
    "token before a key": (
        {".kaggle/access_token": TOKEN, ".kaggle/kaggle.json": KEY_FILE},
        {},
        "~/.kaggle/access_token",
        "Bearer",
    ),
    "token of a notebook": (
        {"my/access_token": TOKEN},
        {
            "KAGGLE_KERNEL_RUN_TYPE": "Batch",
            "KAGGLE_DATA_PROXY_URL": "https://x",
            "KAGGLE_API_V1_TOKEN": "~/my/access_token",
        },
        "~/my/access_token",
        "Bearer",
    ),
    "key in variables": ({}, GOOD_KEY, "KAGGLE_KEY", "Basic"),
    "key in a file": ({".kaggle/kaggle.json": KEY_FILE}, {}, "~/.kaggle/kaggle.json", "Basic"),
    "key in .config": (
        {".config/kaggle/kaggle.json": KEY_FILE},
        {},
        "~/.config/kaggle/kaggle.json",
        "Basic",
    ),
    "key in a named folder": (
        {"x/kaggle.json": KEY_FILE},
        {"KAGGLE_CONFIG_DIR": " ~/x\n"},
        "~/x/kaggle.json",
        "Basic",
    ),
    "key in a variable, name in a file": (
        {".kaggle/kaggle.json": json.dumps({"username": USERNAME})},
        {"KAGGLE_KEY": KEY},
        "KAGGLE_KEY",
        "Basic",
    ),
    "empty key before a file": (
        {".kaggle/kaggle.json": KEY_FILE, ".kaggle/access_token": " \n"},
        {"KAGGLE_USERNAME": "", "KAGGLE_KEY": "\n", "KAGGLE_API_TOKEN": ' "" '},
        "~/.kaggle/kaggle.json",
        "Basic",
    ),
    "login": ({".kaggle/credentials.json": LOGIN_FILE}, {}, "~/.kaggle/credentials.json", "Bearer"),
    "login whose token expired": (
        {".kaggle/credentials.json": LOGIN_FILE.replace("2999", "2020")},
        {},
        "~/.kaggle/credentials.json",
        "Bearer",
    ),
    "login without a time": (
        {".kaggle/credentials.json": json.dumps({"refresh_token": REFRESH_TOKEN})},
        {},
        "~/.kaggle/credentials.json",
        "Bearer",
    ),
}
ABSENT: dict[str, tuple[Files, Variables]] = {
    "nothing": ({}, {}),
    "empty variables": (
        {},
        {"KAGGLE_API_TOKEN": "", "KAGGLE_USERNAME": "", "KAGGLE_KEY": "", "KAGGLE_CONFIG_DIR": ""},
    ),
    "blank variables": ({}, {"KAGGLE_API_TOKEN": "\n", "KAGGLE_USERNAME": " ", "KAGGLE_KEY": " "}),
    "name without key": ({}, {"KAGGLE_USERNAME": USERNAME}),
    "blank token file": ({".kaggle/access_token": " \n"}, {}),
    "token file with a mark alone": ({".kaggle/access_token": codecs.BOM_UTF8}, {}),
    "other settings of the client": ({".kaggle/kaggle.json": '{"competition": "x"}'}, {}),
    "login without refresh token": ({".kaggle/credentials.json": "{}"}, {}),
    "key where an empty .kaggle hides it": (
        {".config/kaggle/kaggle.json": KEY_FILE, ".kaggle/other": ""},
        {},
    ),
}

PASTED = {
    "newline": "{}\n",
    "carriage return": "{}\r",
    "both, and spaces": " \t{} \r\n\r\n",
    "no-break space": "\xa0{}\xa0",
    "byte order mark": "\ufeff{}",
    "zero-width space": "{}\u200b",
    "NUL and Ctrl-Z": "{}\x1a",
    "straight quotes": '"{}"\n',
    "single quotes": "'{}'",
    "curly quotes": "“{}”",
    "single curly quotes": "‘{}’\n",
    "guillemets": "«{}»",
    "backquotes": "`{}`",
    "escaped newline": "{}\\n",
    "quotes, mark and newline": '\ufeff"{}"\r\n',
}
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]

UNUSABLE: dict[str, tuple[Files, Variables, str]] = {
    "two words": ({}, {"KAGGLE_API_TOKEN": f"{TOKEN} {KEY}"}, "KAGGLE_API_TOKEN"),
    "letters that no token has": ({}, {"KAGGLE_API_TOKEN": f"{TOKEN}é"}, "KAGGLE_API_TOKEN"),
    "bytes that are no text": ({}, {"KAGGLE_API_TOKEN": f"{TOKEN}\udcff"}, "KAGGLE_API_TOKEN"),
    "named file that is not there": ({}, {"KAGGLE_API_TOKEN": "~/no"}, "KAGGLE_API_TOKEN"),
    "named file that is empty": ({"t": ""}, {"KAGGLE_API_TOKEN": "~/t"}, "~/t"),
    "named folder": ({"d/t": ""}, {"KAGGLE_API_TOKEN": "~/d"}, "~/d"),
    "token file of random bytes": (
        {".kaggle/access_token": bytes(range(128, 256))},
        {},
        "~/.kaggle/access_token",
    ),
    "token file that is a folder": ({".kaggle/access_token/x": ""}, {}, "~/.kaggle/access_token"),
    "file in place of the folder": ({".kaggle": TOKEN}, {}, "~/.kaggle"),
    "two tokens": (
        {".kaggle/access_token": f"{TOKEN}\n{TOKEN}\n"},
        {},
        "~/.kaggle/access_token",
    ),
    "key of two words": ({}, GOOD_KEY | {"KAGGLE_KEY": f"{KEY} x"}, "KAGGLE_KEY"),
    "damaged key file": ({".kaggle/kaggle.json": KEY_FILE[:-5]}, {}, "~/.kaggle/kaggle.json"),
    "key file with a list": ({".kaggle/kaggle.json": "[]"}, {}, "~/.kaggle/kaggle.json"),
    "key file with null": ({".kaggle/kaggle.json": "null"}, {}, "~/.kaggle/kaggle.json"),
    "deep key file": ({".kaggle/kaggle.json": "[" * 99_000}, {}, "~/.kaggle/kaggle.json"),
    "key that is a number": (
        {".kaggle/kaggle.json": json.dumps({"username": USERNAME, "key": 5})},
        {},
        "~/.kaggle/kaggle.json",
    ),
    "name that is null": (
        {".kaggle/kaggle.json": json.dumps({"username": None, "key": KEY})},
        {},
        "~/.kaggle/kaggle.json",
    ),
    "key file without a key": (
        {".kaggle/kaggle.json": json.dumps({"username": USERNAME})},
        {},
        "~/.kaggle/kaggle.json",
    ),
    "key that is empty": (
        {".kaggle/kaggle.json": json.dumps({"username": USERNAME, "key": ""})},
        {},
        "~/.kaggle/kaggle.json",
    ),
    "damaged login": (
        {".kaggle/credentials.json": LOGIN_FILE[:-5]},
        {},
        "~/.kaggle/credentials.json",
    ),
    "login of another kind": (
        {".kaggle/credentials.json": '{"refresh_token": 5}'},
        {},
        "~/.kaggle/credentials.json",
    ),
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and current folder without credentials."""
    for name in list(os.environ):
        if name.startswith("KAGGLE_") or name == "XDG_CONFIG_HOME":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    return home


def arrange(home: Path, files: Files) -> None:
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)


def set_variables(monkeypatch: pytest.MonkeyPatch, variables: Variables) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def kaggle_home(kaggle_project: Path, home: Path) -> Path:
    """The same, in a process that meets the server."""
    return home


def assert_logs_in(kaggle: Kaggle, kind: str) -> None:
    """The real client is let in; the server compares what it sends byte by byte."""
    assert Client(QUICK).submissions() == []
    assert kaggle.logins["ListSubmissions"] == kind


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found_logs_the_client_in(
    name: str, kaggle_home: Path, kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, variables, place, kind = FOUND[name]
    arrange(kaggle_home, files)
    set_variables(monkeypatch, variables)
    found = credentials.find()
    assert found is not None and found.place == place
    assert not any(secret in repr(found) for secret in (KEY, TOKEN, REFRESH_TOKEN))
    assert_logs_in(kaggle, kind)


@pytest.mark.parametrize("name", ABSENT)
def test_absent(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, variables = ABSENT[name]
    arrange(home, files)
    set_variables(monkeypatch, variables)
    assert credentials.find() is None


@pytest.mark.parametrize("name", PASTED)
def test_what_pasting_adds_is_dropped(
    name: str, kaggle_home: Path, kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = PASTED[name]
    monkeypatch.setenv("KAGGLE_API_TOKEN", form.format(TOKEN))
    assert_logs_in(kaggle, "Bearer")
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    arrange(kaggle_home, {".kaggle/access_token": form.format(TOKEN)})
    assert_logs_in(kaggle, "Bearer")
    (kaggle_home / ".kaggle/access_token").unlink()
    set_variables(
        monkeypatch,
        {"KAGGLE_USERNAME": form.format(USERNAME), "KAGGLE_KEY": form.format(KEY)},
    )
    assert_logs_in(kaggle, "Basic")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("access_token", f"{TOKEN}\r\n", "Bearer"),
        ("access_token", KEY_FILE, "Basic"),
        ("kaggle.json", KEY_FILE, "Basic"),
        ("kaggle.json", KEY_FILE.replace('"', "”"), "Basic"),
        ("kaggle.json", f"{TOKEN}\n", "Bearer"),
        ("kaggle.json", f'"{TOKEN}"', "Bearer"),
        ("credentials.json", LOGIN_FILE, "Bearer"),
    ],
)
def test_file_is_read_in_any_encoding(
    encoding: str, name: str, text: str, kind: str, kaggle_home: Path, kaggle: Kaggle
) -> None:
    arrange(kaggle_home, {f".kaggle/{name}": text.encode(encoding)})
    assert_logs_in(kaggle, kind)


def test_curly_quotes_of_an_older_editor_are_dropped(kaggle_home: Path, kaggle: Kaggle) -> None:
    arrange(kaggle_home, {".kaggle/access_token": f"“{TOKEN}”\r\n".encode("cp1252")})
    assert_logs_in(kaggle, "Bearer")


@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_credentials_are_named_and_not_shown(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, variables, place = UNUSABLE[name]
    arrange(home, files)
    set_variables(monkeypatch, variables)
    with pytest.raises(KaggleError) as caught:
        credentials.find()
    message = str(caught.value)
    assert message.startswith(f"The Kaggle credentials in {place} cannot be used: expected a")
    assert "Correct or remove them. " in message and message.isprintable()
    assert not any(secret[:8] in message for secret in (KEY, TOKEN, REFRESH_TOKEN, USERNAME))


def test_unusable_credentials_do_not_matter_after_good_ones(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrange(home, {".kaggle/kaggle.json": "["})
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    assert isinstance(credentials.find(), credentials.AccessToken)
    assert credentials.find_alternative() is None


def test_order_is_the_clients(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrange(home, {".kaggle/credentials.json": LOGIN_FILE, ".kaggle/kaggle.json": KEY_FILE})
    assert isinstance(credentials.find(), credentials.Key)
    assert isinstance(credentials.find_alternative(), credentials.Login)
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    assert isinstance(credentials.find(), credentials.AccessToken)
    assert isinstance(credentials.find_alternative(), credentials.Key)


def test_fresh_token_of_a_login_is_used_as_it_is(kaggle_home: Path, kaggle: Kaggle) -> None:
    arrange(kaggle_home, {".kaggle/credentials.json": LOGIN_FILE})
    Client(QUICK)
    assert not kaggle.counts


def test_login_that_is_no_longer_valid_is_named_and_kept(kaggle_home: Path, kaggle: Kaggle) -> None:
    expired = LOGIN_FILE.replace("2999", "2020").replace(TOKEN, EXPIRED_TOKEN)
    arrange(kaggle_home, {".kaggle/credentials.json": expired})
    kaggle.inject("GenerateAccessToken", Fault(401))
    with pytest.raises(
        KaggleError, match="in ~/.kaggle/credentials.json is no longer valid .401: "
    ):
        Client(QUICK)
    assert (kaggle_home / ".kaggle/credentials.json").read_text() == expired


def test_client_changes_no_variable(
    kaggle_home: Path, kaggle: Kaggle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{TOKEN}\n")
    before = dict(os.environ)
    assert_logs_in(kaggle, "Bearer")
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("command", "method"),
    [
        (("digits", "scores"), "ListSubmissions"),
        ((sys.executable, "-m", "pipeline.stages.download"), "DownloadDataFiles"),
    ],
)
def test_no_output_of_a_command_holds_the_token(
    command: tuple[str, ...], method: str, kaggle: Kaggle, kaggle_shell: Shell
) -> None:
    """A process of its own; the fixture searches all that it printed and left for the token."""
    arrange(kaggle_shell.folder, {"data/source.json": '{"kind": "kaggle"}'})
    kaggle.inject(method, Fault(403, f"{TOKEN} may not"))
    failed = kaggle_shell.run(*command, KAGGLE_API_TOKEN=f"{TOKEN}\n", VERBOSE="true")
    assert failed.status == 1
    assert "error: Kaggle refuses access" in failed.stderr and "(403: … may not)" in failed.stderr
    assert list(Path(kaggle_shell.environment["HOME"]).iterdir()) == []


def test_traceback_of_a_bug_is_shown_without_secrets(kaggle: Kaggle, kaggle_shell: Shell) -> None:
    code = (
        "from pipeline.kaggle import credentials; found = credentials.find()\n"
        "try: raise KeyError(found.token)\n"
        "except KeyError as error: raise RuntimeError(f'Bearer {found.token}') from error"
    )
    failed = kaggle_shell.run(sys.executable, "-c", code, KAGGLE_API_TOKEN=f"{TOKEN}\n")
    assert failed.status == 1
    assert "KeyError: '…'" in failed.stderr
    assert "RuntimeError: Bearer …" in failed.stderr
