"""The comparison uses the package, never the other way round, and DVC knows what it is made of."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT
from tests.test_structure import EXEMPT, MODULES, closure, imports

FOLDER = ROOT / "comparison"

EXEMPT_EVERYWHERE = set(EXEMPT) | {"digits", "profiles"}
"""What the root's stages leave out for the same reasons; of profiles, the YAML file is declared."""

EXEMPT_IN = {
    "train": {"inference", "averaging"},
    "robustness": set[str](),
    "summarize": set[str](),
}
"""Of a training run, inference only takes the most probable digit and saves the model."""


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
            for module in (full.removeprefix("comparison.") for full in found)
            if (FOLDER / f"{module}.py").exists() and module not in own
        ]
        for full in found:
            module = full.removeprefix("pipeline.")
            if module in MODULES:
                package |= {module} | closure(module)
    # Settings only look values up, in files that are declared.
    needed = {f"comparison/{name}.py" for name in own - {"settings"}}
    for module in package - EXEMPT_EVERYWHERE - EXEMPT_IN[stage]:
        if module.startswith("architectures.") and module != "architectures._blocks":
            needed.add("pipeline/architectures/${item.architecture}.py")
        else:
            needed.add(f"pipeline/{module.replace('.', '/')}.py")
    declared = {dep for dep in stages()[stage]["deps"] if dep.endswith(".py")}
    assert declared == needed


def test_summary_follows_the_baseline() -> None:
    own, *_ = (each for each in stages()["summarize"]["params"] if isinstance(each, dict))
    assert "baseline" in own["comparison/params.yaml"]


def test_root_has_nothing_to_show_of_the_comparison() -> None:
    content = YAML(typ="safe").load(FOLDER / "dvc.yaml")
    assert set(content) == {"stages"}
    for stage in content["stages"].values():
        assert not {"metrics", "plots"} & set(stage)
