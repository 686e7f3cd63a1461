"""DVC's dependencies held against what each stage imports; pyproject.toml has the import law."""

import ast
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.ensemble import neighbours
from pipeline.stages.train import CODE
from pipeline.training.task import SHARED_CODE
from tests.conftest import ROOT

EXEMPT = {
    "architectures": "the mapping of names",
    "checked_yaml": "how params.yaml is read; its values are declared as params",
    "environment": "what the terminal shows changes no result",
    "errors": "messages change no result",
    "git": "which commit is recorded changes no result",
    "files": "how bytes reach the disk",
    "member": "names; params.yaml lists what they are made of",
    "networks.backend": "how Keras is imported; its version is in each member's conditions",
    "networks.cpu": "what the processor has; it is in each member's conditions",
    "networks.devices": "which device is there; it is in each member's conditions",
    "networks.machine": "how the machine is described in each member's conditions",
    "parallel": "which process does the work changes no result",
    "params": "its values are declared as params, or are in data/networks/ (sample_epochs)",
    "plots": "chooses a backend without windows",
    "progress": "messages change no result",
    "project": "paths",
    "stage_process": "how a stage begins and ends changes no result",
    "stages": "paths",
    "stored": "how bytes are read and checked; the files themselves are dependencies",
    "wording": "how numbers are written; the numbers are the result",
}
"""Modules that no stage declares, and why."""

_READS = "only reads; the arrays themselves are dependencies"
_OF_A_NETWORK = "data/networks/ holds its hash, for the networks that use it"
_OF_MODELS = "a network trains again when it changes, so that models/ change"

_SAVES = "only saves what training made"
_COMPARES = "only compares what was exported with what Keras computes"
_CHECKS = "only checks other files"
_ONLY_AVERAGES = "what refinement averages; only its distance is used"
_LOG = "only to read the log of uploads"

EXEMPT_HERE = {
    "train": {
        "data.dataset": _READS,
        "networks.definition": _OF_A_NETWORK,
        "networks.record": _SAVES,
        "networks.trained": _SAVES,
    },
    "evaluate": {
        "data.dataset": _READS,
        "data.folds": "only to find equal images",
        "networks.record": _READS,
    },
    "predict": {
        "data.dataset": _READS,
        "data.table_cells": _CHECKS,
        "data.tables": _CHECKS,
        "networks.record": _READS,
    },
    "export": {
        "data.dataset": _READS,
        "data.preprocessing": _OF_MODELS,
        "ensemble.averaging": _COMPARES,
        "networks.record": _READS,
        "networks.trained": _COMPARES,
    },
    "explain": {
        "data.dataset": _READS,
        "data.preprocessing": _ONLY_AVERAGES,
        "data.transforms": _ONLY_AVERAGES,
        "data.transforms.deskew": _ONLY_AVERAGES,
        "data.transforms.normalize_width": _ONLY_AVERAGES,
        "ensemble.averaging": _ONLY_AVERAGES,
    },
    "embed": {
        "data.dataset": _READS,
        "data.preprocessing": _OF_MODELS,
        "networks.record": _READS,
    },
    "report": {
        "data.dataset": _READS,
        "data.table_cells": _CHECKS,
        "data.tables": _CHECKS,
        "kaggle.submission": _LOG,
        "submissions.file": _READS,
        "submissions.log": _LOG,
    },
}
"""Modules that a stage imports and does not declare, and why."""

OWN_FILES = "architectures.", "data.transforms"
"""What networks choose among; `networks.definition` hashes what each has chosen."""

VIEWS_OF_NEIGHBOURS = {
    f"data.transforms.{name}" for view, _ in neighbours.DISTANCES for name in view
}
"""These refine predictions of networks that may not have chosen them."""

BLOCKS = "architectures._blocks"
"""What architectures share; each is otherwise a file of its own that alone decides on it."""

DECLARED_ELSEWHERE = {
    "source": "always runs",
    "download": "its code must be mended without downloading again; hashes tell the data apart",
}


def modules() -> dict[str, Path]:
    """All modules by dotted name without ``pipeline.``; of packages, those that hold anything."""
    found = {}
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        if len(ast.parse(path.read_text(encoding="utf-8")).body) < 2:  # a docstring at most
            continue
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


def declared(stage: str) -> set[str]:
    """The code that dvc.yaml names for a stage; a folder stands for all that is in it."""
    return {
        dep.removeprefix("pipeline/").removesuffix(".py").replace("/", ".")
        for dep in stages()[stage].get("deps", [])
        if dep.startswith("pipeline/")
    }


def covers(declaration: str, module: str) -> bool:
    return module == declaration or module.startswith(f"{declaration}.")


@pytest.mark.parametrize("stage", stages())
def test_stage_declares_the_code_that_shapes_its_result(stage: str) -> None:
    if stage in DECLARED_ELSEWHERE:
        assert not declared(stage)
        return
    exempt = set(EXEMPT) | set(EXEMPT_HERE.get(stage, {}))
    needed = {f"stages.{stage}", *closure(f"stages.{stage}")} - exempt
    if stage == "train" or "models" in stages()[stage]["deps"]:
        kept = {BLOCKS, *(VIEWS_OF_NEIGHBOURS if "ensemble.neighbours" in needed else ())} - exempt
        needed = {each for each in needed if each in kept or not each.startswith(OWN_FILES)}
    missing = {each for each in needed if not any(covers(name, each) for name in declared(stage))}
    assert not missing
    unneeded = {name for name in declared(stage) if not any(covers(name, each) for each in needed)}
    assert not unneeded


COMPARISON = ("cli", "runs", "evaluation.changes", "evaluation.comparison", "plots.comparison")
"""What only `digits compare` uses."""


@pytest.mark.parametrize("stage", stages())
def test_what_compares_runs_makes_no_stage_run(stage: str) -> None:
    """But report, whose page is in the same folder as that of the comparison."""
    used = {name for name in MODULES if name.startswith(COMPARISON)}
    assert len(used) > len(COMPARISON)
    pages = {name for name in MODULES if name.startswith("report")} if stage != "report" else set()
    assert not [
        (name, each) for name in declared(stage) for each in used | pages if covers(name, each)
    ]


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith("architectures.")])
def test_architecture_is_decided_by_the_files_that_train_declares(name: str) -> None:
    """Otherwise a network would keep its weights when a file that it imports changes."""
    assert closure(name) - set(EXEMPT) <= {BLOCKS, "data.dataset"}


@pytest.mark.parametrize("stage", stages())
def test_stage_module_command_and_section_share_a_name(stage: str) -> None:
    assert f"stages.{stage}" in MODULES
    assert stages()[stage]["cmd"].startswith(f"python -m pipeline.stages.{stage}")


def test_resumed_training_and_dvc_agree_on_what_code_matters() -> None:
    hashed = {name.removesuffix(".py").replace("/", ".") for name in (*SHARED_CODE, CODE)}
    assert hashed == declared("train")


def test_train_never_depends_on_the_list_of_members() -> None:
    assert "ensemble" not in stages()["train"]["params"]


def test_only_training_sees_corrected_labels() -> None:
    """Whoever scores or names rows of train.csv has to read every row with its label as given."""
    trained_on = {
        name
        for name, path in MODULES.items()
        if "load_training(" in path.read_text(encoding="utf-8") and name != "data.dataset"
    }
    assert trained_on == {"cli.own_digits", "cluster.driver", "cluster.members", "stages.train"}


def test_exemptions_are_still_needed() -> None:
    reached = set().union(*(closure(f"stages.{stage}") for stage in stages()))
    assert set(EXEMPT) <= reached
    for stage, modules_here in EXEMPT_HERE.items():
        assert set(modules_here) <= closure(f"stages.{stage}")
