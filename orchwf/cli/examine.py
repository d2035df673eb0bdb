"""`doctor`: is all well with a store and its runs?"""

import time
from collections import Counter
from collections.abc import Sequence

import attrs

from ..core.lines import STOPPED, Line, brief, names_text
from ..core.state import RunStatus
from ..core.wording import age_text, plural, size_text
from ..labels import visible
from ..ports import RunQuery, RunRecord
from ..runtime.owner import is_dead, parse_owner, this_process
from ..views import Finding, all_runs, findings_about_code, findings_of, why_not_undone
from .documents import Document
from .exits import CommandError, Exit
from .output import Output
from .places import Place, opened

_MOST = 10
_MOST_READ = 100
"""Of how many runs the logs are read, beside their summaries."""

_UNFINISHED = [RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.SCHEDULED]

_TITLES = {
    "stuck": "Stuck: they have not ended, and nobody executes them",
    "dead-letter": "Dead letters: their processes died again and again",
    "paused": "Paused: they wait for somebody",
    "not-undone": "Not undone: something that they did could not be undone",
    "changed": "Changed: the present code cannot go on with them",
    "unknown-workflow": "Unknown: their workflow is not among those given",
}


@attrs.frozen(kw_only=True)
class Owner:
    """
    Who executes runs, or did.

    Attributes:
        label: For people.
        state: `alive`, `dead`, or `lapsed`: its lease has run out.
        is_here: Whether it is, or was, on this machine.
        runs: How many runs it executes.
    """

    label: str
    state: str
    is_here: bool
    runs: int


@attrs.frozen(kw_only=True)
class Health:
    """
    How a store and its runs are.

    Attributes:
        url: The URL of the store.
        facts: What the store says of itself, by name.
        notes: What is worth to know of it, though nothing is wrong.
        counts: Status -> how many runs have it.
        owners: Who has running runs.
        findings: What waits for somebody.
    """

    url: str
    facts: dict[str, str]
    notes: list[str]
    counts: dict[str, int]
    owners: list[Owner]
    findings: list[Finding]


async def doctor(output: Output, place: Place, apps: Sequence[type] | None) -> int:
    """
    Tell how a store and its runs are. The exit code is 1 if there are findings.

    Args:
        apps: The workflows there are now; None if nothing is to be said of code.

    Raises:
        CommandError: the store is damaged.
    """
    health = await _examined(place, apps)
    if output.json:
        output.document(_document(health))
    lines = [] if output.quiet else [*_store_lines(health), Line(""), *_run_lines(health)]
    for kind, title in _TITLES.items():
        found = [finding for finding in health.findings if finding.kind == kind]
        lines += _finding_lines(title, found, None if output.verbose else _MOST)
    count = len(health.findings)
    last = f"doctor: {plural(count, 'finding')}" if count else "doctor: all is well"
    output.lines([*lines, *([] if output.quiet else [Line("")]), Line(last, STOPPED if count else "", "strong")])
    return Exit.FAILED if count else Exit.DONE


async def _examined(place: Place, apps: Sequence[type] | None) -> Health:
    async with opened(place.url) as store:
        facts = await store.facts()
        if facts["integrity"] != "ok":
            raise CommandError(_damaged(facts), Exit.STORE)
        unfinished = await all_runs(store, RunQuery(statuses=_UNFINISHED))
        not_undone = await all_runs(
            store, RunQuery(statuses=[RunStatus.FAILED, RunStatus.CANCELLED], compensation="failed")
        )
        why = {record.id: await why_not_undone(store, record) for record in not_undone[:_MOST_READ]}
        findings = findings_of(unfinished, not_undone, why, place.named)
        if apps is not None:
            findings += await findings_about_code(store, unfinished, apps, place.named)
    counts = {str(each): int(count) for each in RunStatus if (count := facts.pop(f"runs.{each}", None))}
    return Health(
        url=store.url, facts=facts, notes=_notes(facts), counts=counts, owners=_owners(unfinished), findings=findings
    )


def _damaged(facts: dict[str, str]) -> str:
    if facts["kind"] == "postgresql":
        return f"the store in schema {facts['namespace']!r} is damaged ({brief(facts['integrity'])}); restore a backup"
    return (
        f"the store {facts.get('file', '')} is damaged ({brief(facts['integrity'])}); "
        "restore a backup, or save what can be read with: sqlite3 FILE .recover"
    )


def _owners(records: Sequence[RunRecord]) -> list[Owner]:
    running = [record for record in records if record.status is RunStatus.RUNNING and record.owner is not None]
    counts = Counter((record.owner or "", record.has_lapsed) for record in running)
    return [_owner(text, has_lapsed, count) for (text, has_lapsed), count in sorted(counts.items())]


def _owner(text: str, has_lapsed: bool, runs: int) -> Owner:
    owner = parse_owner(text)
    state = "dead" if is_dead(owner) else "lapsed" if has_lapsed else "alive"
    return Owner(label=owner.label, state=state, is_here=owner.host == this_process("").host, runs=runs)


def _notes(facts: dict[str, str]) -> list[str]:
    version = facts.get("sqlite", "")
    if not version or not has_wal_fault(version):
        return []
    fault = "a rare fault in resetting the write-ahead log, which needs two connections that write at the same moment"
    return [f"SQLite {version} has {fault}; 3.51.3, 3.50.7 and 3.44.6 are without it"]


def has_wal_fault(version: str) -> bool:
    """
    Whether this version of SQLite has the fault in resetting the WAL.

    Source: https://www.sqlite.org/wal.html#walresetbug
    """
    numbers = tuple(map(int, version.split(".")))
    mended: dict[tuple[int, ...], tuple[int, ...]] = {(3, 44): (3, 44, 6), (3, 50): (3, 50, 7)}
    return numbers < mended.get(numbers[:2], (3, 51, 3))


# For people.


def _store_lines(health: Health) -> list[Line]:
    facts = health.facts
    told = {
        "server": f"PostgreSQL {facts['server']}, {_size(facts)}" if "server" in facts else "",
        "file": ", ".join(filter(None, (facts["file"], _size(facts)))) if "file" in facts else "",
        "schema": facts.get("schema", ""),
        "journal": ", ".join(filter(None, (facts.get("journal", ""), _synchronous(facts)))),
        "SQLite": facts.get("sqlite", ""),
        "codec": facts.get("codec", ""),
        # Where they are by themselves need not be said.
        "blobs": "" if facts.get("blobs", "").endswith(f"{facts.get('file')}.blobs") else facts.get("blobs", ""),
        "integrity": facts["integrity"],
        "slots": f"{facts['slots']} in use" if facts.get("slots", "0") != "0" else "",
    }
    lines = [Line(f"  {name:<9}  {visible(text)}") for name, text in told.items() if text]
    return [
        Line(visible(health.url), weight="strong"),
        *lines,
        *(Line(f"  note       {note}") for note in health.notes),
    ]


def _size(facts: dict[str, str]) -> str:
    return size_text(int(facts["size"])) if "size" in facts else ""


def _synchronous(facts: dict[str, str]) -> str:
    return f"synchronous {facts['synchronous']}" if "synchronous" in facts else ""


def _run_lines(health: Health) -> list[Line]:
    total = sum(health.counts.values())
    counts = ", ".join(f"{count:,} {status}" for status, count in health.counts.items())
    lines = [Line(f"{plural(total, 'run')}{f': {counts}' if counts else ''}", weight="strong")]
    for owner in health.owners:
        runs = plural(owner.runs, "run")
        match owner.state:
            case "alive":
                lines.append(Line(f"  > {owner.label} executes {runs}", "running"))
            case "dead":
                lines.append(Line(f"  ! {owner.label} died and left {runs}", STOPPED))
            case _:
                why = ": it is suspended, or a step blocks its event loop" if owner.is_here else ""
                lines.append(Line(f"  ! {owner.label} did not renew its lease, and left {runs}{why}", STOPPED))
    return lines


def _finding_lines(title: str, findings: Sequence[Finding], limit: int | None) -> list[Line]:
    if not findings:
        return []
    shown, now = findings[:limit], time.time()
    lines = [Line(""), Line(f"{title} ({len(findings):,})", weight="strong")]
    for finding in shown:
        first, *rest = finding.message.splitlines() or [""]
        of = visible(finding.runs[0]) if len(finding.runs) == 1 else names_text(finding.runs)
        said = f"  {brief(first)}" if first else ""
        lines.append(Line(f"  ! {visible(finding.workflow)} {of}  {age_text(now - finding.created_at)}{said}", STOPPED))
        lines += [Line(f"      {brief(line)}") for line in rest]
        lines.append(Line(f"      {finding.command}", weight="faint"))
    if len(shown) < len(findings):
        lines.append(Line(f"    and {len(findings) - len(shown):,} more: -v", weight="faint"))
    return lines


# For programs.


def _is_for_programs(field: "attrs.Attribute[object]", value: object) -> bool:
    return field.name != "created_at"


def _document(health: Health) -> Document:
    facts = {name: int(value) if name in ("size", "schema", "slots") else value for name, value in health.facts.items()}
    return {
        "store": {"url": health.url, **facts, "notes": health.notes},
        "runs": health.counts,
        "owners": [attrs.asdict(owner) for owner in health.owners],
        "findings": [attrs.asdict(each, filter=_is_for_programs) for each in health.findings],
    }
