"""One call that lets a workflow's process die wherever it can, and looks whether its run survives."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Generic, TypeVar

import attrs

from ..blocking import blocking
from ..core.dag import Dag, dag_of
from ..core.events import RunCancelled, RunCompleted, RunFailed, RunPaused
from ..core.limits import Queue
from ..core.options import Duration, positive_seconds
from ..core.references import Ref
from ..core.state import RunStatus
from ..core.suggestions import did_you_mean
from ..errors import UnknownStepError, UsageError
from ..ports import AroundRun, AroundStep, PayloadCodec
from ..runtime.result import RunResult
from .bodies import changed
from .dying import Fate, Place
from .freezing import mortal, mortal_task
from .judging import check_result, compare, expect_end, problem_of
from .report import CrashError, CrashReport, log_lines
from .trials import Answers, Crew, Trial

W = TypeVar("W")

Named = Ref[Any] | str
"""A step, or its name."""


def crash_everywhere(
    workflow: W,
    *,
    reset: Callable[[], object] | None = None,
    check: Callable[[RunResult[W]], object] | None = None,
    ends: RunStatus | str = RunStatus.COMPLETED,
    ignore: Named | Sequence[Named] = (),
    steps: Named | Sequence[Named] = (),
    rerun: Named | Sequence[Named] = (),
    skip: Named | Sequence[Named] = (),
    values: Mapping[Any, object] | None = None,
    send: Mapping[Any, object] | None = None,
    metadata: Mapping[str, object] | None = None,
    max_concurrency: int = 256,
    queues: Sequence[Queue] = (),
    patience: Duration = 10.0,
    middleware: Sequence[AroundStep | AroundRun] = (),
    codec: PayloadCodec | None = None,
) -> CrashReport:
    """
    Run a workflow once undisturbed, and once for each place where its process can die; see whether it is all the same.

    ::

        def test_order_survives():
            crash_everywhere(Order(id="A1"), reset=shop.clear, check=lambda result: len(shop.charges) == 1)

    The process dies before and after each write (before it takes effect, and after it did but before that is known),
    before and after it takes slots, and before and after each body, of steps and compensations alike. From that instant
    nothing is written, told, released or cleaned up by it, and its bodies stay where they are; only a thread, which
    nobody can stop, goes on to the end of its body. Another process takes the run up at once, and in runs of their own
    dies, too, while it does.
    Back-offs take no time. The store is in memory.

    It blocks, and works where an event loop is running, too: the workflow runs on a loop of its own.

    Args:
        workflow: An instance, with its inputs.
        reset: Is called before each run, also the undisturbed one: makes the outside world new. It is not called when a
            process dies: the world outlives it.
        check: Is given the result after each run that ended; what it raises, or that it returns False, is a problem.
        ends: How the undisturbed run has to end: `completed`, `failed`, `cancelled` or `paused`.
        ignore: Steps whose outputs and ends may differ from run to run: as they read the time, say.
        steps: Only those places are tried that concern these steps. By default all.
        rerun, skip, values: What is answered, as to `Orchestrator.resume`, when nobody knows whether one of these steps
            took effect that run at most once. Without an answer the run stays paused, which is no problem; then
            `check` is not called.
        send: Signal, or its name -> what is sent to each run as soon as it is started.
        metadata: What the runs are given along.
        max_concurrency: How many steps may run at a time.
        queues: The queues that its steps name.
        patience: How long, in real time, one process may take: a duration.
        middleware, codec: What the application gives to `Orchestrator`.

    `reset` and `check` may be coroutine functions.

    Returns:
        What was tried, if nothing was wrong.

    Raises:
        CrashError: something was; its text says where it died, what the log was, what ran then and what was wrong.
        UsageError: something given makes no sense.
    """
    if isinstance(workflow, type):
        name = workflow.__name__
        raise UsageError(f"crash_everywhere() takes an instance with its inputs, {name}(...), not the class {name}")
    dag = dag_of(type(workflow))
    given = dict(values or {})
    answers = Answers(
        rerun=_names(dag, rerun), skip=_names(dag, skip),
        values=dict(zip(_names(dag, list(given)), given.values(), strict=True)),
    )  # fmt: skip
    crew = Crew(
        workflow=workflow, reset=reset, answers=answers, send=send or {}, metadata=metadata,
        max_concurrency=max_concurrency, queues=queues, patience=positive_seconds(patience, "patience"), codec=codec,
        middleware=tuple(middleware),
    )  # fmt: skip
    plan = _Plan(
        crew=crew, check=check, ends=_ending(ends), ignore=_names(dag, ignore), steps=_names(dag, steps)
    )  # fmt: skip
    with ExitStack() as stack:
        for each in _all_started(dag):
            stack.enter_context(changed(each, lambda node: mortal(node, crew.life_here)))
        report = blocking(plan.carried_out())
    if report.problems:
        raise CrashError(report)
    return report


def _all_started(dag: Dag) -> list[type]:
    """The class of this workflow, and those of all that its runs may start, in turn."""
    found = [dag.workflow] if dag.workflow is not None else []
    for workflow in found:
        found += [each for each in dag_of(workflow).started if each not in found]
    return found


def _names(dag: Dag, given: Named | Sequence[Named]) -> tuple[str, ...]:
    several = [given] if isinstance(given, str | Ref) else given
    names = tuple(each if isinstance(each, str) else each.name for each in several)
    for name in names:
        if name not in dag.nodes:
            raise UnknownStepError(name, dag.name, did_you_mean(name, dag.nodes, "steps"))
    return names


def _ending(ends: RunStatus | str) -> RunStatus:
    known = [each for each in RunStatus if each.is_final or each is RunStatus.PAUSED]
    if ends not in known:
        raise UsageError(f"ends takes one of {', '.join(known)}; not {ends!r}")
    return RunStatus(ends)


@attrs.define(kw_only=True, eq=False)
class _Plan(Generic[W]):
    """All deaths of one `crash_everywhere`; `trials` are the runs that there were, the undisturbed one first."""

    crew: Crew[W]
    check: Callable[[RunResult[W]], object] | None
    ends: RunStatus
    ignore: tuple[str, ...]
    steps: tuple[str, ...]
    trials: list[Trial] = attrs.field(factory=list)

    async def carried_out(self) -> CrashReport:
        """What came of it."""
        began = time.perf_counter()
        asyncio.get_running_loop().set_task_factory(mortal_task)
        try:
            await self._run_all()
        finally:
            self.crew.close()
        return CrashReport(
            workflow=dag_of(type(self.crew.workflow)).name,
            deaths=tuple(", then ".join(place.text for place in trial.deaths) for trial in self.trials if trial.deaths),
            lives=len(self.crew.lives),
            paused=sum(bool(trial.doubted) for trial in self.trials),
            doubted=tuple(dict.fromkeys(name for trial in self.trials for name in trial.doubted)),
            duration=time.perf_counter() - began,
            problems=tuple(problem_of(trial, self.trials[0]) for trial in self.trials if trial.faults),
        )

    async def _run_all(self) -> None:
        if not (await self._is_sound() and await self._is_sound()):
            return
        number = 1
        while await self._dies(self._at_number(number)):
            number += 1
        for place in self._missed():
            await self._dies(_at(place))
        for trial in self._states() if not self.steps else ():
            for fate in _while_resuming():
                await self._dies(_at(trial.deaths[0]), fate)

    async def _is_sound(self) -> bool:
        """Whether all is well with a run that does not die, and it is as the one before it."""
        trial = await self.crew.trial()
        expect_end(trial, self.ends)
        await self._judge(trial)
        return not trial.faults

    async def _dies(self, *fates: Fate) -> bool:
        """Let the processes of a run die so; whether they did."""
        if self.trials[-1].result is None:
            # It takes long to see that a run does not end, and others will not either.
            return False
        trial = await self.crew.trial(*fates)
        await self._judge(trial)
        return len(trial.deaths) == len(fates)

    async def _judge(self, trial: Trial) -> None:
        self.trials.append(trial)
        compare(trial, self.trials[0], self.ignore)
        if self.check is not None and not trial.doubted:
            await check_result(trial, self.check)

    # Where to die.

    def _concerns(self, place: Place) -> bool:
        return not self.steps or any(name in self.steps for name in place.steps)

    def _at_number(self, number: int) -> Fate:
        """To die at the place that comes so many-th, counted from 1."""
        count = 0

        def fate(place: Place) -> bool:
            nonlocal count
            count += self._concerns(place)
            return count == number

        return fate

    def _missed(self) -> list[Place]:
        """The bodies around which nothing died, as what runs side by side comes in another order each time."""
        tried = {place for trial in self.trials for place in trial.deaths}
        reached = dict.fromkeys(self.trials[0].log.reached)
        return [each for each in reached if each.kind == "body" and each not in tried and self._concerns(each)]

    def _states(self) -> list[Trial]:
        """A run for each state of the log in which there was something to take up."""
        found: dict[tuple[str, ...], Trial] = {}
        for trial in self.trials:
            if trial.at_death and not isinstance(trial.at_death[-1], _LAST):
                found.setdefault(log_lines(trial.at_death), trial)
        return list(found.values())


_LAST = (RunCompleted, RunFailed, RunCancelled, RunPaused)


def _at(place: Place) -> Fate:
    """To die when a process comes to this place."""
    return lambda here: here == place


def _while_resuming() -> list[Fate]:
    """To die at each place of a process that takes a run up."""

    def fate(beginning: str) -> Fate:
        return lambda place: place.resumes and place.text.startswith(beginning)

    return [fate(beginning) for beginning in ("before it", "after it", "before the write", "after the write")]
