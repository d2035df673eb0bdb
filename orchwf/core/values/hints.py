"""What type annotations say about values; what they do not say is UNKNOWN."""

from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from ..definition import UNKNOWN

_WRAPPERS = (Annotated, Final, ClassVar, Required, NotRequired)


def unwrapped(hint: Any) -> Any:
    """The hint without what says nothing about the form of its values: Annotated, NewType, Final, Required."""
    while True:
        if isinstance(hint, NewType):
            hint = hint.__supertype__
        elif get_origin(hint) in _WRAPPERS:
            hint = get_args(hint)[0]
        else:
            return hint


def substituted(hint: Any, variables: dict[Any, Any]) -> Any:
    """The hint with its type variables replaced; those that nothing is known of become UNKNOWN, or Any inside."""
    if isinstance(hint, TypeVar):
        return variables.get(hint, UNKNOWN)
    parameters = getattr(hint, "__parameters__", ())
    # A class that is generic itself stands for itself.
    if not parameters or isinstance(hint, type):
        return hint
    generic: Any = hint
    try:
        return generic[tuple(variables.get(parameter, Any) for parameter in parameters)]
    # A ParamSpec and its like do not describe values.
    except TypeError:
        return UNKNOWN


def type_variables(cls: type, args: tuple[Any, ...]) -> dict[Any, Any]:
    """What the type variables of a generic class, and of its bases, stand for. Where two disagree the first counts."""
    variables: dict[Any, Any] = dict(zip(getattr(cls, "__parameters__", ()), args, strict=False))
    for base in cls.__mro__:
        for generic in vars(base).get("__orig_bases__", ()):
            parameters = getattr(get_origin(generic), "__parameters__", ())
            for parameter, arg in zip(parameters, get_args(generic), strict=False):
                variables.setdefault(parameter, substituted(arg, variables))
    return variables


def attribute_hints(cls: type) -> dict[str, Any]:
    """The annotations of a class by name; none if one of them cannot be resolved."""
    try:
        return get_type_hints(cls, localns={cls.__name__: cls}, include_extras=True)
    # Resolving evaluates text that somebody wrote: any error may come of it.
    except Exception:
        return {}
