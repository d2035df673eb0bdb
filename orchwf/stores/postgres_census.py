"""Counts the runs that have not ended, in a PostgreSQL store: without a look at those that have."""

from ..core.census import Census, census_of
from .damage import readable
from .postgres_question import Question

_CENSUS = """
    WITH open AS (
        SELECT workflow, no, created_at, wake_at, slept_at, CASE
            WHEN status = 'paused' THEN 'paused'
            WHEN owner IN (SELECT id FROM living) THEN 'executed'
            WHEN wake_at <= %s OR (wake_at IS NULL AND status = 'running') THEN 'waiting'
            WHEN status = 'scheduled' THEN 'scheduled'
            ELSE 'asleep'
        END AS place
        FROM runs WHERE status IN ('running', 'scheduled', 'paused')
    )
    SELECT place, workflow, CASE WHEN place = 'paused' THEN coalesce((
        SELECT json_at(data, 'cause') FROM log
        WHERE log.run = open.no AND log.kind = 'run.paused' ORDER BY log.seq DESC LIMIT 1
    ), 'request') ELSE '' END AS cause, count(*), min(CASE WHEN place = 'waiting' THEN coalesce(
        wake_at, slept_at, (SELECT at FROM log WHERE log.run = open.no ORDER BY seq DESC LIMIT 1), created_at
    ) END)
    FROM open GROUP BY place, workflow, cause
    UNION ALL
    SELECT standing, '', '', count(*), NULL FROM owners
    CROSS JOIN LATERAL (
        SELECT CASE WHEN id IN (SELECT id FROM living) THEN 'held' ELSE 'lapsed' END
    ) AS known (standing)
    WHERE standing = 'held' OR EXISTS (
        SELECT 1 FROM runs WHERE runs.owner = owners.id AND status IN ('running', 'scheduled')
    )
    GROUP BY standing
    UNION ALL
    SELECT 'slots', name, '', count(*), NULL FROM slots WHERE owner IN (SELECT id FROM living) GROUP BY name
"""


async def get_census(question: Question, now: float) -> Census:
    """What `Store.census` says."""
    rows = await question.rows(_CENSUS, (now,))
    with readable("the runs that have not ended cannot be counted"):
        return census_of((about, name, detail, count, at) for about, name, detail, count, at in rows)
