"""DVC's dependencies held against what each stage imports; pyproject.toml has the import law."""

import ast
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT

PACKAGES = {
    "data",
    "data.sources",
    "ensemble",
    "evaluation",
    "handwriting",
    "kaggle",
    "networks",
    "submissions",
    "training",
}
"""Folders whose ``__init__`` says what is in them, and nothing else."""

EXEMPT = {
    "errors": "messages change no result",
    "files": "how bytes reach the disk",
    "parallel": "which process does the work changes no result",
    "params": "its values are declared as params",
    "progress": "messages change no result",
    "stages": "paths",
    "networks.backend": "how Keras is imported; its version is in each member's conditions",
    "architectures": "the mapping of names; the architecture's own file is declared",
    "plots": "chooses a backend without windows",
}
"""Modules that no stage declares, and why."""

_READS = "only reads; the arrays themselves are dependencies"
_LOG = "only to read the log of uploads"

_SAVES = "only saves what training made"
_COMPARES = "only compares what was exported with Keras's own"

_NO_PICTURES = {
    name: "what the reader finds in pictures; the stage gives it images in MNIST's form"
    for name in (
        "handwriting.blots",
        "handwriting.components",
        "handwriting.crossings",
        "handwriting.enclosures",
        "handwriting.find_digit",
        "handwriting.ink",
        "handwriting.lines",
        "handwriting.pictures",
        "handwriting.planes",
        "handwriting.redrawing",
        "handwriting.ruling",
        "handwriting.sheets",
        "handwriting.strokes",
        "handwriting.tiny",
        "handwriting.touching",
    )
}

EXEMPT_HERE = {
    "export": _NO_PICTURES
    | {
        "ensemble.averaging": _COMPARES,
        "data.dataset": _READS,
        "networks.trained": _COMPARES,
        "data.preprocessing": _COMPARES,
        "handwriting.reader": _COMPARES,
    },
    "train": {"data.dataset": _READS, "networks.trained": _SAVES, "ensemble.averaging": _SAVES},
    "evaluate": {"data.dataset": _READS},
    "predict": _NO_PICTURES
    | {
        "data.dataset": _READS,
        "data.tables": "only the number of rows, for checking other files",
    },
    "report": {
        "data.dataset": _READS,
        "submissions.log": _LOG,
        "kaggle.client": _LOG,
        "kaggle.credentials": _LOG,
        "kaggle.messages": _LOG,
    },
}
"""Modules that a stage imports and does not declare, and why."""

BLOCKS = "architectures._blocks"
"""What architectures share; each is otherwise a file of its own that alone decides on it."""

DECLARED_ELSEWHERE = {
    "source": "always runs",
    "download": "its code must be mended without downloading again; hashes tell the data apart",
}


def modules() -> dict[str, Path]:
    """All modules of the package by dotted name without ``pipeline.``; packages by their own."""
    found = {}
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        parts = path.relative_to(ROOT / "pipeline").with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            found[name] = path
    return found


MODULES = modules()


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_modules(name: str) -> set[str]:
    """Modules of the package that module ``name`` imports."""
    own = {full.removeprefix("pipeline.") for full in imports(MODULES[name])}
    return own & set(MODULES) - PACKAGES


def test_kaggle_is_imported_inside_functions_only() -> None:
    for path in MODULES.values():
        top = ast.parse(path.read_text(encoding="utf-8")).body
        names = [ast.unparse(node) for node in top if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not [name for name in names if name.startswith(("import kaggle", "from kaggle"))]


def closure(name: str) -> set[str]:
    """All modules that module ``name`` imports, directly or not."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for imported in imported_modules(waiting.pop()) - reached:
            reached.add(imported)
            waiting.append(imported)
    return reached


def stages() -> dict[str, Any]:
    content = YAML(typ="safe").load(ROOT / "dvc.yaml")
    return dict(content["stages"])


@pytest.mark.parametrize("stage", stages())
def test_stage_declares_the_code_that_shapes_its_result(stage: str) -> None:
    if stage in DECLARED_ELSEWHERE:
        assert not [dep for dep in stages()[stage].get("deps", []) if dep.startswith("pipeline")]
        return
    exempt = set(EXEMPT) | set(EXEMPT_HERE.get(stage, {}))
    needed = {f"stages.{stage}"}
    for module in closure(f"stages.{stage}"):
        if module.startswith("architectures.") and module != BLOCKS:
            needed.add("architectures.${item.network.architecture}")
        elif module not in exempt:
            needed.add(module)
    declared = {
        dep.removeprefix("pipeline/").removesuffix(".py").replace("/", ".")
        for dep in stages()[stage]["deps"]
        if dep.startswith("pipeline/")
    }
    folders = {each for each in declared if each in PACKAGES or each == "report"}
    covered = {each for each in needed if each.rpartition(".")[0] in folders}
    assert declared - folders == needed - covered - folders
    assert folders == {each.rpartition(".")[0] or each for each in covered | (folders & {"report"})}


def test_packages_hold_nothing_themselves() -> None:
    for name in PACKAGES:
        assert not imports(MODULES[name])


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("architectures.")])
def test_architecture_is_decided_by_the_files_that_train_declares(name: str) -> None:
    """Otherwise a network would keep its weights when a file that it imports changes."""
    assert closure(name) - set(EXEMPT) <= {BLOCKS, "data.dataset"}


@pytest.mark.parametrize("stage", stages())
def test_stage_module_command_and_section_share_a_name(stage: str) -> None:
    assert f"stages.{stage}" in MODULES
    assert stages()[stage]["cmd"].startswith(f"python -m pipeline.stages.{stage}")


def test_resumed_training_and_dvc_agree_on_what_code_matters() -> None:
    source = ast.parse(MODULES["stages.train"].read_text(encoding="utf-8"))
    (code,) = (
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CODE"
    )
    declared = [dep for dep in stages()["train"]["deps"] if dep.startswith("pipeline/")]
    architecture = "architectures/${item.network.architecture}.py"
    assert {f"pipeline/{name}" for name in (*code, architecture)} == set(declared)


def test_train_never_depends_on_the_list_of_members() -> None:
    assert "ensemble" not in stages()["train"]["params"]


def test_exemptions_are_still_needed() -> None:
    reached = set().union(*(closure(f"stages.{stage}") for stage in stages()))
    assert set(EXEMPT) <= reached
    for stage, modules_here in EXEMPT_HERE.items():
        assert set(modules_here) <= closure(f"stages.{stage}")
