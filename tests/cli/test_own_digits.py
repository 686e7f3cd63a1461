"""``digits predict`` and ``digits draw`` as they are called."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from PIL import Image

from pipeline import cli, stages
from pipeline.cli import readings
from pipeline.data import dataset, tables
from pipeline.data.dataset import Images, Provenance, TrainingDigits
from pipeline.ensemble.onnx import ExportRecord
from pipeline.handwriting.find_digit import find_digit
from tests.conftest import ROOT
from tests.handdrawn import draw_ink, paint, save_drawing
from tests.kaggle_server import wait_until


class Predict(Protocol):
    """Runs the command; what it printed to stdout and stderr."""

    def __call__(
        self, *arguments: str | Path, status: int = 0, stdin: bytes = b""
    ) -> tuple[str, str]: ...


@pytest.fixture
def project(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with an export and without anything else of the project."""
    for name in ("exported", "models"):
        (tmp_path / name).symlink_to(exported / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def predict(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Predict:
    def run(*arguments: str | Path, status: int = 0, stdin: bytes = b"") -> tuple[str, str]:
        monkeypatch.setattr("sys.argv", ["digits", "predict", *map(str, arguments)])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        assert (caught.value.code or 0) == status, printed.err
        return printed.out, printed.err

    return run


def in_process(*arguments: str, status: int = 0, **variables: str) -> tuple[str, str]:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "predict", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout, done.stderr


def test_many_pictures_are_read_as_each_is_alone(project: Path, predict: Predict) -> None:
    for number in range(120):
        save_drawing(project / "many" / f"{number:03}.png", number % 10, number)
    (project / "many" / "060.png").write_bytes(b"no picture")
    many = json.loads(in_process("--json", "many", status=1)[0])
    assert [each["path"] for each in many] == [f"many/{n:03}.png" for n in range(120)]
    assert [each["path"] for each in many if each["problem"]] == ["many/060.png"]
    alone = json.loads(predict("--json", "many/007.png", "many/119.png")[0])
    for number, one in zip((7, 119), alone, strict=True):
        probability = pytest.approx(one["probability"], abs=1e-4)
        assert (many[number]["digit"], many[number]["probability"]) == (one["digit"], probability)


def test_nothing_slow_is_imported_and_nothing_is_left_at_home(
    project: Path, tmp_path: Path
) -> None:
    """What makes the command start in a fraction of TensorFlow's time, and keeps pictures here."""
    save_drawing(project / "a.png", 7)
    (home := tmp_path / "home").mkdir()
    code = (
        "import sys\n"
        "from pipeline import cli\n"
        "sys.argv = ['digits', 'predict', '--json', 'a.png']\n"
        "try:\n    cli.main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    asked = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
    kept = {name: os.environ[name] for name in asked if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | {"PYTHONPATH": str(ROOT), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(done.stderr.split())
    assert {"onnxruntime", "pipeline.handwriting.reader"} <= imported
    slow = {"tensorflow", "keras", "pandas", "scipy", "sklearn", "matplotlib", "dvc", "kaggle"}
    assert not imported & (slow | {"requests", "joblib", "uvicorn"})
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize(
    ("arguments", "out", "err"),
    [
        ("a.png <&-", "7", ""),
        ("- <&-", "", "error: standard input is empty: expected a picture.\n"),
        ("a.png >&-", "", ""),
        ("--csv a.png 2>&-", "a.png,7,", ""),
    ],
)
def test_closed_streams_are_empty_or_go_nowhere(
    arguments: str, out: str, err: str, project: Path
) -> None:
    save_drawing(project / "a.png", 7)
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m pipeline.cli predict {arguments}"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert out in done.stdout
    assert (done.returncode, done.stderr) == (bool(err), err)


def test_table_names_digit_probability_and_runner_up(project: Path, predict: Predict) -> None:
    save_drawing(project / "a.png", 7)
    save_drawing(project / "b.png", 2)
    output, _ = predict("a.png", "b.png")
    assert "picture" in output and "runner-up" in output
    assert re.search(r"a\.png +7 +\d+\.\d% +\d +\d+\.\d%", output)
    assert re.search(r"b\.png +2 ", output)


def test_json_is_an_array_of_objects(project: Path, predict: Predict) -> None:
    save_drawing(project / "a.png", 7)
    Image.new("RGB", (90, 90), "white").save("blank.png")
    seven, nothing = json.loads(predict("--json", "a.png", "blank.png")[0])
    assert seven["path"] == "a.png" and seven["digit"] == 7 and seven["sure"] is True
    assert 0.8 < seven["probability"] <= 1
    assert seven["runner_up"] in set(range(10)) - {7} and seven["problem"] is None
    assert nothing["digit"] is None and nothing["runner_up"] is None
    assert nothing["problem"] == "nothing stands out" and nothing["sure"] is False


def test_csv_has_a_row_for_each(project: Path, predict: Predict) -> None:
    save_drawing(project / "ä,b.png", 4)
    save_drawing(project / "c.png", 0)
    output, _ = predict("--csv", "ä,b.png", "c.png")
    rows = list(csv.DictReader(io.StringIO(output)))
    assert [(row["path"], row["digit"]) for row in rows] == [("ä,b.png", "4"), ("c.png", "0")]


def test_standard_input_is_a_picture(project: Path, predict: Predict) -> None:
    content = save_drawing(project / "a.png", 3).read_bytes()
    (reading,) = json.loads(predict("--json", "-", stdin=content)[0])
    assert (reading["path"], reading["digit"]) == ("standard input", 3)


def test_labelled_pictures_give_accuracy_and_confusions(project: Path, predict: Predict) -> None:
    for digit in range(10):
        save_drawing(project / f"in/{digit}/x.png", digit)
    save_drawing(project / "in/5/six.png", 6)
    output, _ = predict("in")
    assert "Accuracy 90.91%: 10 of 11 (95 % interval" in output
    assert re.search(r"in/5/six\.png +5 +6 .*misclassified", output)
    row = re.search(r"^ +5 +((?:[.\d]+ +){10}[.\d]+)", output, re.MULTILINE)
    assert row and row[1].split() == ["."] * 5 + ["1", "1"] + ["."] * 4


def test_unreadable_pictures_do_not_stop_the_others(project: Path, predict: Predict) -> None:
    save_drawing(project / "a.png", 7)
    (project / "empty.png").touch()
    (project / "half.png").write_bytes((project / "a.png").read_bytes()[:200])
    (project / "broken.png").symlink_to("gone")
    (project / "draw.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    names = ("empty.png", "half.png", "broken.png", "draw.svg", "none.png", "a.png")
    readings = json.loads(predict("--json", *names, status=1)[0])
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


def test_each_picture_of_a_folder_is_read_or_explained(project: Path, predict: Predict) -> None:
    drawing = Image.open(save_drawing(project / "in/7/e.png", 7)).convert("RGB")
    drawing.save("in/7/a.JPG")
    drawing.save("in/7/b.jpe", "JPEG")
    drawing.save("in/7/c.dib")
    drawing.save("in/7/d.avif")
    drawing.save("in/7/f", "PNG")
    (project / "in/7/x.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (project / "in/7/y.pdf").write_bytes(b"%PDF-1.7")
    (project / "in/7/z.mov").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0")
    (project / "in/7/notes.txt").write_text("no picture")
    (project / "in/7/Thumbs.db").write_bytes(bytes(100))
    (project / "in/7/.hidden.png").write_bytes(b"no picture")
    output, errors = predict("in", status=1)
    assert "Accuracy 100.00%: 6 of 6" in output
    assert output.count("unreadable") == 3
    assert "error: 3 could not be read:" in errors
    assert "in/7/x.HEIC is HEIC" in errors and "in/7/y.pdf is a PDF" in errors
    assert "in/7/z.mov is a film" in errors
    assert "Not read: 2 files, no pictures or not in the folder's table (in/7/Thumbs.db)" in errors
    assert "hidden" not in output + errors


def test_names_that_are_not_utf8_are_escaped(project: Path, predict: Predict) -> None:
    folder = Path(os.fsdecode(b"caf\xe9"))
    save_drawing(folder / "a.png", 7)
    (folder / "b.png").touch()
    for option, read in (("--json", json.loads), ("--csv", csv_rows)):
        output, errors = predict(option, folder, status=1)
        good, bad = read(output)
        assert good["path"] == r"caf\xe9/a.png" and str(good["digit"]) == "7"
        assert bad["problem"] == r"caf\xe9/b.png is empty: expected a picture."
        assert r"caf\xe9/b.png is empty" in errors
    assert re.search(r"caf\\xe9/a\.png +7 ", predict(folder, "--png", "x.png", status=1)[0])


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_names_are_printed_as_they_are_in_one_line(project: Path, predict: Predict) -> None:
    name = f"{'x' * 150} [v2] :smile: [bold].png"
    save_drawing(project / name, 7)
    output, errors = predict(name, "--png", "[v2] seen.png")
    assert f"{name}  " in output
    assert "[v2] seen.png: drawn\n" in errors
    assert f"{name[:9]}{name[9:]} is empty" not in errors


def test_names_cannot_play_tricks_on_the_terminal(project: Path, predict: Predict) -> None:
    path = save_drawing(Path("a\n[red]b\x1b[2J 'c'.png"), 7)
    output, _ = predict(path)
    assert r"a\n[red]b\x1b[2J 'c'.png" in output and "\x1b" not in output
    assert r"error: a\nb.png does not exist" in predict("a\nb.png", status=1)[1]
    assert "Standard input can be read once" in predict("-", "-", status=1)[1]
    assert json.loads(predict("--json", path)[0])[0]["path"] == path.name


def test_unusable_arguments_do_not_stop_the_others(project: Path, predict: Predict) -> None:
    save_drawing(project / "a.png", 7)
    (project / "notes").mkdir()
    (project / "notes/a.txt").touch()
    (project / "other.csv").write_text("a,b\n1,2\n")
    readings = json.loads(predict("--json", "notes", "other.csv", "a.png", status=1)[0])
    assert [each["digit"] for each in readings] == [None, None, 7]
    assert "notes holds no picture: expected files that end in .apng" in readings[0]["problem"]
    assert "found 1 of other kinds, such as notes/a.txt" in readings[0]["problem"]
    assert "784 columns are missing" in readings[1]["problem"]
    assert "For pictures, name the files or their folder" in readings[1]["problem"]


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "x" * 300 + ".csv", "loop.csv", "pipe.csv"])
def test_what_the_system_refuses_does_not_stop_the_others(
    name: str, project: Path, predict: Predict
) -> None:
    save_drawing(project / "a.png", 7)
    (project / "loop.csv").symlink_to("loop.csv")
    os.mkfifo(project / "pipe.csv")
    refused, read = json.loads(predict("--json", name, "a.png", status=1)[0])
    assert refused["digit"] is None and name in refused["problem"]
    assert read["digit"] == 7


def test_show_draws_what_was_seen(project: Path, predict: Predict) -> None:
    save_drawing(project / "a.png", 1)
    output, _ = predict("--show", "a.png")
    shown = [line for line in output.splitlines() if re.fullmatch(r"  \|.{28}\|", line)]
    assert len(shown) == 14
    assert any("@" in line for line in shown)


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
    options: tuple[str, ...], message: str, predict: Predict
) -> None:
    assert message in " ".join(predict(*options, "x.png", status=2)[1].split())


def test_picture_is_not_drawn_over(project: Path, predict: Predict) -> None:
    path = Path(save_drawing(project / "a.png", 7))
    before = path.read_bytes()
    (project / "same.png").symlink_to(path)
    for drawn in ("a.png", "same.png"):
        _, errors = predict(".", "--png", drawn, status=2)
        assert f"{drawn} is one of the pictures to read" in errors
    assert path.read_bytes() == before


def test_before_any_run_the_command_to_run_is_named(project: Path, predict: Predict) -> None:
    (project / "exported").unlink()
    _, errors = predict("x.png", status=1)
    assert "There is no params.yaml in" in errors and "in the project's folder" in errors
    (project / "params.yaml").touch()
    _, errors = predict("x.png", status=1)
    assert "ensemble.json is missing" in errors and "dvc repro" in errors


# ---------------------------------------------------------------- Kaggle's tables


@pytest.fixture(scope="module")
def drawings() -> Images:
    """Thirty digits in MNIST's form, three of each."""
    generator = np.random.default_rng(0)
    return np.stack([find_digit(paint(draw_ink(n % 10, generator))).image for n in range(30)])


LABELS = np.arange(30, dtype=np.uint8) % 10


def test_test_table_has_image_ids_and_may_differ_from_the_submission(
    project: Path, predict: Predict, drawings: Images
) -> None:
    images = np.concatenate([drawings[:2], np.zeros((1, 28, 28), np.uint8)])
    tables.write(project / "test.csv", images, None)
    output, errors = predict("--json", "test.csv")
    readings = json.loads(output)
    assert [each["path"] for each in readings] == [f"test.csv ImageId {n}" for n in (1, 2, 3)]
    assert [each["digit"] for each in readings] == [0, 1, None]
    assert "can differ from those in submission.csv" in errors


def test_long_table_is_summarized_and_written_whole(
    project: Path, predict: Predict, drawings: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "_MANY", 25)
    tables.write(project / "test.csv", drawings, None)
    output, _ = predict("test.csv")
    counts = {line.split()[0]: line.split()[1] for line in output.splitlines()[2:12]}
    assert counts == {str(digit): "3" for digit in range(10)}
    assert len(re.findall("test.csv ImageId", output)) == 20
    assert "10 others are not listed (--csv lists all)" in output
    assert len(csv_rows(predict("--csv", "test.csv")[0])) == 30


def test_many_errors_are_not_all_listed(
    project: Path, predict: Predict, drawings: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "_MANY", 25)
    tables.write(project / "train.csv", drawings, (LABELS + 1) % 10)
    output, _ = predict("train.csv")
    assert len(re.findall("train.csv row", output)) == 20
    assert "Accuracy 0.00%: 0 of 30" in output


@pytest.mark.parametrize(("known", "trained_on"), [(30, 27), (10, 9), (0, 0)])
def test_training_images_are_recognised(
    known: int, trained_on: int, project: Path, predict: Predict, drawings: Images
) -> None:
    """The one network holds out fold 0."""
    images = np.concatenate([drawings[:known], 255 - drawings[known:]])
    folds = np.arange(30, dtype=np.uint8) % 10
    dataset.save(stages.TRAIN, TrainingDigits(images, LABELS, folds, Provenance(False, "a", "b")))
    tables.write(project / "train.csv", drawings, LABELS)
    output, errors = predict("train.csv")
    assert "of 30 (95 % interval" in output
    assert ("The networks trained on" in errors) is bool(trained_on)
    assert (f"on {trained_on} of these 30 labelled images" in errors) is bool(trained_on)
    assert "submission.csv" not in errors


def test_damaged_training_images_are_no_obstacle(
    project: Path, predict: Predict, drawings: Images
) -> None:
    stages.TRAIN.parent.mkdir(parents=True)
    stages.TRAIN.write_bytes(b"damaged")
    tables.write(project / "train.csv", drawings, LABELS)
    assert "of 30 (95 % interval" in predict("train.csv")[0]


# ---------------------------------------------------------------- the drawing page


@contextmanager
def drawing(*options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``digits draw`` in a process, and the first line that it prints."""
    variables = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"} | variables
    kept = {name: value for name, value in os.environ.items() if "DISPLAY" not in name}
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "draw", "--port", "0", *options],
        env=kept | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, process.stdout.readline() if process.stdout else ""
        finally:
            process.kill()


def fetch(line: str, path: str = "") -> str:
    """What the server behind the printed address answers."""
    from urllib.request import urlopen

    address = re.fullmatch(r"Serving on (http://127\.0\.0\.1:\d+/) \(Ctrl-C to stop\)\n", line)
    assert address, line
    with urlopen(address[1] + path, timeout=60) as answer:
        return str(answer.read().decode())


def make_browser(folder: Path, name: str) -> Path:
    """A program that notes the address that it is to open, and stays open."""
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$1" > {folder}/opened\nexec sleep 60\n')
    path.chmod(0o755)
    return path


def test_page_is_served_while_a_browser_is_open_and_until_ctrl_c(project: Path) -> None:
    browser = make_browser(project, "browser")
    with drawing(BROWSER=f"{browser} %s", DISPLAY=":9") as (process, line):
        assert "<title>Draw a digit</title>" in fetch(line)
        wait_until((project / "opened").exists, seconds=60)
        assert (project / "opened").read_text().strip() in line
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


@pytest.mark.parametrize("variables", [{}, {"BROWSER": "w3m", "DISPLAY": ":9"}])
def test_no_browser_opens_in_the_terminal(variables: dict[str, str], project: Path) -> None:
    browser = make_browser(project, "w3m")
    (project / "www-browser").symlink_to(browser)
    path = f"{project}{os.pathsep}{os.environ['PATH']}"
    with drawing(PATH=path, **variables) as (process, line):
        assert "warning" not in fetch(line)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert not (project / "opened").exists()
    assert "sample" not in errors


def test_networks_of_the_sample_are_told(project: Path, exported: Path, predict: Predict) -> None:
    (project / "exported").unlink()
    (project / "exported").mkdir()
    for path in (exported / "exported").iterdir():
        (project / "exported" / path.name).symlink_to(path)
    members = ExportRecord.read(exported / "exported").members
    (project / "exported/ensemble.json").unlink()
    ExportRecord(True, members).write(project / "exported")
    save_drawing(project / "a.png", 7)
    warning = "The networks trained on the embedded sample only: expect many errors."
    assert f"{warning}\n" in predict("a.png")[1]
    with drawing("--no-browser") as (process, line):
        assert warning in fetch(line)
        process.send_signal(signal.SIGINT)
        assert f"{warning}\n" in process.communicate(timeout=60)[1]
