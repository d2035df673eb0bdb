"""What comes in is believed if it is signed, counts once, and is answered when it is durable."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from orchwf import Client, Orchestrator, StoreError, UsageError
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from orchwf.webhooks import Begin, Delivery, GitHubSecret, Hook, Send, SigningSecret, Webhooks
from tests.web.clients import client_of
from tests.webhooks.flows import SECRET, Invoice, Payment, paid

NOW = FakeClock().now()
PAID = {"invoice": "i17", "amount": 99.5}


def begin(delivery: Delivery) -> Begin:
    return Begin(Invoice(number=str(delivery.json()["number"])))


async def begin_by_name(delivery: Delivery) -> Begin:
    return Begin("Invoice", delivery.json(), run_id="named")


def nothing(delivery: Delivery) -> None:
    return None


def other(delivery: Delivery) -> Send:
    """What is said in the message itself, right or wrong."""
    told = delivery.json()
    return Send(told["run"], told["signal"], told["payload"])


def broken(delivery: Delivery) -> Send:
    raise RuntimeError("a bug")


HOOKS = {
    f"/{each.__name__}": Hook(SigningSecret(SECRET), each)
    for each in (paid, begin, begin_by_name, nothing, other, broken)
}


@pytest.fixture
async def runs() -> AsyncIterator[Orchestrator]:
    """An orchestrator that executes invoices."""
    async with TestOrchestrator(workflows=[Invoice]) as orchestrator:
        yield orchestrator


async def told(
    hooks: Webhooks, path: str, payload: object, message_id: str = "m1", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """What is answered to a message that is signed, but for these headers."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = SigningSecret(SECRET).signed(message_id, body, NOW)
    async with client_of(hooks) as client:
        return await client.post(path, content=body, headers={**signed, **(headers or {})})


def hooks_of(runs: Orchestrator | Client, **options: int) -> Webhooks:
    return Webhooks(HOOKS, runs=runs, clock=FakeClock(), **options)


async def test_a_message_is_sent_to_a_run(runs: Orchestrator):
    """Sent again it counts once, also when the run has ended; another one comes too late then."""
    run = await runs.start(Invoice(number="17"), "i17")
    hooks = hooks_of(runs)

    answers = [await told(hooks, "/paid", PAID) for _ in range(2)]
    result = await run.result()
    answers.append(await told(hooks, "/paid", PAID))
    late = await told(hooks, "/paid", PAID, "m2")

    assert [(200, {"id": "m1", "run": "i17"})] * 3 == [(each.status_code, each.json()) for each in answers]
    assert "17: 99.5" == result[Invoice.book]
    assert (410, "run-ended") == (late.status_code, late.json()["error"])


async def test_messages_at_the_same_time_count_once(runs: Orchestrator):
    """Impatient senders send again before they were answered."""
    hooks = hooks_of(runs)

    answers = await asyncio.gather(*(told(hooks, "/begin", {"number": 5}) for _ in range(10)))

    assert 1 == len({answer.json()["run"] for answer in answers})
    assert 1 == len(await runs.list_runs())


async def test_a_message_begins_a_run(runs: Orchestrator):
    """Its id is made of that of the message, and of the address: senders do not know each other's."""
    hooks = hooks_of(runs)

    first = await told(hooks, "/begin", {"number": 5}, "m1")
    second = await told(hooks, "/begin", {"number": 5}, "m2")

    assert 2 == len({first.json()["run"], second.json()["run"]})
    for answer in (first, second):
        run = await runs.get(answer.json()["run"])
        await run.send(Invoice.paid, Payment(1.0))
        assert "5: 1.0" == (await run.result())[Invoice.book]


async def test_a_client_begins_runs_by_name(tmp_path: Path):
    """What comes in needs no code of the workflow, and is taken up by whoever has it."""
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    async with Orchestrator(url, workflows=[Invoice]):
        pass

    async with Client(url) as client:
        answer = await told(hooks_of(client), "/begin_by_name", {"number": "5"})
        wrong = await told(hooks_of(client), "/begin_by_name", {"numbr": "5"})

    assert {"id": "m1", "run": "named"} == answer.json()
    assert (422, "payload") == (wrong.status_code, wrong.json()["error"])


@pytest.mark.parametrize(
    ("path", "payload", "headers", "status", "error"),
    [
        ("/elsewhere", {}, {}, 404, "no-hook"),
        ("/paid", PAID, {"webhook-id": "m2"}, 401, "signature"),
        ("/paid", PAID, {"webhook-timestamp": "1"}, 401, "signature"),
        ("/paid", b"nonsense", {}, 422, "payload"),
        ("/paid", {"invoice": "i17"}, {}, 422, "payload"),
        ("/paid", {"invoice": "i17", "amount": "much"}, {}, 422, "payload"),
        ("/paid", {"invoice": "i18", "amount": 1}, {}, 404, "run-not-found"),
        ("/other", {"run": "i17", "signal": "piad", "payload": 1}, {}, 422, "payload"),
        ("/other", {"run": "i17", "signal": "paid", "payload": 1}, {}, 422, "payload"),
        ("/begin_by_name", {"number": "5"}, {}, 422, "payload"),
        ("/paid", b"x" * 501, {}, 413, "size"),
    ],
)
async def test_what_is_wrong_is_told(
    runs: Orchestrator, path: str, payload: object, headers: Mapping[str, str], status: int, error: str
):
    """With a status and a word for programs; nothing is done."""
    run = await runs.start(Invoice(number="17"), "i17")

    answer = await told(hooks_of(runs, max_size=500), path, payload, headers=headers)

    assert (status, error) == (answer.status_code, answer.json()["error"])
    assert "running" == await run.status()
    assert 1 == len(await runs.list_runs())


async def test_a_large_body_is_not_read_to_its_end(runs: Orchestrator):
    """Of one that comes in parts, and does not say how long it is, only as much as may be."""
    parts: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        for number in range(100):
            parts.append(number)
            yield b"x" * 100

    async with client_of(hooks_of(runs, max_size=250)) as client:
        answer = await client.post("/paid", content=endless())

    assert 413 == answer.status_code
    assert len(parts) < 10


async def test_only_posts_are_answered(runs: Orchestrator):
    """Who looks at the address with a browser is told what it is for."""
    async with client_of(hooks_of(runs)) as client:
        answer = await client.get("/paid")

    assert (405, "POST") == (answer.status_code, answer.headers["allow"])


async def test_nothing_may_be_wanted(runs: Orchestrator):
    """Most senders tell of more than one wants to know."""
    assert {"id": "m1", "run": None} == (await told(hooks_of(runs), "/nothing", {})).json()


async def test_a_bug_is_one(runs: Orchestrator):
    """What a function raises that says nothing of the payload is for whoever looks after the server."""
    with pytest.raises(RuntimeError, match="a bug"):
        await told(hooks_of(runs), "/broken", {})


async def test_a_store_that_is_away_lets_the_sender_try_again():
    """It is answered so that senders come back, and nothing is told of where the store is."""

    class Away(MemoryStore):
        async def get(self, run_id: str) -> None:
            raise StoreError("sqlite:////srv/orders.db is away")

    async with TestOrchestrator(Away()) as orchestrator:
        answer = await told(hooks_of(orchestrator), "/paid", PAID)

    assert (503, "store", "5") == (answer.status_code, answer.json()["error"], answer.headers["retry-after"])
    assert "orders.db" not in answer.text


async def test_a_server_that_ends_lets_the_sender_try_again():
    """What could not be begun any more is not the sender's fault; what is sent to a run is still written."""
    async with TestOrchestrator(workflows=[Invoice]) as orchestrator:
        await orchestrator.start(Invoice(number="17"), "i17")
        await orchestrator.shutdown()
        begun = await told(hooks_of(orchestrator), "/begin", {"number": 1})
        sent = await told(hooks_of(orchestrator), "/paid", PAID)
    early = await told(hooks_of(TestOrchestrator()), "/begin", {"number": 1})

    assert [(503, "closed"), (503, "closed")] == [(each.status_code, each.json()["error"]) for each in (begun, early)]
    assert 200 == sent.status_code


async def test_it_is_mounted_and_finds_the_orchestrator(runs: Orchestrator):
    """Below any path, and in the state that the lifespan of the application has made; without one it says so."""
    app = Starlette(routes=[Mount("/hooks", Webhooks(HOOKS, clock=FakeClock()))])
    await runs.start(Invoice(number="17"), "i17")
    body = json.dumps(PAID).encode()
    headers = SigningSecret(SECRET).signed("m1", body, NOW)

    async def served(scope, receive, send):
        await app({**scope, "state": {"orchestrator": runs}}, receive, send)

    async with client_of(served) as client:
        answer = await client.post("/hooks/paid", content=body, headers=headers)
    async with client_of(app) as client:
        with pytest.raises(RuntimeError, match="runs="):
            await client.post("/hooks/paid", content=body, headers=headers)

    assert {"id": "m1", "run": "i17"} == answer.json()


async def test_a_sender_without_ids_is_known_by_what_it_sends(runs: Orchestrator):
    """A body of GitHub begins one run, however often and by what name it is delivered."""
    hooks = Webhooks({"/begin": Hook(GitHubSecret("secret"), begin)}, runs=runs)
    body = b'{"number": 5}'

    mac = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    async with client_of(hooks) as client:
        for delivery in ("one", "two"):
            headers = {"X-Hub-Signature-256": f"sha256={mac}", "X-GitHub-Delivery": delivery}
            assert 200 == (await client.post("/begin", content=body, headers=headers)).status_code

    assert 1 == len(await runs.list_runs())


async def test_it_lives_with_a_server_of_its_own():
    """Served by itself it opens nothing; what is not HTTP it does not know; who hangs up is not waited for."""
    said: list[str] = []
    hooks = Webhooks(HOOKS, runs=TestOrchestrator())

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, object]) -> None:
        said.append(f"{message['type']} {message.get('status', '')}".strip())

    await hooks({"type": "lifespan"}, receive, send)
    with pytest.raises(UsageError, match="websocket"):
        await hooks({"type": "websocket"}, receive, send)
    await hooks({"type": "http", "method": "POST", "path": "/paid", "headers": []}, receive, send)

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete", "http.response.start 400"] == said[:3]


@pytest.mark.parametrize("hooks", [{"paid": HOOKS["/paid"]}, {"/paid": paid}])
def test_what_is_no_hook(hooks: dict[str, Hook]):
    """It is said at once, and not with the first message."""
    with pytest.raises(UsageError, match="each with its Hook"):
        Webhooks(hooks)


async def test_a_function_that_gives_something_else(runs: Orchestrator):
    """Its author forgot what it is to give."""
    hooks = Webhooks({"/": Hook(SigningSecret(SECRET), lambda delivery: "i17")}, runs=runs, clock=FakeClock())  # type: ignore[arg-type, return-value]

    with pytest.raises(TypeError, match=r"Send\(...\), Begin\(...\) or None"):
        await told(hooks, "/", {})
