"""What is wrong with a run that died, beside one that did not."""

from collections.abc import Callable, Sequence
from typing import Any

from ..core.history import StepRecord
from ..core.state import RunStatus
from ..runtime.failure import describe_error
from ..runtime.result import RunResult
from .report import CrashProblem, log_lines
from .trials import Trial, called

_LONGEST = 200


def expect_end(trial: Trial, ends: RunStatus) -> None:
    """See whether an undisturbed run ended as it is to."""
    result = trial.result
    if result is not None and result.status is not ends:
        trial.blame("status", f"{_ended(result)}\nIf that is meant, say ends={str(result.status)!r}.")


def compare(trial: Trial, undisturbed: Trial, ignore: Sequence[str]) -> None:
    """See whether a run ended as the undisturbed one did, with the same outputs of all steps that are not ignored."""
    result, expected = trial.result, undisturbed.result
    if result is None or expected is None:
        return
    if result.status is not expected.status and not trial.doubted:
        trial.blame("status", f"{_ended(result)}\nundisturbed it ended {expected.status}")
        return
    for name, record in expected.steps.items():
        # One that waits for somebody has not come so far yet.
        if name not in ignore and (result.steps[name].status.is_final or not trial.doubted):
            _compare_step(trial, name, result, expected, record)


def _compare_step(
    trial: Trial, name: str, result: RunResult[Any], expected: RunResult[Any], record: StepRecord
) -> None:
    mine = result.steps[name]
    if mine.status is not record.status:
        what = mine.reason or (mine.error.headline if mine.error is not None else "")
        trial.blame(
            "status",
            f"step {name!r} ended {mine.status}{f' ({what})' if what else ''}; undisturbed it ended {record.status}",
        )
    elif mine.output != record.output and not _is_equal(result.outputs[name], expected.outputs[name]):
        trial.blame(
            "output",
            f"step {name!r} returned {_brief(result.outputs[name])}; undisturbed it returned "
            f"{_brief(expected.outputs[name])}\n"
            f"If that is meant (a time, a random number, the number of an attempt), say ignore=[{name!r}].",
        )


def _is_equal(value: object, expected: object) -> bool:
    try:
        return bool(value == expected)
    # Foreign code: values of the user's may not be comparable.
    except Exception:
        return False


async def check_result(trial: Trial, check: Callable[[RunResult[Any]], object]) -> None:
    """See what the user finds wrong with how a run ended."""
    if trial.result is None:
        return
    try:
        verdict = await called(check, trial.result)
    # Foreign code: an AssertionError most of the time; whatever it is, the check has not passed.
    except Exception as error:
        info = describe_error(error)
        place = [f"at {info.location}", f"  {info.source}"] if info.location else []
        trial.blame("check", "\n".join([f"the check failed: {type(error).__name__}: {info.message.strip()}", *place]))
    else:
        if verdict is False:
            trial.blame("check", "the check returned False")


def problem_of(trial: Trial, undisturbed: Trial) -> CrashProblem:
    """What there is to tell of a run that went wrong."""
    often = [
        f"{name!r} {trial.times(name)} times instead of {undisturbed.times(name)}"
        for name in dict.fromkeys(ran.step for ran in trial.log.ran)
        if trial.times(name) > undisturbed.times(name)
    ]
    hint = (
        f"Ran more often: {', '.join(often)}. What was in flight when its process died runs again:\n"
        "see to it that a second time changes nothing, by ctx.idempotency_key, which is the same for all\n"
        'attempts of a step, or declare the step delivery="at_most_once".'
    )
    return CrashProblem(
        deaths=tuple(place.text for place in trial.deaths),
        log=log_lines(trial.at_death),
        ran=tuple(map(str, trial.after_death)),
        faults=tuple(trial.faults),
        hint=hint if often and any(fault.kind in ("check", "output", "status") for fault in trial.faults) else "",
    )


def _ended(result: RunResult[Any]) -> str:
    """`it ended failed: ValueError: no`, and where."""
    lines = [f"it ended {result.status}" + (f": {result.error}" if result.error else "")]
    errors = [(name, result.steps[name].error) for name in result.failed_steps]
    lines += [
        f"{name}: {error.location}\n  {error.source}" for name, error in errors if error is not None and error.location
    ]
    return "\n".join(lines)


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
