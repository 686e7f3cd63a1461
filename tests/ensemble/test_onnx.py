"""Exported networks: loaded, asked together, and refused where they are stale or damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.data.dataset import Images, Probabilities
from pipeline.data.preprocessing import preprocess
from pipeline.ensemble.averaging import average_probabilities
from pipeline.ensemble.onnx import (
    RECORD,
    ExportedEnsemble,
    ExportedMember,
    ExportedNetwork,
    ExportRecord,
)
from pipeline.errors import ArtifactError
from tests.handdrawn import MEMBER


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    shutil.copytree(exported, tmp_path / "project")
    return tmp_path / "project"


def load(folder: Path) -> ExportedEnsemble:
    return ExportedEnsemble.load(folder / "exported", folder / "models")


def change(folder: Path, **changes: object) -> None:
    path = folder / "exported" / RECORD
    record = json.loads(path.read_text())
    record["members"][0] |= changes
    path.write_text(json.dumps(record))


def some_images(count: int = 5) -> Images:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)


def test_probabilities_sum_to_one(exported: Path) -> None:
    probabilities = load(exported).probabilities(some_images())
    assert probabilities.shape == (5, 10) and probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_images_keep_their_order_over_batches(exported: Path) -> None:
    ensemble, images = load(exported), some_images(250)
    probabilities = ensemble.probabilities(images)
    for row in (0, 99, 100, 249):
        np.testing.assert_allclose(
            probabilities[row], ensemble.probabilities(images[row : row + 1])[0], atol=1e-5
        )


def test_members_are_averaged(exported: Path) -> None:
    path = exported / "exported" / f"{MEMBER}.onnx"
    plain = ExportedEnsemble([ExportedNetwork(path, [[]])], sample=False)
    networks = [ExportedNetwork(path, [[]]), ExportedNetwork(path, [["deskew"]])]
    both = ExportedEnsemble(networks, sample=False)
    each = [
        plain.probabilities(some_images()),
        plain.probabilities(preprocess(some_images(), ["deskew"])),
    ]
    np.testing.assert_allclose(both.member_probabilities(some_images()), each)
    np.testing.assert_allclose(both.probabilities(some_images()), average_probabilities(each))


def test_views_of_a_network_are_averaged(exported: Path) -> None:
    path = exported / "exported" / f"{MEMBER}.onnx"

    def ask(*views: list[str]) -> Probabilities:
        network = ExportedNetwork(path, views)
        return ExportedEnsemble([network], sample=False).probabilities(some_images())

    plain, straight, both = ask([]), ask(["deskew"]), ask([], ["deskew"])
    np.testing.assert_allclose(both, average_probabilities([plain, straight]), rtol=1e-12)
    assert np.abs(plain - straight).max() > 0.001


def test_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    members = (
        ExportedMember("0-0-a", "a" * 64, [[]], "c" * 64),
        ExportedMember("1-0-b", "b" * 64, [[], ["deskew", "normalize_width"]], "d" * 64),
    )
    record = ExportRecord(True, members)
    record.write(tmp_path)
    assert ExportRecord.read(tmp_path) == record


def test_nothing_exported_names_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"ensemble.json is missing: .*run: dvc repro"):
        load(tmp_path)


def test_newer_member_is_refused(copy: Path) -> None:
    with (copy / "models" / MEMBER / "model.keras").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"trained again after its export.*dvc repro export"):
        load(copy)


def test_export_alone_is_enough(copy: Path) -> None:
    shutil.rmtree(copy / "models")
    assert load(copy).names == [MEMBER]


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x09" * 5000])
def test_damaged_network_is_named(content: bytes, copy: Path) -> None:
    path = copy / "exported" / f"{MEMBER}.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{MEMBER}.onnx is damaged: .*dvc checkout"):
        ExportedNetwork(path, [[]])
    with pytest.raises(ArtifactError, match="damaged: it is not what the export stage wrote"):
        load(copy)


def test_missing_network_is_named(copy: Path) -> None:
    (copy / "exported" / f"{MEMBER}.onnx").unlink()
    with pytest.raises(ArtifactError, match=rf"{MEMBER}.onnx is missing"):
        load(copy)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"sample": false, "members": []}', '{"sample": 1, "members": [{}]}']
)
def test_damaged_record_is_named(content: str, copy: Path) -> None:
    (copy / "exported" / RECORD).write_text(content)
    with pytest.raises(ArtifactError, match=r"ensemble.json is damaged: expected the list"):
        load(copy)


@pytest.mark.parametrize(
    "changes",
    [
        {"views": [["sharpen"]]},
        {"views": []},
        {"name": "../../elsewhere"},
        {"name": ""},
        {"model_sha256": None},
        {"more": 1},
    ],
)
def test_impossible_member_is_damage(changes: dict[str, object], copy: Path) -> None:
    change(copy, **changes)
    with pytest.raises(ArtifactError, match=r"ensemble.json is damaged"):
        load(copy)


@pytest.mark.parametrize(
    ("images", "digits", "kind"),
    [(27, 10, TensorProto.UINT8), (28, 9, TensorProto.UINT8), (28, 10, TensorProto.FLOAT)],
)
def test_network_of_another_form_is_refused(
    images: int, digits: int, kind: int, tmp_path: Path
) -> None:
    first = helper.make_tensor_value_info("images", kind, [None, images, images])
    last = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [None, digits])
    weights = numpy_helper.from_array(np.zeros((images * images, digits), np.float32), "weights")
    nodes = [
        helper.make_node("Cast", ["images"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["cast"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "other", [first], [last], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ArtifactError, match="other.onnx is damaged: .*a network of another form"):
        ExportedNetwork(tmp_path / "other.onnx", [[]])
