"""What all pages have in common: the store, who may do what, and how a page is made."""

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import attrs
from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from ..client import Client
from ..core.dag import Dag
from ..core.history import History
from ..errors import StoreError, UsageError
from ..orchestrator import Orchestrator
from ..ports import Clock, Store
from ..runtime.handle import RunHandle
from ..runtime.published import Published
from ..runtime.stored import pages, stored_dag, stored_history
from ..stores import open_store
from .access import Access
from .guard import Visitor
from .progress import Progresses
from .rendering import templates

FOLDER = Path(__file__).parent
_KEPT = 8
"""How many definitions, and how many logs, are kept in memory: those that are looked at now."""
_PAGE = 500
_THEMES = ("light", "dark")
SAID = "orchwf_said"
"""The cookie with what is told on the next page."""

Form = Mapping[str, list[str]]


@attrs.define(eq=False, kw_only=True)
class Site:
    """
    One dashboard.

    Attributes:
        given: Its store, or the URL of that, which is opened when the server starts.
        orchestrator: What executes the runs that are resumed here; None if nothing does.
        types: Name -> definition, of the workflows of which the code is at hand.
        access: Who may see and change what.
        shows_payloads: Whether inputs, outputs and what is said to runs is shown.
        clock: What time it is.
    """

    given: Store | str
    orchestrator: Orchestrator | None
    types: Mapping[str, Dag]
    access: Access
    shows_payloads: bool
    clock: Clock
    templates: Environment = attrs.field(init=False)
    registry: Any = attrs.field(default=None, init=False)
    """What Prometheus is told, of its client; None while it has not asked."""
    is_closing: bool = attrs.field(default=False, init=False)
    progresses: Progresses = attrs.field(factory=Progresses, init=False)
    _store: Store | None = attrs.field(default=None, init=False)
    _client: Client | None = attrs.field(default=None, init=False)
    _dags: "OrderedDict[str, Dag]" = attrs.field(factory=OrderedDict, init=False)
    _histories: "OrderedDict[str, History]" = attrs.field(factory=OrderedDict, init=False)
    _pictures: "OrderedDict[tuple[object, ...], str]" = attrs.field(factory=OrderedDict, init=False)
    _wakes: list[Callable[[], object]] = attrs.field(factory=list, init=False)
    _listening: "asyncio.Task[None] | None" = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.templates = templates(FOLDER / "templates")
        if not isinstance(self.given, str):
            self._store = self.given

    async def open(self) -> None:
        """Open the store, if that is to be done here."""
        if isinstance(self.given, str):
            self._store = await open_store(self.given)

    @asynccontextmanager
    async def serving(self, app: object) -> AsyncIterator[None]:
        """It is open in the block."""
        await self.open()
        try:
            yield
        finally:
            await self.close()

    def stop(self) -> None:
        """Let go of whoever watches a page."""
        self.is_closing = True
        self._wake()

    async def close(self) -> None:
        """Close it again, and let go of whoever watches a page."""
        self.stop()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
        if isinstance(self.given, str) and self._store is not None:
            await self._store.close()

    @property
    def store(self) -> Store:
        """
        Where the runs are.

        Raises:
            UsageError: it is not open.
        """
        if self._store is None:
            raise UsageError(
                "the store of the dashboard is not open: an application in which it is mounted has to open it, "
                "create_app(await open_store(URL)), as it is not told when that starts"
            )
        return self._store

    async def client(self) -> Client:
        """What says something to the runs of the store."""
        if self._client is None:
            client = Client(self.store)
            self._client = await client.__aenter__()
        return self._client

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Call this, in the block, whenever the store tells something, and when the dashboard is closed."""
        self._wakes.append(wake)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            self._wakes.remove(wake)
            if not self._wakes and self._listening is not None:
                # Nobody looks: then nothing need be told.
                self._listening.cancel()
                self._listening = None

    async def _listen(self) -> None:
        # A store that cannot be reached is told to whoever asks it.
        with suppress(StoreError):
            await self.store.listen(lambda hint: self._wake())

    def _wake(self) -> None:
        for wake in list(self._wakes):
            wake()

    async def handle(self, run_id: str, workflow: type | None = None) -> RunHandle[Any]:
        """
        A run, to be told something. Where runs are executed here, one that nobody executes is taken up to be ended.

        Args:
            workflow: Its class, if that is at hand.

        Raises:
            RunNotFoundError: there is none of this id.
        """
        speaker = self.orchestrator or await self.client()
        return await speaker.get(run_id, workflow=workflow)

    # What is read.

    async def dag(self, fingerprint: str) -> Dag | None:
        """A definition, without code; None if the store has none of this fingerprint."""
        if fingerprint not in self._dags:
            found = await stored_dag(self.store, fingerprint)
            if found is None:
                return None
            _keep(self._dags, fingerprint, found)
        return self._dags[fingerprint]

    async def published_dag(self, found: Published) -> Dag:
        """The definition that was published last under the name of a workflow, without code."""
        return await asyncio.to_thread(lambda: Dag.from_dict(json.loads(found.text)))

    async def picture(self, key: tuple[object, ...] | None, draw: Callable[[], str]) -> Markup:
        """
        What `draw` gives, which is the same for the same key: drawing a large graph takes long.

        Args:
            key: None for what is drawn anew each time.
        """
        drawn = None if key is None else self._pictures.get(key)
        if drawn is None:
            drawn = await asyncio.to_thread(draw)
            if key is not None:
                _keep(self._pictures, key, drawn)
        return Markup(drawn)  # noqa: S704 - our own pictures, in which all texts are escaped

    async def history(self, run_id: str) -> History:
        """
        What became of a run. Of one that was looked at before only what is new is read.

        Raises:
            RunNotFoundError: there is none of this id.
            StoreError: its log makes no sense.
        """
        known = self._histories.pop(run_id, None)
        if known is not None:
            # A run that was deleted, and begun anew, has another log.
            first = await self.store.read(run_id, limit=1)
            if first and first[0].at == known.started_at:
                while new := await self.store.read(run_id, after=known.seq, limit=_PAGE):
                    known.extend(new)
                _keep(self._histories, run_id, known)
                return known
        history = await stored_history(self.store, run_id)
        _keep(self._histories, run_id, history)
        return history

    async def history_at(self, run_id: str, seq: int) -> History:
        """What had become of a run when the event of this number was written."""
        history = History(run_id)
        async for page in pages(self.store, run_id):
            history.extend(event for event in page if event.seq <= seq)
            if page[-1].seq >= seq:
                break
        return history

    def typed(self, workflow: str, stored: Dag | None) -> Dag | None:
        """The definition of a workflow with the types of its code, if that is at hand; else the one that is stored."""
        return self.types.get(workflow, stored)

    # What is shown.

    def may_change(self, visitor: Visitor) -> bool:
        """Whether this visitor can change anything."""
        return visitor.is_known and not self.access.is_read_only

    def page(self, request: Request, template: str, *, status: int = HTTPStatus.OK, **values: object) -> HTMLResponse:
        """A page made of this template."""
        visitor = visitor_of(request)
        theme = request.cookies.get("orchwf_theme", "")
        text = self.templates.get_template(template).render(
            site=self, base=base_of(request), visitor=visitor, may_change=self.may_change(visitor),
            form_key=self.access.form_key(visitor.session) if visitor.session else "",
            theme=theme if theme in _THEMES else "", now=self.clock.now(), here=request.url.path,
            query=request.url.query, said=unquote(request.cookies.get(SAID, "")), **values,
        )  # fmt: skip
        answer = HTMLResponse(text, status)
        if SAID in request.cookies:
            # It is said once.
            answer.delete_cookie(SAID, path=base_of(request) or "/")
        return answer


def _keep(kept: "OrderedDict[Any, Any]", key: object, value: object) -> None:
    kept[key] = value
    while len(kept) > _KEPT:
        kept.popitem(last=False)


def visitor_of(request: Request) -> Visitor:
    """Who sent the request."""
    found: Visitor = request.scope["state"]["visitor"]
    return found


def form_of(request: Request) -> Form:
    """The form that came with the request."""
    found: Form = request.scope["state"]["form"]
    return found


def field_of(form: Form, name: str) -> str:
    """What the form says in this field; empty if it has none."""
    return form.get(name, [""])[0]


def base_of(request: Request) -> str:
    """The prefix of all addresses of the dashboard, without a slash at its end."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


def is_number(text: str) -> bool:
    """Whether this part of an address is a number, and no larger than anything here is counted."""
    return text.isascii() and text.isdigit() and len(text) < 7


def page_number(text: str) -> int:
    """The page that is meant, counted from 1: the first one, if this is no number."""
    return max(1, int(text)) if is_number(text) else 1
