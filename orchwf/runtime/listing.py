"""Listings of runs, page by page, as people ask for them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from ..core.dag import dag_of
from ..core.state import RunStatus
from ..errors import UsageError
from ..ports import RunQuery, RunRecord, Store
from .arguments import checked_tags


@attrs.frozen
class RunPage(Sequence[RunRecord]):
    """
    Some runs of a listing, newest first.

    `cursor` is what `list_runs(cursor=...)` takes to go on; None if there are no more.
    """

    runs: tuple[RunRecord, ...]
    cursor: str | None = None

    def __getitem__(self, index: Any) -> Any:
        return self.runs[index]

    def __len__(self) -> int:
        return len(self.runs)


def run_query(
    *,
    workflow: str | type | None,
    status: RunStatus | str | Sequence[RunStatus | str] | None,
    tags: Mapping[str, str] | None,
    since: datetime | float | None,
    until: datetime | float | None,
    limit: int,
    cursor: str | None,
) -> RunQuery:
    """
    What to ask a store for, as `Orchestrator.list_runs` says.

    Raises:
        UsageError: a value makes no sense.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise UsageError(f"limit takes a whole number of at least 1, not {limit!r}")
    return RunQuery(
        workflow=_workflow_name(workflow),
        statuses=checked_statuses(status),
        tags=checked_tags(tags),
        since=_epoch("since", since),
        until=_epoch("until", until),
        before=_cursor(cursor),
        limit=limit,
    )


async def run_page(store: Store, query: RunQuery) -> RunPage:
    """The runs that match, as many as its limit says; with a cursor if there are more."""
    limit = query.limit or 1
    found = await store.runs(attrs.evolve(query, limit=limit + 1))
    return RunPage(tuple(found[:limit]), str(found[limit - 1].number) if found[limit:] else None)


def _workflow_name(workflow: str | type | None) -> str | None:
    if workflow is None or isinstance(workflow, str):
        return workflow
    return dag_of(workflow).name


def checked_statuses(status: RunStatus | str | Sequence[RunStatus | str] | None) -> list[RunStatus] | None:
    """
    The statuses that are meant; None for any.

    Raises:
        UsageError: one is none.
    """
    if status is None:
        return None
    given = list(status) if isinstance(status, Iterable) and not isinstance(status, str) else [status]
    try:
        return [RunStatus(each) for each in given]
    except ValueError:
        known = ", ".join(RunStatus)
        raise UsageError(f"status takes one or several of {known}; not {status!r}") from None


def _epoch(name: str, value: datetime | float | None) -> float | None:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UsageError(f"{name} takes an aware datetime, such as datetime.now(UTC), not the naive {value!r}")
        return value.timestamp()
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value)):
        raise UsageError(f"{name} takes an aware datetime or epoch seconds, not {value!r}")
    return value


def _cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (isinstance(cursor, str) and cursor.isascii() and cursor.isdigit()):
        raise UsageError(f"cursor takes the cursor of the page before, not {cursor!r}")
    return int(cursor)
