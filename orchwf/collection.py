"""From classes and functions to drafts: which steps a workflow has, over all its bases, and what each is made of."""

import functools
import hashlib
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from .core import references
from .core.children import ChildResult
from .core.compiler import compile_draft
from .core.dag import DAG_ATTRIBUTE
from .core.definition import ForTime
from .core.drafts import Body, CompensationDraft, StepDraft, WorkflowDraft
from .core.names import bad_name
from .core.options import StepOptions
from .core.parsing import workflow_options
from .core.references import Condition, Ref
from .core.types import describe_type
from .digest import code_digest
from .errors import DefinitionError, Problem
from .garbage import collector_paused
from .inputs import inputs_of, make_fields
from .introspection import Reader, entrypoint_of, frame_names, location_of, place
from .shown import SHOWN, ShownGraph
from .steps import CREATED, Declared, Step, make_step
from .waits import Signal, Sleep, Subflow

AnyStep = Step[Any, ..., Any, Any]
AnyDeclared = Declared[Any]

_MADE = "__orchwf_made__"
"""Where a class made by `make_workflow` keeps its steps: name -> step."""


def compile_class(cls: Any, given: Mapping[str, object], frame: types.FrameType) -> type[Any]:
    """
    Make a class a workflow: its inputs, its steps, its graph.

    Args:
        given: The options of `@workflow(...)`.
        frame: Where the class is decorated.

    Raises:
        DefinitionError: with everything that is wrong.
    """
    if not isinstance(cls, type):
        message = f"@workflow decorates a class, not {cls!r}"
        raise DefinitionError(getattr(cls, "__name__", repr(cls)), [Problem("bad-option", "", message)])
    if DAG_ATTRIBUTE in vars(cls):
        message = f"{cls.__name__} is a workflow already"
        raise DefinitionError(cls.__name__, [Problem("bad-option", "", message, hint="Decorate it once.")])
    location, names = place(frame.f_code.co_filename, frame.f_lineno), frame_names(frame)
    problems = [*_lost_steps(cls), *_reserved(cls, location), *make_fields(cls, location)]
    collected = _collect(cls)
    problems += _aliases(cls, collected)
    reader = Reader(cls, names)
    drafts = [_draft(step, _node_name(attribute, step), reader, cls) for attribute, step in collected.items()]
    return _finish(cls, given, drafts, _finder(cls, collected), problems, frame)


def _finish(
    cls: type[Any],
    given: Mapping[str, object],
    drafts: Sequence[StepDraft],
    find: Callable[[Ref[Any]], str | None],
    problems: Sequence[Problem],
    frame: types.FrameType,
) -> type[Any]:
    options, wrong = workflow_options(given)
    known = {**frame.f_globals, **frame_names(frame)}
    inputs, unresolved = inputs_of(cls, known) if hasattr(cls, "__attrs_attrs__") else ([], [])
    draft = WorkflowDraft(
        name=options.name or cls.__name__,
        version=options.version,
        description=inspect.cleandoc(vars(cls).get("__doc__") or ""),
        inputs=inputs,
        steps=drafts,
        find=find,
        options=options.options,
        workflow=cls,
        entrypoint=entrypoint_of(cls),
        problems=(*wrong, *problems),
        location=place(frame.f_code.co_filename, frame.f_lineno),
        unresolved=tuple(unresolved),
    )
    setattr(cls, DAG_ATTRIBUTE, compile_draft(draft))
    if not hasattr(cls, SHOWN):
        setattr(cls, SHOWN, ShownGraph())
    return cls


def _lost_steps(cls: type) -> list[Problem]:
    """Steps that were made in the body of a class and are not in it any more: something took their name."""
    problems = []
    for base in cls.__mro__:
        present = {id(_unwrapped(value)) for value in vars(base).values()}
        for step in vars(base).get(CREATED, ()):
            if id(step) in present:
                continue
            if not step.name:
                problems.append(_lost_wait(base, step))
                continue
            name = step.name
            other = location_of(_unwrapped(vars(base).get(name)))
            if name in vars(base):
                place_of_it = f" at {other}" if other else ""
                message = (
                    f"{base.__name__} defines {name!r} twice: the second definition{place_of_it} replaces this step"
                )
                hint = "Rename one of them; @step is the outermost decorator."
            else:
                message = f"step {name!r} was made in {base.__name__}, but is no attribute of it"
                hint = "Assign it to a name of the class."
            problems.append(Problem("duplicate-name", name, message, location_of(step), hint))
    return problems


def _lost_wait(base: type, declared: AnyDeclared) -> Problem:
    """The same of a signal or a sleep, which has no name but that of the class for it."""
    kind = type(declared).__name__.lower()
    message = f"a {kind} was made in {base.__name__}, but is no attribute of it"
    hint = "Assign it to a name of the class; of two of the same name the second one replaces the first."
    return Problem("duplicate-name", "", message, _place_of(declared), hint)


def _place_of(declared: AnyDeclared) -> str:
    return declared.location if isinstance(declared, Signal | Sleep) else location_of(declared)


def _unwrapped(value: object) -> object:
    return value.__func__ if isinstance(value, staticmethod) else value


def _reserved(cls: type, location: str) -> list[Problem]:
    problems = []
    for name, value in vars(cls).items():
        if isinstance(value, Declared) and name.startswith("__") and name.endswith("__"):
            message = f"a step cannot be called {name!r}: Python calls it itself"
            problems.append(Problem("reserved-name", name, message, _place_of(value), "Rename it."))
        elif name == "__init__" and isinstance(value, types.FunctionType) and "__attrs_attrs__" not in vars(cls):
            message = f"{cls.__name__} has an __init__, but a run makes the instance from its inputs"
            hint = "Annotate the inputs as attributes; for more, define __attrs_post_init__."
            problems.append(Problem("reserved-name", "", message, location_of(value) or location, hint))
    return problems


def _collect(cls: type) -> dict[str, AnyDeclared]:
    """
    Attribute -> step, by the rules of attribute look-up, in the order of definition, bases first.

    What overrides a step without being decorated becomes a step with the same options, and the class gets it.
    """
    found: dict[str, object] = {}
    overridden: dict[str, AnyDeclared] = {}
    for base in reversed(cls.__mro__[:-1]):
        for name, value in {**vars(base), **vars(base).get(_MADE, {})}.items():
            found[name] = value
            if isinstance(inner := _unwrapped(value), Declared):
                overridden[name] = inner
    steps: dict[str, AnyDeclared] = {}
    for name, value in found.items():
        if isinstance(value, Declared):
            steps[name] = value
        elif name in overridden:
            steps[name] = _as_step(cls, name, value, overridden[name])
    return steps


def _as_step(cls: type, name: str, value: Any, base: AnyDeclared) -> AnyStep:
    if isinstance(value, staticmethod) and isinstance(value.__func__, Step):
        step: AnyStep = Step(staticmethod(value.__func__.function), base.options, base.problems)
    else:
        step = base.with_function(value) if isinstance(base, Step) else Step(value, base.options)
    step.compensation = base.compensation
    step.__set_name__(cls, name)
    setattr(cls, name, step)
    return step


def _aliases(cls: type, collected: Mapping[str, AnyDeclared]) -> list[Problem]:
    """One step under two names of a class: it would run twice, and nobody could tell which output is meant."""
    first: dict[int, str] = {}
    problems = []
    for name, step in collected.items():
        other = first.setdefault(id(step), name)
        if other != name and step.owner is not None:
            message = f"{name!r} is the step {other!r} again"
            hint = f"Make it a step of its own:  {name} = step({other}.function)"
            if not isinstance(step, Step):
                kind = type(step).__name__.lower()
                message, hint = (
                    f"{name!r} is the {kind} {other!r} again",
                    f"Make it one of its own:  {name} = {kind}(...)",
                )
            problems.append(Problem("duplicate-name", name, message, _place_of(step), hint))
    return problems


def _is_method(step: AnyDeclared) -> bool:
    # A step without an owner is one of `make_workflow`, which this class inherits.
    return step.owner is not None and not step.is_static


def _node_name(attribute: str, step: AnyDeclared) -> str:
    return step.name if step.owner is not None else attribute


def _draft(step: AnyDeclared, name: str, reader: Reader, cls: type | None) -> StepDraft:
    if not isinstance(step, Step):
        return _wait_draft(step, name, cls)
    is_method = cls is not None and _is_method(step)
    body = reader.body(step.function, is_method=is_method)
    step.is_compiled = True
    problems = [
        Problem(each.code, name, f"step {name!r}: {each.message}", each.location or body.location, each.hint)
        for each in step.problems
    ]
    compensation = None
    if step.compensation is not None:
        function = _present(step.compensation.function, cls)
        compensation = CompensationDraft(
            body=reader.body(function, is_method=is_method),
            options=step.compensation.options,
            problems=step.compensation.problems,
        )
    waits = None
    if isinstance(step, Subflow):
        problems += _not_a_workflow(name, body, cls)
        waits = step.waits(body.returns if isinstance(body.returns, type) else None)
        body = attrs.evolve(body, returns=ChildResult)
    own = _own_functions(step.options)
    if compensation is not None:
        own.append(compensation.body.function)
    digest = functools.cache(functools.partial(_digest_of_all, body.digest, own, cls)) if own else None
    return StepDraft(
        name=name, body=body, options=step.options, attribute=step.attribute, problems=tuple(problems), digest=digest,
        compensation=compensation, waits=waits,
    )  # fmt: skip


def _wait_draft(declared: AnyDeclared, name: str, cls: type | None) -> StepDraft:
    """A signal or a sleep: what has no body of its own."""
    declared.is_compiled = True
    if not isinstance(declared, Signal | Sleep):
        message = f"a workflow has steps, signals and sleeps, not {declared!r}"
        raise DefinitionError(name, [Problem("not-a-function", name, message)])
    waits, wrong = declared.waits(name, "" if cls is None else cls.__module__)
    problems = [
        Problem(each.code, name, f"{waits.kind} {name!r}: {each.message}", declared.location, each.hint)
        for each in (*declared.problems, *wrong)
    ]
    own = _own_functions(declared.options)
    own += [waits.until] if isinstance(waits, ForTime) and callable(waits.until) else []
    digest = functools.cache(functools.partial(_digest_of_all, str, own, cls)) if own else str
    body = Body(function=_no_body, takes_self=False, returns=declared.returns, location=declared.location)
    return StepDraft(
        name=name, body=body, options=declared.options, attribute=declared.attribute, problems=tuple(problems),
        digest=digest, waits=waits,
    )  # fmt: skip


def _no_body() -> None:
    """What waits for something outside has no body."""


def _not_a_workflow(name: str, body: Body, cls: type | None) -> list[Problem]:
    """The problem of a subflow that does not say which workflow it gives."""
    hint = "Annotate what it returns with the class:  def ship(self, ...) -> Shipping: return Shipping(...)"
    given, is_class = body.returns, isinstance(body.returns, type)
    is_unresolved = any(parameter == "return" for parameter, _ in body.unresolved)
    if body.is_stream:
        message = f"subflow {name!r} is a generator, but starts one run"
    # A workflow that starts runs of its own kind is not compiled yet, and its name may not be bound.
    elif body.problems or is_unresolved or given is cls or (is_class and hasattr(given, DAG_ATTRIBUTE)):
        return []
    elif is_class and vars(given).get(CREATED):
        message = f"subflow {name!r} gives {given.__name__}, which is not a workflow"
        hint = f"Decorate {given.__name__} with @workflow."
    else:
        shown = describe_type(given)
        message = f"subflow {name!r} does not say which workflow it gives" + (f", but {shown}" if shown else "")
    return [Problem("bad-option", name, message, body.location, hint)]


def _present(function: Any, cls: type | None) -> Any:
    """What the class has now under the name that a function has in the class it was written in."""
    for base in cls.__mro__ if cls is not None else ():
        for name, value in vars(base).items():
            if value is function:
                return inspect.getattr_static(cls, name)
    return function


def _own_functions(options: StepOptions) -> list[Callable[..., object]]:
    """The functions of the user's that decide whether, or how often, the step runs."""
    own = [each for each in (options.until, options.item_key) if each is not None]
    if options.when is None:
        return own
    if not isinstance(options.when, Condition):
        return [*own, options.when]
    predicates = [test.predicate for test in options.when.tests()]
    return [*own, *(each for each in predicates if getattr(each, "__module__", "") != references.__name__)]


def _digest_of_all(body: Callable[[], str], own: Sequence[Callable[..., object]], cls: type | None) -> str:
    parts = [body(), *(code_digest(function, cls) for function in own)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _finder(cls: type, collected: Mapping[str, AnyDeclared]) -> Callable[[Ref[Any]], str | None]:
    """What a reference means in this class: what it has now under the name that the reference had in its class."""
    names = {id(step): _node_name(attribute, step) for attribute, step in reversed(list(collected.items()))}
    by_name = set(names.values())
    mro = set(cls.__mro__)

    def find(ref: Ref[Any]) -> str | None:
        if id(ref) in names:
            return names[id(ref)]
        if not isinstance(ref, Declared):
            return None
        if ref.owner in mro and ref.attribute in collected:
            return _node_name(ref.attribute, collected[ref.attribute])
        return ref.name if ref.owner is None and ref.name in by_name else None

    return find


@collector_paused()
def compile_functions(
    name: str,
    steps: Sequence[Callable[..., Any] | AnyDeclared] | Mapping[str, Callable[..., Any] | AnyDeclared],
    inputs: Mapping[str, Any],
    given: Mapping[str, object],
    frame: types.FrameType,
) -> type[Any]:
    """
    A workflow class of functions that take no `self`; arguments as of `make_workflow`.

    Args:
        frame: The caller's: the class is said to be defined there.

    Raises:
        DefinitionError: with everything that is wrong.
    """
    location = place(frame.f_code.co_filename, frame.f_lineno)
    if reason := bad_name(name):
        problem = Problem("bad-option", "", f"this cannot be the name of a workflow: {reason}", location)
        raise DefinitionError(str(name) or "make_workflow", [problem])
    if problems := _check_made(name, steps, inputs, location):
        raise DefinitionError(name, problems)
    options = dict(given)
    cls: type[Any] = type(name, (), {"__module__": frame.f_globals.get("__name__", "__main__")})
    cls.__doc__ = str(options.pop("description", "") or "")
    problems = [*_declare(cls, inputs, location), *make_fields(cls, location)]
    pairs = list(map(_own_name, steps)) if not isinstance(steps, Mapping) else list(map(_named_step, steps.items()))
    _expose(cls, pairs)
    names = frame_names(frame)
    reader = Reader(None, names)
    drafts = [_draft(step, key, reader, None) for key, step in pairs]
    by_id = {id(step): key for key, step in reversed(pairs)}
    keys = dict(pairs)

    def find(ref: Ref[Any]) -> str | None:
        if id(ref) in by_id:
            return by_id[id(ref)]
        # A step of the same name will do: names are what generated graphs are made by.
        return ref.name if isinstance(ref, Declared) and ref.owner is None and ref.name in keys else None

    return _finish(cls, options, drafts, find, problems, frame)


def _check_made(name: str, steps: object, inputs: object, location: str) -> list[Problem]:
    problems = []
    if isinstance(steps, str) or not isinstance(steps, Iterable):
        message, hint = (
            f"steps are a sequence of steps and functions, not {steps!r}",
            f"For one: make_workflow({name!r}, [step])",
        )
        problems.append(Problem("bad-option", "", message, location, hint))
    if not isinstance(inputs, Mapping):
        message, hint = f"inputs are a mapping of names to types, not {inputs!r}", "For example: inputs={'path': str}"
        problems.append(Problem("bad-option", "", message, location, hint))
    return problems


def _declare(cls: type, inputs: Mapping[str, Any], location: str) -> list[Problem]:
    """Give a class these inputs, as if they had been written in its body."""
    problems = []
    annotations: dict[str, Any] = {}
    for name, declared in inputs.items():
        kind, *default = declared if isinstance(declared, tuple) else (declared,)
        is_value = isinstance(kind, int | float | bytes | list | dict | set | Ref)
        if not isinstance(name, str) or len(default) > 1 or is_value:
            message = f"an input is name: type, or name: (type, default), not {name!r}: {declared!r}"
            problems.append(Problem("bad-option", "", message, location))
            continue
        annotations[name] = kind
        if default and not name.startswith("__"):
            setattr(cls, name, default[0])
    cls.__annotations__ = annotations
    return problems


def _named_step(item: tuple[str, Any]) -> tuple[str, AnyDeclared]:
    name, function = item
    step: AnyDeclared = function if isinstance(function, Declared) else make_step(function, {})
    return (
        (name, step) if isinstance(name, str) else _misnamed(str(name), step, Problem("bad-option", "", bad_name(name)))
    )


def _misnamed(name: str, step: AnyDeclared, problem: Problem) -> tuple[str, AnyDeclared]:
    """The step under a name that says what it is, with the problem that it has none of its own."""
    wrong = step.copy()
    wrong.problems = (*wrong.problems, problem)
    wrong.name = name
    return name, wrong


def _own_name(function: Any) -> tuple[str, AnyDeclared]:
    step: AnyDeclared = function if isinstance(function, Declared) else make_step(function, {})
    if not isinstance(step, Step):
        if step.name:
            return step.name, step
        kind = type(step).__name__.lower()
        hint = f"Give it one:  {kind}(..., name='wait'), or use a mapping {{name: {kind}(...)}}."
        return _misnamed(f"<{kind}>", step, Problem("bad-option", "", "it has no name", hint=hint))
    if step.name in ("", "<lambda>"):
        hint = "Give it one:  step(name='load')(function), or use a mapping {name: function}."
        problem = Problem("not-a-function", "", "its function has no name", hint=hint)
        return _misnamed(f"<{type(step.function).__name__}>", step, problem)
    return step.name, step


def _expose(cls: type, pairs: Sequence[tuple[str, AnyDeclared]]) -> None:
    """Make steps attributes of their class where they can be; in any case they are found by name."""
    setattr(cls, _MADE, dict(pairs))
    taken = {*cls.__annotations__, *dir(cls), *dir(type(cls))}
    for name, step in pairs:
        if not isinstance(name, str) or not name.isidentifier() or name in taken:
            continue
        taken.add(name)
        shown = step
        if name != step.name:
            shown = step.copy()
            shown.name = name
        setattr(cls, name, shown)
