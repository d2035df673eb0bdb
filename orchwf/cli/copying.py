"""What `copy` does: runs from one store to another, and what is said of that."""

from collections import Counter
from collections.abc import Sequence

from ..core.lines import Line
from ..core.state import RunStatus
from ..labels import visible
from ..moving import CopyReport, copy_runs
from ..ports import Store
from ..runtime.copying import CopiedRun
from ..stores.urls import without_password
from .documents import copied_document
from .exits import Exit
from .finding import find_run
from .output import Output
from .places import opened, opened_or_empty

_EACH = 1_000
"""After how many runs is said how far it is."""


async def copy(
    output: Output,
    source: str,
    target: str,
    runs: Sequence[str],
    *,
    workflow: str | None,
    statuses: Sequence[RunStatus] | None,
    move: bool,
    dry_run: bool,
) -> int:
    """Copy these runs, or all, from the store of `source` to that of `target`; returns the exit code."""
    opening = opened_or_empty(target) if dry_run else opened(target, must_exist=False)
    async with opened(source) as one, opening as other:
        ids = await _ids(one, runs)
        progress = _Progress(output)
        report = await copy_runs(
            one, other, ids, workflow=workflow, status=statuses, move=move, dry_run=dry_run, tell=progress.tell
        )  # fmt: skip
    if output.json:
        output.document(copied_document(report))
    done = "moved" if move else "copied"
    output.lines(_summary(report, without_password(target), f"to be {done}" if dry_run else done))
    return Exit.FAILED if report.problems else Exit.DONE


async def _ids(store: Store, runs: Sequence[str]) -> list[str] | None:
    return [(await find_run(store, run)).id for run in runs] or None


class _Progress:
    """Says how far it is now and then, and at once what is not copied."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._counts: Counter[str] = Counter()

    def tell(self, copied: CopiedRun) -> None:
        """This one is done with."""
        self._counts[copied.outcome] += 1
        what = f"{'schedule' if copied.is_schedule else 'run'} {visible(copied.id)}"
        if copied.reason:
            self._output.lines([Line(f"x {what}  not copied: {visible(copied.reason)}", "failed")])
        elif not self._output.quiet and self._counts.total() % _EACH == 0:
            self._output.lines([Line(f"  {self._counts.total():,} runs done with", weight="faint")])


def _summary(report: CopyReport, target: str, done: str) -> list[Line]:
    """What became of all, and what to do about the rest. `done` is what happened to those of which all is well."""
    counts = [f"{report.copied:,} {done}", f"{report.there:,} there already"]
    if report.problems:
        counts.append(f"{len(report.problems):,} not copied")
    lines = [Line(f"{', '.join(counts)}  to {target}", "failed" if report.problems else "completed", "strong")]
    if report.going_on:
        verb = "goes" if report.going_on == 1 else "go"
        lines.append(Line(f"  {report.going_on:,} that had not ended {verb} on there, as soon as a process serves it"))
    return lines
