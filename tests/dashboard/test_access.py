"""Who is let in, and what is refused: by plain requests, as a page of somebody else would send them."""

from collections.abc import AsyncIterator

import pytest

import orchwf
from orchwf.dashboard import Dashboard, create_app
from orchwf.dashboard.access import checked_access
from orchwf.dashboard.actions import ACTIONS
from orchwf.dashboard.guard import LARGEST_FORM
from orchwf.dashboard.sign_in import own_path
from orchwf.errors import UsageError
from orchwf.ports import Store
from orchwf.testing import FakeClock
from tests.dashboard.browsers import BEARER, TOKEN, visitor

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = await orchwf.open_store("memory:")
    yield store
    await store.close()


@pytest.fixture
def app(store: Store) -> Dashboard:
    return create_app(store, token=TOKEN)


async def test_whoever_is_here_may_look(app: Dashboard):
    """On the machine itself pages are shown without a token."""
    async with visitor(app) as browser:
        answer = await browser.get("/")

    assert answer.status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example", "[bad"])
async def test_wrong_host(app: Dashboard, host: str):
    """A page that made its own name lead here is refused: also what it reads."""
    async with visitor(app) as browser:
        answer = await browser.get("/", headers={"Host": host})

    assert answer.status_code == 421
    assert "--allow-host" in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8484", "127.0.0.1:1", "[::1]:8484"])
async def test_right_host(app: Dashboard, host: str):
    """The machine may be called by each of its names, at any port."""
    async with visitor(app) as browser:
        answer = await browser.get("/", headers={"Host": host})

    assert answer.status_code == 200


@pytest.mark.parametrize("action", [*sorted(ACTIONS), "nothing"])
async def test_nothing_is_changed_without_the_token(app: Dashboard, action: str):
    """Each form is refused of somebody who has not signed in."""
    async with visitor(app) as browser:
        answer = await browser.post(f"/do/{action}", data={"run": "A1"})

    assert answer.status_code == 403
    assert "sign in" in answer.text


@pytest.mark.parametrize("action", sorted(ACTIONS))
async def test_nothing_is_changed_by_a_form_of_others(app: Dashboard, action: str):
    """A form that does not hold the key of the session is none of our pages."""
    async with visitor(app) as browser:
        await browser.sign_in()
        without = await browser.post(f"/do/{action}", data={"run": "A1"})
        wrong = await browser.post(f"/do/{action}", data={"run": "A1", "form_key": "0" * 64})

    assert (without.status_code, wrong.status_code) == (403, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/do/cancel", "/sign-in", "/sign-out"])
async def test_another_origin(app: Dashboard, headers: dict[str, str], path: str):
    """What a page of another origin sends is refused, even with the token."""
    async with visitor(app, headers=BEARER) as browser:
        answer = await browser.post(path, data={"run": "A1", "token": TOKEN}, headers=headers)

    assert answer.status_code == 403
    assert "another page" in answer.text


async def test_own_origin(app: Dashboard):
    """What our own pages send is let through."""
    async with visitor(app, headers=BEARER) as browser:
        own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
        answer = await browser.post("/do/cancel", data={"run": "A1"}, headers=own)

    assert answer.status_code == 404
    assert "A1" in answer.text


async def test_programs_send_the_token(app: Dashboard):
    """A program needs no session: it says the token with each request. A wrong one is refused, also for reading."""
    async with visitor(app) as browser:
        right = await browser.post("/do/cancel", data={"run": "A1"}, headers=BEARER)
        wrong = await browser.get("/", headers={"Authorization": "Bearer wrong-wrong-wrong-wrong"})

    assert (right.status_code, wrong.status_code) == (404, 401)


async def test_a_session_is_kept_safe(app: Dashboard):
    """The cookie is for no script and no other site, holds no token, and no address ever does."""
    async with visitor(app) as browser:
        answer = await browser.post("/sign-in", data={"token": TOKEN, "next": "/?q=a"}, follow_redirects=False)

    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert answer.headers["location"] == "/?q=a"


async def test_a_session_over_tls_stays_there(app: Dashboard):
    """A cookie that was given over TLS is never sent without it."""
    async with visitor(app, base="https://localhost/") as browser:
        answer = await browser.post("/sign-in", data={"token": TOKEN}, follow_redirects=False)

    assert "Secure" in answer.headers["set-cookie"]


async def test_signing_out(app: Dashboard):
    """After it nothing can be changed until somebody signs in again."""
    async with visitor(app) as browser:
        await browser.sign_in()
        await browser.post("/sign-out", data={"form_key": await browser.key()})
        answer = await browser.post("/do/cancel", data={"run": "A1"})

    assert answer.status_code == 403


async def test_guessing_is_slow(store: Store):
    """After ten wrong tokens in a minute not even the right one is taken."""
    clock = FakeClock()
    app = create_app(store, token=TOKEN, clock=clock)
    async with visitor(app) as browser:
        wrong = [(await browser.sign_in("wrong")).status_code for _ in range(10)]
        too_soon = await browser.sign_in()
        program = await browser.get("/", headers=BEARER)
        await clock.advance(61)
        later = await browser.sign_in()

    assert wrong == [403] * 9 + [429]
    assert (too_soon.status_code, program.status_code, later.status_code) == (429, 401, 200)


@pytest.mark.parametrize(
    "path", ["https://evil.example/", "//evil.example", "/\\evil.example", "evil", "/a\r\nSet-Cookie: b", ""]
)
def test_nobody_is_sent_elsewhere(path: str):
    """What comes after a form is a page of the dashboard, whatever the form says."""
    assert own_path(path) == "/"


async def test_sessions_end():
    """A session lasts a week; a forged one, or one of another token, never."""
    clock = FakeClock()
    access = checked_access(token=TOKEN, is_read_only=False, hosts=["localhost"], clock=clock)
    other = checked_access(token=TOKEN[::-1], is_read_only=False, hosts=["localhost"], clock=clock)

    session = access.new_session()

    assert access.is_session(session)
    assert not other.is_session(session)
    assert not access.is_session(f"9{session}")
    assert not access.is_session("")
    await clock.advance(7 * 86_400 + 2)
    assert not access.is_session(session)


async def test_others_see_nothing_without_the_token(store: Store):
    """Where others can come, pages ask for the token first; what is asked for by programs is refused."""
    app = create_app(store, token=TOKEN, hosts=["runs.example"])
    async with visitor(app, base="http://runs.example/") as browser:
        page = await browser.get("/?q=a", headers={"Accept": "text/html"}, follow_redirects=False)
        stream = await browser.get("/live", headers={"Accept": "text/event-stream"})
        style = await browser.get("/static/dashboard.css")
        await browser.sign_in()
        known = await browser.get("/")

    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2F%3Fq%3Da")
    assert (stream.status_code, style.status_code, known.status_code) == (401, 200, 200)


async def test_all_addresses(store: Store):
    """`0.0.0.0` stands for every address in figures, which no page can make its own; never for a name."""
    app = create_app(store, token=TOKEN, hosts=["0.0.0.0"])
    async with visitor(app, headers=BEARER) as browser:
        figures = await browser.get("/", headers={"Host": "192.0.2.7:8484"})
        name = await browser.get("/", headers={"Host": "evil.example"})

    assert (figures.status_code, name.status_code) == (200, 421)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hosts": ["runs.example"]}, "others can reach the dashboard at runs.example: give it a token"),
        ({"hosts": ["0.0.0.0"]}, "give it a token"),
        ({"token": "short"}, "at least 16 characters"),
        ({"hosts": []}, "hosts takes the names"),
        ({"hosts": "localhost"}, "hosts takes the names"),
    ],
)
def test_what_is_not_safe_is_refused(options: dict[str, object], told: str):
    """A dashboard that others could use without a token is not made."""
    with pytest.raises(UsageError, match=told):
        create_app("memory:", **options)  # type: ignore[arg-type]


async def test_reading_only(store: Store):
    """Nothing can be changed, even with the token; one can still sign in and out."""
    app = create_app(store, token=TOKEN, read_only=True)
    async with visitor(app, headers=BEARER) as browser:
        answers = [await browser.post(f"/do/{action}", data={"run": "A1"}) for action in ACTIONS]
        out = await browser.post("/sign-out")

    assert {answer.status_code for answer in answers} == {403}
    assert all("reading only" in answer.text for answer in answers)
    assert out.status_code == 200


async def test_without_a_token_nothing_can_be_changed(store: Store):
    """No token is no token: an empty one is not it."""
    app = create_app(store)
    async with visitor(app) as browser:
        entered = await browser.sign_in("")
        answer = await browser.post("/do/cancel", data={"run": "A1"})

    assert (entered.status_code, answer.status_code) == (403, 403)


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/static/dashboard.js", "/static/statuses.css", "/nowhere", "/run?id=nowhere"]
)
async def test_a_page_may_do_little(app: Dashboard, path: str):
    """Each answer says that no script, style or frame but our own files may be; pages are kept by nobody."""
    async with visitor(app) as browser:
        answer = await browser.get(path)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("no-store" in answer.headers.get("cache-control", "")) == (not path.startswith("/static/"))


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods(app: Dashboard, method: str):
    """Only GET, HEAD and POST are answered."""
    async with visitor(app, headers=BEARER) as browser:
        answer = await browser.request(method, "/")

    assert answer.status_code == 405


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"a=" + b"x" * LARGEST_FORM, FORM, 413),
        (b"a=%ff", FORM, 400),
        (b"\xff", FORM, 400),
        (b"&".join([b"a=1"] * 10_001), FORM, 400),
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"run=A1", {}, 404),
    ],
)
async def test_odd_forms(app: Dashboard, body: bytes, headers: dict[str, str], status: int):
    """A form that is too large, or none, is refused in a line."""
    async with visitor(app, headers=BEARER) as browser:
        answer = await browser.post("/do/cancel", content=body, headers=headers)

    assert answer.status_code == status


async def test_no_web_sockets(app: Dashboard):
    """Whoever asks for one is sent away."""
    sent = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    await app({"type": "websocket", "path": "/"}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1008}]
