"""What the bodies of many processes say they did, held against what is in the store, again and again."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import attrs

from orchwf.core import events as ev
from orchwf.core.events import Event
from tests.processes.place import Noted, parse_noted
from tests.processes.shared import Logs

_Body = tuple[str, str]
"""Run, and step with its mark."""
_Attempt = tuple[str, str, int]


@attrs.define
class Ledger:
    """
    Reads the file of effects, and objects to what must not be in it.

    Attributes:
        effects: That file; it may not be there yet.
        logs: Run -> its log as it was seen last.
        counts: What happened so far.
    """

    effects: Path
    logs: Logs = attrs.field(factory=dict)
    counts: Counter[str] = attrs.field(factory=Counter)
    _read: int = 0
    _kept: set[_Body] = attrs.field(factory=set)
    _begun: Counter[_Body] = attrs.field(factory=Counter)
    _attempts: dict[str, set[_Attempt]] = attrs.field(factory=dict)
    _ended: set[_Attempt] = attrs.field(factory=set)
    _over: set[str] = attrs.field(factory=set)

    def known(self, runs: Iterable[str]) -> dict[str, int]:
        """How many events of each of these are known."""
        return {run: len(self.logs.get(run, ())) for run in runs}

    def take(self, grown: Logs) -> None:
        """See that no body began again whose completion was stored, and that each completed step has taken effect."""
        for run, new in grown.items():
            self.logs.setdefault(run, []).extend(new)
        # What is noted from here on comes after what was read, so first what was noted, then what is known now.
        self._take_notes()
        for run, new in grown.items():
            for step, attempt in _completions(new):
                assert (run, step, attempt) in self._ended, f"step {step} of {run} completed without its effect"
                self._kept.add((run, step))

    def close(self, run: str) -> None:
        """This run has ended: no body of it may begin, and each that did had been told to by the log."""
        orders = {body for event in self.logs[run] if (body := _order(run, event))}
        assert self._attempts.pop(run, set()) <= orders
        self._over.add(run)
        self.counts["runs"] += 1
        self.counts["events"] += len(self.logs[run])
        self.counts.update(_fates(self.logs[run]))

    def _take_notes(self) -> None:
        if not self.effects.exists():
            return
        with self.effects.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        # A line that is being written is read the next time.
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            self._take(parse_noted(line))

    def _take(self, noted: Noted) -> None:
        body, attempt = (noted.run, noted.step), (noted.run, noted.step, noted.attempt)
        match noted.what:
            case "begin":
                of_run = self._attempts.setdefault(noted.run, set())
                assert noted.run not in self._over, f"{noted} after the end of the run"
                assert body not in self._kept, f"{noted} after its completion was stored"
                assert attempt not in of_run, f"{noted} for the second time"
                of_run.add(attempt)
                self._begun[body] += 1
                self.counts["bodies run"] += 1
                self.counts["bodies run again"] += self._begun[body] > 1
            case "end":
                self._ended.add(attempt)
            case "kept":
                self._kept.add(body)
            case _:
                raise AssertionError(f"{noted} is nothing that happens here")


def _completions(log: Iterable[Event]) -> list[tuple[str, int]]:
    """Step, with its mark, and attempt of each completion."""
    completed = []
    for event in log:
        match event:
            case ev.StepCompleted():
                completed.append((event.step, event.attempt))
            case ev.CompensationCompleted():
                completed.append((f"{event.step}~", event.attempt))
            case _:
                pass
    return completed


def _order(run: str, event: Event) -> _Attempt | None:
    """The attempt that this event lets begin; None if it is another event."""
    match event:
        case ev.StepStarted():
            return run, event.step, event.attempt
        case ev.CompensationStarted():
            return run, f"{event.step}~", event.attempt
        case _:
            return None


def _fates(log: Iterable[Event]) -> Counter[str]:
    """What is worth counting in a log."""
    kinds = Counter(type(event) for event in log)
    return Counter({
        "steps completed": kinds[ev.StepCompleted], "takeovers": kinds[ev.RunResumed],
        "retries": kinds[ev.StepRetrying], "compensations": kinds[ev.CompensationCompleted],
    })  # fmt: skip
