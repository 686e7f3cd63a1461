"""Kaggle itself, through the official client."""

import contextlib
import io
import os
from pathlib import Path

from pipeline.errors import SourceError

COMPETITION = "digit-recognizer"

_RULES = f"https://www.kaggle.com/competitions/{COMPETITION}/rules"
_WITHOUT_ACCOUNT = (
    f"Or put the competition's archive at data/{COMPETITION}.zip, or set source.kind to sample in "
    "params.yaml to run on the embedded sample meanwhile."
)


def has_credentials() -> bool:
    """Whether any of the four kinds of credentials that the client reads is at hand."""
    environment = os.environ
    if environment.get("KAGGLE_API_TOKEN"):
        return True
    if environment.get("KAGGLE_USERNAME") and environment.get("KAGGLE_KEY"):
        return True
    home = Path.home() / ".kaggle"
    configuration = environment.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    legacy = home if home.exists() else Path(configuration) / "kaggle"
    files = [
        home / "access_token",
        home / "access_token.txt",
        home / "credentials.json",
        Path(environment.get("KAGGLE_CONFIG_DIR") or legacy) / "kaggle.json",
    ]
    return any(path.is_file() and path.stat().st_size > 0 for path in files)


def download_archive(folder: Path) -> Path:
    """Fetch the competition's archive into ``folder``, resuming what is there.

    Raises:
        SourceError: no credentials, refused, or Kaggle out of reach.
    """
    if not has_credentials():
        raise SourceError(
            "Kaggle asks for credentials, and none were found. Create a token at "
            "https://www.kaggle.com/settings, save it as ~/.kaggle/access_token, then run: dvc "
            f"repro. {_WITHOUT_ACCOUNT}"
        )
    import requests

    try:
        with contextlib.redirect_stdout(io.StringIO()):
            from kaggle.api.kaggle_api_extended import KaggleApi

            api = KaggleApi()
            api.authenticate()
        api.competition_download_files(COMPETITION, path=str(folder), quiet=False)
    except (SystemExit, requests.RequestException) as error:
        response = getattr(error, "response", None)
        status = "" if response is None else f" with status {response.status_code}"
        raise SourceError(
            f"Kaggle did not hand out the archive: it answered{status} {error}. Check that you "
            f"joined the competition and accepted its rules at {_RULES}, and that your "
            f"credentials are valid; then run: dvc repro. {_WITHOUT_ACCOUNT}"
        ) from None
    return folder / f"{COMPETITION}.zip"
