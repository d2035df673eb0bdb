"""What happens in notebooks beside the tutorial: cells that are run again, and mistakes."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.kernels import executed, printed

CELLS = [
    # A class, and an orchestrator that stays open over the cells that follow.
    """
import asyncio, orchwf
from orchwf import Orchestrator, step, workflow

@workflow
class Flow:
    @step
    async def one(self) -> int:
        return 1

orchestrator = await Orchestrator("memory:").__aenter__()
""",
    "first = await orchestrator.run(Flow())\nprint('first', first['one'])",
    # The same cell again, changed.
    """
@workflow
class Flow:
    @step
    async def one(self) -> int:
        return 2

    @step
    async def two(self, one: int) -> int:
        raise ValueError("not two")
""",
    """
handle = await orchestrator.start(Flow(), run_id="again")
result = await handle.wait()
print("again", result["one"])
""",
    # A handle of a run that rests is drawn once, and no task is left.
    "handle",
    "await asyncio.sleep(0)\nprint('left', [t for t in asyncio.all_tasks() if t.get_name() == 'orchwf-showing'])",
    "await handle.result()",
    """
@workflow
class Wrong:
    @step
    def one(self, nothing: int) -> int: ...
""",
    "await orchestrator.__aexit__(None, None, None)",
]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    v4 = pytest.importorskip("nbformat.v4", reason="nbformat is not installed")
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell.strip()) for cell in CELLS])
    return executed(notebook, Path(tmp_path_factory.mktemp("kernel")), allow_errors=True)


def error_of(cell: Any) -> str:
    (error,) = (output for output in cell.outputs if output.output_type == "error")
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))


def test_a_class_that_is_defined_again_is_a_new_version(cells: list[Any]):
    """What is started from then on is of it, by the orchestrator that was open before."""
    assert "first 1" in printed(cells)
    assert "again 2" in printed(cells)
    assert [6, 7] == [at for at, cell in enumerate(cells) if any(each.output_type == "error" for each in cell.outputs)]


def test_a_failed_run_names_the_cell(cells: list[Any]):
    """With the line of the step first, and few lines of ours."""
    trace = error_of(cells[6])

    assert "cell In[3], line 9 in two" in trace
    assert trace.index("not two") < trace.index("RunFailed")
    assert len(trace.splitlines()) < 45


def test_a_wrong_definition_names_the_cell(cells: list[Any]):
    """Where the problem is; what lies between is left out."""
    trace = error_of(cells[7])

    assert "at cell In[8], line 3" in trace
    assert "compiler.py" not in trace


def test_a_run_at_rest_leaves_no_task(cells: list[Any]):
    """Displayed it is drawn, and that is all."""
    data = cells[4].outputs[0]["data"]

    assert "run again: failed" in data["text/plain"]
    assert "left []" in printed(cells)
