import json
import os
import sys
from pathlib import Path

import pytest

from pipeline.kaggle import credentials
from tests.kaggle_fixtures import Shell
from tests.kaggle_server import EXPIRED_TOKEN, KEY, REFRESH_TOKEN, TOKEN, USERNAME, Fault, Kaggle

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
KEY_VARIABLES = {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}

# files under the home folder, variables, and the place found
FOUND = {
    "token in a variable": ({}, {"KAGGLE_API_TOKEN": TOKEN}, "KAGGLE_API_TOKEN"),
    "token in a named file": ({"t": f"{TOKEN}\n"}, {"KAGGLE_API_TOKEN": "t"}, "t"),
    "token in a file": ({".kaggle/access_token": f"{TOKEN}\n"}, {}, "~/.kaggle/access_token"),
    "token in a .txt": ({".kaggle/access_token.txt": TOKEN}, {}, "~/.kaggle/access_token.txt"),
    "key in variables": ({}, KEY_VARIABLES, "KAGGLE_KEY"),
    "key in a file": ({".kaggle/kaggle.json": KEY_FILE}, {}, "kaggle.json"),
    "key in .config": ({".config/kaggle/kaggle.json": KEY_FILE}, {}, "kaggle.json"),
    "key in a named folder": (
        {"x/kaggle.json": KEY_FILE},
        {"KAGGLE_CONFIG_DIR": "x"},
        "kaggle.json",
    ),
    "login": ({".kaggle/credentials.json": LOGIN_FILE}, {}, "~/.kaggle/credentials.json"),
    "empty key before a file": (
        {".kaggle/kaggle.json": KEY_FILE},
        {"KAGGLE_USERNAME": "", "KAGGLE_KEY": ""},
        "kaggle.json",
    ),
}
ABSENT = {
    "nothing": ({}, {}),
    "empty variables": (
        {},
        {"KAGGLE_API_TOKEN": "", "KAGGLE_USERNAME": "", "KAGGLE_KEY": "", "KAGGLE_CONFIG_DIR": ""},
    ),
    "name without key": ({}, {"KAGGLE_USERNAME": USERNAME}),
    "blank token file": ({".kaggle/access_token": " \n"}, {}),
    "damaged key file": ({".kaggle/kaggle.json": KEY_FILE[:-5]}, {}),
    "key file of another kind": ({".kaggle/kaggle.json": "[]"}, {}),
    "login without refresh token": ({".kaggle/credentials.json": "{}"}, {}),
    "key where an empty .kaggle hides it": (
        {".config/kaggle/kaggle.json": KEY_FILE, ".kaggle/other": ""},
        {},
    ),
}


def _arrange(home: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("KAGGLE_") or name == "XDG_CONFIG_HOME":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, variables, place = FOUND[name]
    _arrange(home, files)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    (found,) = credentials.find()
    assert found.place.endswith(place)
    assert not any(secret in repr(found) for secret in (KEY, TOKEN, REFRESH_TOKEN))


@pytest.mark.parametrize("name", ABSENT)
def test_absent(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, variables = ABSENT[name]
    _arrange(home, files)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert credentials.find() == []


def test_order_is_the_clients(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _arrange(home, {".kaggle/credentials.json": LOGIN_FILE, ".kaggle/kaggle.json": KEY_FILE})
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    kinds = [found.kind for found in credentials.find()]
    assert kinds == [credentials.Kind.ACCESS_TOKEN, credentials.Kind.KEY, credentials.Kind.LOGIN]


LIST = "from pipeline.kaggle.client import Client; print(Client().submissions())"


@pytest.mark.parametrize(
    ("files", "variables", "login"),
    [
        ({".kaggle/access_token": TOKEN, ".kaggle/kaggle.json": KEY_FILE}, {}, "Bearer"),
        ({".kaggle/kaggle.json": KEY_FILE}, {"KAGGLE_KEY": "", "KAGGLE_USERNAME": ""}, "Basic"),
        ({".config/kaggle/kaggle.json": KEY_FILE}, {}, "Basic"),
        ({".kaggle/credentials.json": LOGIN_FILE}, {}, "Bearer"),
    ],
)
def test_client_logs_in_with_what_was_found(
    files: dict[str, str],
    variables: dict[str, str],
    login: str,
    kaggle: Kaggle,
    kaggle_shell: Shell,
) -> None:
    _arrange(Path(kaggle_shell.environment["HOME"]), files)
    listed = kaggle_shell.run(sys.executable, "-c", LIST, **variables)
    assert (listed.status, listed.stdout) == (0, "[]\n"), listed.stderr
    assert kaggle.logins["ListSubmissions"] == login


def test_login_that_is_no_longer_valid_is_named(kaggle: Kaggle, kaggle_shell: Shell) -> None:
    expired = LOGIN_FILE.replace("2999", "2020").replace(TOKEN, EXPIRED_TOKEN)
    _arrange(Path(kaggle_shell.environment["HOME"]), {".kaggle/credentials.json": expired})
    kaggle.inject("GenerateAccessToken", Fault(401))
    command = f"from pipeline.errors import exit_status; exit_status(lambda: exec({LIST!r}))"
    failed = kaggle_shell.run(sys.executable, "-c", command)
    assert "is no longer valid. Log in again with: kaggle auth login" in failed.stderr
    assert failed.stdout == ""
