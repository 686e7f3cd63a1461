"""The comparison uses the package, never the other way round, and DVC knows what it is made of."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT
from tests.test_structure import EXEMPT, MODULES, closure, imports

FOLDER = ROOT / "comparison"

EXEMPT_EVERYWHERE = set(EXEMPT) | {
    "checked_yaml",
    "data.dataset",
    "data.label_corrections",
    "networks.cpu",
    "networks.record",
    "profiles",
}
"""What the root's stages leave out for the same reasons; of profiles, the YAML file is declared,
and corrected labels are refused."""

ONLY_KEPT = {
    "backends",
    "busy",
    "estimates",
    "fingerprints",
    "outcome",
    "settings",
    "table",
    "train",
    "work",
}
"""Modules of this folder that decide which runs are trained and where their rows go, and not what
comes out of a run. The command compares hashes by itself."""

EXEMPT_IN: dict[str, set[str]] = {
    "train": ONLY_KEPT,
    "summarize": {"estimates", "fingerprints", "recipes", "runs", "settings", "table"},
}


def stages() -> dict[str, Any]:
    return dict(YAML(typ="safe").load(FOLDER / "dvc.yaml")["stages"])


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES)
def test_package_does_not_know_the_comparison(path: Path) -> None:
    assert not [name for name in imports(path) if name.partition(".")[0] == "comparison"]


@pytest.mark.parametrize("stage", stages())
def test_stage_declares_the_code_that_shapes_its_result(stage: str) -> None:
    own, package, waiting = set(), set(), [stage]
    while waiting:
        name = waiting.pop()
        own.add(name)
        found = imports(FOLDER / f"{name}.py")
        waiting += [
            module
            for full in found
            if full.startswith("comparison.") and (module := full.removeprefix("comparison."))
            if (FOLDER / f"{module}.py").exists() and module not in own
        ]
        for full in found:
            module = full.removeprefix("pipeline.")
            if module in MODULES:
                package |= {module} | closure(module)
    needed = {f"{name}.py" for name in own - EXEMPT_IN[stage]}
    for module in package - EXEMPT_EVERYWHERE:
        if MODULES[module].name != "__init__.py":  # holds names alone
            needed.add(f"../pipeline/{module.replace('.', '/')}.py")
    declared = {dep for dep in stages()[stage]["deps"] if dep.endswith(".py")}
    assert declared == needed


def test_summary_follows_the_baseline() -> None:
    assert "baseline" in stages()["summarize"]["params"]


def test_code_of_the_package_is_named_file_by_file() -> None:
    """A folder outside this DVC project would count with its __pycache__."""
    for stage in stages().values():
        assert not [dep for dep in stage["deps"] if "../" in dep and (FOLDER / dep).is_dir()]
