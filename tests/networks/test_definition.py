import shutil
from pathlib import Path

import pytest

from pipeline.errors import ParamsError
from pipeline.networks import definition
from pipeline.networks.definition import check_network
from pipeline.params import Network
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (Network(architecture="wide_view", preprocessing=[[]]), "unknown architecture 'wide_view'"),
        (
            Network(architecture="pooled_cnn", preprocessing=[[], ["thicken"]]),
            "unknown transform 'thicken'",
        ),
    ],
)
def test_file_that_a_copy_lacks_is_named_with_the_cure(network: Network, problem: str) -> None:
    with pytest.raises(ParamsError) as refusal:
        check_network("wide", network)
    assert f"networks.wide: {problem}" in str(refusal.value)
    assert "a new file must be known to Git: git add" in str(refusal.value)


@pytest.mark.parametrize(
    ("folder", "network"),
    [
        ("architectures", Network(architecture="mine", preprocessing=[[]])),
        ("data/transforms", Network(architecture="pooled_cnn", preprocessing=[["mine"]])),
    ],
)
def test_forgotten_line_is_told_before_anything_runs(
    folder: str, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("architectures", "data/transforms"):
        shutil.copytree(ROOT / "pipeline" / name, tmp_path / name)
    (tmp_path / folder / "mine.py").touch()
    monkeypatch.setattr(definition, "_PACKAGE", tmp_path)
    told = rf"networks.own: .*'mine' has a file, but no line in pipeline/{folder}/__init__.py"
    with pytest.raises(ParamsError, match=told):
        check_network("own", network)
