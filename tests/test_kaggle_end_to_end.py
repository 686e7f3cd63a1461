"""The real ``kaggle`` command, ``digits`` and ``dvc repro``, from credentials to scores."""

import csv
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.conftest import SMALL_NETWORK, set_params
from tests.kaggle_fixtures import GOOD_KEY, REPOSITORY, Shell
from tests.kaggle_server import TOKEN, Fault, Kaggle, wait_until
from tests.submission_files import place_submission

COMPETITION = ("-c", "digit-recognizer")
_COPIED = ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", "pipeline")
_SHORT = {
    "folds": 2,
    "max_epochs": 1,
    "warmup_epochs": 0,
    "anneal_epochs": 1,
    "stopping_fraction": 0.5,
    "batch_size": 1024,
}
_LINEAR = '''
import keras


def pooled_cnn(*, input_shape=(28, 28, 1), num_classes=10):
    """A linear classifier, to have one quickly."""
    images = keras.Input(input_shape, dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 255)(images)
    return keras.Model(images, keras.layers.Dense(num_classes)(keras.layers.Flatten()(scaled)))
'''


@pytest.fixture(params=["plain", "TLS"])
def shell(request: pytest.FixtureRequest) -> Shell:
    """Processes with a good key that meet the server in either way."""
    name = "kaggle_shell" if request.param == "plain" else "kaggle_tls_shell"
    shell: Shell = request.getfixturevalue(name)
    shell.environment.update(GOOD_KEY)
    return shell


@pytest.fixture
def project(kaggle_shell: Shell) -> Path:
    """A copy of the project without Git, its training cut down to an epoch of a linear network."""
    folder = kaggle_shell.folder
    for name in _COPIED:
        source, target = REPOSITORY / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (folder / "pipeline/architectures/pooled_cnn.py").write_text(_LINEAR)
    params = folder / "params.yaml"
    text = params.read_text()
    for name, value in _SHORT.items():
        text, changes = re.subn(rf"  {name}: [\d.]+", f"  {name}: {value}", text)
        assert changes == 1
    params.write_text(text)
    set_params(folder, SMALL_NETWORK)
    del kaggle_shell.environment["PYTHONPATH"]
    return folder


def test_kaggle_command_lists_downloads_submits_and_shows(shell: Shell, kaggle: Kaggle) -> None:
    command = ("kaggle", "competitions")
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


def test_single_table_may_arrive_zipped(kaggle: Kaggle, kaggle_shell: Shell) -> None:
    kaggle.zips_single_files = True
    fetch = ("kaggle", "competitions", "download", *COMPETITION, "-f", "test.csv", "-p", "data")
    assert kaggle_shell.run(*fetch, **GOOD_KEY).status == 0
    with zipfile.ZipFile(kaggle_shell.folder / "data/test.csv.zip") as archive:
        assert archive.namelist() == ["test.csv"]


def test_digits_submits_once_and_shows_the_score_even_offline(
    kaggle: Kaggle, kaggle_tls_shell: Shell
) -> None:
    shell = kaggle_tls_shell
    shell.environment.update(GOOD_KEY)
    place_submission(shell.folder)
    kaggle.polls_until_scored = 0

    sent = shell.run("digits", "submit", "-m", "first try")
    assert sent.status == 0, sent.stderr
    assert "submitted as number 41000001; 4 left today" in sent.stdout
    assert "public score 0.99457, out-of-fold accuracy 0.99331" in sent.stdout
    again = shell.run("digits", "submit", "-m", "second try")
    assert again.status == 1
    assert "was already submitted" in again.stderr and "Traceback" not in again.stderr
    assert len(kaggle.submissions) == 1

    with (shell.folder / "submissions/log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["message"], row["public_score"]) == ("first try", "0.99457")
    for known in (shell.run("digits", "scores"), shell.run("digits", "scores", KAGGLE_KEY="")):
        assert "first try" in known.stdout
    assert known.status == 1 and "none were found" in known.stderr


def test_ctrl_c_while_downloading_locks_nothing(
    kaggle: Kaggle, kaggle_shell: Shell, project: Path
) -> None:
    kaggle.inject("storage", Fault(seconds_per_mib=0.5))
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
    kaggle: Kaggle, kaggle_shell: Shell, project: Path, kaggle_large_archive: bytes
) -> None:
    kaggle.archive = kaggle_large_archive
    provenance = project / "data/raw/provenance.json"
    repro = ("dvc", "repro", "train@0-0-network0")

    without = kaggle_shell.run(*repro)
    assert without.status == 0, without.stderr
    assert "THIS RUN USES THE EMBEDDED SAMPLE" in without.stderr
    assert json.loads(provenance.read_text())["sample"] is True
    assert not kaggle.counts

    kaggle.inject("DownloadDataFiles", Fault(403, "You must accept this competition's rules."))
    refused = kaggle_shell.run("dvc", "repro", "download", KAGGLE_API_TOKEN=TOKEN)
    assert refused.status != 0
    assert "accept its rules at https://www.kaggle.com/competitions/digit-recognizer/rules" in (
        refused.stderr
    )
    assert "or set source.kind to sample in params.yaml" in refused.stderr
    kaggle.heal()

    appeared = kaggle_shell.run(*repro, KAGGLE_API_TOKEN=TOKEN)
    assert appeared.status == 0, appeared.stderr
    assert "Running stage 'train@0-0-network0'" in appeared.stdout
    assert json.loads(provenance.read_text())["sample"] is False
    trained_on = json.loads((project / "models/0-0-pooled_cnn-plain/member.json").read_text())[
        "provenance"
    ]
    assert trained_on == json.loads(provenance.read_text())

    asked = kaggle.counts.total()
    vanished = kaggle_shell.run(*repro)
    assert vanished.status == 0, vanished.stderr
    assert "data source: Kaggle" in vanished.stdout
    assert re.findall(r"Running stage '([^']+)'", vanished.stdout) == ["source"]
    shutil.rmtree(project / "data/raw")
    assert kaggle_shell.run("dvc", "repro", "download").status == 0
    assert json.loads(provenance.read_text())["sample"] is False
    assert kaggle.counts.total() == asked
