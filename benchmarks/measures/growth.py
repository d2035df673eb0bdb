"""
What ten times the steps cost: time and memory of 10,000, 100,000 and 1,000,000 steps, durable as `?durability=process`.

Memory is what the process has in RAM beyond what it had before the start, so the compiled workflow is not in it. A
pending step is one of a run that has just been started, of the shapes that are one run: what is made of its definition
at the first start is in it. A finished step is one whose run has ended and is held by nobody: what there is beyond what
there was when the run had been started, or, of many runs, before. A size that would take more than three minutes is
left out.
"""

from collections.abc import Iterator

from ..rows import Gap, Row, emit
from .common import Scale, asked_scale, in_own_process
from .growing import Grown, grown

SIZES = {Scale.FULL: (10_000, 100_000, 1_000_000), Scale.SHORT: (10_000, 100_000), Scale.QUICK: (1_000, 10_000)}
PATIENCE = 180.0
MANY = 100_000
MOST_TIME, MOST_MEMORY, PER_PENDING, PER_FINISHED = 10.5, 10.0, 600.0, 100.0


def rows_of(name: str, steps: int, now: Grown, before: Grown | None) -> Iterator[Row]:
    """The rows of one size, compared with a tenth of it, if there is that."""
    title = f"growth, {name} of {steps:,}"
    small = f"{steps // 10:,} steps"
    if before is None:
        yield Row(f"{title}: time", now.seconds, "s")
        yield Row(f"{title}: peak memory", now.peak / 1e6, "MB")
    else:
        yield Row(f"{title}: time", now.seconds, "s", small, before.seconds, MOST_TIME)
        yield Row(f"{title}: peak memory", now.peak / 1e6, "MB", small, before.peak / 1e6, MOST_MEMORY)
    # Of few steps it is mostly what there is once, however many they are.
    pending, finished = (PER_PENDING, PER_FINISHED) if steps >= MANY else (None, None)
    kept = now.ended
    if name != "many":
        kept -= now.started
        yield Row(f"{title}: memory of a pending step", now.started / steps, "bytes", limit=pending)
    yield Row(f"{title}: memory of a finished step", max(0, kept) / steps, "bytes", limit=finished)


def main() -> None:
    """Print the rows."""
    sizes = SIZES[asked_scale(__doc__)]
    for name in ("many", "fan", "layers", "chain"):
        before: Grown | None = None
        for steps in sizes:
            if before is not None and before.seconds * 10 > PATIENCE:
                emit(Gap(f"growth, {name} of {steps:,}", f"a tenth takes {before.seconds:.0f} s already"))
                break
            now = in_own_process(grown, name, steps)
            for row in rows_of(name, steps, now, before):
                emit(row)
            before = now


if __name__ == "__main__":
    main()
