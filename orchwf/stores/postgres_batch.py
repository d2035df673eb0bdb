"""The rows that a batch of appends writes to a PostgreSQL store, and the statements that do."""

from collections.abc import Iterable, Iterator, Sequence

import attrs

from ..core.caching import CacheEntry
from ..core.events import Event, Row, SignalReceived, to_row
from ..errors import StoreError
from ..ports import Append, Hint, HintKind, RunRecord, Summary
from .fence import End, refusal
from .hints import brings_to_rest, hint_of, hint_text
from .postgres_hints import LOCK_RESTS, TELL, TELL_RESTS

_LARGE = 8_000_000
"""How many characters of outputs go with one statement."""
_RUN_COLUMNS = (
    ("no", "bigint"), ("id", "text"), ("workflow", "text"), ("version", "text"), ("fingerprint", "text"),
    ("entrypoint", "text"), ("status", "text"), ("metadata", "text"), ("tags", "text"), ("created_at", "float8"),
    ("ended_at", "float8"), ("error", "text"), ("owner", "text"), ("wake_at", "float8"), ("slept_at", "float8"),
)  # fmt: skip


def unnest(types: Iterable[str]) -> str:
    """The rows whose columns, of these types, are given as arrays."""
    return f"unnest({', '.join(f'%b::{each}[]' for each in types)})"


_CREATE = f"""
    INSERT INTO runs ({", ".join(name for name, _ in _RUN_COLUMNS)})
    SELECT * FROM {unnest(type_ for _, type_ in _RUN_COLUMNS)} AS new (no, id) ORDER BY id
"""  # noqa: S608 - all of the text is ours, here and below
_TAG = f"INSERT INTO run_tags (run, key, value) SELECT * FROM {unnest(['bigint', 'text', 'text'])}"  # noqa: S608
_INSERT_EVENTS = f"""
    INSERT INTO log (run, seq, at, kind, step, attempt, item, data)
    SELECT * FROM {unnest(["bigint", "bigint", "float8", "text", "text", "bigint", "bigint", "text"])}
"""  # noqa: S608
_SUMMARISE = f"""
    UPDATE runs SET
        status = new.status, fingerprint = new.fingerprint, ended_at = new.ended_at, error = new.error,
        wake_at = new.wake_at, slept_at = new.slept_at, owner = CASE WHEN new.is_free THEN NULL ELSE owner END
    FROM {unnest(["bigint", "text", "text", "float8", "text", "float8", "float8", "bool"])}
        AS new (no, status, fingerprint, ended_at, error, wake_at, slept_at, is_free)
    WHERE runs.no = new.no
"""  # noqa: S608
_RELEASE = "UPDATE runs SET owner = NULL WHERE no = ANY(%s)"
_DEFINE = f"""
    INSERT INTO definitions (fingerprint, data) SELECT * FROM {unnest(["text", "text"])}
    ON CONFLICT (fingerprint) DO NOTHING
"""  # noqa: S608
_USE_DEFINITIONS = f"""
    INSERT INTO run_definitions (run, fingerprint) SELECT * FROM {unnest(["bigint", "text"])} ON CONFLICT DO NOTHING
"""  # noqa: S608
_KEEP = f"""
    INSERT INTO cache (key, run, step, created_at, expires_at, output)
    SELECT * FROM {unnest(["text", "text", "text", "float8", "float8", "text"])}
    ON CONFLICT (key) DO UPDATE SET
        run = excluded.run, step = excluded.step, created_at = excluded.created_at, expires_at = excluded.expires_at,
        output = excluded.output
"""  # noqa: S608
_FOLD_MESSAGES = f"""
    INSERT INTO inbox (run, id, signal, payload, folded)
    SELECT *, true FROM {unnest(["bigint", "text", "text", "text"])}
    ON CONFLICT (run, id) DO UPDATE SET folded = true
"""  # noqa: S608


@attrs.frozen
class Start:
    """
    What is known of the runs of a batch when they are locked.

    Attributes:
        ends: Run -> where its log ends.
        numbers: Run that is not there yet -> the number that it gets.
        fingerprints: Run -> that of its definition.
        defined: The fingerprints of definitions that are there.
    """

    ends: dict[str, End]
    numbers: dict[str, int]
    fingerprints: dict[str, str]
    defined: set[str]


Labels = tuple[str, str] | StoreError
"""Metadata and tags as JSON, or why they cannot be."""


class Batch:
    """The rows that a batch writes, gathered append by append."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._runs: list[tuple[object, ...]] = []
        self._tags: list[tuple[int, str, str]] = []
        self._events: list[tuple[int, *Row]] = []
        self._summaries: dict[int, Summary] = {}
        self._freed: set[int] = set()
        self._definitions: dict[str, str] = {}
        self._used: dict[tuple[int, str], None] = {}
        self._kept: dict[str, CacheEntry] = {}
        self._folded: dict[tuple[int, str], tuple[str, str]] = {}
        self._hints: dict[HintKind, Hint] = {}
        self._rested: set[int] = set()

    def accept(self, append: Append, labels: Labels | None, url: str) -> Exception | None:
        """Add what this append writes, unless what is returned says why nothing of it may be written."""
        start = self._start
        end = start.ends.get(append.run_id)
        if error := refusal(append, end, url):
            return error
        if append.create is not None:
            if not isinstance(labels, tuple):
                return labels
            end = self._create(append.create, *labels)
        if end is not None:
            end.accept(append)
            self._add(append, end.run)
        return None

    def _create(self, record: RunRecord, metadata: str, tags: str) -> End:
        run = self._start.numbers[record.id]
        self._runs.append((
            run, record.id, record.workflow, record.version, record.fingerprint, record.entrypoint,
            record.status.value, metadata, tags, float(record.created_at), _instant(record.ended_at),
            _storable(record.error), record.owner, _instant(record.wake_at), _instant(record.slept_at),
        ))  # fmt: skip
        self._tags += [(run, key, value) for key, value in record.tags.items()]
        self._used[run, record.fingerprint] = None
        self._start.fingerprints[record.id] = record.fingerprint
        self._start.ends[record.id] = end = End(run, record.owner, 0)
        return end

    def _add(self, append: Append, run: int) -> None:
        self._events += [row_of(run, event) for event in append.events]
        if append.summary is not None:
            self._summaries[run] = append.summary
            self._start.fingerprints[append.run_id] = append.summary.fingerprint
        if append.releases:
            self._freed.add(run)
        if append.definition is not None:
            fingerprint = self._start.fingerprints[append.run_id]
            if fingerprint not in self._start.defined and fingerprint not in self._definitions:
                self._definitions[fingerprint] = append.definition()
            self._used[run, fingerprint] = None
        if (hint := hint_of(append)) is not None:
            # Of those that sleep the first one matters.
            self._hints[hint.kind] = min(hint, self._hints.get(hint.kind, hint), key=lambda each: each.at)
        if brings_to_rest(append):
            self._rested.add(run)
        self._kept |= {entry.key: entry for entry in append.caches}
        for event in append.events:
            if isinstance(event, SignalReceived):
                self._folded[run, event.message_id] = event.signal, event.payload

    def statements(self) -> list["Statement"]:
        """What writes it all, in order; those with nothing to write are left out."""
        summaries = [
            (run, each.status.value, each.fingerprint, _instant(each.ended_at), _storable(each.error),
             _instant(each.wake_at), _instant(each.slept_at), run in self._freed)
            for run, each in self._summaries.items()
        ]  # fmt: skip
        kept = [
            (entry.key, entry.run_id, entry.step, entry.created_at, entry.expires_at, entry.output)
            for _, entry in sorted(self._kept.items())
        ]
        statements = [
            Statement(_CREATE, self._runs), Statement(_TAG, self._tags),
            *[Statement(_INSERT_EVENTS, portion) for portion in _portions(self._events)],
            Statement(_SUMMARISE, summaries),
            Statement(_RELEASE, [(run,) for run in self._freed - self._summaries.keys()]),
            Statement(_DEFINE, sorted(self._definitions.items())), Statement(_USE_DEFINITIONS, [*self._used]),
            Statement(_KEEP, kept),
            Statement(_FOLD_MESSAGES, [(*key, *rest) for key, rest in self._folded.items()]),
            Statement(TELL, [(hint_text(hint),) for hint in self._hints.values()]),
            Statement(LOCK_RESTS, [(run,) for run in self._rested]),
            Statement(TELL_RESTS, [(run,) for run in self._rested]),
        ]  # fmt: skip
        return [statement for statement in statements if statement.rows]


@attrs.frozen
class Statement:
    """Some SQL that takes these rows."""

    sql: str
    rows: Sequence[tuple[object, ...]]


def _instant(at: float | None) -> float | None:
    """It as a float: the driver takes no column of which some are floats and others integers."""
    return None if at is None else float(at)


def _storable(headline: str) -> str:
    """
    The headline of an error, with another sign for a NUL, which PostgreSQL cannot keep in a text.

    It is for people. The error itself is in the log, as JSON, and is not changed.
    """
    return headline.replace("\0", "\N{SYMBOL FOR NULL}")


def _portions(rows: Sequence[tuple[int, *Row]]) -> Iterator[list[tuple[object, ...]]]:
    """These rows in portions of some megabytes, which is as much as the server has to hold at once."""
    start, size = 0, 0
    for end, row in enumerate(rows, 1):
        size += len(row[-1] or "")
        if size > _LARGE or end == len(rows):
            yield [*rows[start:end]]
            start, size = end, 0


def row_of(run: int, event: Event) -> tuple[int, *Row]:
    """The event as a row of the log of this run."""
    seq, at, *rest = to_row(event)
    return (run, seq, float(at), *rest)  # type: ignore[return-value]


def columns(rows: Sequence[tuple[object, ...]], width: int = 0) -> list[list[object]]:
    """Column by column, as `unnest` takes rows; `width` is how many there are, if there may be no rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
