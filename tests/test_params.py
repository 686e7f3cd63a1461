"""Every wrong value in params.yaml is named: key, expectation, value, file."""

import re
from pathlib import Path

import pytest
from dvc.utils.serialize import parse_yaml
from pydantic import ValidationError
from ruamel.yaml import YAML

from pipeline import params
from pipeline.errors import ParamsError
from pipeline.files import write_json
from pipeline.params import Member
from tests.conftest import LISTED_NETWORK, SMALL_NETWORK, add_networks, set_params


def assert_refused(folder: Path, *expected: str) -> str:
    """Loading must fail with one paragraph in which each of ``expected`` stands as it is."""
    with pytest.raises(ParamsError) as caught:
        params.load(folder / "params.yaml")
    message = str(caught.value)
    assert message.startswith(f"{folder / 'params.yaml'} is not ")
    assert message.endswith(".")
    assert message.isprintable()
    assert not re.search(r"[Ii]nput|pydantic|valid dictionary|None|constrained|https?:", message)
    for text in expected:
        assert text in message
    return message


def set_value(folder: Path, key: str, value: str) -> None:
    """Replace the value of ``key``, the first of that name in the file."""
    path = folder / "params.yaml"
    changed, count = re.subn(
        rf"^( *{key}:)[^#\n]*", rf"\1 {value} ", path.read_text(), count=1, flags=re.MULTILINE
    )
    assert count == 1
    path.write_text(changed)


def test_file_of_the_project_is_usable(in_folder: Path) -> None:
    settings = params.load()
    assert settings.source.kind == "auto"
    views = (), ("deskew", "normalize_width"), ("normalize_stroke",)
    assert settings.members() == [Member(0, 0, "pooled3", "deep_pooled_cnn", views)]


def test_members_are_every_combination_named_as_dvc_names_them(in_folder: Path) -> None:
    set_params(
        in_folder,
        SMALL_NETWORK,
        add_networks(other="deep_cnn, [[]]"),
        ("folds: [0]", "folds: [1, all]"),
        ("seeds: [0]", "seeds: [5, 6]"),
    )
    settings = params.load()
    held_out = ["1-5-small", "1-5-other", "1-6-small", "1-6-other"]
    assert [member.name for member in settings.evaluated_members()] == held_out
    of_all_rows = [name.replace("1-", "all-", 1) for name in held_out]
    assert [member.name for member in settings.members()] == held_out + of_all_rows


def test_views_keep_the_order_of_their_transforms(in_folder: Path) -> None:
    views = "[[normalize_width, deskew], []]"
    set_params(in_folder, SMALL_NETWORK, add_networks(other=f"pooled_cnn, {views}"))
    one, other = params.load().members()
    assert (one.views, other.views) == (((),), (("normalize_width", "deskew"), ()))


def test_settings_cannot_be_changed(in_folder: Path) -> None:
    settings = params.load()
    with pytest.raises(ValidationError, match="frozen"):
        settings.train.batch_size = 1


def choose_data(folder: Path, kind: str) -> None:
    (folder / "data").mkdir(exist_ok=True)
    write_json(folder / "data/source.json", {"kind": kind})


def test_sample_trains_with_its_own_number_of_epochs(in_folder: Path) -> None:
    of_file = params.load_file()
    assert params.load() == of_file
    choose_data(in_folder, "archive")
    assert params.load() == of_file
    choose_data(in_folder, "sample")
    assert params.load_file() == of_file
    changed = {
        key: (value, getattr(of_file.train, key))
        for key, value in params.load().train.model_dump().items()
        if value != getattr(of_file.train, key)
    }
    assert changed == {"max_epochs": (8, 36), "all_rows_epochs": (8, 36), "decay_epochs": (7, 8)}


@pytest.mark.parametrize(
    ("epochs", "expected"), [(1, (1, 1, 0)), (20, (20, 1, 8)), (99, (36, 1, 8))]
)
def test_schedule_fits_into_the_epochs_of_the_sample(
    in_folder: Path, epochs: int, expected: tuple[int, int, int]
) -> None:
    choose_data(in_folder, "sample")
    set_value(in_folder, "sample_epochs", str(epochs))
    train = params.load().train
    assert (train.max_epochs, train.warmup_epochs, train.decay_epochs) == expected


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 0.001), ("1E-3", 0.001), ("1", 1.0), (".5", 0.5)]
)
def test_number_may_be_written_in_any_way(in_folder: Path, text: str, value: float) -> None:
    set_value(in_folder, "learning_rate", text)
    assert params.load().train.learning_rate == value


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("batch_size", '"128"', 'train.batch_size: expected a whole number, found "128"'),
        ("batch_size", "true", "train.batch_size: expected a whole number, found true"),
        ("batch_size", "128.0", "train.batch_size: expected a whole number, found 128.0"),
        ("batch_size", "null", "train.batch_size: expected a whole number, found nothing"),
        ("batch_size", "[128]", "train.batch_size: expected a whole number, found a list"),
        ("batch_size", "{a: 1}", "train.batch_size: expected a whole number, found a section"),
        ("batch_size", "2024-02-03", 'expected a whole number, found "2024-02-03"'),
        ("batch_size", "0", "train.batch_size: expected greater than or equal to 1, found 0"),
        ("batch_size", "5000", "train.batch_size: expected less than or equal to 4096, found 5000"),
        ("learning_rate", "fast", 'train.learning_rate: expected a number, found "fast"'),
        ("learning_rate", "'1e-3'", 'train.learning_rate: expected a number, found "1e-3"'),
        ("learning_rate", "true", "train.learning_rate: expected a number, found true"),
        ("learning_rate", "0", "train.learning_rate: expected greater than 0, found 0"),
        ("learning_rate", "-1e-3", "train.learning_rate: expected greater than 0, found -0.001"),
        (
            "learning_rate",
            ".inf",
            "train.learning_rate: expected less than or equal to 1, found Infinity",
        ),
        (
            "rotation_degrees",
            ".nan",
            "augmentation.rotation_degrees: expected less than or equal to 45, found",
        ),
        ("zoom_fraction", "0.5", "augmentation.zoom_fraction: expected less than 0.5, found 0.5"),
        (
            "shift_pixels",
            "-1",
            "augmentation.shift_pixels: expected greater than or equal to 0, found -1",
        ),
        ("seed", "-1", "seed: expected greater than or equal to 0, found -1"),
        (
            "path",
            "null\n  paht: null",
            "source.paht: no such key (did you mean 'path'?), expected kind, path, sample_epochs",
        ),
        ("kind", "zip", "kind: expected 'auto', 'archive', 'kaggle' or 'sample', found \"zip\""),
        ("kind", "null", "kind: expected 'auto', 'archive', 'kaggle' or 'sample', found nothing"),
        ("path", "5", "source.path: expected text, found 5"),
        ("seeds", "[]", "ensemble.seeds: expected at least one entry, found an empty list"),
        ("seeds", "[1, 2, 1]", "ensemble.seeds: expected each value once, found 1 twice"),
        ("seeds", "[4294967296]", "ensemble.seeds: expected less than 4294967296, found 42949672"),
        ("evaluate", "5\nx:", "evaluate: expected a section with keys of its own, found 5"),
    ],
)
def test_wrong_value_is_named(in_folder: Path, key: str, value: str, expected: str) -> None:
    set_value(in_folder, key, value)
    assert_refused(in_folder, expected)


@pytest.mark.parametrize(
    ("defined", "expected"),
    [
        ("{}", "networks.a.architecture: missing; networks.a.preprocessing: missing"),
        ("{architecture: 5, preprocessing: [[]]}", "networks.a.architecture: expected text, found"),
        (
            "{architecture: b, preprocessing: [[]], depth: 3}",
            "networks.a.depth: no such key, expected architecture, preprocessing",
        ),
        (
            "{architecture: b, preprocesing: [[]]}",
            "networks.a.preprocesing: no such key (did you mean 'preprocessing'?), expected arch",
        ),
        (
            "{architecture: b, preprocessing: 'plain,deskew'}",
            'networks.a.preprocessing: expected a list in square brackets, found "plain,deskew"',
        ),
        (
            "{architecture: b, preprocessing: [deskew]}",
            'networks.a.preprocessing: expected a list in square brackets, found "deskew"',
        ),
        (
            "{architecture: b, preprocessing: []}",
            "networks.a.preprocessing: expected at least one entry, found an empty list",
        ),
        (
            "{architecture: b, preprocessing: [[deskew, deskew]]}",
            "networks.a.preprocessing: expected each transform once in a view, found deskew twice",
        ),
        (
            "{architecture: b, preprocessing: [[deskew], [deskew]]}",
            "networks.a.preprocessing: expected each view once, found [deskew] twice",
        ),
        ("5", "networks.a: expected a section with keys of its own, found 5"),
    ],
)
def test_wrong_network_is_named(in_folder: Path, defined: str, expected: str) -> None:
    set_params(in_folder, (LISTED_NETWORK, f"  a: {defined}\nensemble:\n  networks: [a]"))
    assert_refused(in_folder, expected)


@pytest.mark.parametrize("name", ["Deep", "0deep", "deep-cnn", "a/b", "", "x" * 41])
def test_name_that_no_folder_should_have_is_refused(in_folder: Path, name: str) -> None:
    network = "{architecture: a, preprocessing: [[]]}"
    set_params(in_folder, (LISTED_NETWORK, f"  '{name}': {network}\nensemble:\n  networks: [a]"))
    assert_refused(in_folder, f"networks.{name}: expected ")


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("[]", "ensemble.networks: expected at least one entry, found an empty list"),
        ("small", 'ensemble.networks: expected a list in square brackets, found "small"'),
        ("[5]", "ensemble.networks: expected text, found 5"),
        (
            "[smal]",
            "ensemble.networks: expected names that the section 'networks' defines (small, twin), "
            "found 'smal' (did you mean 'small'?)",
        ),
        ("[small, small]", "ensemble.networks: expected each value once, found small twice"),
        (
            "[small, twin]",
            "ensemble.networks: expected different networks, found small and twin, which are "
            "defined alike",
        ),
        (
            "[{architecture: pooled_cnn, preprocessing: plain}]",
            "ensemble.networks: expected names that the section 'networks' defines, as in "
            "[pooled3], found the definition itself, as before version 1.0",
        ),
    ],
)
def test_wrong_list_of_networks_is_described(in_folder: Path, listed: str, expected: str) -> None:
    set_params(in_folder, SMALL_NETWORK, add_networks(twin="pooled_cnn, [[]]"))
    set_params(in_folder, ("networks: [small, twin]", f"networks: {listed}"))
    assert_refused(in_folder, expected)


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("stopping_fraction", "validation_fraction"),
        ("anneal_epochs", "decay_epochs"),
        ("unsure_below", "confidence_threshold"),
    ],
)
def test_key_of_a_former_version_names_the_present_one(
    in_folder: Path, former: str, present: str
) -> None:
    set_params(in_folder, (f"{present}:", f"{former}:"))
    assert_refused(in_folder, f".{former}: no such key ({present} since version 1.0), expected ")


@pytest.mark.parametrize("batch_size", ["2", "3"])
def test_parts_that_could_be_empty_are_refused(batch_size: str, in_folder: Path) -> None:
    set_value(in_folder, "batch_size", batch_size)
    expected = f"of 1, or of at most half of batch_size, {batch_size}, found 2"
    assert_refused(in_folder, f"train: expected batch_parts {expected}")
    set_value(in_folder, "batch_parts", "1")
    assert params.load(in_folder / "params.yaml").train.batch_parts == 1


@pytest.mark.parametrize(
    ("folds", "expected"),
    [
        ("[5]", "ensemble.folds: expected 0 to 4, as prepare.folds is 5, found 5"),
        ("[0, 7, all]", "ensemble.folds: expected 0 to 4, as prepare.folds is 5, found 7"),
        ("[all]", "ensemble.folds: expected a number as well as 'all': nothing could be evaluated"),
        ("[0, all, 0]", "ensemble.folds: expected each value once, found 0 twice"),
        ("[]", "ensemble.folds: expected at least one entry, found an empty list"),
        ("0", "ensemble.folds: expected a list in square brackets, found 0"),
        ("[-1]", "ensemble.folds: expected the number of a fold, 0 or more, or 'all', found -1"),
        ("['0']", "folds: expected the number of a fold, 0 or more, or 'all', found \"0\""),
        ("[All]", "folds: expected the number of a fold, 0 or more, or 'all', found \"All\""),
        ("[true]", "folds: expected the number of a fold, 0 or more, or 'all', found true"),
        ("[1.0]", "folds: expected the number of a fold, 0 or more, or 'all', found 1.0"),
    ],
)
def test_wrong_fold_is_named(in_folder: Path, folds: str, expected: str) -> None:
    set_params(in_folder, ("folds: [0]", f"folds: {folds}"))
    message = assert_refused(in_folder, expected)
    assert message.count("ensemble.folds") == 1


def test_unknown_key_is_named_with_the_known_ones(in_folder: Path) -> None:
    set_params(in_folder, ("  batch_size:", "  batch_siz: 1\n  batch_size:"))
    message = assert_refused(
        in_folder,
        "train.batch_siz: no such key (did you mean 'batch_size'?), expected all_rows_epochs, ",
    )
    assert "batch_size" in message
    assert "rotation_degrees" not in message


@pytest.mark.parametrize("key", ["trian", "5", "? [1]\n"])
def test_unknown_section_is_named_with_the_known_ones(in_folder: Path, key: str) -> None:
    set_params(in_folder, ("seed: 0", f"{key}: 1\nseed: 0"))
    assert_refused(
        in_folder, ", expected augmentation, ensemble, evaluate, neighbours, networks, prepare,"
    )


@pytest.mark.parametrize("key", ["max_epochs", "calibration_bins", "kind"])
def test_missing_key_is_named(in_folder: Path, key: str) -> None:
    path = in_folder / "params.yaml"
    path.write_text(re.sub(rf"^ *{key}:.*\n", "", path.read_text(), flags=re.MULTILINE))
    assert_refused(in_folder, f".{key}: missing. Nothing was run.")


def test_missing_section_is_named(in_folder: Path) -> None:
    path = in_folder / "params.yaml"
    path.write_text(re.sub(r"^evaluate:\n( .*\n)+", "", path.read_text(), flags=re.MULTILINE))
    assert_refused(in_folder, "is not usable: evaluate: missing. Nothing was run.")


def test_several_problems_come_in_one_message(in_folder: Path) -> None:
    set_value(in_folder, "batch_size", "0")
    set_value(in_folder, "rotation_degrees", "x")
    set_value(in_folder, "seeds", "[-1, -2]")
    assert_refused(
        in_folder,
        "ensemble.seeds: expected greater than or equal to 0, found -1; ensemble.seeds: expected ",
        'augmentation.rotation_degrees: expected a number, found "x"; ',
        "train.batch_size: expected greater than or equal to 1, found 0. Nothing was run.",
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"train:\n\tbatch_size: 1\n", "line 2: found character '\\t' that cannot start any token"),
        (b"seed: 1\nseed: 2\n", 'line 2: found duplicate key "seed"'),
        (b"a: [1\nb: 2\n", "line 2: expected ',' or ']', but got ':'"),
        (b"a: 1\n---\nb: 1\n", "line 2: found another document"),
        (b"a: !!python/object:os.system 0\n", "line 1: could not determine a constructor"),
        (b"a: *b\n", "line 1: found undefined alias 'b'"),
        (b"seed: 2024-13-45\n", "month must be in 1..12"),
        (b"{a: " * 3000, "it is nested too deep."),
        (b"a: \x07\n", "special characters are not allowed"),
    ],
)
def test_invalid_yaml_is_described(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    assert_refused(tmp_path, "is not valid YAML: ", expected)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encoding_is_told(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "params.yaml").write_text("seed: 0  # ä\n", encoding=encoding)
    assert_refused(tmp_path, "is not UTF-8 text ", "save it as UTF-8")


def test_tabs_come_with_advice(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("train:\n\tbatch_size: 1\n")
    assert assert_refused(tmp_path).endswith("Indent with spaces.")


@pytest.mark.parametrize(
    ("content", "found"),
    [("", "nothing"), ("- 1\n", "a list"), ("hello", '"hello"'), ("5", "5"), ("# a\n", "nothing")],
)
def test_file_without_sections_is_described(tmp_path: Path, content: str, found: str) -> None:
    (tmp_path / "params.yaml").write_text(content)
    assert_refused(
        tmp_path, f"expected sections, NAME: and its values, found {found}. Nothing was run."
    )


def test_missing_file_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = f"^There is no params.yaml in {re.escape(str(tmp_path))}. Run the command in the p"
    with pytest.raises(ParamsError, match=expected):
        params.load()


@pytest.mark.parametrize("key", ["max_epochs", "all_rows_epochs"])
def test_schedule_that_does_not_fit_is_refused(key: str, in_folder: Path) -> None:
    set_value(in_folder, key, "8")
    assert_refused(
        in_folder,
        f"train: expected {key} of at least 9, the sum of warmup_epochs and decay_epochs, found 8",
    )


def test_dvc_parses_in_c_what_the_pipeline_parses(in_folder: Path) -> None:
    odd = "odd: [1e-3, .5, 1_000, 0o17, 017, yes, ~, 2026-01-01, 'é', 1., -.inf, 1.5e+3]\n"
    text = (in_folder / "params.yaml").read_text(encoding="utf-8") + odd
    assert YAML(typ="safe").Parser.__module__.endswith("_ruamel_yaml")
    assert parse_yaml(text, "params.yaml") == YAML(typ="safe", pure=True).load(text)
