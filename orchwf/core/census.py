"""Where the runs of a store are that have not ended, counted."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum

import attrs


class Place(StrEnum):
    """
    Where a run is that has not ended.

    - `EXECUTED`: somebody who lives executes it
    - `WAITING`: nobody does, though it could go on
    - `ASLEEP`: it waits for a time, a message, or another run
    - `SCHEDULED`: it begins later
    - `PAUSED`: it waits for somebody to resume it
    """

    EXECUTED = "executed"
    WAITING = "waiting"
    ASLEEP = "asleep"
    SCHEDULED = "scheduled"
    PAUSED = "paused"


@attrs.frozen(kw_only=True)
class Census:
    """
    How many runs of a store have not ended, and where they are.

    Attributes:
        runs: Name of a workflow, place -> how many of its runs are there, if any are.
        waiting_since: Name of a workflow -> since when (epoch seconds) the one waits that has waited for longest.
        paused: Name of a workflow, cause as of `RunPaused` -> how many of its runs are paused.
        held: How many leases last.
        lapsed: How many have run out, of owners that have runs which have not ended.
        slots: Name of a queue -> how many attempts hold a place in it.
    """

    runs: Mapping[tuple[str, Place], int] = attrs.field(factory=dict)
    waiting_since: Mapping[str, float] = attrs.field(factory=dict)
    paused: Mapping[tuple[str, str], int] = attrs.field(factory=dict)
    held: int = 0
    lapsed: int = 0
    slots: Mapping[str, int] = attrs.field(factory=dict)


CensusRow = tuple[str, str, str, int, float | None]
"""
What a store counts: what it is about, a name, a detail, how many, since when.

It is a place, the name of a workflow, the cause if that is `paused`, how many, and since when if that is `waiting`;
`held` or `lapsed` and how many; or `slots`, the name of a limit, and how many are held.
"""


def census_of(rows: Iterable[CensusRow]) -> Census:
    """The census of which these are the rows."""
    runs, paused, slots = Counter[tuple[str, Place]](), Counter[tuple[str, str]](), Counter[str]()
    leases, since = Counter[str](), dict[str, float]()
    for about, name, detail, count, at in rows:
        if about in ("held", "lapsed"):
            leases[about] += count
        elif about == "slots":
            kind, limit, *_ = json.loads(name)
            if kind == "queue":
                slots[limit] += count
        elif count > 0:
            runs[name, Place(about)] += count
            if about == Place.PAUSED:
                paused[name, detail] += count
            if at is not None:
                since[name] = min(at, since.get(name, at))
    return Census(
        runs=dict(runs), waiting_since=since, paused=dict(paused), held=leases["held"], lapsed=leases["lapsed"],
        slots=dict(slots),
    )  # fmt: skip
