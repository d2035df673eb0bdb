"""Where each parameter of a step takes its value from, and so what the step waits for."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import attrs

from ..errors import Problem
from .definition import (
    NO_STEPS,
    Argument,
    Binding,
    FromAll,
    FromChild,
    FromContext,
    FromEach,
    FromInput,
    FromOutputs,
    FromStep,
    Node,
    Several,
)
from .drafts import Parameter, StepDraft, WorkflowDraft
from .options import Join, Quorum, StepOptions
from .references import MISSING, ChildOutput, Choice, Condition, Mode, Named, Ref, Source
from .subflows import misread
from .suggestions import as_list, did_you_mean
from .types import describe_type

_MOST_HINTS = 20
"""For so many problems a similar name is looked for; a generated graph may have thousands of them."""


class Names:
    """What a name or a reference means in one workflow."""

    def __init__(self, draft: WorkflowDraft) -> None:
        self.workflow = draft.name
        self.positions: dict[str, int] = {}
        for position, step in enumerate(draft.steps):
            self.positions.setdefault(step.name, position)
        self.optional = {step.name for step in draft.steps if not step.options.required}
        self.several = {step.name: found for step in draft.steps if (found := _several(step)) is not None}
        self.waits = {step.name: step.waits for step in draft.steps if step.waits is not None}
        self.inputs = {each.name: each for each in draft.inputs}
        self.find = draft.find
        self._aliases = {step.attribute: step.name for step in draft.steps if step.attribute}
        self._hints_left = _MOST_HINTS

    def named(self, name: str, owner: str) -> str | None:
        """The step that is meant by a name: its own, that of its method, or a private one as it was written."""
        if name in self.positions:
            return name
        if name in self._aliases:
            return self._aliases[name]
        private = f"_{owner.lstrip('_')}{name}" if name.startswith("__") else ""
        return self._aliases.get(private)

    def similar(self, name: str, extra: Iterable[str] = ()) -> str:
        """A hint at a name that may have been meant."""
        if self._hints_left == 0:
            return ""
        self._hints_left -= 1
        return did_you_mean(name, [*self.positions, *extra], "steps")


@attrs.define(kw_only=True)
class _Reads:
    """What one step waits for, and how."""

    dependencies: dict[str, None] = attrs.field(factory=dict)
    listed: set[str] = attrs.field(factory=set)
    required: set[str] = attrs.field(factory=set)
    absorbed: set[str] = attrs.field(factory=set)
    conditional: set[str] = attrs.field(factory=set)
    given: set[str] = attrs.field(factory=set)
    choices: dict[tuple[str, ...], None] = attrs.field(factory=dict)


def bind_step(step: StepDraft, names: Names, position: int) -> tuple[Node, Sequence[Problem]]:
    """One step as it is in the graph, and why parts of it cannot be bound: they are left out."""
    # So are most steps of a large graph, and there is little to find out.
    if _is_plain(step) and (found := _names_of(step.options.depends_on, names)) is not None:
        return _node(step, position, dependencies=found, needs=None, options=step.options), ()
    wiring = _Wiring(step, names, position)
    return wiring.node(), wiring.problems


def _several(step: StepDraft) -> Several | None:
    """How this step comes to have items; None if it has none."""
    options, body = step.options, step.body
    if body.is_stream:
        return Several.STREAM
    if options.until is not None:
        return Several.LOOP
    if body.parameters or options.sources:
        sources = [*options.sources.values(), *(each.default for each in body.parameters)]
        if any(isinstance(each, Source) and each.mode is Mode.EACH for each in sources):
            return Several.EACH
    return None


def _is_plain(step: StepDraft) -> bool:
    """Whether the step takes no values, and runs after all it waits for."""
    body, options = step.body, step.options
    takes_values = body.parameters or body.gathers or options.sources or options.until or body.is_stream
    return not takes_values and options.when is None and options.join is Join.ALL


def _names_of(given: tuple[Ref[Any] | str, ...], names: Names) -> tuple[str, ...] | None:
    """The names of these steps, the same tuple if it holds names; None if there is more to say of them."""
    if _are_names(given, names):
        return given
    found = tuple([each if isinstance(each, str) else names.find(each) for each in given])
    return found if _are_names(found, names) else None


def _are_names(given: tuple[object, ...], names: Names) -> TypeGuard[tuple[str, ...]]:
    """Whether these are names of steps, each of another one."""
    distinct = set(given)
    return len(distinct) == len(given) and distinct <= names.positions.keys()


def _node(
    step: StepDraft,
    position: int,
    *,
    dependencies: tuple[str, ...],
    needs: frozenset[str] | None,
    arguments: tuple[Argument, ...] = (),
    choices: tuple[tuple[str, ...], ...] = (),
    asked: frozenset[str] = NO_STEPS,
    options: StepOptions,
    several: Several | None = None,
    carries: str = "",
) -> Node:
    body = step.body
    return Node(
        name=step.name,
        function=body.function,
        takes_self=body.takes_self,
        is_async=body.is_async,
        arguments=arguments,
        dependencies=dependencies,
        needs=needs,
        choices=choices,
        asked=asked,
        position=position,
        options=options,
        returns=body.returns,
        description=body.description,
        location=body.location,
        digest=step.digest or body.digest,
        waits=step.waits,
        several=several,
        carries=carries,
    )


class _Wiring:
    """
    One step while it is bound; `node()` gives it as it is in the graph.

    What cannot be bound is left out of the node and told in `problems`.
    """

    def __init__(self, step: StepDraft, names: Names, position: int) -> None:
        self.step = step
        self.names = names
        self.position = position
        self.problems: list[Problem] = []
        self._reads = _Reads()

    def node(self) -> Node:
        """The step, bound. To be called once."""
        step, body, options, reads = self.step, self.step.body, self.step.options, self._reads
        for dependency in options.depends_on:
            self._depend(dependency)
        if isinstance(options.when, Condition):
            options = attrs.evolve(options, when=options.when.rebound(self._ask))
        arguments = self._arguments() if body.parameters or body.gathers or options.sources else ()
        asked = frozenset(reads.conditional - reads.listed - reads.required - reads.absorbed) or NO_STEPS
        if options.join is not Join.ALL:
            self._check_join(options.join, asked)
        several = self.names.several.get(step.name)
        return _node(
            step,
            self.position,
            dependencies=tuple(reads.dependencies),
            needs=self._needs() if options.join is Join.ALL else NO_STEPS,
            arguments=arguments,
            choices=tuple(reads.choices),
            asked=asked,
            options=options,
            several=several,
            carries=self._carried(arguments) if several is Several.LOOP else "",
        )

    def _carried(self, arguments: Sequence[Argument]) -> str:
        """The parameter that takes the output of the iteration before: the first one that takes a value."""
        for argument in arguments:
            if not isinstance(argument.binding, FromContext | FromOutputs | FromEach):
                return argument.parameter
        hint = "Give it one that takes what the loop begins with, such as  draft: Draft = first.result"
        self._problem("bad-option", "is a loop (until=...), but has no parameter that could take its own output", hint)
        return ""

    def _problem(self, code: str, message: str, hint: str = "") -> None:
        step = self.step
        self.problems.append(Problem(code, step.name, f"step {step.name!r} {message}", step.body.location, hint))

    def _resolve(self, ref: Ref[Any] | str) -> tuple[str, ...]:
        """The steps that are meant; those that there are none of are told and left out."""
        if isinstance(ref, Choice):
            each = map(self._by_reference, ref.refs)
            return tuple(dict.fromkeys(name for name in each if name is not None))
        found = self._by_name(ref) if isinstance(ref, str) else self._by_reference(ref)
        return () if found is None else (found,)

    def _by_name(self, name: str) -> str | None:
        if name in self.names.positions:
            return name
        owner = getattr(self.step.body.function, "__qualname__", "").rpartition(".")[0].rpartition(".")[2]
        found = self.names.named(name, owner)
        if found is None:
            workflow = self.names.workflow
            hint = as_list(name, self.names.positions) or self.names.similar(name)
            if name in self.names.inputs:
                hint = f"{name!r} is an input of {workflow}: it is there from the start, nothing waits for it."
            self._problem("unknown-dependency", f"depends on {name!r}, but {workflow} has no step of that name", hint)
        return found

    def _by_reference(self, ref: Ref[Any]) -> str | None:
        if isinstance(ref, ChildOutput):
            hint = f"Take it as a parameter:  x = {ref.name}.result; to wait for that run, name {ref.subflow.name}."
            self._problem("foreign-step", f"uses {ref.name!r}, which is a step of another run", hint)
            return None
        found = self.names.find(ref)
        if found is None:
            other = getattr(ref, "__qualname__", "") or ref.name
            workflow = self.names.workflow
            hint = f"A workflow reads its own steps only: inherit from the one that has {ref.name!r}, or add it here."
            self._problem("foreign-step", f"uses {other!r}, which is not a step of {workflow}", hint)
        return found

    def _depend(self, dependency: Ref[Any] | str) -> None:
        names = self._resolve(dependency)
        for name in names:
            self._reads.dependencies[name] = None
        if isinstance(dependency, Choice):
            self._reads.absorbed.update(names)
            self._reads.choices[names] = None
        else:
            self._reads.listed.update(names)

    def _ask(self, ref: Ref[Any]) -> Ref[Any]:
        names = self._resolve(ref)
        for name in names:
            if self.names.several.get(name) is Several.EACH:
                hint = f"Ask a step that takes {name}.all what you want to know."
                self._problem("mapped-result", f"has a condition on {name!r}, which runs once per item", hint)
        self._reads.dependencies.update(dict.fromkeys(names))
        self._reads.conditional.update(names)
        return Named(names[0]) if len(names) == 1 else Choice(map(Named, names))

    def _arguments(self) -> tuple[Argument, ...]:
        body, sources = self.step.body, self.step.options.sources
        arguments: list[Argument] = []
        taken = {parameter.name for parameter in body.parameters}
        for parameter in body.parameters:
            source = sources.get(parameter.name, parameter.default)
            binding = self._bind(parameter, source)
            if binding is not None:
                arguments.append(Argument(parameter.name, binding, parameter.is_positional_only))
        for name in sources.keys() - taken if not body.gathers else ():
            hint = did_you_mean(name, taken, "parameters")
            self._problem("unbound-parameter", f"has no parameter {name!r}, for which depends_on gives a source", hint)
        if body.gathers:
            arguments += self._gather(taken)
        self._check_gaps(arguments)
        return tuple(arguments)

    def _bind(self, parameter: Parameter, source: object) -> Binding | None:
        if isinstance(source, Source):
            return self._read(parameter, source)
        if isinstance(source, Ref | Condition):
            self._no_source(parameter, source)
            return None
        own = self.names.named(parameter.name, "")
        if own is not None and self.names.several.get(own) is Several.EACH:
            return self._take_all(own)
        if own is not None:
            return self._take(parameter, (own,), Mode.RESULT, f"{own}.result")
        if parameter.name in self.names.inputs:
            return FromInput(parameter.name)
        if parameter.takes_context:
            return FromContext()
        if source is MISSING:
            self._unbound(parameter)
        return None

    def _no_source(self, parameter: Parameter, default: "Ref[Any] | Condition") -> None:
        """A step or a condition itself, where what is taken of a step was meant."""
        hint = "A condition goes into when=..."
        if isinstance(default, Ref):
            hint = f"Say what is taken of it:  {parameter.name} = {Source(default, Mode.RESULT)!r}"
        shown = repr(default) if isinstance(default, Ref) else f"the condition '{default}'"
        self._problem("unbound-parameter", f"has {shown} as the default of parameter {parameter.name!r}", hint)

    def _unbound(self, parameter: Parameter) -> None:
        type_name = describe_type(parameter.type)
        annotated = f"{parameter.name}: {type_name}" if type_name else parameter.name
        workflow = self.names.workflow
        similar = self.names.similar(parameter.name, self.names.inputs)
        hint = f"Give it a source ({annotated} = some_step.result) or a default, or make it an input of {workflow}."
        if parameter.name == "self":
            hint = "A step of make_workflow, and a static one, is called without self."
            similar = ""
        lines = [similar, hint] if similar.startswith("Did") else [hint]
        message = f"has a parameter {annotated!r} that nothing gives a value"
        self._problem("unbound-parameter", message, "\n".join(lines))

    def _read(self, parameter: Parameter, source: Source) -> Binding | None:
        if isinstance(source.ref, ChildOutput):
            return self._read_child(source, source.ref)
        names = self._resolve(source.ref)
        if not names:
            return None
        mapped = [name for name in names if self.names.several.get(name) is Several.EACH]
        first = names[0]
        match source.mode:
            case Mode.EACH if len(names) == 1:
                return self._take_each(names[0])
            case Mode.ALL if len(names) == 1 and mapped:
                return self._take_all(names[0])
            case Mode.EACH | Mode.ALL if len(names) > 1:
                hint = "Join them in a step of its own, and take the items of that one."
                self._problem("mapped-result", f"takes {source!r}: items are taken of one step, not of a choice", hint)
            case Mode.ALL:
                hint = f"Use {first}.result."
                self._problem("not-mapped", f"takes {first}.all, but {first!r} runs only once", hint)
            case _ if mapped:
                name = mapped[0]
                hint = f"Use {name}.all for the list of all of them, or {name}.each to go on item by item."
                message = f"takes {source!r}, but {name!r} runs once per item and has many results"
                self._problem("mapped-result", message, hint)
            case mode:
                return self._take(parameter, names, mode, repr(source))
        return None

    def _need(self, name: str, text: str, way_out: str) -> None:
        reads = self._reads
        reads.dependencies[name] = None
        reads.given.add(name)
        reads.required.add(name)
        if name in self.names.optional:
            message = f"needs {text}, but {name!r} may fail without failing the run (required=False)"
            self._problem("optional-result", message, way_out)

    def _take_each(self, name: str) -> Binding:
        way_out = f"Go on from a step that takes {name}.maybe and gives a list, or make {name!r} required."
        self._need(name, f"{name}.each", way_out)
        return FromEach(name)

    def _take_all(self, name: str) -> Binding:
        way_out = f"Make {name!r} required, and say how many of its items may fail:  tolerate=..."
        self._need(name, f"{name}.all", way_out)
        return FromAll(name)

    def _read_child(self, source: Source, child: ChildOutput[Any]) -> Binding | None:
        names = self._resolve(child.subflow)
        if not names:
            return None
        name, output = names[0], child.step.name
        is_mapped = self.names.several.get(name) is Several.EACH
        wrong = misread(source, child, name, self.names.waits.get(name), is_mapped=is_mapped)
        if wrong is not None:
            self._problem(*wrong)
            return None
        self._need(name, repr(source), f"Use {name}.maybe, and if it is there what you need of it:  {name}[{output!r}]")
        return FromChild(name, output)

    def _take(self, parameter: Parameter, names: tuple[str, ...], mode: Mode, text: str) -> Binding:
        reads = self._reads
        reads.dependencies.update(dict.fromkeys(names))
        reads.given.update(names)
        if mode is Mode.MAYBE:
            reads.absorbed.update(names)
        elif len(names) > 1:
            reads.absorbed.update(names)
            reads.choices[names] = None
        else:
            reads.required.update(names)
            for name in self.names.optional.intersection(names):
                self._optional(parameter, name, text, "may fail without failing the run (required=False)")
        return FromStep(names, mode is Mode.MAYBE)

    def _optional(self, parameter: Parameter, name: str, text: str, reason: str) -> None:
        type_name = describe_type(parameter.type) or "..."
        wanted = type_name if "None" in type_name.split(" | ") else f"{type_name} | None"
        way_out = f"Accept that there may be none:  {parameter.name}: {wanted} = {text.removesuffix('.result')}.maybe"
        self._problem("optional-result", f"needs {text}, but {name!r} {reason}", way_out)

    def _gather(self, taken: set[str]) -> list[Argument]:
        """`**outputs`: what the mapping in depends_on names for it, and the outputs of the other dependencies."""
        arguments: list[Argument] = []
        for name, source in self.step.options.sources.items():
            if name not in taken and isinstance(source, Source):
                binding = self._read(Parameter(name=name), source)
                arguments += [Argument(name, binding)] if binding is not None else []
        reads = self._reads
        others = tuple(name for name in reads.dependencies if name not in reads.given)
        for name in others:
            if name in taken:
                hint = "Give that parameter another name."
                self._problem("duplicate-name", f"has a parameter {name!r}, which **outputs would hold as well", hint)
        return [*arguments, Argument(self.step.body.gathers, FromOutputs(others))]

    def _check_gaps(self, arguments: Sequence[Argument]) -> None:
        """A positional-only parameter cannot be given if one before it is left to its default."""
        bound = {argument.parameter for argument in arguments}
        is_gap = False
        for parameter in self.step.body.parameters:
            if parameter.is_positional_only and parameter.name not in bound:
                is_gap = True
            elif parameter.is_positional_only and is_gap:
                hint = "Give those before it a source as well, or drop the '/'."
                self._problem("unbound-parameter", f"cannot be given its positional parameter {parameter.name!r}", hint)
                return

    def _needs(self) -> frozenset[str] | None:
        """What the step cannot do without; None if that is all it waits for."""
        reads = self._reads
        listed = reads.listed - reads.absorbed
        if self.step.body.gathers:
            listed -= self.names.optional
        needs = frozenset(reads.required | listed)
        return None if needs == reads.dependencies.keys() else needs

    def _check_join(self, join: Join | Quorum, asked: frozenset[str]) -> None:
        counted = [name for name in self._reads.dependencies if name not in asked]
        if isinstance(join, Quorum) and join.count > len(counted):
            self._problem(
                "bad-option",
                f"waits for {join.count} dependencies (join={join}), but has only {len(counted)}",
                "Name more of them in depends_on, or ask for fewer.",
            )
        elif not counted:
            self._problem("bad-option", f"joins nothing: join={str(join)!r} without a dependency", "Leave join out.")
        else:
            self._check_sources(join, counted)

    def _check_sources(self, join: Join | Quorum, counted: Sequence[str]) -> None:
        """What is read must be there whichever dependencies the join is content with."""
        completed = join.count if isinstance(join, Quorum) else 0 if join is Join.SETTLED else 1
        reason = f"need not have completed with join={str(join)!r}"
        for choice in [*((name,) for name in sorted(self._reads.required)), *self._reads.choices]:
            if len(set(counted) - set(choice)) >= completed:
                text = " | ".join(choice)
                way_out = f"({text}).maybe" if len(choice) > 1 else f"{text}.maybe"
                self._problem("optional-result", f"needs {text}.result, but it {reason}", f"Take {way_out}.")
