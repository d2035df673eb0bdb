"""Whether a function of the user's can be called as it is going to be."""

import inspect
from collections.abc import Callable
from typing import Any, TypeGuard

from .durations import bad_option


def takes_one(function: Callable[..., object]) -> bool:
    """Whether it can be called with one argument; also true of what Python cannot tell."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(None)
    except TypeError:
        return False
    return True


def is_plain_function(value: object) -> TypeGuard[Callable[..., Any]]:
    """Whether calling it gives its answer at once: no class, and no coroutine function."""
    is_deferred = inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value)
    return callable(value) and not isinstance(value, type) and not is_deferred


def check_function_of_instance(option: str, value: object, example: str) -> None:
    """
    See that this is a plain function that takes the workflow's instance alone.

    Raises:
        BadOptionError: it is not.
    """
    if not is_plain_function(value) or not takes_one(value):
        raise bad_option(
            option, f"{option} takes a plain function of the workflow's instance, not {value!r}",
            f"For example: {example}",
        )  # fmt: skip
