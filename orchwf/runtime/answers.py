"""What somebody says who resumes a run by hand: what is to become of the steps that did not go well."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ..core.definition import ForChild, Several
from ..core.outcome import TakenUp
from ..core.references import Ref
from ..core.standing import Standing
from ..core.state import RunStatus
from ..core.suggestions import did_you_mean
from ..core.types import describe_type, holds
from ..errors import NotResumableError, UnknownStepError, UsageError
from .execution import Execution

Named = Ref[Any] | str
"""A step, or its name."""


def _names(given: Named | Sequence[Named]) -> tuple[str, ...]:
    several = [given] if isinstance(given, str | Ref) else given
    return tuple(each if isinstance(each, str) else each.name for each in several)


def _values(given: Mapping[Any, object]) -> dict[str, object]:
    return {each if isinstance(each, str) else each.name: value for each, value in given.items()}


@attrs.frozen(kw_only=True)
class Answers:
    """
    What is to become of steps: the names of those that are to run again, or to be skipped, and name -> output of those
    that somebody did by hand, or knows the output of.
    """

    rerun: tuple[str, ...] = attrs.field(default=(), converter=_names)
    skip: tuple[str, ...] = attrs.field(default=(), converter=_names)
    values: dict[str, object] = attrs.field(factory=dict, converter=_values)

    @property
    def is_given(self) -> bool:
        """Whether anything was said of any step."""
        return bool(self.rerun or self.skip or self.values)

    def applied(self, taken: TakenUp, execution: Execution) -> TakenUp:
        """
        The taking-up of this run by hand, with these answers.

        Raises:
            NotResumableError: there is nothing to resume.
            UsageError: a step is named that is not in question, or one that is in question is not, or a value is not
                what its step gives.
            EncodingError: a value cannot be stored.
        """
        run = execution.machine.run
        # By its summary it had not, but that was read before the claim.
        if run.status is RunStatus.COMPLETED:
            raise NotResumableError(run.run_id, run.status)
        if run.status is not RunStatus.RUNNING and run.effects.outcome == "done":
            raise NotResumableError(run.run_id, run.status, compensated=True)
        if run.status is RunStatus.CANCELLED and run.effects.outcome != "failed":
            raise NotResumableError(run.run_id, run.status)
        self._check(execution)
        index, nodes = run.plan.index, run.plan.nodes
        given = {
            index[name]: execution.codec.encode(value, nodes[index[name]].returns)
            for name, value in self.values.items()
        }
        return attrs.evolve(
            taken, by_hand=True, given=given,
            rerun=tuple(index[name] for name in self.rerun), skipped=tuple(index[name] for name in self.skip),
        )  # fmt: skip

    def _check(self, execution: Execution) -> None:
        run = execution.machine.run
        named = [*self.rerun, *self.skip, *self.values]
        # Those that were in flight when the process died, and may be run once only.
        doubtful = [*run.unknown, *(step for step in run.running if _runs_once(run, step))]
        unknown = list(dict.fromkeys(_owner(run, step) for step in doubtful))
        exhausted = {_owner(run, step) for step in run.exhausted}
        for name in named:
            step = run.plan.index.get(name)
            if step is None:
                raise UnknownStepError(name, execution.dag.name, did_you_mean(name, run.plan.index, "steps"))
            # Once something is being undone it is too late to say that a step did not fail.
            has_failed = step in run.errors and not run.effects.has_begun
            if step not in unknown and step not in exhausted and not has_failed:
                raise UsageError(
                    f"step {name!r} of run {run.run_id!r} is {run.statuses[step]}: rerun, skip and values are for "
                    "steps that failed or that nobody knows the fate of"
                )
            if named.count(name) > 1:
                raise UsageError(f"step {name!r} is named more than once in rerun, skip and values")
            if name in self.values:
                self._check_value(run, step, self.values[name])
        open_ones = [run.plan.nodes[step].name for step in unknown if run.plan.nodes[step].name not in named]
        if open_ones and run.cancel_reason is None:
            raise UsageError(
                f"nobody knows whether step {', '.join(map(repr, open_ones))} of run {run.run_id!r} took effect, "
                "and it runs at most once: say rerun, skip, or what its value is, when you resume the run"
            )

    def _check_value(self, run: Standing, step: int, value: object) -> None:
        node = run.plan.nodes[step]
        if run.plan.several.get(step) in (Several.EACH, Several.STREAM):
            raise UsageError(
                f"step {node.name!r} gives many results, each stored by itself, and values=... cannot say which: "
                "rerun it or skip it"
            )
        if isinstance(node.waits, ForChild):
            child = run.children[step].child if step in run.children else "that run"
            raise UsageError(
                f"step {node.name!r} gives what a run of its own gives, and values=... cannot say that: rerun it or "
                f"skip it, or resume {child!r}"
            )
        if not holds(node.returns, value):
            raise UsageError(
                f"step {node.name!r} of run {run.run_id!r} gives {describe_type(node.returns)}, not {value!r} "
                f"({describe_type(type(value))}): nothing is resumed"
            )


def _runs_once(run: Standing, step: int) -> bool:
    # While a step is taken apart into its items, nothing happens outside.
    if step in run.undone_by or step in run.plan.eaches:
        return False
    return run.nodes[step].options.delivery == "at_most_once"


def _owner(run: Standing, step: int) -> int:
    """The step that this is an item of, or itself."""
    return step if step < run.size else run.row_of(step).step
