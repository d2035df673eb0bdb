"""The tutorial notebook runs from top to bottom, and shows what its text says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.kernels import executed, printed, shown, svg_of
from tests.slowness import without_slowness

NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The code cells of the notebook, run in a kernel of its own."""
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    return executed(nbformat.read(NOTEBOOK, as_version=4), tmp_path_factory.mktemp("notebook"))


def test_no_outputs_are_stored():
    """The file holds code and text only: no outputs, no counters."""
    stored = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]

    code = [cell for cell in stored if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


def test_nothing_is_written_to_stderr(cells: list[Any]):
    """No cell prints a warning or a log line."""
    streams = [output for cell in cells for output in cell.outputs if output.output_type == "stream"]

    assert "stdout" in {stream["name"] for stream in streams}
    assert "" == without_slowness("".join(stream["text"] for stream in streams if stream["name"] == "stderr"))


def test_pictures_are_shown(cells: list[Any]):
    """All but the table are images that need nothing but the page, and each is small."""
    pictures = list(shown(cells, "text/html"))

    assert 9 == len([picture for picture in pictures if "data:image/svg+xml;base64," in picture])
    assert 1 == len([picture for picture in pictures if picture.startswith("<table>")])
    assert max(map(len, pictures)) < 30_000


def test_values_are_shown(cells: list[Any]):
    """Those that the text speaks of."""
    values = list(shown(cells, "text/plain"))

    assert "0.5" in values
    assert "'wrapped tea, wrapped tea, wrapped tea, wrapped tea, wrapped tea (1.25 kg)'" in values
    assert "'wrapped tea, wrapped cups, wrapped cups (0.75 kg)'" in values
    assert any("insured for 2.5 coins" in value for value in values)


def test_a_displayed_run_ends_as_it_ended(cells: list[Any]):
    """What was displayed when the run began shows its end: the output was drawn again."""
    displays = [output for cell in cells for output in cell.outputs if output.output_type == "display_data"]

    assert 3 == len(displays)
    for display, run_id in zip(displays, ["order-1", "order-2", "order-1-insured"], strict=True):
        assert f"run {run_id}: completed in " in display["data"]["text/plain"]
        assert "+ pack  completed" in display["data"]["text/plain"]
        assert f"run {run_id}: completed in " in svg_of(display["data"]["text/html"])


def test_a_failure_names_the_cell(cells: list[Any]):
    """The error begins with the user's line, and ends with how to go on."""
    (error,) = (output for cell in cells for output in cell.outputs if output.output_type == "error")

    trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
    assert "RunFailed" == error["ename"]
    assert "step reserve failed: LookupError: only 0 cups left, 2 are ordered" in error["evalue"]
    assert re.search(r"cell In\[2\], line 12 in reserve", trace)
    assert "orchwf resume" in trace
    assert len(trace.splitlines()) < 60


def test_resume_does_only_what_is_left(cells: list[Any]):
    """The events of the failed order: it fails, is resumed, and is packed once."""
    kinds = [line.split()[1:] for line in printed(cells).splitlines() if line.split()[:1] and line.split()[0].isdigit()]

    assert ["step.failed", "reserve"] in kinds
    assert kinds.index(["run.failed"]) < kinds.index(["run.resumed"])
    assert kinds[-1] == ["run.completed"]
    assert 1 == kinds.count(["step.completed", "pack"])


def test_a_changed_class_is_a_new_version(cells: list[Any]):
    """What differs and what is reached is drawn; the fork takes over what it can, and runs what is new."""
    texts = list(shown(cells, "text/plain"))

    assert any("+ insure  added" in text and "* pack  changed" in text for text in texts)
    assert any("weigh reaches 3 of the other 6 steps" in text for text in texts)


def test_the_folder_of_the_examples_has_no_other_notebook():
    """There is one tutorial."""
    assert [NOTEBOOK] == sorted(Path(ROOT / "examples").rglob("*.ipynb"))
