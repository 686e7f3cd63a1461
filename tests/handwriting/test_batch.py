"""``digits predict`` as it is called: in a process of its own where that matters."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline import cli
from pipeline.data import tables
from tests.conftest import ROOT, SMALL_NETWORK, modules_after, set_params
from tests.handdrawn import draw_ink, paint


def save(path: Path, digit: int, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint(draw_ink(digit, np.random.default_rng(seed)))).save(path)
    return path


@pytest.fixture
def project(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with an export and without anything else of the project."""
    for name in ("exported", "models"):
        (tmp_path / name).symlink_to(exported / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predict(*arguments: str | Path, status: int = 0, stdin: bytes | None = None) -> tuple[str, str]:
    """Run the command in a process; what it printed to stdout and stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "predict", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == status, done.stderr.decode()
    return done.stdout.decode(), done.stderr.decode()


def predict_json(*arguments: str | Path, status: int = 0, stdin: bytes | None = None) -> Any:
    return json.loads(predict("--json", *arguments, status=status, stdin=stdin)[0])


def test_many_pictures_are_read_as_each_is_alone(project: Path) -> None:
    for number in range(120):
        save(project / "many" / f"{number:03}.png", number % 10, number)
    (project / "many" / "060.png").write_bytes(b"no picture")
    many = predict_json("many", "-", stdin=(project / "many" / "001.png").read_bytes(), status=1)
    assert [each["path"] for each in many[:120]] == [f"many/{n:03}.png" for n in range(120)]
    assert [each["path"] for each in many if each["problem"]] == ["many/060.png"]
    for number, alone in zip((7, 119), predict_json("many/007.png", "many/119.png"), strict=True):
        probability = pytest.approx(alone["probability"], abs=1e-4)
        assert (many[number]["digit"], many[number]["probability"]) == (alone["digit"], probability)
    assert many[120]["path"] == "standard input"
    assert many[120]["digit"] == many[1]["digit"]


def test_table_names_digit_probability_and_runner_up(project: Path) -> None:
    save(project / "a.png", 7)
    save(project / "b.png", 2)
    output, _ = predict("a.png", "b.png")
    assert "picture" in output and "runner-up" in output
    assert re.search(r"a\.png +7 +\d+\.\d% +\d +\d+\.\d%", output)
    assert re.search(r"b\.png +2 ", output)


def test_json_is_an_array_of_objects(project: Path) -> None:
    blank = project / "blank.png"
    Image.new("RGB", (90, 90), "white").save(blank)
    seven, nothing = predict_json(save(project / "a.png", 7), blank)
    assert seven["path"].endswith("a.png") and seven["digit"] == 7 and seven["sure"] is True
    assert 0.8 < seven["probability"] <= 1
    assert seven["runner_up"] in set(range(10)) - {7} and seven["problem"] is None
    assert nothing["digit"] is None and nothing["runner_up"] is None
    assert nothing["problem"] == "nothing stands out" and nothing["sure"] is False


def test_csv_has_a_row_for_each(project: Path) -> None:
    output, _ = predict("--csv", save(project / "a,b.png", 4), save(project / "c.png", 0))
    rows = list(csv.DictReader(io.StringIO(output)))
    assert [row["digit"] for row in rows] == ["4", "0"]
    assert rows[0]["path"].endswith("a,b.png")


def test_standard_input_is_a_picture(project: Path) -> None:
    content = save(project / "a.png", 3).read_bytes()
    (reading,) = predict_json("-", stdin=content)
    assert (reading["path"], reading["digit"]) == ("standard input", 3)


def test_folder_is_searched_and_hidden_files_are_not(project: Path) -> None:
    for name in ("in/x.png", "in/deep/y.PNG", "in/.hidden/z.png"):
        save(project / name, 1)
    (project / "in/notes.txt").write_text("no picture")
    assert [each["path"] for each in predict_json("in")] == ["in/deep/y.PNG", "in/x.png"]


def test_folders_named_by_digit_give_accuracy_and_confusions(project: Path) -> None:
    for digit in range(10):
        save(project / f"in/{digit}/x.png", digit)
    save(project / "in/5/wrong.png", 6)
    output, _ = predict("in")
    assert "10 of 11 read right: 90.91% (95 % interval" in output
    assert re.search(r"in/5/wrong\.png +5 +6 .*wrong", output)
    row = re.search(r"^ +5 +((?:[·\d]+ +){10}[·\d]+)", output, re.MULTILINE)
    assert row and row[1].split() == ["·"] * 5 + ["1", "1"] + ["·"] * 4


def test_index_gives_labels(project: Path) -> None:
    save(project / "in/x.png", 2)
    (project / "in/index.csv").write_text("path,label,writer\nx.png,2,ann\n")
    (reading,) = predict_json("in")
    assert (reading["label"], reading["digit"]) == (2, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\n", "index.csv lists no picture"),
        (f"path,label\n{'x' * 140_000},2\n", "in cannot be read: field larger than field limit"),
        ("file,digit\nx.png,2\n", "expected the columns path and label, found file, digit"),
        ("path,label\nx.png,two\n", "index.csv, line 2: expected a label from 0 to 9, found 'two'"),
        (
            "path,label\ncaf\xe9.png,2\n",
            "index.csv is not UTF-8 (byte 14): save it as CSV in UTF-8",
        ),
    ],
)
def test_index_of_another_kind_is_explained(content: str, message: str, project: Path) -> None:
    save(project / "in/x.png", 2)
    (project / "in/index.csv").write_text(content, encoding="latin-1")
    assert message in predict("in", status=1)[1]


@pytest.mark.parametrize("labelled", [True, False])
def test_kaggle_csv_is_read_as_it_is(labelled: bool, project: Path) -> None:
    from pipeline.handwriting.find_digit import find_digit

    generator = np.random.default_rng(0)
    images = np.stack(
        [
            *(find_digit(paint(draw_ink(digit, generator))).image for digit in (8, 3)),
            np.zeros((28, 28), np.uint8),
        ]
    )
    labels = np.array([8, 3, 0], np.uint8) if labelled else None
    tables.write(project / "some.csv", images, labels)
    readings = predict_json("some.csv")
    assert [each["digit"] for each in readings] == [8, 3, None]
    assert readings[1]["path"] == "some.csv row 1"
    assert [each.get("label") for each in readings] == ([8, 3, 0] if labelled else [None] * 3)


def test_unreadable_pictures_do_not_stop_the_others(project: Path) -> None:
    (project / "empty.png").touch()
    (project / "half.png").write_bytes(save(project / "a.png", 7).read_bytes()[:200])
    (project / "broken.png").symlink_to("gone")
    (project / "draw.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    names = ("empty.png", "half.png", "broken.png", "draw.svg", "none.png", "a.png")
    readings = predict_json(*names, status=1)
    assert [each["digit"] for each in readings] == [None] * 5 + [7]
    problems = [each["problem"] for each in readings[:5]]
    for problem, expected in zip(
        problems, ("is empty", "is damaged", "a broken link", "SVG", "does not exist"), strict=True
    ):
        assert expected in problem
    output, errors = predict(*names, status=1)
    assert output.count("unreadable") == 5
    assert "error: 5 could not be read:\n  empty.png is empty: expected a picture.\n" in errors
    assert "\n  none.png does not exist: expected a picture.\n" in errors


def test_unusable_arguments_do_not_stop_the_others(project: Path) -> None:
    save(project / "a.png", 7)
    (project / "notes").mkdir()
    (project / "notes/a.heic").touch()
    (project / "listed.csv").write_text("path,label\na.png,7\n")
    (project / "other.csv").write_text("a,b\n1,2\n")
    arguments = ("notes", "listed.csv", "other.csv", "gone.csv", "", "a.png")
    readings = predict_json(*arguments, status=1)
    assert [each["digit"] for each in readings] == [None] * 5 + [7]
    for reading, expected in zip(
        readings,
        (
            "notes holds no picture: expected files that end in .bmp",
            "listed.csv labels pictures: as index.csv or labels.csv in their folder",
            "but 784 column(s) are missing, 'pixel0' first. For pictures, name the files",
            "gone.csv does not exist",
            "An empty name was given",
        ),
        strict=False,
    ):
        assert expected in reading["problem"]
    assert "found 1 of other kinds, such as a.heic" in readings[0]["problem"]


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "x" * 300 + ".csv", "loop.csv", "pipe.csv"])
def test_what_the_system_refuses_does_not_stop_the_others(name: str, project: Path) -> None:
    save(project / "a.png", 7)
    (project / "loop.csv").symlink_to("loop.csv")
    os.mkfifo(project / "pipe.csv")
    refused, read = predict_json(name, "a.png", status=1)
    assert refused["digit"] is None and name in refused["problem"]
    assert read["digit"] == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '"path","label"\na.png,7\n',
            "labels pictures: as index.csv or labels.csv in their folder",
        ),
        ("path, label\na.png,7\n", "labels pictures: as index.csv or labels.csv in their folder"),
        (",".join(["5", "0", "255"]) + "\n", "begins with numbers: expected a line with the names"),
    ],
)
def test_csv_of_another_kind_is_recognised(content: str, message: str, project: Path) -> None:
    (project / "some.csv").write_text(content)
    assert message in predict("some.csv", status=1)[1]


def test_address_is_not_taken_for_a_file(project: Path) -> None:
    message = "https://example.org/a.png is an address: download the picture"
    assert message in predict("https://example.org/a.png", status=1)[1]


def test_accuracy_is_of_what_could_be_opened(project: Path) -> None:
    save(project / "in/7/a.png", 7)
    (project / "in/7/empty.png").touch()
    for folder in ("in", "in/7"):
        output, _ = predict(folder, status=1)
        assert "1 of 1 read right" in output


def test_names_cannot_play_tricks_on_the_terminal(project: Path) -> None:
    path = save(project / "a\n[red]b\x1b[2J 'c'.png", 7)
    output, _ = predict(path.name)
    assert r"a\n[red]b\x1b[2J 'c'.png" in output
    assert predict_json(path.name)[0]["path"] == path.name


def test_show_draws_what_was_seen(project: Path) -> None:
    output, _ = predict("--show", save(project / "a.png", 1))
    shown = [line for line in output.splitlines() if re.fullmatch(r"  \|.{28}\|", line)]
    assert len(shown) == 14
    assert any("@" in line for line in shown)


def test_png_shows_what_was_seen(project: Path) -> None:
    predict("--png", "seen.png", save(project / "a.png", 1), save(project / "b.png", 5))
    with Image.open("seen.png") as sheet:
        assert sheet.width > 2 * 112 and sheet.height > 112


def test_empty_folder_is_explained(project: Path) -> None:
    (project / "in").mkdir()
    assert (
        "error: in holds no picture: expected files that end in .bmp" in predict("in", status=1)[1]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--json", "--csv"), "only one of --json, --csv and --show"),
        (("--json", "--show"), "only one of --json, --csv and --show"),
        (("--png", "seen.jpg"), "expected a name that ends in .png, found seen.jpg"),
        (("--png", "gone/seen.png"), "there is no folder gone to draw seen.png in"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: tuple[str, ...], message: str, project: Path
) -> None:
    assert message in " ".join(predict(*options, "x.png", status=2)[1].split())


def test_before_any_run_the_command_to_run_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "predict", "x.png"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "ensemble.json is missing" in done.stderr and "dvc repro" in done.stderr


def test_nothing_slow_is_imported(project: Path) -> None:
    """What makes the command start in a fraction of TensorFlow's time."""
    code = (
        "import sys\n"
        "from pipeline import cli\n"
        "sys.argv = ['digits', 'predict', '--json', 'a.png']\n"
        "try:\n    cli.main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
    )
    save(project / "a.png", 7)
    imported = modules_after(code)
    assert {"onnxruntime", "pipeline.handwriting.reader"} <= imported
    slow = {"tensorflow", "keras", "pandas", "scipy", "sklearn", "matplotlib", "dvc", "kaggle"}
    assert not imported & (slow | {"requests"})


@pytest.mark.parametrize(
    ("forms", "said"),
    [
        ("[[]]", ".tflite\n"),
        ('[["deskew"]]', ".tflite; its images go through deskew first\n"),
        (
            '[[], ["deskew", "normalize_width"]]',
            ".tflite; ask it for each image in 2 forms (as it is; deskew and normalize_width) and "
            "average the logarithms of its probabilities\n",
        ),
    ],
)
def test_export_writes_other_formats(
    forms: str,
    said: str,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (project / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    set_params(project, SMALL_NETWORK)
    models = project / "models"
    trained = models.resolve()
    models.unlink()
    folder = models / "0-0-pooled_cnn-plain"
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes((trained / folder.name / "model.keras").read_bytes())
    (folder / "member.json").write_text(f'{{"preprocessing": {forms}}}')
    monkeypatch.setattr("sys.argv", ["digits", "export", "litert", "--to", "out"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert not caught.value.code
    assert f"0-0-pooled_cnn-plain{said}" in capsys.readouterr().out
    assert (project / "out/0-0-pooled_cnn-plain.tflite").read_bytes()[4:8] == b"TFL3"
