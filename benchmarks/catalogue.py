"""What is run: contenders with their sizes, measures, and what is not there yet."""

from dataclasses import dataclass

from .rows import Gap


@dataclass(frozen=True)
class Contender:
    """
    One engine in one mode.

    Attributes:
        name: What the table calls it.
        module: The module in `contenders`.
        arguments: Its own options.
        peer: Whose environment it needs; empty for that of orchwf.
        sizes: Shape -> its size, where it is not that of all: for what would take minutes.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    peer: str = ""
    sizes: tuple[tuple[str, int], ...] = ()

    def size(self, shape: str, *, is_quick: bool) -> int:
        """Steps, or runs of ten steps."""
        size = dict(self.sizes).get(shape, SIZES[shape])
        return max(size // 10, LEAST[shape]) if is_quick else size


SIZES = {"chain": 1_000, "many": 100, "fan": 5_000, "layers": 1_000}
LEAST = {"chain": 10, "many": 1, "fan": 10, "layers": 100}

_DBOS = (("chain", 500), ("fan", 1_000), ("layers", 500))
_LANGGRAPH = (("chain", 100), ("fan", 2_000))
_PREFECT = (("chain", 200), ("many", 5), ("fan", 500), ("layers", 200))

CONTENDERS = (
    Contender("raw FULL", "raw", ("--synchronous", "FULL")),
    Contender("orchwf FULL", "ours", ("--mode", "full")),
    Contender("orchwf FULL threads", "ours", ("--mode", "plain")),
    Contender("orchwf FULL listener", "ours", ("--mode", "listener")),
    Contender("raw NORMAL", "raw", ("--synchronous", "NORMAL")),
    Contender("orchwf NORMAL", "ours", ("--mode", "normal")),
    Contender("orchwf memory", "ours", ("--mode", "memory")),
    Contender("DBOS as shipped", "dbos_peer", ("--durability", "shipped"), "dbos", _DBOS),
    Contender("DBOS with WAL", "dbos_peer", ("--durability", "wal"), "dbos", _DBOS),
    Contender("LangGraph", "langgraph_peer", (), "langgraph", _LANGGRAPH),
    Contender("Prefect", "prefect_peer", (), "prefect", _PREFECT),
)

MEASURES = (
    "latency", "outputs", "blocking", "waiting", "sleeping", "items", "resume", "compiling", "growth", "importing",
    "metrics",
)  # fmt: skip
"""The modules in `measures`."""

ONCE = ("growth", "waiting", "sleeping", "items")
"""Those that take minutes: measured in the first round only. Of the others only their large sizes are."""

GAPS: tuple[Gap, ...] = ()
