"""What there is to know of a PostgreSQL store itself, for whoever operates it."""

from .postgres_connection import Transaction

_MOST_PROBLEMS = 5
_COUNTS = "SELECT status, count(*) FROM runs GROUP BY status ORDER BY status"
_SERVER = """
    SELECT
        current_setting('server_version'), current_database(), (SELECT max(number)::text FROM orchwf_migrations),
        (
            SELECT sum(pg_total_relation_size(pg_class.oid)) FROM pg_class
            JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = current_schema() AND relkind = 'r'
        ),
        (SELECT count(*) FROM slots WHERE owner IN (SELECT id FROM living))
"""
_GAPS = """
    SELECT 'the log of run ' || coalesce(runs.id, '?') || ' has ' || held || ' events and ends with number ' || last
    FROM (SELECT run, count(*) AS held, max(seq) AS last FROM log GROUP BY run) AS logs
    LEFT JOIN runs ON runs.no = logs.run
    WHERE held <> last OR runs.no IS NULL LIMIT %s
"""
_INDEXES = """
    SELECT 'the index ' || relname || ' is not valid' FROM pg_index
    JOIN pg_class ON pg_class.oid = indexrelid
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE NOT indisvalid AND nspname = current_schema() LIMIT %s
"""


async def get_facts(transaction: Transaction, schema: str) -> dict[str, str]:
    """What `Store.facts` says."""
    counts = await transaction.rows(_COUNTS)
    version, database, number, size, slots = await transaction.row(_SERVER) or ("", "", "", 0, 0)
    problems = [
        text for sql in (_GAPS, _INDEXES)
        for (text,) in await transaction.rows(sql, (_MOST_PROBLEMS,))
    ]  # fmt: skip
    return {
        "kind": "postgresql",
        "server": version,
        "database": database,
        "namespace": schema,
        "size": str(size or 0),
        "schema": number or "0",
        "integrity": "; ".join(problems[:_MOST_PROBLEMS]) or "ok",
        "slots": str(slots),
    } | {f"runs.{status}": str(count) for status, count in counts}
