import pytest
import requests
from urllib3.exceptions import MaxRetryError, ProtocolError, ReadTimeoutError

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


SILENCE = ReadTimeoutError(None, "/", "Read timed out.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        requests.ReadTimeout(SILENCE),
        requests.ConnectionError(SILENCE),
        requests.ConnectionError(MaxRetryError(None, "/", SILENCE)),  # type: ignore[arg-type]
        requests.ConnectionError(ProtocolError("Connection aborted.", TimeoutError("timed out"))),
        requests.exceptions.ChunkedEncodingError(ProtocolError("Connection broken", SILENCE)),
    ],
)
def test_silence_is_told_from_a_lost_connection(error: requests.RequestException) -> None:
    assert error_messages.explain(error, USED).startswith("Kaggle does not answer: nothing came")


@pytest.mark.parametrize("status", [400, 403, 404])
def test_refusal_of_a_link_does_not_ask_to_accept_rules(status: int) -> None:
    response = requests.Response()
    response.status_code, response._content = status, b"<Error/>"
    response.url = "https://storage.googleapis.com/kaggle-data/digit-recognizer.zip?X-Goog=5ecre7"
    message = error_messages.explain(requests.HTTPError(response=response), USED)
    assert message.startswith(
        f"Kaggle's storage did not accept the link that Kaggle gave out ({status}"
    )
    assert "rules" not in message
    response.url = "https://api.kaggle.com/v1/competitions.CompetitionApiService/DownloadDataFiles"
    assert "storage" not in error_messages.explain(requests.HTTPError(response=response), USED)


@pytest.mark.parametrize(
    "variables", [{"http_proxy": "socks5://a:1080"}, {"HTTPS_PROXY": "nonsense", "no_proxy": "*"}]
)
def test_proxy_that_is_not_on_the_way_is_not_blamed(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    message = error_messages.explain(requests.exceptions.InvalidSchema("x"), USED)
    assert message.startswith("Something else than Kaggle answered: expected a link")
    message = error_messages.explain(requests.ReadTimeout(SILENCE), USED)
    assert message.startswith("Kaggle does not answer")


def test_refusal_of_what_was_sent_asks_to_change_it() -> None:
    response = requests.Response()
    response.status_code, response.url = 413, "https://api.kaggle.com/v1/x"
    assert "Change what it names" in error_messages.explain(
        requests.HTTPError(response=response), USED
    )
