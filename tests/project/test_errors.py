"""Errors travel: between processes, and through what copies them."""

import copy
import pickle
from collections.abc import Callable

import pytest

from orchwf import errors

PROBLEM = errors.Problem("cycle", "a", "these steps wait for each other", "f.py:1", "Remove one.")
ERRORS = [
    errors.OrchwfError("any"),
    errors.DefinitionError("W", [PROBLEM]),
    errors.BadOptionError("timeout", [PROBLEM]),
    errors.EncodingError("no JSON"),
    errors.MissingArgumentError("W.charge", "order", "the output of step 'load'", ["order=..."]),
    errors.UnknownStepError("laod", "W", "Did you mean 'load'?"),
    errors.RunNotFoundError("r", "memory:"),
    errors.RunExistsError("r"),
    errors.RunOwnedError("r", "process 7"),
    errors.NotResumableError("r", "completed"),
    errors.ScheduleNotFoundError("nightly", "memory:", "Did you mean 'nighty'?"),
    errors.RunEndedError("r", "failed"),
    errors.WorkflowChangedError("r", "W", "step 'a' is new"),
    errors.UnknownWorkflowError("W", ["V"]),
    errors.UnpublishedWorkflowError("W", "memory:", "Did you mean 'V'?"),
    errors.InputError("W", ["input 'x' is missing"]),
    errors.RunFailed("r", "W", ["a"], "ValueError: bad"),
    errors.RunCancelled("r", "W", "enough"),
    errors.RunPaused("r", "W", "lunch"),
    errors.RunInterruptedError("r", "W"),
    errors.WaitTimeoutError("r", 2.5),
    errors.StepTimeoutError("too long"),
    errors.LoopLimitError("no end"),
    errors.TooFewItemsError("only one"),
    errors.RecordedError("shop.Sold", "out", "Traceback ..."),
    errors.ExecutorError("dask", "no", runs_on=True),
    errors.WorkerDiedError("dask", "step 'a' of run 'r'", "died"),
    errors.ExecutorUnavailableError("dask", "no scheduler"),
    errors.NotImportableError("dask", "no module"),
    errors.LargeOutputError("dask", "step 'a' of run 'r'", "no room"),
    errors.CallFailedError("https://a.example/x", "answered 503", 503),
    errors.CallPostponedError("https://a.example/x", "answered 429", 429, 7.0),
    errors.CallRefusedError("https://a.example/x", "answered 404", 404),
    errors.SignatureError("the header webhook-id is missing"),
    errors.StoreBusyError("locked"),
    errors.StoreNotFoundError("nowhere"),
    errors.ConflictError("r", 3),
    errors.IllegalTransitionError("step 'a'", "completed", "step.started"),
    errors.RetryAfter("30s"),
    errors.NonRetryable("never"),
    errors.Skip("nothing to do"),
    errors.Finish({"found": 3}),
]


def remade(error: errors.OrchwfError) -> object:
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("copied", [remade, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_copied_error_says_the_same(error: errors.OrchwfError, copied: Callable[[errors.OrchwfError], object]):
    """Class, message, attributes and notes are those of the original."""
    error.add_note("seen on Monday")

    other = copied(error)

    assert type(error) is type(other)
    assert str(error) == str(other)
    assert vars(error) == vars(other)


def test_every_error_is_copied_in_these_tests():
    """A new class has to travel as well."""
    classes = {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, BaseException)}
    bases = {errors.UsageError, errors.RunError, errors.StoreError, errors.StepControl, errors.OrchwfWarning}

    assert classes - bases == {type(each) for each in ERRORS}


def test_a_bad_value_is_told_in_one_line():
    """What is raised far from any workflow does not speak of compiling one."""
    error = errors.BadOptionError(
        "timeout", [errors.Problem("bad-option", "", "timeout takes a duration", hint="Say 3.")]
    )

    assert "timeout takes a duration\nSay 3." == str(error)


@pytest.mark.parametrize(
    ("store", "way"),
    [
        ("", "orchwf resume r1"),
        ("sqlite:///my runs.db", "orchwf resume --store 'sqlite:///my runs.db' r1"),
        ("memory:", "orchestrator.resume('r1')"),
    ],
)
def test_an_interruption_says_how_to_resume(store: str, way: str):
    """With the store that the run is in, if that has to be named."""
    assert str(errors.RunInterruptedError("r1", "W", store=store)).endswith(way)
