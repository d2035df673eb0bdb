"""When the output of an earlier run does as well: what a step says of it, and under which key it is found."""

import hashlib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from .arity import is_plain_function
from .durations import Duration, bad_option, positive_seconds
from .names import bad_name

_EXAMPLE = "For example: key=lambda self, **args: (self.day, args['rows'])"


@attrs.frozen(kw_only=True)
class Lookup:
    """The output of `key` is wanted, if it was stored after `since` (epoch seconds)."""

    key: str
    since: float = -math.inf


@attrs.frozen(kw_only=True)
class CacheEntry:
    """
    The output of a step, kept for other runs.

    Attributes:
        key: Under which it is found.
        run_id, step: Which run computed it, by which step.
        output: The encoded value.
        created_at: When (epoch seconds).
        expires_at: From when on nobody wants it (epoch seconds); None for never.
    """

    key: str
    run_id: str
    step: str
    output: str
    created_at: float
    expires_at: float | None = None


def _read_ttl(value: Duration | None) -> float | None:
    return None if value is None else positive_seconds(value, "Cache(ttl=...)")


def _check_text(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if (value is not None or attribute.name == "version") and (reason := bad_name(value)):
        hint = f'For example: version="{value}"' if isinstance(value, int) else ""
        raise bad_option("Cache", f"Cache({attribute.name}={value!r}) cannot be: {reason}", hint)


def _check_key(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if value is not None and not (is_plain_function(value) and _takes_instance(value)):
        message = f"Cache(key=...) takes a plain function of the workflow's instance and the arguments, not {value!r}"
        raise bad_option("Cache", message, _EXAMPLE)


def _takes_instance(function: Callable[..., object]) -> bool:
    """Whether it can be called with one argument and others by name."""
    parameters = _parameters(function)
    if parameters is None:
        return True
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    return bool(positional) or any(each.kind is each.VAR_POSITIONAL for each in parameters)


def _parameters(function: Callable[..., object]) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # Python cannot tell.
        return None


@attrs.frozen(kw_only=True)
class Cache:
    """
    The output of a step is kept, and given to later runs in which the step would get the same.

    The same is: the arguments that it takes from other steps, and all inputs of the workflow.

    Args:
        ttl: How long an output may be given: a duration. None for ever.
        key: A function of the workflow's instance that takes the step's arguments by name, those that it names or
            `**args` for all; the same is then what it gives. Any value that a step could return.
        version: A text; outputs of other versions are not given. To be changed with what the step does.
        name: Steps with this name share their outputs, whatever they and their workflows are called, if they are of one
            type. By default a step shares them with nobody.

    Raises:
        BadOptionError: at once, for a value that makes no sense.
    """

    ttl: float | None = attrs.field(default=None, converter=_read_ttl)
    key: Callable[..., object] | None = attrs.field(default=None, validator=_check_key)
    version: str = attrs.field(default="1", validator=_check_text)
    name: str | None = attrs.field(default=None, validator=_check_text)

    def identity(self, workflow: str, step: str) -> list[str]:
        """What tells its outputs from those of other steps, as texts."""
        of = ["step", workflow, step] if self.name is None else ["name", self.name]
        return [*of, self.version]

    def call_key(self, instance: object, arguments: Mapping[str, object]) -> object:
        """
        What `key` gives, called with those of the arguments that it takes.

        Raises:
            Exception: whatever it raises.
        """
        if self.key is None:
            return None
        parameters = _parameters(self.key)
        if parameters is not None and not any(each.kind is each.VAR_KEYWORD for each in parameters):
            # The first one is the instance, whatever it is called.
            names = {each.name for each in parameters[1:]}
            arguments = {name: value for name, value in arguments.items() if name in names}
        return self.key(instance, **arguments)

    def since(self, now: float) -> float:
        """After which instant (epoch seconds) an output must have been stored to be given now."""
        return -math.inf if self.ttl is None else now - self.ttl

    def expires_at(self, now: float) -> float | None:
        """From when on (epoch seconds) an output that is stored now is given to nobody; None for never."""
        return None if self.ttl is None else now + self.ttl


def cache_key(parts: Iterable[str]) -> str:
    """The SHA-256 of these texts, in hexadecimal; how they are divided counts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()


def cache_document(cache: Cache | None) -> dict[str, Any]:
    """What the document of a graph says of it; empty if a step has none."""
    if cache is None:
        return {}
    return {"cache": {"ttl": cache.ttl, "version": cache.version, "name": cache.name, "key": cache.key is not None}}


def read_cache(document: Mapping[str, Any]) -> Cache | None:
    """What `cache_document` made this part of a document of, without its code."""
    given = document.get("cache")
    if given is None:
        return None
    return Cache(ttl=given["ttl"], version=given["version"], name=given["name"], key=_unknown if given["key"] else None)


def _unknown(instance: object, **arguments: object) -> object:
    """Stands for the function of a graph that was read from a store."""
    return None
