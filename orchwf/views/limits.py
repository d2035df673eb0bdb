"""Who holds the places within limits, and who waits for one."""

import json
from collections.abc import Sequence

import attrs

from ..core.definition import Node
from ..core.failures import item_name
from ..core.limits import BY_FUNCTION, WITHIN_RUN, limits_document
from ..core.lines import brief
from ..core.slots import Holding, Occupancy, Waiting
from ..core.wording import duration_text
from ..runtime.owner import parse_owner

_MOST_NAMED = 3


@attrs.frozen
class LimitRow:
    """One limit: its name for people, who holds its places, the one that does longest first, and who waits for one."""

    name: str
    holdings: tuple[Holding, ...]
    waiting: tuple[Waiting, ...]


def limit_rows(occupancy: Occupancy) -> list[LimitRow]:
    """The limits of which somebody holds a place, or waits for one: those for which most wait first."""
    held: dict[str, list[Holding]] = {}
    waiting: dict[str, list[Waiting]] = {}
    for holding in occupancy.holdings:
        held.setdefault(holding.slot.limit, []).append(holding)
    for wait in occupancy.waiting:
        waiting.setdefault(wait.limit, []).append(wait)
    rows = [
        LimitRow(
            limit_text(name), tuple(sorted(held.get(name, []), key=lambda each: each.taken_at)),
            tuple(sorted(waiting.get(name, []), key=lambda each: -each.seconds)),
        )
        for name in sorted({*held, *waiting})
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -len(row.waiting))


def limit_text(name: str) -> str:
    """`queue 'api' for 'acme'`, `mutex 'ledger' within run 'A1'`: what the name of a limit says."""
    try:
        kind, called, *of = json.loads(name)
    except (ValueError, TypeError, RecursionError):
        # It is of a newer orchwf.
        return brief(name)
    where = f" {'within run' if kind == 'mutex' else 'for'} {of[0]!r}" if of else ""
    return brief(f"{kind} {called!r}{where}")


def key_text(name: str) -> str:
    """` (for 'acme')`, of a queue that counts by a key; empty for others."""
    told = limit_text(name).partition(" for ")[2] if name.startswith('["queue"') else ""
    return f" (for {told})" if told else ""


def beginnings_of(node: Node | None, run_id: str) -> list[str]:
    """
    How the names of the limits begin within which a step runs; a queue with keys has many that begin alike.

    A mutex that is named by a function may be any, and is left out.
    """
    limits = {} if node is None else limits_document(node.options.queue, node.options.mutex)
    begins = []
    for kind, said in limits.items():
        # So a definition is stored.
        name = said.removesuffix(WITHIN_RUN)
        if kind == "queue":
            begins.append(json.dumps([kind, said]).removesuffix("]"))
        elif name != BY_FUNCTION:
            begins.append(json.dumps([kind, name] if name == said else [kind, name, run_id]))
    return begins


def is_of(limit: str, beginning: str) -> bool:
    """Whether the name of a limit begins so, as `beginnings_of` means it."""
    return limit == beginning or limit.startswith((f"{beginning}]", f"{beginning},"))


def holding_text(holding: Holding, now: float) -> str:
    """`fetch of run A1 for 2.1 s`; of a queue that counts by a key with that: `(for 'acme')`."""
    slot = holding.slot
    step = item_name(slot.step, slot.item if slot.item >= 0 else None)
    undone = "the undoing of " if slot.compensates else ""
    took = duration_text(max(0.0, now - holding.taken_at))
    return f"{undone}{brief(step)} of run {brief(slot.run_id)} for {took}{key_text(slot.limit)}"


def holders_text(holdings: Sequence[Holding], now: float) -> str:
    """`held by fetch of run A1 for 2.1 s and 3 more`; empty if nobody holds anything."""
    if not holdings:
        return ""
    longest = sorted(holdings, key=lambda each: each.taken_at)
    named = ", ".join(holding_text(each, now) for each in longest[:_MOST_NAMED])
    more = len(longest) - _MOST_NAMED
    return f"held by {named}" + (f" and {more:,} more" if more > 0 else "")


def waiting_text(waiting: Waiting) -> str:
    """`process 4711 on web-1 for 12 s`"""
    return f"{parse_owner(waiting.owner).label} for {duration_text(waiting.seconds)}"
