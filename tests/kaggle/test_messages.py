import pytest
import requests

from pipeline.kaggle import messages

NOTHING_LISTENS = "http://127.0.0.1:9/"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_unreachable_network_is_named_and_may_pass() -> None:
    with pytest.raises(requests.ConnectionError) as caught:
        requests.get(NOTHING_LISTENS, timeout=5)
    message = messages.explain(caught.value, [])
    assert message.startswith("Kaggle is out of reach: the connection could not be made, or was")
    assert "127.0.0.1" not in message
    assert messages.seconds_to_wait(caught.value) == 0


def test_login_page_of_a_network_is_named_and_does_not_pass() -> None:
    response = requests.Response()
    response._content = b"<html>"
    with pytest.raises(requests.exceptions.JSONDecodeError) as caught:
        response.json()
    assert "perhaps the login page of a network" in messages.explain(caught.value, [])
    assert messages.seconds_to_wait(caught.value) is None
