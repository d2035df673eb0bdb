"""The small language in which runs are looked for: `status:failed workflow:Sales since:2d tag:shop=eu amount`."""

import re
from collections.abc import Callable, Mapping, Sequence

import attrs

from ..core.state import RunStatus
from ..core.suggestions import did_you_mean
from ..ports import RunQuery, RunRecord, Store
from ..views import past_instant

PAGE = 50
"""How many runs a page has."""

MOST_READ = 2_000
"""How many runs are looked at for one page, where words are looked for that no index has."""

_LONGEST = 500
_PIECE = re.compile(r'(?:(?P<key>[A-Za-z_]+):)?(?:"(?P<quoted>[^"]*)"|(?P<plain>\S+))')


@attrs.frozen(kw_only=True)
class Search:
    """
    What is looked for.

    Attributes:
        text: As it was typed.
        query: What the store is asked.
        words: What must stand in the id, workflow, tags or error of a run, each somewhere.
        problems: What cannot be understood, for people.
    """

    text: str
    query: RunQuery = RunQuery()
    words: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def is_found(self, record: RunRecord) -> bool:
        """Whether all words stand in a run."""
        tags = " ".join(f"{name}={value}" for name, value in record.tags.items())
        text = "\n".join((record.id, record.workflow, tags, record.error)).casefold()
        return all(each.casefold() in text for each in self.words)


def parse_search(text: str, now: float) -> Search:
    """
    What a text looks for; what cannot be understood of it is left out, and told.

    Args:
        now: Epoch seconds.
    """
    query, words, problems = RunQuery(), [], []
    for piece in _PIECE.finditer(text[:_LONGEST]):
        key, value = piece["key"], piece["plain"] if piece["quoted"] is None else piece["quoted"]
        if key is None:
            words.append(value)
        elif key.lower() not in _READERS:
            hint = did_you_mean(key, list(_READERS), "filters")
            problems.append(f"there is no filter {key!r}. {hint}".rstrip())
        else:
            try:
                query = _READERS[key.lower()](query, value, now)
            except ValueError as error:
                problems.append(f"{key}:{value} cannot be: {error}")
    return Search(text=text[:_LONGEST], query=query, words=tuple(words), problems=tuple(problems))


def _status(query: RunQuery, value: str, now: float) -> RunQuery:
    try:
        return attrs.evolve(query, statuses=[RunStatus(each) for each in value.lower().split(",")])
    except ValueError:
        raise ValueError(f"it takes one or several of {', '.join(RunStatus)}") from None


def _tag(query: RunQuery, value: str, now: float) -> RunQuery:
    name, _, label = value.partition("=")
    return attrs.evolve(query, tags={**query.tags, name: label})


_READERS: Mapping[str, Callable[[RunQuery, str, float], RunQuery]] = {
    "status": _status,
    "workflow": lambda query, value, now: attrs.evolve(query, workflow=value),
    "tag": _tag,
    "id": lambda query, value, now: attrs.evolve(query, id_prefix=value),
    "since": lambda query, value, now: attrs.evolve(query, since=past_instant(value, now)),
    "until": lambda query, value, now: attrs.evolve(query, until=past_instant(value, now)),
}


@attrs.frozen
class Listing:
    """
    Some runs, the newest first.

    Attributes:
        cursor: Where the next page begins; None if there are no more.
        is_partial: Whether so many were looked at that the rest is left to the next page.
    """

    runs: tuple[RunRecord, ...]
    cursor: int | None = None
    is_partial: bool = False


async def find_runs(store: Store, search: Search, *, before: int | None, limit: int) -> Listing:
    """
    At most so many runs that are looked for.

    Args:
        before: The cursor of the page before.
    """
    if not search.words:
        found = await store.runs(attrs.evolve(search.query, before=before, limit=limit + 1))
        return Listing(tuple(found[:limit]), found[limit - 1].number if len(found) > limit else None)
    # What begins with the word as its id is found however old it is, as there is an index for that.
    named = [] if before is not None or len(search.words) > 1 else await _named(store, search, limit)
    found, read, at = [], 0, before
    while page := await store.runs(attrs.evolve(search.query, before=at, limit=_BATCH)):
        for record in page:
            at, read = record.number, read + 1
            found += [record] if search.is_found(record) else []
            if len(found) == limit or read == MOST_READ:
                return Listing(_together(found, named), at, is_partial=len(found) < limit)
    return Listing(_together(found, named))


_BATCH = 500
_SHORTEST_ID = 4
"""With how many characters of an id it is looked for: very many begin with less, and all of them would be read."""


async def _named(store: Store, search: Search, limit: int) -> list[RunRecord]:
    if search.query.id_prefix is not None or len(search.words[0]) < _SHORTEST_ID:
        return []
    return await store.runs(attrs.evolve(search.query, id_prefix=search.words[0], limit=limit))


def _together(found: Sequence[RunRecord], named: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    both = {record.id: record for record in (*found, *named)}
    return tuple(sorted(both.values(), key=lambda record: -record.number))
