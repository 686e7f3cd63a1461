"""A network as params.yaml defines it: whether its parts exist, and the code that it alone uses."""

from pathlib import Path
from typing import Any

from pipeline.checked_yaml import suggest
from pipeline.errors import ParamsError
from pipeline.files import sha256
from pipeline.params import Network

_PACKAGE = Path(__file__).parent.parent
_ARCHITECTURES, _TRANSFORMS = Path("architectures"), Path("data/transforms")


def check_network(name: str, network: Network) -> None:
    """Check that architecture and transforms exist, without importing Keras.

    Each is a file of its own, and a line in the mapping of its folder's ``__init__.py``.

    Raises:
        ParamsError: one does not exist, or its line is missing.
    """
    parts = [
        ("architecture", _ARCHITECTURES, [network.architecture]),
        ("transform", _TRANSFORMS, [part for view in network.preprocessing for part in view]),
    ]
    for kind, folder, parts_of_kind in parts:
        files = (_PACKAGE / folder).glob("*.py")
        known = sorted(path.stem for path in files if not path.stem.startswith("_"))
        listed = (_PACKAGE / folder / "__init__.py").read_text(encoding="utf-8")
        for part in parts_of_kind:
            if part in known and f'"{part}":' not in listed:
                raise ParamsError(
                    f"params.yaml is not usable: networks.{name}: the {kind} {part!r} has a file, "
                    f"but no line in pipeline/{folder.as_posix()}/__init__.py. CONTRIBUTING.md "
                    "shows it. Nothing was run."
                )
            if part not in known:
                raise ParamsError(
                    f"params.yaml is not usable: networks.{name}: unknown {kind} {part!r}"
                    f"{suggest(part, known)}, expected one of {', '.join(known)}. In a copy that "
                    "DVC made (--queue, --temp), a new file must be known to Git: git add. "
                    "Nothing was run."
                )


def describe_network(network: Network, sample_epochs: int | None = None) -> dict[str, Any]:
    """What the network is made of: the content of ``data/networks/<name>.json``.

    DVC trains a network again when this changes; code that all networks share is among the
    dependencies of the train stage.

    Args:
        network: as params.yaml defines it.
        sample_epochs: of params.yaml, where the data is the sample.
    """
    described = network.model_dump() | {"code_sha256": hash_code(network)}
    return described if sample_epochs is None else described | {"sample_epochs": sample_epochs}


def hash_code(network: Network) -> dict[str, str]:
    """SHA-256 of each file that only networks like this one use, by its path in the package."""
    parts = {_ARCHITECTURES / f"{network.architecture}.py"} | {
        _TRANSFORMS / f"{name}.py" for view in network.preprocessing for name in view
    }
    return {path.as_posix(): sha256(_PACKAGE / path) for path in sorted(parts)}
