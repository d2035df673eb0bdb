"""What goes out is signed, named the same in each attempt, tried again if that may help, and goes nowhere else."""

import asyncio
import socket
import sys
from collections.abc import Mapping
from email.utils import formatdate

import httpx
import pytest

from orchwf.core.events import StepRetrying
from orchwf.errors import CallFailedError, CallPostponedError, CallRefusedError, RunFailed, UsageError
from orchwf.stores import MemoryStore
from orchwf.testing import FakeClock, TestOrchestrator
from orchwf.webhooks import Hook, SigningSecret, Webhooks, post
from orchwf.webhooks.addresses import redacted, url_parts
from tests.webhooks.flows import HERE, SECRET, Calling, Invoice, paid
from tests.webhooks.servers import Scripted, listening

GOOD: tuple[int, Mapping[str, str], bytes] = (200, {}, b'{"well": true}')


async def test_both_sides_understand_each_other():
    """What a step sends, a hook on a real server believes, and sends to a run."""
    async with TestOrchestrator(workflows=[Invoice]) as there, TestOrchestrator() as here:
        invoice = await there.start(Invoice(number="17"), "17")
        async with listening(Webhooks({"/bank": Hook(SigningSecret(SECRET), paid)}, runs=there)) as url:
            result = await here.run(Calling(url=f"{url}/bank"))

        assert result[Calling.tell].startswith("200 msg_")
        assert "17: 99.5" == (await invoice.result())[Invoice.book]


async def test_a_call_is_named_the_same_in_each_attempt():
    """And signed anew. What says when it may be tried again is heard, in seconds or as a date, within reason."""
    clock = FakeClock(auto=True)
    app = Scripted([])

    async with TestOrchestrator(clock=clock) as orchestrator, listening(app) as url:
        app.answers = [
            (503, {}, b""),
            (429, {"Retry-After": "100"}, b""),
            (500, {"Retry-After": "99999999"}, b""),
            GOOD,
        ]
        result = await orchestrator.run(Calling(url=url), "r1")
        waits = [event.delay for event in orchestrator.recorder.events if isinstance(event, StepRetrying)]

    ids = {headers["idempotency-key"] for headers, _ in app.seen}
    assert {headers["webhook-id"] for headers, _ in app.seen} == ids
    assert {result[Calling.tell].removeprefix("200 ")} == ids
    assert [1, 100, 3600] == waits
    for headers, body in app.seen:
        SigningSecret(SECRET).verified(headers, body, float(headers["webhook-timestamp"]))


async def test_a_call_is_named_the_same_when_its_run_is_resumed():
    """With a fresh budget of attempts, by another orchestrator, days later; a call of another run has another name."""
    app, store = Scripted([(503, {}, b"")]), MemoryStore()

    async with listening(app) as url:
        async with TestOrchestrator(store) as orchestrator:
            await (await orchestrator.start(Calling(url=url), "r1")).wait()
        app.answers = [GOOD]
        async with TestOrchestrator(store, workflows=[Calling]) as orchestrator:
            await (await orchestrator.resume("r1")).result()
            await orchestrator.run(Calling(url=url), "r2")

    *ids, other = [headers["webhook-id"] for headers, _ in app.seen]
    assert (5, 1) == (len(ids), len(set(ids)))
    assert other not in ids


@pytest.mark.parametrize("status", [400, 401, 404, 409, 410, 422, 501])
async def test_what_will_not_get_better_is_not_tried_again(status: int):
    """The step fails for good, and the error says what was answered."""
    app = Scripted([(status, {}, b"no\nsuch thing")])

    async with TestOrchestrator() as orchestrator, listening(app) as url:
        with pytest.raises(RunFailed) as caught:
            await orchestrator.run(Calling(url=url))

    assert 1 == len(app.seen)
    assert isinstance(caught.value.__cause__, CallRefusedError)
    assert f"{url} answered {status}: no\\nsuch thing" == str(caught.value.__cause__)
    assert status == caught.value.__cause__.status


async def called(url: str, **options: object) -> object:
    """What came of a call that no step makes."""
    return await post(url, {}, **{"key": "k", "networks": HERE, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("after", "seconds"), [("7", 7), (formatdate(1000, usegmt=True), 10), (formatdate(0, usegmt=True), 0)]
)
async def test_what_was_said_of_the_next_time(after: str, seconds: float):
    """Seconds, or a date; one that has passed means at once."""
    async with listening(Scripted([(503, {"Retry-After": after}, b"")])) as url:
        with pytest.raises(CallPostponedError) as caught:
            await called(url, clock=FakeClock(990))

    assert (seconds, 503, url) == (caught.value.seconds, caught.value.status, caught.value.url)


async def test_what_was_said_and_means_nothing():
    """The step's own wait counts then."""
    async with listening(Scripted([(503, {"Retry-After": "soon"}, b"")])) as url:
        with pytest.raises(CallFailedError) as caught:
            await called(url)

    assert type(caught.value) is CallFailedError


async def test_an_answer_is_read():
    """Its body, its headers in lower case, and what the call was named."""
    async with listening(Scripted([(201, {"X-Kind": "tea"}, b'{"well": true}')])) as url:
        answer = await post(f"{url}/orders?full=1", b"\x00", key="k", networks=["127.0.0.1"])

    assert (201, "tea", {"well": True}) == (answer.status, answer.headers["x-kind"], answer.json())


async def test_what_is_sent():
    """JSON, or bytes as they are; headers of the caller's, the name of the host, and nothing unpacked."""
    app = Scripted([GOOD])

    async with listening(app) as url, httpx.AsyncClient(headers={"X-All": "1"}) as client:
        localhost = url.replace("127.0.0.1", "localhost")
        await post(localhost, {"tea": "grün"}, key="k", networks=[*HERE, "::1"], headers={"content-type": "x/y"})
        await called(url, client=client, headers={"Authorization": "Bearer t"})
        await post(url, b"\x00", key="k", networks=HERE)

    (first, body), (second, _), (third, raw) = app.seen
    assert ('{"tea":"grün"}'.encode(), b"\x00") == (body, raw)
    assert ["x/y", "application/json", "application/octet-stream"] == [
        each["content-type"] for each in (first, second, third)
    ]
    assert localhost == f"http://{first['host']}"
    assert ("1", "Bearer t") == (second["x-all"], second["authorization"])
    assert "identity" == first["accept-encoding"]
    assert "webhook-signature" not in first


async def test_a_redirect_is_not_followed():
    """It may lead anywhere, and take the secrets along."""
    app = Scripted([(302, {"Location": "http://elsewhere.example"}, b"")])

    async with listening(app) as url, httpx.AsyncClient(follow_redirects=True) as client:
        with pytest.raises(CallRefusedError, match="redirects are not followed"):
            await called(url, client=client)

    assert 1 == len(app.seen)


async def test_an_answer_is_bounded():
    """Of one that is too large no more is read; one that is as large as it may be is."""
    async with listening(Scripted([(200, {}, b"x" * 1000)])) as url:
        with pytest.raises(CallRefusedError, match="more than max_size=999 bytes"):
            await called(url, max_size=999)
        await called(url, max_size=1000)


async def test_who_does_not_answer_in_time_is_asked_again():
    """The limit is for all of the call, and its connection is closed then."""
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = "http://{}:{}".format(*server.sockets[0].getsockname())
        with pytest.raises(CallFailedError, match=r"did not answer within 0.05 s"):
            await called(url, timeout=0.05)
        await left.wait()


async def test_who_is_not_there_is_asked_again():
    """No connection, and no such name."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(CallFailedError, match="cannot be called: ConnectError"):
        await called(f"http://127.0.0.1:{port}")
    with pytest.raises(CallFailedError, match="nothing is known of"):
        await called("http://no.such.name.invalid/x")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "[::1]", "[fe80::1]",
        "[fd00::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "100.64.0.1",
        "2130706433",
    ],
)  # fmt: skip
async def test_private_addresses_are_refused(host: str):
    """However they are written: what a customer gives as the address of a hook must not lead into our house."""
    with pytest.raises(CallRefusedError, match="not everybody can reach"):
        await called(f"http://{host}/", networks=[])


async def test_a_public_address_is_called_as_it_was_found(monkeypatch: pytest.MonkeyPatch):
    """A name is looked up once, and the machine has to prove to have that name, not the number."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    async def found(host: str, port: int, **options: object) -> list[object]:
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2606:4700::1111", port, 0, 0))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        await called("https://user:pw@api.example:8443/x?y=1#z", networks=[], client=client)

    assert "https://[2606:4700::1111]:8443/x?y=1" == str(seen[0].url)
    assert ("api.example:8443", "api.example") == (seen[0].headers["host"], seen[0].extensions["sni_hostname"])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@api.example/a?token=secret#x", "https://api.example/a"),
        ("https://hooks.example/services/T0001/B0002/Xk3ySecretSecretSecret", "https://hooks.example/services/T0001/B0002/…"),
        ("http://[::1]:80/", "http://[::1]:80/"),
    ],
)  # fmt: skip
def test_errors_tell_no_secret(url: str, shown: str):
    """User, password, query, and parts of the path that are long are not told."""
    assert shown == redacted(url_parts(url))


@pytest.mark.parametrize("url", ["ftp://x", "x", "http://", "http://[::1", "http://a:99999/", "http://a\n/", None])
async def test_what_is_no_url(url: str):
    """It is said so, and the URL, of which nobody knows what is secret in it, is not."""
    with pytest.raises(UsageError, match="a call takes a URL"):
        await called(url)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"key": ""}, "key takes text"),
        ({"networks": "10.0.0.0/8"}, "takes a list"),
        ({"networks": ["10.0.0.1/8"]}, "host bits set"),
    ],
)
async def test_what_makes_no_sense(options: dict[str, object], said: str):
    """It is named."""
    with pytest.raises(UsageError, match=said):
        await called("http://127.0.0.1:9/", **{"networks": HERE, **options})


async def test_a_header_that_cannot_be_sent():
    """It would be two; what it holds is not told."""
    async with listening(Scripted([GOOD])) as url:
        with pytest.raises(UsageError, match="line break") as caught:
            await called(url, headers={"X": "s3cret\nY: 1"})

    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_what_cannot_be_sent():
    """An object has no form of its own; and without a step a call needs a key."""
    with pytest.raises(UsageError, match="takes bytes, or what JSON has"):
        await post("http://127.0.0.1/", object(), key="k")
    with pytest.raises(UsageError, match="for the bodies of steps"):
        await post("http://127.0.0.1/", {})


async def test_without_httpx(monkeypatch: pytest.MonkeyPatch):
    """It is said how to get it."""
    monkeypatch.setitem(sys.modules, "httpx", None)

    with pytest.raises(UsageError, match=r"orchwf\[http\]"):
        await called("http://127.0.0.1/")
