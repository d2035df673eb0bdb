"""Runs that nobody executes, in a PostgreSQL store: who wants some becomes their owner, in two answers."""

from collections import Counter
from typing import Any

from ..ports import Taken, Wanted
from .postgres_connection import Transaction
from .postgres_query import COLUMNS
from .records import run_record

# From one owner to the next one by the index, however many runs each has.
_GONE = """
    owning (owner) AS (
        SELECT min(owner) FROM runs WHERE owner IS NOT NULL
        UNION ALL
        SELECT (SELECT min(runs.owner) FROM runs WHERE runs.owner > owning.owner)
        FROM owning WHERE owning.owner IS NOT NULL
    ),
    gone AS MATERIALIZED (
        SELECT owner FROM owning
        WHERE owner <> %(owner)s
            AND (owner = ANY(%(gone)s) OR NOT EXISTS (SELECT 1 FROM living WHERE living.id = owning.owner))
    )
"""
_IS_GONE = "owner = ANY(ARRAY(SELECT owner FROM gone))"
_IS_FREE = f"(owner IS NULL OR {_IS_GONE})"
_ASLEEP = f"wake_at IS NOT NULL AND {_IS_FREE}"
# What is added to the number keeps the server from going through all runs, finished ones too, in the order of numbers.
_CALLED = "no = ANY(ARRAY(SELECT run FROM inbox WHERE NOT folded))"
_GROUPS = (
    ("awake", f"status = 'running' AND wake_at IS NULL AND {_IS_GONE}", "no + 0"),
    ("awake", "status = 'running' AND wake_at IS NULL AND owner IS NULL", "no"),
    ("asleep", f"wake_at <= %(now)s AND {_ASLEEP}", "wake_at, no"),
    ("asleep", f"slept_at > %(now)s AND wake_at > %(now)s AND {_ASLEEP}", "wake_at, no"),
    ("asleep", f"{_CALLED} AND status = 'running' AND {_ASLEEP}", "no + 0"),
)
# Who else takes runs at this moment is not waited for. Within the innermost statement no more is locked than is taken,
# so that others find what is left. The condition is looked at again when a run is locked.
_GROUP = """
    found_{number} AS MATERIALIZED (
        SELECT run.*, {number}
        FROM unnest(%({names})s::text[]) AS wanted (workflow)
        CROSS JOIN LATERAL (
            SELECT {columns} FROM runs
            WHERE workflow = wanted.workflow AND {condition} AND id <> ALL(%(but)s)
            ORDER BY {order} LIMIT %(each)s FOR NO KEY UPDATE OF runs SKIP LOCKED
        ) AS run
        LIMIT {limit}
    )
"""
# A statement of its own: one that locks and changes at once would look for runs again where another one was faster.
_OWN = "UPDATE runs SET owner = %s WHERE no = ANY(%s)"
_ARE_OURS = "SELECT count(*) FROM runs WHERE id = ANY(%s) AND owner = %s"


async def take(transaction: Transaction, owner: str, wanted: Wanted) -> Taken:
    """What `Store.take` says."""
    sql, taken = take_sql(wanted), list[tuple[Any, ...]]()
    while sql and (left := wanted.limit - len(taken)) > 0:
        values = take_values(owner, wanted, left)
        rows = await transaction.rows(sql, values)
        await transaction.send(_OWN, (owner, [row[0] for row in rows]))
        taken += rows
        # If some have fewer, or it does not come out even, there is another round for the rest.
        if max(Counter((row[-1], row[2]) for row in rows).values(), default=0) < values["each"]:
            break
    is_all = len(taken) < wanted.limit
    if is_all and sql:
        # What others have locked was passed by, and they may let go of it.
        is_all = await transaction.row(left_sql(wanted), take_values(owner, wanted, 1)) is None
    return Taken([run_record(row[:-1]) for row in sorted(taken)], is_all)


def take_values(owner: str, wanted: Wanted, left: int) -> dict[str, Any]:
    """What `take_sql` is given when so many are left to be taken: each workflow has as many as the others."""
    awake, asleep = [*dict.fromkeys(wanted.awake)], [*dict.fromkeys(wanted.asleep)]
    each = max(1, left // max(len(awake), len(asleep)))
    return {
        "owner": owner, "gone": list(wanted.gone), "but": list(wanted.but), "now": wanted.due_by, "limit": left,
        "each": each, "awake": awake, "asleep": asleep,
    }  # fmt: skip


def take_sql(wanted: Wanted) -> str:
    """The statement that locks runs that are wanted, and says from which part each is; empty if there is none."""
    parts, before = [_GONE], list[str]()
    for number, (names, condition, order) in enumerate(_GROUPS):
        if getattr(wanted, names):
            counts = [f"(SELECT count(*) FROM {each})" for each in before]  # noqa: S608 - all of the text is ours
            limit = " - ".join(["%(limit)s", *counts])
            parts.append(
                _GROUP.format(
                    number=number, names=names, columns=COLUMNS, condition=condition, order=order, limit=limit
                )
            )
            before.append(f"found_{number}")
    found = " UNION ALL ".join(f"SELECT * FROM {each}" for each in before)  # noqa: S608
    return f"WITH RECURSIVE {', '.join(parts)} {found}" if found else ""


def left_sql(wanted: Wanted) -> str:
    """The statement that gives a row if there is any run that is wanted, whoever has locked it."""
    looks = [
        f"(SELECT 1 FROM runs WHERE workflow = ANY(%({names})s::text[]) AND {condition} AND id <> ALL(%(but)s) LIMIT 1)"  # noqa: S608
        for names, condition, _ in _GROUPS if getattr(wanted, names)
    ]  # fmt: skip
    return f"WITH RECURSIVE {_GONE} SELECT 1 WHERE EXISTS {' OR EXISTS '.join(looks)}"


async def are_ours(taken: Taken, transaction: Transaction, *, owner: str) -> bool:
    """Whether all of these are owned by whom took them."""
    return await transaction.row(_ARE_OURS, ([run.id for run in taken.runs], owner)) == (len(taken.runs),)
