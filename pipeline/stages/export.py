"""Export every member to ONNX, so that digits are read without waiting for TensorFlow."""

from pathlib import Path

import numpy as np

from pipeline import params, stages
from pipeline.data import dataset
from pipeline.data.dataset import IMAGE_SIZE, Images
from pipeline.ensemble.onnx import ExportedMember, ExportedNetwork, ExportRecord
from pipeline.files import atomic_path, sha256
from pipeline.networks.export import check_parity, to_onnx
from pipeline.networks.record import read_record
from pipeline.networks.trained import load_network
from pipeline.wording import counted

COMPARED_IMAGES = 256


def main() -> None:
    """Entry point of the stage."""
    names = [member.name for member in params.load().members()]
    images = dataset.load_test(stages.TEST).images[:COMPARED_IMAGES]
    noise = np.random.default_rng(0).integers(0, 256, (16, IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    difference = export(stages.EXPORTED, names, np.concatenate([images, noise]))
    print(
        f"{stages.EXPORTED}: {counted(len(names), 'network')} as ONNX; logits differ from Keras's "
        f"by {difference:.1g} at most"
    )


def export(path: Path, names: list[str], images: Images) -> float:
    """Write each named member as ONNX, compared with Keras on ``images``, and a record of them.

    Returns:
        The largest difference of a logit.
    """
    differences, members, sample = [], [], False
    with atomic_path(path) as folder:
        folder.mkdir()
        for name in names:
            source = stages.MODELS / name
            network = load_network(source)
            exported = folder / f"{name}.onnx"
            to_onnx(network.model, exported)
            differences.append(
                check_parity(
                    network.model,
                    ExportedNetwork(exported, network.views).logits,
                    images,
                    path / exported.name,
                )
            )
            sample |= read_record(source).provenance.sample
            model_sha256, onnx_sha256 = sha256(source / "model.keras"), sha256(exported)
            members.append(ExportedMember(name, model_sha256, network.views, onnx_sha256))
        ExportRecord(sample, tuple(members)).write(folder)
    return max(differences)


if __name__ == "__main__":
    stages.run(main)
