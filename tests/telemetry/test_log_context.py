"""What log lines say of the step in which they were written, wherever it runs; and what they do not say."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import structlog

import orchwf
from orchwf import (
    SECRET_KEYS,
    BadOptionError,
    Orchestrator,
    Redaction,
    StepContext,
    StepLogFilter,
    make_workflow,
    step,
    workflow,
)
from orchwf.executors import ProcessExecutor
from tests.telemetry.traces import Traces

OURS = ("run_id", "workflow", "step", "item", "attempt", "trace_id", "span_id")
LOGGER = logging.getLogger("orchwf")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Configuring logging is for the whole process: each test leaves it as it was."""
    handlers, level, propagate = list(LOGGER.handlers), LOGGER.level, LOGGER.propagate
    yield
    LOGGER.handlers[:], LOGGER.propagate = handlers, propagate
    LOGGER.setLevel(level)


def bound() -> dict[str, Any]:
    """What structlog's `merge_contextvars` says here, of what we bind."""
    return {name: value for name, value in structlog.contextvars.get_contextvars().items() if name in OURS}


@workflow
class Bound:
    @step
    async def loop(self) -> dict[str, Any]:
        return bound()

    @step
    def thread(self) -> dict[str, Any]:
        return bound()

    @step
    async def task(self) -> dict[str, Any]:
        async def within() -> dict[str, Any]:
            return bound()

        return await asyncio.create_task(within())

    @step(executor="process")
    def process(self) -> dict[str, Any]:
        return bound()


async def test_structlog_says_which_step_it_is():
    """On the loop, in threads, in tasks that a body starts, and in other processes; and outside nothing."""
    async with Orchestrator("memory:", executors={"process": ProcessExecutor(1)}) as orchestrator:
        result = await orchestrator.run(Bound(), run_id="r1")

    for name in ("loop", "thread", "task", "process"):
        assert {"run_id": "r1", "workflow": "Bound", "step": name, "attempt": 1} == result[name]
    assert {} == bound()


async def test_it_says_which_item_and_which_attempt():
    """Of a run that a step starts by hand nothing of that step is left."""

    @step
    async def inner() -> dict[str, Any]:
        return bound()

    @step
    async def source() -> list[str]:
        return ["a"]

    @step(retries=orchwf.Retry(1, initial=0))
    async def each(source: str = source.each, *, ctx: StepContext) -> list[Any]:
        if ctx.attempt == 1:
            raise ValueError("again")
        result = await orchestrator.run(make_workflow("Inner", [inner])(), run_id="i1")
        return [bound(), result["inner"]]

    async with Orchestrator("memory:") as orchestrator:
        result = await orchestrator.run(make_workflow("Outer", [source, each])(), run_id="o1")

    assert {"run_id": "o1", "workflow": "Outer", "step": "each", "attempt": 2, "item": "0"} == result["each"][0][0]
    assert {"run_id": "i1", "workflow": "Inner", "step": "inner", "attempt": 1} == result["each"][0][1]


async def test_it_says_in_which_span_it_is():
    """Where the run is traced: in hexadecimal, as traces show it."""
    traces = Traces()

    @workflow
    class Traced:
        @step
        def work(self, *, ctx: StepContext) -> dict[str, Any]:
            ctx.log.info("at work")
            return bound()

    handler = Kept()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    async with Orchestrator("memory:", telemetry=traces.provider) as orchestrator:
        result = await orchestrator.run(Traced())

    (attempt,) = traces.named("work attempt")
    ids = {"trace_id": attempt.trace, "span_id": attempt.id}
    assert ids == {name: result["work"][name] for name in ids}
    (line,) = [vars(record) for record in handler.records if record.name == "orchwf.step"]
    assert ids == {name: line[name] for name in ids}


class Kept(logging.Handler):
    """Keeps its records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


async def test_the_standard_library_says_which_step_it_is():
    """With the filter on a handler: each record has all names, empty outside of steps, and keeps its own."""
    logger, stream = logging.getLogger("shop"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(StepLogFilter())
    handler.setFormatter(logging.Formatter("%(run_id)s/%(step)s/%(item)s/%(attempt)s/%(trace_id)s: %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False

    @workflow
    class Shop:
        @step
        def sell(self) -> None:
            logger.warning("sold")
            logger.warning("owned", extra={"step": "mine"})

    try:
        async with Orchestrator("memory:") as orchestrator:
            await orchestrator.run(Shop(), run_id="r1")
        logger.warning("closed")
    finally:
        logger.removeHandler(handler)

    assert ["r1/sell//1/: sold", "r1/mine//1/: owned", "////: closed"] == stream.getvalue().splitlines()


# Redaction.


def cleared(**event: Any) -> dict[str, Any]:
    return dict(Redaction()(None, "info", event))


@pytest.mark.parametrize(
    "key",
    ["password", "db_password", "userPassword", "PASSWORD", "X-Api-Key", "apiKey", "access_token", "Authorization"],
)
def test_what_a_key_calls_secret_is_left_out(key: str):
    """However its words are put together."""
    assert {key: "[redacted]"} == cleared(**{key: "hidden"})


@pytest.mark.parametrize("key", ["tokens", "max_tokens", "tokenizer", "passenger", "secretary", "step", "event", ""])
def test_what_only_looks_alike_is_told(key: str):
    """A part of a word is none."""
    assert {key: "shown"} == cleared(**{key: "shown"})


def test_secrets_are_found_however_deep():
    """In mappings, lists and tuples; what was given is not changed, and other values are what they were."""

    class Pair(NamedTuple):
        left: int
        right: int

    given = {"rows": [{"user": "ada", "token": "t"}], "pair": ({"secret": {"a": 1}}, 2), "kept": Pair(1, 2), 3: "three"}

    found = cleared(request=given)["request"]

    assert {
        "rows": [{"user": "ada", "token": "[redacted]"}], "pair": ({"secret": "[redacted]"}, 2), "kept": Pair(1, 2),
        3: "three",
    } == found  # fmt: skip
    assert "t" == given["rows"][0]["token"]  # type: ignore[index]
    assert isinstance(found["kept"], Pair)


def test_what_holds_itself_comes_to_an_end():
    """It is cut off somewhere."""
    endless: list[Any] = []
    endless.append({"again": endless})

    assert "[redacted]" in str(cleared(rows=endless))


def test_exceptions_are_told():
    """What is to be printed as a traceback stays what it is."""
    info = (ValueError, ValueError("x"), None)

    assert {"exc_info": info} == cleared(exc_info=info)


@pytest.mark.parametrize("keys", ["password", [5], ["--"], [""]])
def test_what_are_no_keys_is_refused(keys: Any):
    """One text is no list of keys."""
    with pytest.raises(BadOptionError, match="redact takes a list of keys"):
        Redaction(keys)


@pytest.mark.parametrize(("redact", "shown"), [(SECRET_KEYS, False), ((), True), (("name",), True)])
async def test_orchwfs_own_lines_are_redacted(
    redact: Any, shown: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """By default; which keys is said when logging is configured."""

    @workflow
    class Login:
        @step
        def enter(self, *, ctx: StepContext) -> None:
            ctx.log.info("login", password="hidden", user={"name": "ada"})

    orchwf.configure_logging(json=True, redact=redact)
    async with Orchestrator("memory:") as orchestrator:
        await orchestrator.run(Login())

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "login"]
    assert ("hidden" if shown else "[redacted]") == line["password"]
    assert ("[redacted]" if redact == ("name",) else "ada") == line["user"]["name"]
