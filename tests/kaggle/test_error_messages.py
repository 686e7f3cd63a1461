import pytest
import requests

from pipeline.kaggle import error_messages
from pipeline.kaggle.credentials import AccessToken

NOTHING_LISTENS = "http://127.0.0.1:9/"
USED = AccessToken("KAGGLE_API_TOKEN", "KGAT_5ecre7")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_unreachable_network_is_named_and_may_pass() -> None:
    with pytest.raises(requests.ConnectionError) as caught:
        requests.get(NOTHING_LISTENS, timeout=5)
    message = error_messages.explain(caught.value, USED)
    assert message.startswith("Kaggle is out of reach: the connection could not be made, or was")
    assert "127.0.0.1" not in message
    assert error_messages.seconds_to_wait(caught.value) == 0


def test_login_page_of_a_network_is_named_and_does_not_pass() -> None:
    response = requests.Response()
    response._content = b"<html>"
    with pytest.raises(requests.exceptions.JSONDecodeError) as caught:
        response.json()
    assert "perhaps the login page of a network" in error_messages.explain(caught.value, USED)
    assert error_messages.seconds_to_wait(caught.value) is None


def test_unknown_error_is_told_in_one_line_with_type_and_place() -> None:
    with pytest.raises(ValueError) as caught:
        int("no\nnumber")
    message = error_messages.explain(caught.value, USED)
    assert "unknown way: ValueError (invalid literal for int() with base 10: 'no" in message
    assert ", in test_error_messages.py line " in message
    assert "\n" not in message
    assert error_messages.seconds_to_wait(caught.value) is None
