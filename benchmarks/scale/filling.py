"""
Fills a store with runs in seconds: copies of one that was really executed, made by the server.

Each copy has its own id, which looks random, its own number and its own instants; all else is as orchwf wrote it, in
all tables in which a run has rows.
"""

import asyncio

from orchwf import Orchestrator

from ..shapes import chain
from ..workflows import workflow_of
from .common import Schema

TEMPLATE = "template"
_PORTION = 100_000
_COLUMNS = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = '{schema}' AND table_name = '{table}' AND is_generated = 'NEVER' ORDER BY ordinal_position
"""
# What is each copy's own. The rest is the template's.
_OWN = {
    "runs": {
        "no": "{first} + n",
        "id": "md5(({first} + n)::text)",
        "created_at": "created_at + n * 0.001",
        "ended_at": "ended_at + n * 0.001",
    },
    "run_definitions": {"run": "{first} + n"},
    "log": {"run": "{first} + n", "at": "at + n * 0.001"},
}


async def execute_template(url: str) -> None:
    """Execute the run of one step that is copied."""
    workflow = workflow_of(chain(1).parents)
    async with Orchestrator(url) as orchestrator:
        await (await orchestrator.start(workflow(), run_id=TEMPLATE)).wait()


def fill(schema: Schema, count: int) -> None:
    """Add so many finished runs of one step, with their logs."""
    if not schema.query(f"SELECT no FROM runs WHERE id = '{TEMPLATE}'"):
        asyncio.run(execute_template(schema.url))
    for start in range(0, count, _PORTION):
        copy(schema, min(_PORTION, count - start))
    schema.query("ANALYZE")


def copy(schema: Schema, count: int, **changed: str) -> None:
    """Add so many copies, in which these columns of `runs` have other values."""
    first = int(schema.number("SELECT nextval('run_numbers')"))
    template = int(schema.number(f"SELECT no FROM runs WHERE id = '{TEMPLATE}'"))
    for table, own in _OWN.items():
        names = [str(name) for (name,) in schema.query(_COLUMNS.format(schema=schema.name, table=table))]
        values = own | changed if table == "runs" else own
        chosen = ", ".join(values.get(name, name).format(first=first) for name in names)
        number = "no" if table == "runs" else "run"
        # Read once: the server would look for these rows again for each copy, if it knows too little of the table.
        schema.query(
            f"WITH one AS MATERIALIZED (SELECT * FROM {table} WHERE {number} = {template}) "
            f"INSERT INTO {table} ({', '.join(names)}) "
            f"SELECT {chosen} FROM one, generate_series(0, {count - 1}) AS n ORDER BY n"
        )
    schema.query(f"SELECT setval('run_numbers', {first + count})")


def free(schema: Schema, count: int) -> None:
    """Add so many running runs that nobody executes."""
    copy(schema, count, status="'running'", owner="NULL", ended_at="NULL")
