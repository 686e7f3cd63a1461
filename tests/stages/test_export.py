from pathlib import Path

import numpy as np
import pytest

from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import UnlabelledDigits
from pipeline.ensemble.averaging import predict_probabilities
from pipeline.ensemble.onnx import ExportedEnsemble, ExportRecord
from pipeline.errors import ArtifactError
from pipeline.networks.trained import load_network
from pipeline.stages import export
from tests.conftest import SMALL_NETWORK, set_params
from tests.handdrawn import MEMBER
from tests.members import write_record


@pytest.fixture
def project(in_folder: Path, exported: Path, test_digits: UnlabelledDigits) -> Path:
    """A project with one trained member, that knows two views, and prepared test images."""
    set_params(in_folder, SMALL_NETWORK)
    folder = stages.MODELS / MEMBER
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(
        (exported / "models" / MEMBER / "model.keras").read_bytes()
    )
    write_record(folder, preprocessing=[[], ["deskew"]])
    dataset.save(stages.TEST, test_digits)
    return in_folder


def test_exported_networks_give_what_the_trained_ones_give(
    project: Path, test_digits: UnlabelledDigits, capsys: pytest.CaptureFixture[str]
) -> None:
    export.main()
    assert "exported: 1 network as ONNX; logits differ" in capsys.readouterr().out
    ensemble = ExportedEnsemble.load(stages.EXPORTED, stages.MODELS)
    expected = predict_probabilities(load_network(stages.MODELS / MEMBER), test_digits.images)
    np.testing.assert_allclose(ensemble.probabilities(test_digits.images), expected, atol=1e-5)
    assert ensemble.sample


def test_record_names_members_and_their_views(project: Path) -> None:
    export.main()
    (member,) = ExportRecord.read(stages.EXPORTED).members
    assert (member.name, member.views) == (MEMBER, [[], ["deskew"]])


def test_missing_member_leaves_the_last_export(project: Path) -> None:
    export.main()
    before = sorted(path.name for path in stages.EXPORTED.iterdir())
    (stages.MODELS / MEMBER / "model.keras").unlink()
    with pytest.raises(ArtifactError, match=r"model.keras is missing"):
        export.main()
    assert sorted(path.name for path in stages.EXPORTED.iterdir()) == before
