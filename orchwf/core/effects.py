"""What the steps of a run did outside, as far as it can be undone: which, in which order, and what came of it."""

from collections.abc import Callable, Mapping

import attrs

from .events import ErrorInfo


@attrs.define
class Effects:
    """
    The steps that have a compensation and whose effect may have happened. Steps are numbers of the plan.

    Attributes:
        undo: Step -> the number of its compensation.
        order: The steps that are not undone, in the order in which they ended.
        doubtful: The steps of which an attempt may have had its effect though it did not complete: its process died,
            or its thread could not be stopped.
        errors: Step -> why it could not be undone, in the order of the attempts to.
        has_undone: Whether any is undone.
        has_begun: Whether the first compensation has been started.
    """

    undo: Mapping[int, int]
    order: list[int] = attrs.field(factory=list)
    doubtful: set[int] = attrs.field(factory=set)
    errors: dict[int, ErrorInfo] = attrs.field(factory=dict)
    has_undone: bool = False
    has_begun: bool = False

    @property
    def next(self) -> int | None:
        """The number of the compensation that comes next: that of the step which ended last; None if none is left."""
        return self.undo[self.order[-1]] if self.order else None

    @property
    def outcome(self) -> str:
        """`failed` if something could not be undone, `done` if all was, empty if there was nothing to undo."""
        if self.errors or (self.has_begun and self.order):
            return "failed"
        return "done" if self.has_undone else ""

    def doubt(self, step: int) -> None:
        """An attempt of this step may have had its effect."""
        self.doubtful.add(step)

    def note(self, step: int, *, happened: bool) -> None:
        """This step, which has a compensation, has ended, with its effect if it `happened`."""
        if happened or step in self.doubtful:
            self.order.append(step)

    def settle(self, step: int, error: ErrorInfo | None) -> None:
        """The compensation of this step, which was the next one, has ended."""
        self.order.pop()
        if error is None:
            self.has_undone = True
        else:
            self.errors[step] = error

    def forget(self, is_over: Callable[[int], bool]) -> None:
        """Leave out the steps that are to run again: those that are not over."""
        self.order = [step for step in self.order if is_over(step)]

    def try_again(self) -> list[int]:
        """Take what could not be undone as not yet undone; the numbers of these compensations."""
        # They were tried from the last to the first, before what is left.
        steps = list(reversed(self.errors))
        self.order += steps
        self.errors.clear()
        return [self.undo[step] for step in steps]
