"""The real ``kaggle`` command, ``digits`` and ``dvc repro``, from credentials to scores."""

import csv
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from tests.kaggle_fixtures import GOOD_KEY, REPOSITORY, Shell
from tests.kaggle_server import TOKEN, Fault, Kaggle, wait_until
from tests.submission_files import place_submission

COMPETITION = ("-c", "digit-recognizer")
_COPIED = ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", "pipeline")


@pytest.fixture
def project(kaggle_shell: Shell) -> Path:
    """A copy of the project without Git."""
    folder = kaggle_shell.folder
    for name in _COPIED:
        source, target = REPOSITORY / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    del kaggle_shell.environment["PYTHONPATH"]
    return folder


def test_kaggle_command_lists_downloads_submits_and_shows(
    kaggle_tls_shell: Shell, kaggle: Kaggle
) -> None:
    shell, command = kaggle_tls_shell, ("kaggle", "competitions")
    shell.environment.update(GOOD_KEY)
    place_submission(shell.folder)

    files = shell.run(*command, "files", *COMPETITION)
    assert files.status == 0 and "train.csv" in files.stdout
    assert shell.run(*command, "download", *COMPETITION, "-p", "down").status == 0
    with zipfile.ZipFile(shell.folder / "down/digit-recognizer.zip") as archive:
        assert archive.testzip() is None
    sent = shell.run(
        *command, "submit", *COMPETITION, "-f", "submissions/submission.csv", "-m", "by hand"
    )
    assert sent.status == 0 and "Successfully submitted" in sent.stdout
    assert "by hand" in shell.run(*command, "submissions", *COMPETITION).stdout

    scores = shell.run("digits", "scores")
    assert scores.status == 0 and "by hand" in scores.stdout and "0.99457" in scores.stdout


def test_single_tables_that_kaggle_serves_zipped_are_read(
    kaggle: Kaggle, kaggle_shell: Shell
) -> None:
    kaggle.zips_single_files = True
    shell, fetch = kaggle_shell, ("kaggle", "competitions", "download", *COMPETITION, "-p", "data")
    shutil.copy(REPOSITORY / "params.yaml", shell.folder)
    for name in ("train.csv", "test.csv"):
        assert shell.run(*fetch, "-f", name, **GOOD_KEY).status == 0
        assert (shell.folder / f"data/{name}.zip").exists()

    decided = shell.run(sys.executable, "-m", "pipeline.stages.source")
    assert (decided.status, decided.stderr) == (0, "")
    assert "data source: data" in decided.stdout
    assert shell.run(sys.executable, "-m", "pipeline.stages.download").status == 0
    provenance = json.loads((shell.folder / "data/raw/provenance.json").read_text())
    assert provenance["sample"] is False


def test_digits_submits_once_and_shows_the_score_even_offline(
    kaggle: Kaggle, kaggle_tls_shell: Shell
) -> None:
    shell = kaggle_tls_shell
    place_submission(shell.folder)
    kaggle.polls_until_scored = 0

    sent = shell.run("digits", "submit", "-m", "first try", **GOOD_KEY)
    assert sent.status == 0, sent.stderr
    assert "submitted as number 41000001; 4 left today" in sent.stdout
    assert "public score 0.99457, out-of-fold accuracy 0.99331" in sent.stdout
    with (shell.folder / "submissions/log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["message"], row["public_score"]) == ("first try", "0.99457")

    known = shell.run("digits", "scores")
    assert "first try" in known.stdout
    assert known.status == 1 and "none were found" in known.stderr


def test_ctrl_c_while_submitting_tells_whether_the_file_was_sent(
    kaggle: Kaggle, kaggle_tls_shell: Shell
) -> None:
    shell = kaggle_tls_shell
    place_submission(shell.folder)
    kaggle.inject("CreateSubmission", Fault(stalls=True))

    def asked() -> None:
        wait_until(lambda: kaggle.counts["CreateSubmission"] > 0, seconds=60)

    interrupted = shell.interrupt("digits", "submit", when=asked, **GOOD_KEY)
    assert (interrupted.status, interrupted.stderr) == (
        130,
        "interrupted: submissions/submission.csv may have been sent. Look in some minutes with: "
        "digits scores",
    )
    kaggle.heal()
    again = shell.run("digits", "submit", **GOOD_KEY)
    assert again.status == 1 and "may have been submitted on 20" in again.stderr
    assert kaggle.counts["CreateSubmission"] == 1


def test_ctrl_c_while_downloading_locks_nothing(
    kaggle: Kaggle, kaggle_shell: Shell, project: Path
) -> None:
    kaggle.inject("storage", Fault(sent_mib=2))
    partly = project / "data/.download/digit-recognizer.zip"

    def two_mib_arrived() -> None:
        wait_until(lambda: partly.exists() and partly.stat().st_size >= 2 << 20, seconds=60)

    repro = ("dvc", "repro", "download")
    interrupted = kaggle_shell.interrupt(*repro, when=two_mib_arrived, **GOOD_KEY)

    assert interrupted.status not in (0, None)
    assert not (project / "data/raw").exists()
    lock = project / "dvc.lock"
    assert not lock.exists() or "download" not in lock.read_text()
    kaggle.heal()
    healed = kaggle_shell.run(*repro, **GOOD_KEY)
    assert healed.status == 0, healed.stderr
    assert "Running stage 'download'" in healed.stdout
    assert "download" in lock.read_text()


def test_data_follows_the_credentials_and_stays(
    kaggle: Kaggle, kaggle_shell: Shell, project: Path
) -> None:
    provenance = project / "data/raw/provenance.json"
    repro = ("dvc", "repro", "download")

    without = kaggle_shell.run(*repro)
    assert without.status == 0, without.stderr
    assert "THIS RUN USES THE EMBEDDED SAMPLE" in without.stderr
    assert json.loads(provenance.read_text())["sample"] is True
    assert not kaggle.counts

    kaggle.inject("DownloadDataFiles", Fault(403, "You must accept this competition's rules."))
    refused = kaggle_shell.run(*repro, KAGGLE_API_TOKEN=TOKEN)
    assert refused.status != 0
    assert "accept its rules at https://www.kaggle.com/competitions/digit-recognizer/rules" in (
        refused.stderr
    )
    assert "or set source.kind to sample in params.yaml" in refused.stderr
    kaggle.heal()

    appeared = kaggle_shell.run(*repro, KAGGLE_API_TOKEN=f"{TOKEN}\n")
    assert appeared.status == 0, appeared.stderr
    assert "Running stage 'download'" in appeared.stdout
    assert json.loads(provenance.read_text())["sample"] is False

    asked = kaggle.counts.total()
    shutil.rmtree(project / "data/raw")
    vanished = kaggle_shell.run(*repro)
    assert vanished.status == 0, vanished.stderr
    assert "data source: Kaggle" in vanished.stdout
    assert re.findall(r"Running stage '([^']+)'", vanished.stdout) == ["source"]
    assert json.loads(provenance.read_text())["sample"] is False
    assert kaggle.counts.total() == asked
