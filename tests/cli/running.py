"""Run the command in this process."""

import pytest

from pipeline import cli


def digits(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run ``digits`` in the current folder; its exit status."""
    monkeypatch.setattr("sys.argv", ["digits", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)
