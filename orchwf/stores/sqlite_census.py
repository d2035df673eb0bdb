"""Counts the runs that have not ended, in a SQLite store: without a look at those that have."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator

from ..core.census import Census, CensusRow, Place, census_of
from .damage import readable

# From one workflow to the next one by the index, however many runs each has. How many run an index knows, too: so of
# those that sleep, which may be many, no row is read. Left to itself SQLite goes through all runs.
_CENSUS = """
    WITH RECURSIVE
    names (workflow) AS (
        SELECT min(workflow) FROM runs
        UNION ALL
        SELECT (SELECT min(runs.workflow) FROM runs WHERE runs.workflow > names.workflow)
        FROM names WHERE names.workflow IS NOT NULL
    ),
    statuses (status) AS (VALUES ('running'), ('scheduled')),
    living (id) AS (SELECT id FROM owners WHERE lease_clock() - renewed_at BETWEEN 0 AND lease)

    SELECT 'all', names.workflow, statuses.status, (
        SELECT count(*) FROM runs INDEXED BY runs_by_workflow_and_status
        WHERE runs.workflow = names.workflow AND runs.status = statuses.status
    ), NULL
    FROM names CROSS JOIN statuses WHERE names.workflow IS NOT NULL
    UNION ALL
    SELECT 'executed', workflow, status, count(*), NULL FROM runs INDEXED BY runs_by_status_and_owner
    WHERE status IN ('running', 'scheduled') AND owner IN (SELECT id FROM living) GROUP BY workflow, status
    UNION ALL
    SELECT 'waiting', workflow, status, count(*), min(
        coalesce(slept_at, (SELECT at FROM log WHERE log.run = runs.no ORDER BY seq DESC LIMIT 1), created_at)
    )
    FROM runs INDEXED BY runs_awake
    WHERE status = 'running' AND wake_at IS NULL AND (owner IS NULL OR owner NOT IN (SELECT id FROM living))
    GROUP BY workflow
    UNION ALL
    SELECT 'waiting', workflow, status, count(*), min(wake_at) FROM runs INDEXED BY runs_asleep
    WHERE wake_at <= ? AND status IN ('running', 'scheduled')
        AND (owner IS NULL OR owner NOT IN (SELECT id FROM living))
    GROUP BY workflow, status
    UNION ALL
    SELECT 'paused', workflow, coalesce((
        SELECT json_extract(data, '$.cause') FROM log
        WHERE log.run = runs.no AND log.kind = 'run.paused' ORDER BY log.seq DESC LIMIT 1
    ), 'request') AS cause, count(*), NULL
    FROM runs INDEXED BY runs_by_status WHERE status = 'paused' GROUP BY workflow, cause
    UNION ALL
    SELECT iif(id IN (SELECT id FROM living), 'held', 'lapsed') AS lease, '', '', count(*), NULL FROM owners
    WHERE id IN (SELECT id FROM living) OR EXISTS (
        SELECT 1 FROM runs WHERE status IN ('running', 'scheduled') AND owner = owners.id
    )
    GROUP BY lease
    UNION ALL
    SELECT 'slots', name, '', count(*), NULL FROM slots WHERE owner IN (SELECT id FROM living) GROUP BY name
"""


def get_census(connection: sqlite3.Connection, now: float) -> Census:
    """What `Store.census` says."""
    with readable("the runs that have not ended cannot be counted"):
        return census_of(_rows(connection.execute(_CENSUS, (now,)).fetchall()))


def _rows(counted: Iterable[CensusRow]) -> Iterator[CensusRow]:
    """These, and the rows of those that sleep or begin later: they are the ones that are left."""
    left = Counter[tuple[str, str]]()
    for row in counted:
        about, workflow, status, count, _ = row
        if about == "all":
            left[workflow, status] += count
            continue
        yield row
        if about in (Place.EXECUTED, Place.WAITING):
            left[workflow, status] -= count
    for (workflow, status), count in left.items():
        yield (Place.SCHEDULED if status == "scheduled" else Place.ASLEEP), workflow, "", count, None
