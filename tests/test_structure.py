"""The import law, and DVC's dependencies held against what each stage really imports."""

import ast
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT

TIERS = (
    (
        "errors",
        "files",
        "parallel",
        "params",
        "averaging",
        "digits",
        "tables",
        "folds",
        "handwriting",
        "metrics",
        "pictures",
        "preprocessing",
        "calibration",
        "label_errors",
        "label_shift",
        "near_duplicates",
        "neighbours",
        "submission",
    ),
    (
        "profiles",
        "sources",
        "submission_log",
        "submitting",
        "reader",
        "predicting",
        "drawing",
    ),
    (
        "backend",
        "architectures",
        "augmentation",
        "export",
        "training_state",
        "fast_layers",
        "progress",
        "training",
        "inference",
        "layers",
    ),
    ("plots", "report"),
    ("stages", "cli"),
)
"""Each imports only itself and what stands above; stages never import one another."""

FORBIDDEN = {
    0: {"keras", "tensorflow", "matplotlib", "seaborn", "jinja2", "kaggle", "dvc"},
    1: {"keras", "tensorflow", "matplotlib", "seaborn", "jinja2"},
    2: {"matplotlib", "seaborn", "jinja2", "pydantic"},
    3: {"keras", "tensorflow"},
}
"""Libraries that a tier must not import."""

EXEMPT = {
    "errors": "messages change no result",
    "files": "how bytes reach the disk",
    "parallel": "which process does the work changes no result",
    "params": "its values are declared as params",
    "progress": "messages change no result",
    "stages": "paths",
    "backend": "how Keras is imported; its version is in each member's conditions",
    "architectures": "the mapping of names; the architecture's own file is declared",
    "plots": "chooses a backend without windows",
    "sources": "empty",
}
"""Modules that no stage declares, and why."""

_READS = "only reads; the arrays themselves are dependencies"
_LOG = "only to read the log of uploads"

_SAVES = "only saves what training made"
_COMPARES = "only compares what was exported with Keras's own"

_NO_PICTURES = {
    name: "what the reader finds in pictures; the stage gives it images in MNIST's form"
    for name in (
        "handwriting",
        "handwriting.ink",
        "handwriting.planes",
        "handwriting.redrawing",
        "handwriting.sheets",
        "handwriting.strokes",
        "pictures",
    )
}

EXEMPT_HERE = {
    "export": _NO_PICTURES
    | {
        "averaging": _COMPARES,
        "digits": _READS,
        "inference": _COMPARES,
        "preprocessing": _COMPARES,
        "reader": _COMPARES,
    },
    "train": {"digits": _READS, "inference": _SAVES, "averaging": _SAVES},
    "evaluate": {"digits": _READS},
    "predict": _NO_PICTURES
    | {
        "digits": _READS,
        "tables": "only the number of rows, for checking other files",
    },
    "report": {
        "digits": _READS,
        "submission_log": _LOG,
        "sources.kaggle_client": _LOG,
        "sources.credentials": _LOG,
        "sources.refusals": _LOG,
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
    return own & set(MODULES)


def tier_of(name: str) -> int:
    for number, members in enumerate(TIERS):
        if name in members or name.partition(".")[0] in members:
            return number
    raise AssertionError(f"{name} has no room in the import law")


@pytest.mark.parametrize("name", MODULES)
def test_module_obeys_the_import_law(name: str) -> None:
    tier = tier_of(name)
    for imported in imported_modules(name):
        assert tier_of(imported) <= tier, f"{name} imports {imported}"
        if name.startswith("stages."):
            assert not imported.startswith("stages."), f"{name} imports {imported}"
    libraries = {full.partition(".")[0] for full in imports(MODULES[name])}
    assert not libraries & FORBIDDEN.get(tier, set())


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
    assert declared == needed


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("architectures.")])
def test_architecture_is_decided_by_the_files_that_train_declares(name: str) -> None:
    """Otherwise a network would keep its weights when a file that it imports changes."""
    assert closure(name) - set(EXEMPT) <= {BLOCKS, "digits"}


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
