import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import stages
from pipeline.architectures import ARCHITECTURES
from pipeline.data.tables import TEST_ROWS
from pipeline.submissions import file as submission
from tests.cli.running import digits
from tests.conftest import ROOT, SMALL_NETWORK, modules_after, set_params
from tests.handdrawn import MEMBER
from tests.members import write_record


def test_check_accepts_a_whole_submission(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    submission.write(Path("mine.csv"), np.zeros(TEST_ROWS, dtype=np.uint8))
    assert digits(monkeypatch, "check", "mine.csv") == 0
    assert "mine.csv: 28,000 rows, in the form that Kaggle accepts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("/", "/ is a folder: expected a file"),
        ("..", ".. is a folder: expected a file"),
        (".", "The name is empty, or that of this folder"),
        ("", "The name is empty, or that of this folder"),
    ],
)
def test_folder_is_no_submission(
    name: str,
    told: str,
    in_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert digits(monkeypatch, "check", name) == 1
    assert told in capsys.readouterr().err


def test_check_explains_what_is_wrong(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.csv").write_text("ImageId,Label\n1,7\n2,ten\n")
    assert digits(monkeypatch, "check", "mine.csv") == 1
    assert "error: mine.csv, line 3: Label must be an integer" in capsys.readouterr().err


def test_architectures_are_listed_with_their_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, "architectures") == 0
    output = capsys.readouterr().out
    for name in ARCHITECTURES:
        assert f"\n{name} " in output
    assert "1,010,826" in output


def test_layers_of_an_architecture_are_shown_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "layers.png"
    assert digits(monkeypatch, "architectures", "simple_cnn", "--picture", str(path)) == 0
    output = capsys.readouterr().out
    assert "simple_cnn: 225,034 parameters" in output
    assert re.search(r"block2_conv +Conv2D +3×3 +11×11×64 +18,496 ", output)
    with Image.open(path) as image:
        image.verify()


def test_unknown_architecture_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, "architectures", "deep_cn") == 1
    said = capsys.readouterr().err
    assert "no architecture 'deep_cn' (did you mean 'deep_cnn'?); known: conv4_normalized" in said
    assert digits(monkeypatch, "architectures", "--picture", "all.png") == 2
    assert "name it" in capsys.readouterr().err
    assert digits(monkeypatch, "architectures", "deep_cnn", "--picture", "layers.pdf") == 2
    assert "expected a name that ends in .png, found layers.pdf" in capsys.readouterr().err


def test_typing_mistake_is_reported_before_keras_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    for arguments in (["architectures", "deep_cn"], ["export", "onyx"], ["export", "onnx"]):
        code = f"""
import sys
sys.argv = ["digits", *{arguments!r}]
from pipeline.cli import main
try:
    main()
except SystemExit as ended:
    assert ended.code
"""
        assert not modules_after(code) & {"keras", "tensorflow", "pandas"}


def test_unknown_format_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, "export", "onyx") == 2
    said = capsys.readouterr().err
    assert "no format 'onyx' (did you mean 'onnx'?); known: onnx, litert, saved-model" in said


def test_export_before_any_run_names_what_to_run(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, "export", "onnx") == 1
    assert "models/0-0-pooled3 is missing: an earlier stage writes it" in capsys.readouterr().err


def test_profiles_are_listed_with_their_minutes_and_the_current_one_is_marked(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, "profile") == 0
    output = capsys.readouterr().out
    assert re.findall(r"^(→?) +(\w+) +(\d+) +([\d.]+)  ", output, re.MULTILINE) == [
        ("", "quick", "1", "0.5"),
        ("→", "default", "1", "2"),
        ("", "record", "15", "60"),
    ]
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("max_epochs: 36", "max_epochs: 99"))
    assert digits(monkeypatch, "profile") == 0
    output = capsys.readouterr().out
    assert "→" not in output
    assert "holds none of them. It is nearest to default, but for train.max_epochs." in output


def test_profile_is_switched_and_the_change_is_shown(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, "profile", "record") == 0
    output = capsys.readouterr().out
    assert re.search(r"^-  max_epochs: 36\b", output, re.MULTILINE)
    assert re.search(r"^\+  max_epochs: 48\b", output, re.MULTILINE)
    assert "params.yaml holds profile record now; run it with: dvc repro" in output
    assert digits(monkeypatch, "profile", "record") == 0
    assert capsys.readouterr().out == "params.yaml held profile record already\n"
    assert digits(monkeypatch, "profile", "recrod") == 1
    assert "no profile 'recrod' (did you mean 'record'?)" in capsys.readouterr().err


def test_errors_before_any_run_names_what_to_run(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, "errors") == 1
    message = capsys.readouterr().err
    assert "out_of_fold.npz is missing: an earlier stage writes it. In the project's" in message


@pytest.mark.parametrize(
    ("views", "said"),
    [
        ([[]], ".tflite\n"),
        ([["deskew"]], ".tflite: its images go through deskew first\n"),
        (
            [[], ["deskew", "normalize_width"]],
            ".tflite: ask it for 2 views of each image (as it is; deskew and normalize_width), and "
            "average the logarithms of its probabilities\n",
        ),
    ],
)
def test_export_writes_other_formats(
    views: list[list[str]],
    said: str,
    in_folder: Path,
    exported: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_params(in_folder, SMALL_NETWORK)
    folder = stages.MODELS / MEMBER
    folder.mkdir(parents=True)
    (folder / "model.keras").symlink_to(exported / "models" / MEMBER / "model.keras")
    write_record(folder, preprocessing=views)
    assert digits(monkeypatch, "export", "litert", "--to", "out") == 0
    assert f"{MEMBER}{said}" in capsys.readouterr().out
    assert Path("out", f"{MEMBER}.tflite").read_bytes()[4:8] == b"TFL3"


def test_export_replaces_no_folder_of_others(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_params(in_folder, SMALL_NETWORK)
    for place in (stages.MODELS, Path("mine")):
        (place / MEMBER).mkdir(parents=True)
        (place / MEMBER / "mine.txt").write_text("mine")
    for to, said in (("models", "models is what stages write"), ("mine", "holds something else")):
        assert digits(monkeypatch, "export", "saved-model", "--to", to) == 2
        assert said in " ".join(capsys.readouterr().err.split())
        assert Path(to, MEMBER, "mine.txt").read_text() == "mine"
    for to in ("exported/phone", f"models/{MEMBER}", "data/raw/x", "reports"):
        assert digits(monkeypatch, "export", "onnx", "--to", to) == 2
        assert f"{to} is what stages write" in " ".join(capsys.readouterr().err.split())
