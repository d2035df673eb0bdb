"""What every executor does, whatever it is made of."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from orchwf import RunFailed, WorkerDiedError, compile_workflow
from orchwf.core.events import StepFailed, StepRetrying
from orchwf.importing import import_file
from tests.executors.conftest import Place
from tests.executors.flows import MANY, Dies, Endless, Ends, Finishes, Knows, Point, Values, noted
from tests.runtime.flows import log_of, until

# A worker of Dask takes ten seconds and more to begin on a busy machine, and some of these tests wait for three.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]


def is_gone(pid: int) -> bool:
    """Whether there is no process of this number any more, or nothing of it but the number."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


async def test_values_come_and_go(place: Place):
    """Of all types, as inputs, items and outputs, small and large."""
    result = await place.orchestrator.run(Values(points=[Point(2.0, frozenset())]))

    outputs, back = result.outputs, result[Values.back]
    assert (MANY, MANY) == (outputs["many"], back)
    assert [type(each) for each in MANY] == [type(each) for each in back]
    assert Point(2.0, frozenset()) == outputs["first"]
    assert [0, 1, None, 9] == outputs["square"]
    assert (10, ["first"]) == outputs["total"]
    assert 3 == outputs["grow"]
    assert 3_000_000 == outputs["length"]


async def test_a_body_knows_which_attempt_it_is(place: Place, caplog: pytest.LogCaptureFixture):
    """And how far the one before came; what it logs is logged here."""
    with caplog.at_level(logging.INFO, logger="orchwf.step"):
        run = await place.orchestrator.start(Knows(), metadata={"trace": "t1"})
        result = await run.result()

    (known,) = result[Knows.whole]
    assert known.pop("pid") != os.getpid()
    assert known == {
        "run": run.id, "step": "look", "item": "0", "attempt": 2, "most": 4, "key": f"{run.id}/look/0",
        "metadata": {"trace": "t1"}, "last": {"row": 7}, "told": False,
    }  # fmt: skip
    (record,) = [each for each in caplog.records if each.name == "orchwf.step"]
    assert ("begins well", logging.WARNING) == (record.getMessage(), record.levelno)
    assert (7, "a", run.id, 1) == tuple(vars(record)[name] for name in ("row", "item_name", "run_id", "attempt"))


async def test_a_body_may_end_in_many_ways(place: Place):
    """The retry policy judges what it raised, where it was raised; what it raised is described."""
    result = await place.orchestrator.run(Ends())

    assert (3, 2) == (result.outputs["flaky"], result.outputs["later"])
    assert ("skipped", "nothing to do") == (str(result.steps["skips"].status), result.steps["skips"].reason)
    tries = {name: len(record.attempts) for name, record in result.steps.items()}
    assert {
        "broken": 1,
        "flaky": 3,
        "given_up": 1,
        "never": 1,
        "unstorable": 1,
        "undecided": 4,
    }.items() <= tries.items()
    errors = {name: record.error for name, record in result.steps.items() if record.error is not None}
    broken = errors["broken"]
    assert ("tests.executors.flows.Broken", "row 3") == (broken.type_name, broken.message)
    assert broken.location.endswith(" in broken")
    assert 'raise Broken("row 3")' == broken.source
    assert "attempt.py" not in broken.traceback
    assert "row 4" == errors["broken_coroutine"].message
    assert "the output of step 'unstorable' cannot be stored" in errors["unstorable"].message
    assert "SystemExit" == errors["exits"].type_name
    assert "KeyboardInterrupt was raised in a body" == errors["interrupts"].message


async def test_a_body_may_end_its_run(place: Place):
    """Its output is that of the step."""
    result = await place.orchestrator.run(Finishes())

    assert {"look": 7} == dict(result.outputs)


async def test_a_worker_that_dies_is_told_of(place: Place, notes: Path):
    """Once, to the retry policy; a step that is to run at most once is not tried again."""
    run = await place.orchestrator.start(Dies(file=str(notes)))
    with pytest.raises(RunFailed) as caught:
        await run.result()

    log = await log_of(run)
    assert [("dies", "orchwf.errors.WorkerDiedError")] == [
        (event.step, event.error.type_name) for event in log if isinstance(event, StepRetrying)
    ]
    (failed,) = [event for event in log if isinstance(event, StepFailed)]
    assert ("once", 1, True) == (failed.step, failed.attempt, failed.runs_on)
    assert isinstance(caught.value.__cause__, WorkerDiedError)
    assert f"the worker that ran step 'once' of run {run.id!r} " in str(caught.value)
    assert ["once"] == noted(notes)


async def test_what_is_out_of_time_or_cancelled_is_stopped(place: Place, notes: Path):
    """It is gone, or was told where nothing can be stopped. What it did is undone, here."""
    run = await place.orchestrator.start(Endless(file=str(notes)))
    await until(lambda: any(line.startswith("long") for line in noted(notes)))
    late, long = (int(line.split()[1]) for line in noted(notes) if line.split()[1].isdigit())
    assert "StepTimeoutError" in (await run.steps())["late"].error.headline  # type: ignore[union-attr]

    await run.cancel("enough")
    await run.wait()

    assert "cancelled" == str(await run.status())
    if place.kind == "dask":
        await until(lambda: {"late told", "long told"} <= {*noted(notes)})
    else:
        await until(lambda: is_gone(late) and is_gone(long))
        assert not {"late told", "long told"} & {*noted(notes)}
    assert f"undone by {os.getpid()}" in noted(notes)


SOURCE = """
from orchwf import step, workflow

@workflow
class Flow:
    @step(executor="there")
    def look(self) -> int:
        return {value}
"""


def imported(folder: Path, name: str) -> Any:
    """The workflow of a file of this name in this folder."""
    (folder / f"{name}.py").write_text(SOURCE.format(value=1))
    return import_file(folder / f"{name}.py").Flow


async def test_a_file_is_imported_by_its_path(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As the command line does, whatever the workers find otherwise."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    result = await place.orchestrator.run(imported(tmp_path, f"flow_{place.kind}")())

    assert {"look": 1} == dict(result.outputs)


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (None, "ImportError: there is no file "),
        ("raise SystemExit('no licence')", "SystemExit: no licence"),
        (SOURCE.format(value=2), "ImportError: the code of step 'look' is another one there"),
        (SOURCE.format(value=1).replace("look", "see"), "ImportError: Flow has no step 'look' there"),
        (SOURCE.format(value=1).replace("Flow", "Other"), "has no workflow 'Flow'"),
    ],
    ids=["file", "raises", "code", "step", "class"],
)
async def test_what_a_worker_cannot_import_it_does_not_run(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    then: str | None,
    reason: str,
):
    """Nor what is something else there than it is here."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    # What is compiled goes by seconds and sizes, and so would the next version.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # Workers keep what they have imported: a name for each.
    name = f"flow_{request.node.callspec.id.replace('-', '_')}"
    flow = imported(tmp_path, name)
    file = tmp_path / f"{name}.py"
    compile_workflow(flow).to_json()  # Digests go by the source, as it is when it is asked for.
    if then is None:
        file.unlink()
    else:
        file.write_text(then)

    with pytest.raises(RunFailed, match="NotImportableError") as caught:
        await place.orchestrator.run(flow())

    assert f"executor 'there': a worker cannot take {file}:Flow for what it is here: " in str(caught.value)
    assert reason in str(caught.value)
