"""The notebook runs from its first cell to its last, and is committed without what it prints."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient


@pytest.fixture
def notebook(root):
    return nbformat.read(root / "examples" / "first_run.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_no_output_is_committed(notebook):
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


@pytest.mark.slow
def test_the_notebook_runs_and_ends_with_a_picture(notebook, tmp_path):
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(tmp_path)}}).execute()
    *_, last = code_cells(notebook)
    assert any("image/png" in output.get("data", {}) for output in last.outputs)
    assert Path(tmp_path / "runs" / "first_run" / "agent.safetensors").is_file()
