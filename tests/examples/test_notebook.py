"""The tutorial notebook runs from top to bottom, and shows what its text says."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchwf
from tests.conftest import ROOT
from tests.slowness import without_slowness

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The code cells of the notebook, run in a kernel of its own."""
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, "PYTHONPATH": str(Path(orchwf.__file__).parents[1]), "TMPDIR": str(folder)})
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cells: list[Any], kind: str) -> Iterator[str]:
    """Everything that the cells show in this form."""
    for cell in cells:
        for output in cell.outputs:
            if kind in output.get("data", {}):
                yield output["data"][kind]


def printed(cells: list[Any]) -> str:
    return "".join(output["text"] for cell in cells for output in cell.outputs if output.output_type == "stream")


def test_no_outputs_are_stored():
    """The file holds code and text only: no outputs, no counters."""
    stored = json.loads(NOTEBOOK.read_text())["cells"]

    code = [cell for cell in stored if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


def test_nothing_is_written_to_stderr(cells: list[Any]):
    """No cell fails, and none prints a warning or a log line."""
    streams = [output for cell in cells for output in cell.outputs if output.output_type == "stream"]

    assert "stdout" in {stream["name"] for stream in streams}
    assert "" == without_slowness("".join(stream["text"] for stream in streams if stream["name"] == "stderr"))


def test_pictures_are_shown(cells: list[Any]):
    """The graph, the result and the resumed result each show a picture that needs nothing but the page."""
    pictures = list(shown(cells, "text/html"))

    assert len(pictures) == 3
    assert [picture for picture in pictures if "data:image/svg+xml;base64," not in picture] == []


def test_results_are_shown(cells: list[Any]):
    """The values that the text speaks of appear."""
    values = list(shown(cells, "text/plain"))

    assert "0.5" in values
    assert "'tea, tea (0.5 kg)'" in values


def test_failure_and_resume_are_shown(cells: list[Any]):
    """The failed order names step and cause; the resumed one is packed, and only its failed part ran again."""
    text = printed(cells)

    assert "run 'order-2' of Shipment failed: step reserve failed" in text
    assert "Cause: LookupError('only 0 cups left, 2 are ordered')" in text
    assert "tea, cups, cups (0.75 kg)" in text
    kinds = [line.split()[1:] for line in text.splitlines() if line.split()[:1] and line.split()[0].isdigit()]
    assert ["step.failed", "reserve"] in kinds
    assert kinds.index(["run.failed"]) < kinds.index(["run.resumed"])
    assert kinds[-1] == ["run.completed"]
    assert kinds.count(["step.completed", "pack"]) == 1
