import pytest

from pipeline.kaggle import redaction


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the token 5ecre7/+= is wrong", "the token … is wrong"),
        ("?token=5ecre7%2F%2B%3D", "?token=…"),
        ("5ecre7/+=5ecre7/+=more", "……more"),
        ("http://user:pass@proxy:80/", "http://…@proxy:80/"),
        ("socks5://user:p/a@proxy", "socks5://…@proxy"),
        (
            "https://x.y/files/a.zip?X-Sig=ab%2Fc&X-Goog=1 is gone",
            "https://x.y/files/a.zip?… is gone",
        ),
        ("url='https://x.y/a?s=1'", "url='https://x.y/a?…'"),
        ("does https://www.kaggle.com open? x=1", "does https://www.kaggle.com open? x=1"),
        ("someone@example.org", "someone@example.org"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text: str, expected: str) -> None:
    redaction.remember("5ecre7/+=", "", "a")
    assert redaction.redact(text) == expected
