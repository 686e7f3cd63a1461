"""Write ``notebooks/kaggle.ipynb`` and its badge in README: ``make notebook``.

The cells are those of ``notebooks/kaggle.py``, in Jupytext's percent format. The address of the
repository is that of ``project.urls`` in pyproject.toml. Without one, the badge leads to the page
that tells how to open the notebook.
"""

import re
import tomllib
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "notebooks/kaggle.py"
NOTEBOOK = ROOT / "notebooks/kaggle.ipynb"
README = ROOT / "README.md"

KAGGLE = {
    "accelerator": "none",
    "dataSources": [{"databundleVersionId": 861823, "sourceId": 3004, "sourceType": "competition"}],
    "isGpuEnabled": False,
    "isInternetEnabled": True,
    "language": "python",
    "sourceType": "notebook",
}
"""What Kaggle sets an imported notebook to: the competition attached, the internet on."""

_BADGE = "https://kaggle.com/static/images/open-in-kaggle.svg"
_PAGE = "docs/kaggle-notebook.md"


def main() -> None:
    """Entry point of the command."""
    address = read_address()
    NOTEBOOK.write_text(build(address), encoding="utf-8")
    README.write_text(with_badge(README.read_text(encoding="utf-8"), address), encoding="utf-8")


def read_address() -> str:
    """The address of the repository; empty if pyproject.toml names none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["urls"].get("Repository", "")).rstrip("/")


def build(address: str) -> str:
    """The text of the notebook, equal for equal scripts.

    Args:
        address: of the repository, which the notebook clones; may be empty.
    """
    script = SCRIPT.read_text(encoding="utf-8")
    script, found = re.subn(r'(?m)^REPOSITORY = ""', f'REPOSITORY = "{address}"', script)
    if found != 1:
        raise ValueError(f"{SCRIPT} sets REPOSITORY {found} times, expected once")
    notebook: NotebookNode = jupytext.reads(script, fmt="py:percent")
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"
    notebook.metadata = NotebookNode(
        kaggle=KAGGLE,
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return f"{nbformat.writes(notebook)}\n"


def with_badge(readme: str, address: str) -> str:
    """README with the badge that opens the notebook at this address."""
    path = NOTEBOOK.relative_to(ROOT).as_posix()
    opens = f"https://kaggle.com/kernels/welcome?src={address}/blob/main/{path}"
    badge = f"[![Open in Kaggle]({_BADGE})]({opens if address else _PAGE})"
    changed, found = re.subn(r"(?m)^\[!\[Open in Kaggle\].*$", lambda _: badge, readme)
    if found != 1:
        raise ValueError(f"README has {found} badges of Kaggle, expected one")
    return changed


if __name__ == "__main__":
    main()
