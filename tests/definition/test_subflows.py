"""What the compiler makes of steps that start other workflows, and what it says of those that cannot."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from orchwf import (
    ChildResult,
    Dag,
    DefinitionError,
    compile_workflow,
    make_workflow,
    step,
    subflow,
    workflow,
)
from orchwf.core.children import child_id, child_output, child_output_text, decoded_child, decoded_output, encoded_child
from orchwf.core.definition import UNKNOWN, Argument, ForChild, FromChild, FromStep, Several
from orchwf.core.history import StepRecord


@workflow
class Shipping:
    """What others start."""

    address: str = ""

    @step
    def book(self) -> int:
        return 1

    @step
    def labels(self) -> list[str]:
        return ["a"]

    @step
    def printed(self, label: str = labels.each) -> bytes:
        return label.encode()

    @step(tolerate=1)
    def sent(self, label: str = labels.each) -> int:
        return len(label)


@workflow
class Other:
    """Another one, with a step of the same name."""

    @step
    def book(self) -> str:
        return ""

    @step
    def thing(self) -> int:
        return 1


@workflow
class Orders:
    """Starts one, and one per item."""

    @step
    def load(self) -> list[str]:
        return ["x"]

    @subflow(on_parent_close="abandon", max_depth=3, retries=2, timeout="1h")
    def ship(self) -> Shipping:
        return Shipping()

    @subflow(max_parallel=2)
    async def parcels(self, address: str = load.each) -> Shipping:
        return Shipping(address=address)

    @step
    def end(
        self,
        booked: int = ship[Shipping.book].result,
        named: int = ship["book"].result,
        many: list[int] = parcels[Shipping.book].all,
        printed: list[bytes] = ship[Shipping.printed].all,
        shipped: ChildResult[Shipping] = ship.result,
    ) -> int:
        return booked


def problems_of(define: Callable[[], object]) -> list[tuple[str, str, str]]:
    """Code, message and hint of everything that is wrong with what `define` defines."""
    with pytest.raises(DefinitionError) as caught:
        define()
    return [(each.code, each.message, each.hint) for each in caught.value.problems]


def gives_shipping() -> Shipping:
    return Shipping()


def gives_it_for(x: str) -> Shipping:
    return Shipping(address=x)


SHIP: Any = subflow(gives_shipping, name="ship")  # type: ignore[call-overload]
LOAD: Any = step(lambda: ["a"], name="load")
PARCELS: Any = subflow(gives_it_for, name="parcels", depends_on={"x": LOAD.each})  # type: ignore[call-overload]


def dag_with(**steps: Any) -> Dag:
    return compile_workflow(make_workflow("W", {"load": LOAD, "ship": SHIP, "parcels": PARCELS, **steps}))


def refused(source: Any, annotation: Any = Any) -> tuple[str, str, str]:
    """What is wrong with a step `it` that takes this."""

    def takes(x: object) -> None: ...

    takes.__annotations__["x"] = annotation
    (problem,) = problems_of(lambda: dag_with(it=step(takes, name="it", depends_on={"x": source})))
    return problem


def test_a_subflow_waits_for_a_run():
    """Of the workflow that it is annotated with, with its options."""
    nodes = compile_workflow(Orders).nodes

    assert ForChild(workflow=Shipping, on_parent_close="abandon", max_depth=3) == nodes["ship"].waits
    assert ("subflow", ChildResult, 2, 3600.0) == (
        nodes["ship"].kind, nodes["ship"].returns, nodes["ship"].options.retry.max_retries,
        nodes["ship"].options.timeout,
    )  # fmt: skip
    assert (Several.EACH, True, 2) == (
        nodes["parcels"].several, nodes["parcels"].is_async, nodes["parcels"].options.max_parallel,
    )  # fmt: skip
    assert (Shipping,) == compile_workflow(Orders).started


def test_what_is_read_of_a_run_is_bound():
    """By the step itself, or by its name; of several runs, all of it."""
    assert (
        Argument("booked", FromChild("ship", "book")), Argument("named", FromChild("ship", "book")),
        Argument("many", FromChild("parcels", "book")), Argument("printed", FromChild("ship", "printed")),
        Argument("shipped", FromStep(("ship",))),
    ) == compile_workflow(Orders).nodes["end"].arguments  # fmt: skip
    assert {"ship", "parcels"} == compile_workflow(Orders).nodes["end"].needs


def test_a_subflow_is_still_called_by_itself():
    """It gives the workflow, and starts nothing."""
    assert Shipping() == Orders().ship()
    with pytest.raises(TypeError, match="the output of step 'book' of the run that 'ship' starts"):
        Orders().end()


def test_a_subflow_with_a_timeout_is_not_warned_of():
    """What takes long is the run that it starts, not its body. (Warnings are errors here.)"""
    assert "ship" in compile_workflow(Orders).nodes


def test_a_workflow_may_start_itself():
    """It is not compiled yet when it is read; nothing is said of its steps."""

    @workflow
    class Deeper:
        depth: int = 0

        @subflow(max_depth=3)
        def again(self) -> "Deeper":
            return Deeper(depth=self.depth + 1)

        @step
        def end(self, x: int = again["end"].result) -> int:
            return x

    node = compile_workflow(Deeper).nodes["again"]

    assert isinstance(node.waits, ForChild)
    assert Deeper is node.waits.workflow


@pytest.mark.filterwarnings("ignore:.*unresolved-annotation")
def test_what_is_started_may_not_be_known_yet():
    """Then what is read of it is not checked."""

    @workflow
    class Early:
        @subflow
        def later(self) -> "Later":  # type: ignore[name-defined] # noqa: F821
            raise NotImplementedError

        @step
        def end(self, x: int = later["any"].result) -> int:
            return x

    node = compile_workflow(Early).nodes["later"]

    assert ForChild() == node.waits
    assert () == compile_workflow(Early).started


def test_a_class_that_inherits_starts_another_one():
    """With or without the decorator; without it the options stay."""

    class Special(Shipping):
        """Another address."""

    special = workflow(Special)

    @workflow
    class Decorated(Orders):
        @subflow
        def ship(self) -> Shipping:
            return special(address="y")

    @workflow
    class Bare(Orders):
        def ship(self) -> Shipping:
            return special(address="y")

    decorated, bare = compile_workflow(Decorated).nodes["ship"].waits, compile_workflow(Bare).nodes["ship"].waits

    assert ForChild(workflow=Shipping) == decorated
    assert ForChild(workflow=Shipping, on_parent_close="abandon", max_depth=3) == bare


def test_steps_of_a_base_of_what_is_started():
    """What inherits from it has them."""

    @workflow
    class Special(Shipping):
        @step
        def extra(self) -> int:
            return 2

    def gives() -> Special:
        return Special()

    ship: Any = subflow(gives, name="special")  # type: ignore[call-overload]
    dag = dag_with(special=ship, it=step(lambda x: x, name="it", depends_on={"x": ship[Shipping.book].result}))

    assert (Argument("x", FromChild("special", "book")),) == dag.nodes["it"].arguments


# Where it cannot be.


def test_a_step_that_is_no_subflow_any_more():
    """Who read its run reads nothing."""

    def define() -> None:
        @workflow
        class Plain(Orders):
            @step
            def ship(self) -> int:  # type: ignore[override]
                return 1

    assert ("foreign-step", "step 'end' takes ship[book].result, but 'ship' is no subflow", "Use ship.result.") in (
        problems_of(define)
    )


def test_steps_that_the_run_has_not():
    """By name, and by whose they are."""
    assert (
        "foreign-step", "step 'it' takes ship[boook].result, but Shipping has no step 'boook'", "Did you mean 'book'?"
    ) == refused(SHIP["boook"].result)  # fmt: skip
    assert (
        "foreign-step", "step 'it' takes ship[thing].result, but Shipping has no step 'thing'",
        "Known steps: book, labels, printed, sent",
    ) == refused(SHIP[Other.thing].result)  # fmt: skip
    assert (
        "foreign-step", "step 'it' takes ship[book].result, but that is a step of Other, and 'ship' runs Shipping",
        "Use ship[Shipping.book].",
    ) == refused(SHIP[Other.book].result)  # fmt: skip


def test_one_result_of_many_runs():
    """Or of a step of the run that has many."""
    assert (
        "mapped-result", "step 'it' takes parcels[book].result, but 'parcels' runs once per item and has many results",
        "Use parcels[book].all.",
    ) == refused(PARCELS[Shipping.book].result)  # fmt: skip
    assert (
        "mapped-result", "step 'it' takes ship[printed].result, but 'printed' runs once per item and has many results",
        "Use ship[printed].all.",
    ) == refused(SHIP[Shipping.printed].result)  # fmt: skip


def test_all_results_of_one_run():
    """There is one."""
    assert (
        "not-mapped", "step 'it' takes ship[book].all, but 'ship' starts only one run", "Use ship[book].result."
    ) == refused(SHIP[Shipping.book].all)  # fmt: skip


def test_items_of_what_another_run_gave():
    """They are taken of steps of this one."""
    assert (
        "not-mapped", "step 'it' takes ship[labels].each: items are taken of a step, not of another run",
        "Use ship[labels].result in a step, and the items of that one.",
    ) == refused(SHIP[Shipping.labels].each)  # fmt: skip
    assert (
        "Use parcels[labels].all in a step, and the items of that one." == (refused(PARCELS[Shipping.labels].each)[2])
    )


def test_what_may_be_missing_of_a_run():
    """A run that completed has all of it, and of an optional one that failed there is nothing."""
    optional: Any = subflow(gives_shipping, name="optional", required=False)  # type: ignore[call-overload]
    it = step(lambda x: x, name="it", depends_on={"x": optional[Shipping.book].result})

    assert (
        "optional-result", "step 'it' takes ship[book].maybe: of a run that completed all is there",
        "Use ship.maybe, and if it is there what you need of it:  ship['book']",
    ) == refused(SHIP[Shipping.book].maybe)  # fmt: skip
    assert [(
        "optional-result",
        "step 'it' needs optional[book].result, but 'optional' may fail without failing the run (required=False)",
        "Use optional.maybe, and if it is there what you need of it:  optional['book']",
    )] == problems_of(lambda: dag_with(optional=optional, it=it))  # fmt: skip


@pytest.mark.parametrize("use", [{"when": SHIP[Shipping.book].is_(1)}, {"depends_on": [SHIP[Shipping.book]]}])
def test_what_only_a_parameter_can_take(use: Any):
    """A step of another run is none of this one."""
    assert [(
        "foreign-step", "step 'it' uses 'ship[book]', which is a step of another run",
        "Take it as a parameter:  x = ship[book].result; to wait for that run, name ship.",
    )] == problems_of(lambda: dag_with(it=step(lambda: 1, name="it", **use)))  # fmt: skip


def test_a_step_of_a_run_itself_as_a_default():
    """What is taken of it is not said."""
    assert [(
        "unbound-parameter", "step 'it' has <ship[book]> as the default of parameter 'x'",
        "Say what is taken of it:  x = ship[book].result",
    )] == problems_of(lambda: dag_with(it=step(_takes_it, name="it")))  # fmt: skip


def _takes_it(x: Any = SHIP[Shipping.book]) -> None: ...


def test_a_subflow_of_another_workflow():
    """It is told as any step that is not there."""
    foreign: Any = subflow(gives_shipping, name="foreign")  # type: ignore[call-overload]

    assert ("foreign-step", "step 'it' uses 'gives_shipping', which is not a step of W") == (
        refused(foreign[Shipping.book].result)[:2]
    )


@pytest.mark.parametrize(
    ("source", "annotation", "message"),
    [
        (SHIP[Shipping.book].result, str, "ship[book] is int"),
        (SHIP[Shipping.printed].all, int, "ship[printed] is list[bytes]"),
        (PARCELS[Shipping.book].all, list[str], "parcels[book] is list[int]"),
        (PARCELS[Shipping.printed].all, int, "parcels[printed] is list[list[bytes]]"),
        (SHIP[Shipping.sent].all, list[int], "ship[sent] is list[int | None]"),
    ],
)  # fmt: skip
def test_types_of_what_a_run_gives(source: Any, annotation: Any, message: str):
    """They are held to the annotation of who reads them."""
    code, told, _ = refused(source, annotation)

    assert ("type-mismatch", True) == (code, told.endswith(f"but {message}"))


def test_outputs_of_many_runs_may_have_gaps():
    """If some of them may fail."""
    gappy: Any = subflow(gives_it_for, name="gappy", depends_on={"x": LOAD.each}, tolerate=0.5)  # type: ignore[call-overload]

    def strict(x: list[int]) -> None: ...

    def lax(x: Sequence[int | None]) -> None: ...

    source = {"x": gappy[Shipping.book].all}
    ((code, message, hint),) = problems_of(lambda: dag_with(gappy=gappy, it=step(strict, name="it", depends_on=source)))
    dag = dag_with(gappy=gappy, it=step(lax, name="it", depends_on=source))

    assert ("type-mismatch", True) == (code, message.endswith("gappy[book] is list[int | None]"))
    assert "Items that do not complete give None: annotate  x: Sequence[int | None]" == hint
    assert "it" in dag.nodes


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        (int, "subflow 'it' does not say which workflow it gives, but int"),
        (Shipping | None, "subflow 'it' does not say which workflow it gives, but Shipping | None"),
        (None, "subflow 'it' does not say which workflow it gives, but None"),
        ("nothing", "subflow 'it' does not say which workflow it gives"),
    ],
)
def test_what_is_started_has_to_be_said(returns: Any, message: str):
    """It is needed to read the outputs, and to execute the run."""

    def gives() -> Any: ...

    gives.__annotations__["return"] = returns
    if returns == "nothing":
        del gives.__annotations__["return"]
    hint = "Annotate what it returns with the class:  def ship(self, ...) -> Shipping: return Shipping(...)"

    assert [("bad-option", message, hint)] == problems_of(lambda: make_workflow("W", {"it": subflow(gives)}))


def test_a_class_that_is_no_workflow():
    """Its decorator was forgotten."""

    class Forgotten:
        @step
        def a(self) -> int:
            return 1

    def gives() -> Forgotten:
        return Forgotten()

    assert [
        ("bad-option", "subflow 'it' gives Forgotten, which is not a workflow", "Decorate Forgotten with @workflow.")
    ] == problems_of(lambda: make_workflow("W", {"it": subflow(gives)}))


def test_a_generator_that_starts_runs():
    """It starts one; a step per item starts many."""

    def gives() -> Iterator[Shipping]:
        yield Shipping()

    assert [
        ("bad-option", "subflow 'it' is a generator, but starts one run",
         "Annotate what it returns with the class:  def ship(self, ...) -> Shipping: return Shipping(...)")
    ] == problems_of(lambda: make_workflow("W", {"it": subflow(gives)}))  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        (Shipping, "step 'it' is a workflow, not a function", "Return an instance of it from a method with @subflow."),
        (3, "step 'it' is int, not a function", "Decorate a function."),
    ],
)
def test_what_is_no_function(body: Any, message: str, hint: str):
    """One problem, and no other that follows from it."""
    assert [("not-a-function", message, hint)] == problems_of(lambda: make_workflow("W", {"it": subflow(body)}))


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"until": lambda x: True}, "a subflow has no option 'until'", None),
        ({"delivery": "at_most_once"}, "a subflow has no option 'delivery'", None),
        ({"on_exhausted": "pause"}, "a subflow has no option 'on_exhausted'", None),
        ({"total_timeout": 3}, "a subflow has no option 'total_timeout'", "Did you mean 'timeout'?"),
        ({"retrys": 3}, "a subflow has no option 'retrys'", "Did you mean 'retries'?"),
        ({"on_parent_close": "kill"}, "on_parent_close takes 'cancel' or 'abandon', not 'kill'", ""),
        ({"max_depth": 0}, "max_depth takes a whole number of at least 1, not 0", ""),
        ({"max_depth": True}, "max_depth takes a whole number of at least 1, not True", ""),
        ({"max_depth": "3"}, "max_depth takes a whole number of at least 1, not '3'", ""),
    ],
)
def test_bad_options(options: dict[str, Any], message: str, hint: str | None):
    """Each with what is wrong; what means nothing for another run is refused."""
    ((code, told, way_out),) = problems_of(
        lambda: make_workflow("W", {"it": subflow(**options)(gives_shipping)})
    )  # fmt: skip

    assert ("bad-option", f"step 'it': {message}") == (code, told)
    assert hint is None or hint == way_out


def test_a_subflow_that_is_undone():
    """The run that it starts undoes its own steps."""

    def define() -> None:
        @workflow
        class Undone:
            @subflow
            def ship(self) -> Shipping:
                return Shipping()

            @ship.compensate
            def undo(self, ship: ChildResult[Shipping]) -> None: ...

    assert [
        ("bad-compensation", "step 'ship' is a subflow, and has a compensation",
         "The run that it starts undoes its own steps.")
    ] == problems_of(define)  # fmt: skip


# What becomes of a run, as a value.


@pytest.mark.parametrize(
    ("run", "name", "item", "expected"),
    [("r", "ship", None, "r/ship"), ("r", "ship", 3, "r/ship/3"), ("r/ship", "ship", 0, "r/ship/ship/0")],
)
def test_a_run_is_called_after_what_starts_it(run: str, name: str, item: int | None, expected: str):
    """So that it is found again, and started once."""
    assert expected == child_id(run, name, item)


def test_names_that_could_be_those_of_others_are_digests():
    """Of generated graphs names may be any text; no two are the same."""
    ids = [
        child_id("r", name, item)
        for name in ("a", "a/1", "a/1/2", "~x", "a b ", "a\n", "x" * 300, "y" * 300)
        for item in (None, 1, 2)
    ]

    assert len(ids) == len(set(ids))
    assert all(len(each) <= 200 and each.isprintable() and each == each.strip() for each in ids)
    assert child_id("r" * 255, "ship", None) != child_id("r" * 254 + "s", "ship", None)


def test_what_a_run_gave_is_stored_with_its_id():
    """Only what is read of it, and what there is."""
    steps = {
        "book": StepRecord("book", output="1"),
        "labels": StepRecord("labels", output='["a"]'),
        "sent": StepRecord("sent"),
    }

    assert '{"run":"r/ship","outputs":{"book":1,"labels":["a"]}}' == encoded_child("r/ship", steps, None)
    assert '{"run":"r/ship","outputs":{"labels":["a"]}}' == encoded_child("r/ship", steps, ["labels", "sent", "gone"])
    assert '{"run":"ü","outputs":{}}' == encoded_child("ü", {}, None)


def test_what_a_run_gave_is_read_with_its_types():
    """As far as its workflow is known."""
    dag = compile_workflow(Shipping)
    text = '{"run":"r/ship","outputs":{"book":1,"printed":["YQ==",null],"gone":[1]}}'

    shipped, unknown = decoded_child(text, dag), decoded_child(text, None)

    assert ("r/ship", 1, [b"a", None], [1]) == (
        shipped.run_id, shipped[Shipping.book], shipped["printed"], shipped["gone"],
    )  # fmt: skip
    assert {"book": 1, "printed": ["YQ==", None], "gone": [1]} == unknown.outputs
    assert (1, None) == (child_output(text, dag, "book"), child_output(text, dag, "labels"))
    many = f"[{text},null,{text}]"
    assert [[b"a", None], None, [b"a", None]] == child_output(many, dag, "printed")
    assert '[["YQ==", null], null, ["YQ==", null]]' == child_output_text(many, "printed")
    with pytest.raises(KeyError, match="labels"):
        shipped[Shipping.labels]


def test_outputs_are_read_as_who_made_them_declared():
    """Of a subflow, and of one per item; without the code, as the text itself says."""
    dag = compile_workflow(Orders)
    child = '{"run":"r/ship","outputs":{"book":1}}'

    assert 1 == decoded_output(dag, "ship", child)[Shipping.book]
    assert [1, None] == [each and each["book"] for each in decoded_output(dag, "parcels", f"[{child},null]")]
    assert ["a"] == decoded_output(dag, "load", '["a"]')
    assert ["a"] == decoded_output(dag, "gone", '["a"]') == decoded_output(None, "load", '["a"]')
    assert [b"a", None] == decoded_output(compile_workflow(Shipping), "printed", '["YQ==",null]')


def test_types_of_outputs():
    """Of a step per item, the list of what it gives."""
    dag = compile_workflow(Shipping)

    assert (int, list[bytes | None], UNKNOWN) == (
        dag.output_type("book"), dag.output_type("printed"), dag.output_type("gone"),
    )  # fmt: skip
