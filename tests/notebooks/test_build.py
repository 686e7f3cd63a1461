"""The notebook follows from its script, and the badge from the address of the repository."""

import nbformat
import pytest

from notebooks import build

ADDRESS = "https://example.org/someone/digits"


def test_committed_notebook_is_what_the_script_gives() -> None:
    assert build.NOTEBOOK.read_text(encoding="utf-8") == build.build(build.read_address())


def test_committed_badge_is_that_of_the_address() -> None:
    readme = build.README.read_text(encoding="utf-8")
    assert build.with_badge(readme, build.read_address()) == readme


def test_notebook_is_valid_and_without_outputs() -> None:
    notebook = nbformat.read(build.NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not [cell for cell in code if cell.outputs or cell.execution_count]
    assert code[0].metadata.tags == ["parameters"]
    competitions = [source["sourceType"] for source in notebook.metadata.kaggle.dataSources]
    assert competitions == ["competition"]


def test_address_stands_in_the_notebook_and_in_the_badge() -> None:
    notebook = nbformat.reads(build.build(ADDRESS), as_version=4)
    (settings,) = [cell for cell in notebook.cells if "tags" in cell.metadata]
    values: dict[str, object] = {}
    exec(settings.source, values)
    assert values["REPOSITORY"] == ADDRESS
    opens = f"https://kaggle.com/kernels/welcome?src={ADDRESS}/blob/main/notebooks/kaggle.ipynb"
    badge = "[![Open in Kaggle](any)](any)\n"
    assert f"]({opens})" in build.with_badge(f"# Title\n\n{badge}", ADDRESS)
    with pytest.raises(ValueError, match="README has 2 badges of Kaggle, expected one"):
        build.with_badge(2 * badge, ADDRESS)
