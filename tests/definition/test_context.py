"""What a body knows of its attempt."""

import logging
from contextlib import suppress

import pytest

from orchwf import StepContext, UsageError, current
from orchwf.context import running_in


def test_defaults_are_for_tests():
    """A context can be made by hand with what the test needs."""
    context = StepContext(step="charge")

    assert (context.run_id, context.workflow, context.attempt, context.max_attempts) == ("test", "test", 1, 1)
    assert (context.item, context.metadata, context.cancelled) == (None, {}, False)


def test_idempotency_key_is_the_same_in_every_attempt():
    """It names run, step and item, not the attempt."""
    keys = {StepContext(run_id="r", step="s", attempt=n).idempotency_key for n in (1, 2)}

    assert keys == {"r/s"}
    assert StepContext(run_id="r", step="s", item="3").idempotency_key == "r/s/3"


@pytest.mark.parametrize(("item", "key"), [(None, "r/s"), ("3", "r/s/3")])
def test_a_compensation_knows_the_key_of_what_it_undoes(item: str | None, key: str):
    """It has a key of its own, and that of the step, under which the effect is known that may have happened."""
    doing = StepContext(run_id="r", step="s", item=item)
    undoing = StepContext(run_id="r", step="s", item=item, compensates=True)

    assert doing.step_key == doing.idempotency_key == key
    assert undoing.step_key == key
    assert undoing.idempotency_key == f"{key}/compensation"


def test_cancelled():
    """It turns true when the attempt is told to end."""
    context = StepContext()

    context.cancel()

    assert context.cancelled is True
    assert StepContext().cancelled is False


def test_current():
    """Inside of a body it gives the context, outside it says so; nested ones come back."""
    outer, inner = StepContext(step="outer"), StepContext(step="inner")

    with running_in(outer):
        with suppress(ZeroDivisionError), running_in(inner):
            assert current() is inner
            raise ZeroDivisionError
        assert current() is outer
    with pytest.raises(UsageError, match="none is running here"):
        current()


def test_log_binds_what_tells_the_attempt(caplog: pytest.LogCaptureFixture):
    """A line has run, workflow, step, attempt and item; fields that records have themselves get an underscore."""
    context = StepContext(run_id="r", workflow="W", step="s", attempt=2, item="7")

    with caplog.at_level(logging.INFO, logger="orchwf.step"):
        context.log.info("row %s loaded", 3, rows=5, name="x")
        context.log.debug("not shown")

    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("orchwf.step", "INFO", "row 3 loaded")
    fields = {key: vars(record)[key] for key in ("run_id", "workflow", "step", "attempt", "item", "rows", "name_")}
    assert fields == {
        "run_id": "r", "workflow": "W", "step": "s", "attempt": 2, "item": "7", "rows": 5, "name_": "x",
    }  # fmt: skip


def test_log_of_an_exception(caplog: pytest.LogCaptureFixture):
    """The traceback goes where the application sends its logs."""
    with caplog.at_level(logging.ERROR, logger="orchwf.step"):
        try:
            raise ValueError("bad row")
        except ValueError:
            StepContext().log.exception("failed")

    assert "ValueError: bad row" in caplog.text


def test_log_is_silent_unless_configured(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Nothing is printed, not even what is severe, and also if nothing else of orchwf has set up its logger."""
    ours = logging.getLogger("orchwf")
    monkeypatch.setattr(ours, "handlers", [])
    monkeypatch.setattr(ours, "propagate", False)

    StepContext().log.error("nobody listens")

    assert capfd.readouterr() == ("", "")
