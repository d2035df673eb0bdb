"""`run --only`, `--until` and `--dry-run`: which steps would run, and in which order."""

from collections.abc import Collection, Sequence

from ..core.dag import Dag
from ..core.definition import Node, Several
from ..core.lines import Line, brief, names_text
from ..core.options import Join
from ..core.selection import left_out, select
from ..core.wording import duration_text, plural
from ..labels import visible
from .documents import Document
from .exits import CommandError, Exit
from .output import Output, table

_TITLES = ("", "generation", "step", "after", "how")
_LEAST_HOW = 12
_MANNERS = {Several.EACH: "once per item", Several.LOOP: "in a loop", Several.STREAM: "gives items"}


def chosen(dag: Dag, only: Sequence[str], until: str | None) -> frozenset[str] | None:
    """
    The steps that are to run; None for all.

    Raises:
        CommandError: both options are given.
        UnknownStepError, UsageError: there is no such step or tag, or what is left out is needed.
    """
    if only and until is not None:
        raise CommandError("--only and --until say both what is to run; give one of them")
    texts = [*only] if until is None else [f"+{until}" if until in dag.nodes else until]
    if not texts:
        return None
    names = select(dag, texts)
    left_out(dag, names)
    return names


def tell_plan(output: Output, dag: Dag, names: Collection[str] | None) -> int:
    """Tell what a run would do, and do nothing."""
    places = {name: at for at, names_of in enumerate(dag.generations, 1) for name in names_of}
    nodes = sorted(dag.nodes.values(), key=lambda node: (places[node.name], node.position))
    if output.json:
        output.document({
            "workflow": dag.name,
            "version": dag.version,
            "steps": [_document(node, places[node.name], names) for node in nodes],
        })  # fmt: skip
        return Exit.DONE
    cells = [
        (" " if _runs(node, names) else "-", str(places[node.name]), brief(node.name),
         names_text(node.dependencies, 3), _how(node) if _runs(node, names) else "left out")
        for node in nodes
    ]  # fmt: skip
    head, *rows = table(cells, titles=_TITLES, width=output.width, drop=("how", "after"), least=_LEAST_HOW)
    count = sum(_runs(node, names) for node in nodes)
    output.lines([Line(f"{visible(dag.name)} would run {plural(count, 'step')}; nothing was run", weight="strong")])
    output.lines([Line(head, weight="faint"), *map(Line, rows)])
    return Exit.DONE


def _runs(node: Node, names: Collection[str] | None) -> bool:
    return names is None or node.name in names


def _how(node: Node) -> str:
    """`once per item, 2 retries, 30 s each`: what there is to say of how a step runs."""
    options = node.options
    told = [
        node.kind if node.waits is not None else "",
        "" if node.several is None else _MANNERS[node.several],
        "" if options.when is None else "on a condition",
        "" if options.join is Join.ALL else f"join {options.join}",
        "" if not options.retry.max_retries else f"up to {options.retry.max_retries + 1} attempts",
        "" if options.timeout is None else f"at most {duration_text(options.timeout)}",
        "" if options.executor is None else f"on {options.executor}",
        "" if options.cache is None else "cached",
        "" if options.required else "optional",
        "" if node.compensation is None else "can be undone",
    ]
    return brief(", ".join(filter(None, told)))


def _document(node: Node, place: int, names: Collection[str] | None) -> Document:
    """`runs` says whether it was selected; `generation` counts from 1: what it waits for is in earlier ones."""
    options = node.options
    return {
        "name": node.name,
        "kind": node.kind,
        "generation": place,
        "runs": _runs(node, names),
        "dependencies": list(node.dependencies),
        "several": None if node.several is None else str(node.several),
        "max_attempts": options.retry.max_retries + 1,
        "timeout": options.timeout,
        "required": options.required,
    }
