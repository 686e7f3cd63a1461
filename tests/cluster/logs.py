"""What became of members, from what a stage prints and leaves; without TensorFlow."""

import re
from pathlib import Path


def list_begun(told: str) -> list[str]:
    """The members that began on a node, once for each time."""
    return re.findall(r"^(\S+): (?:again )?on ", told, re.MULTILINE)


def list_trained(told: str) -> list[str]:
    """The members that came back, once for each time."""
    return re.findall(r"^(\S+): trained on ", told, re.MULTILINE)


def list_states(folder: Path) -> set[str]:
    """The members that came back and are kept."""
    return {path.name.partition(".")[0] for path in (folder / "models/.training").glob("[!.]*.npz")}
