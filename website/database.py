"""The reference of the schemas, from the files that make them."""

import re
import sqlite3
from contextlib import closing
from importlib.resources import files
from importlib.resources.abc import Traversable

INTRODUCTION = """\
# Database

What a store holds, for people with a prompt of SQL. The events are the truth; everything else is a view of them, or
there to find them quickly. Reading is safe at any time; writing is not. This page is made from the files in
`orchwf/stores/sql`, which are never edited after a release: a later one changes what an earlier one made, and a store
is brought up to date when it is opened.

```console
$ sqlite3 -readonly orchwf.db "SELECT step, status, attempts, duration FROM steps WHERE run = 'monday'"
```"""
_TABLE = re.compile(r"((?:^-- [^\n]*\n)*)^CREATE (TABLE|VIEW) (\w+)(.*?);\s*$", re.MULTILINE | re.DOTALL)
_NOTE = re.compile(r"^ {4}(\w+) .*?-- (.+)$", re.MULTILINE)


def database_page() -> str:
    """The page, as Markdown: tables and views of SQLite, then both schemas as the files say them."""
    sql = files("orchwf.stores").joinpath("sql")
    sqlite, postgres = _scripts(sql.joinpath("sqlite")), _scripts(sql.joinpath("postgres"))
    parts = [INTRODUCTION, "## Tables and views", _objects(list(sqlite.values()))]
    for title, scripts in (("SQLite, file by file", sqlite), ("PostgreSQL, file by file", postgres)):
        parts.append(f"## {title}")
        parts += [f"`{name}`\n\n```sql\n{text.strip()}\n```" for name, text in scripts.items()]
    return "\n\n".join(parts) + "\n"


def _scripts(folder: Traversable) -> dict[str, str]:
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name)
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def _objects(scripts: list[str]) -> str:
    """Each table and view of SQLite as it is in the end, with what the files say of it."""
    told = {match[3]: (match[1], match[0]) for script in scripts for match in _TABLE.finditer(script)}
    with closing(sqlite3.connect(":memory:")) as db:
        for script in scripts:
            db.executescript(script)
        names = db.execute(
            "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' "
            "ORDER BY type, name"
        ).fetchall()
        return "\n\n".join(_object(db, kind, name, *told.get(name, ("", ""))) for kind, name in names)


def _object(db: sqlite3.Connection, kind: str, name: str, comment: str, statement: str) -> str:
    notes = dict(_NOTE.findall(statement)) if kind == "table" else {}
    rows = []
    for _, column, type_, is_needed, _, key in db.execute(f"PRAGMA table_info({name})"):
        may_lack = kind == "table" and not is_needed and not key
        told = [*(["key"] if key else []), *(["may be null"] if may_lack else []), notes.get(column, "")]
        rows.append(f"| `{column}` | {type_ or ''} | {'; '.join(filter(None, told))} |")
    text = " ".join(line.removeprefix("-- ") for line in comment.splitlines())
    return "\n\n".join(
        [f"### {name}", f"A {kind}. {text}".strip(), "\n".join(["| column | type | |", "|---|---|---|", *rows])]
    )
