"""What `@workflow` makes of a class."""

import abc
import asyncio
import pickle
from dataclasses import dataclass
from typing import Any

import attrs
import pytest

from orchwf import Dag, DefinitionError, Step, StepContext, UsageError, compile_workflow, step, workflow
from orchwf.core.definition import FromInput, FromStep
from orchwf.errors import MissingArgumentError


@dataclass
class Order:
    """What is bought."""

    total: float


@workflow(version="2", deadline="1h", tags=["shop"], on_change="adopt", fail_fast=False)
class Fulfilment:
    """
    Take an order from cart to doorstep.

    It has two paragraphs.
    """

    order_id: str
    express: bool = False
    notes: list[str] = attrs.field(factory=list)

    @step
    async def validate(self) -> Order:
        """Load it."""
        return Order(len(self.order_id))

    @step(retries=3, timeout="30s")
    async def charge(self, order: Order = validate.result, *, ctx: StepContext) -> str:
        return f"{order.total} {ctx.idempotency_key}"

    @step(required=False)
    def risk(self, validate: Order) -> float:
        return validate.total / 1000

    @step(depends_on=[charge, "risk"], priority=-5)
    async def notify(self, score: float | None = risk.maybe) -> None: ...

    @step
    @staticmethod
    def double(express: bool, factor: int = 2) -> int:
        return express * factor


def test_instance_is_a_frozen_keyword_only_value():
    """The inputs are the fields of an attrs class that cannot be changed."""
    made = Fulfilment(order_id="A1")

    assert made == Fulfilment(order_id="A1", express=False)
    assert repr(made) == "Fulfilment(order_id='A1', express=False, notes=[])"
    assert Fulfilment(order_id="A1").notes is not made.notes
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.order_id = "B"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Fulfilment("A1")  # type: ignore[call-arg]


def test_class_stays_the_same_object():
    """The decorator changes the class in place, so that `super()` and pickling work."""

    class Plain:
        x: int = 1

        @step
        def a(self) -> int:
            return self.x

    assert workflow(Plain) is Plain
    assert Fulfilment(order_id="A") == pickle.loads(pickle.dumps(Fulfilment(order_id="A")))


def test_dag_tells_the_definition():
    """Name, version, description, inputs and options are those of the class."""
    dag = compile_workflow(Fulfilment)

    assert isinstance(dag, Dag)
    assert dag is compile_workflow(Fulfilment)
    assert (dag.name, dag.version) == ("Fulfilment", "2")
    assert dag.description == "Take an order from cart to doorstep.\n\nIt has two paragraphs."
    assert dag.workflow is Fulfilment
    assert dag.entrypoint == f"{__name__}:Fulfilment"
    assert dag.module == __name__
    assert (dag.options.deadline, dag.options.fail_fast) == (3600.0, False)
    assert (dag.options.on_change, dag.options.tags) == ("adopt", ("shop",))


def test_dag_tells_the_inputs():
    """Each input has its type, and whether it must be given."""
    inputs = compile_workflow(Fulfilment).inputs

    assert list(inputs) == ["order_id", "express", "notes"]
    assert (inputs["order_id"].type, inputs["order_id"].required) == (str, True)
    assert (inputs["express"].default, inputs["express"].required) == (False, False)
    assert (inputs["notes"].type, inputs["notes"].required) == (list[str], False)


def test_step_is_called_like_the_function_it_is():
    """A step on an instance runs its body and nothing else."""
    order = Fulfilment(order_id="A1")

    receipt = asyncio.run(order.charge(Order(5), ctx=StepContext(run_id="r", step="charge")))

    assert receipt == "5 r/charge"
    assert order.risk(Order(500)) == 0.5
    assert Fulfilment.risk(order, Order(500)) == 0.5
    assert order.double(True) == 2
    assert asyncio.run(order.validate()) == Order(2)


def test_step_tells_what_it_is():
    """A step has the name and the docstring of its function."""
    bound = Fulfilment(order_id="A").charge

    assert isinstance(Fulfilment.charge, Step)
    assert Fulfilment.charge.name == "charge"
    assert Fulfilment.validate.__doc__ == "Load it."
    assert repr(Fulfilment.charge) == "<Step Fulfilment.charge>"
    assert repr(bound) == "<bound <Step Fulfilment.charge> of Fulfilment(order_id='A', express=False, notes=[])>"
    assert list(bound.__signature__.parameters) == ["order", "ctx"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda it: it.charge(),
            (
                "Fulfilment.charge() is missing the argument 'order'. In a run it is the output of step 'validate'; "
                "in a direct call you pass it yourself: charge(order=..., ctx=...)"
            ),
        ),
        (
            lambda it: it.charge(Order(1)),
            (
                "Fulfilment.charge() is missing the argument 'ctx'. In a run it is its StepContext; "
                "in a direct call you pass it yourself: charge(ctx=...)"
            ),
        ),
        (
            lambda it: it.double(),
            (
                "Fulfilment.double() is missing the argument 'express'. In a run it is the input 'express'; "
                "in a direct call you pass it yourself: double(express=...)"
            ),
        ),
        (
            lambda it: Fulfilment.charge(it, ctx=StepContext()),
            (
                "charge() is missing the argument 'order'. In a run it is the output of step 'validate'; "
                "in a direct call you pass it yourself: charge(order=...)"
            ),
        ),
    ],
)
def test_forgotten_argument_says_where_a_run_takes_it_from(call, message):
    """A direct call without what a run fills in names the source."""
    with pytest.raises(MissingArgumentError) as caught:
        call(Fulfilment(order_id="A"))

    assert str(caught.value) == message
    assert isinstance(caught.value, TypeError)


def test_step_of_a_class_that_is_no_workflow():
    """A mixin can be tested by itself: the source that is written tells where a run takes the argument from."""

    class Mixin:
        @step
        def load(self) -> int:
            return 1

        @step
        def use(self, rows: int = load.result, factor: int = 2) -> int:
            return rows * factor

        @step
        def other(self, rows: int) -> int:
            return rows

    assert Mixin().use(4) == 8
    with pytest.raises(MissingArgumentError, match="In a run it is the output of step 'load'"):
        Mixin().use()
    with pytest.raises(MissingArgumentError, match=r"is missing the argument 'rows'. Pass it: other\(rows=...\)"):
        Mixin().other()  # type: ignore[call-arg]


def test_wrong_argument_is_a_type_error():
    """A name that the body does not know is refused as Python does."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'ordre'"):
        Fulfilment(order_id="A").risk(ordre=1)  # type: ignore[call-arg]


def test_private_inputs_keep_their_names():
    """What is annotated with an underscore is given with it."""

    @workflow
    class Private:
        _x: int

        @step
        def a(self) -> int:
            return self._x

    assert Private(_x=3).a() == 3
    assert list(compile_workflow(Private).inputs) == ["_x"]


def test_compile_needs_a_workflow():
    """What was not decorated has no graph; nor has the undecorated subclass of a workflow."""

    class Sub(Fulfilment):
        pass

    with pytest.raises(UsageError, match="Sub is not a workflow; decorate the class with @workflow"):
        compile_workflow(Sub)
    with pytest.raises(UsageError, match="3 is not a workflow"):
        compile_workflow(3)  # type: ignore[arg-type]


def test_only_classes_are_decorated():
    """A function is no workflow."""
    with pytest.raises(DefinitionError, match="decorates a class"):
        workflow(lambda: 1)  # type: ignore[call-overload]


def test_class_is_decorated_once():
    """A second time would make other inputs of the same class."""
    with pytest.raises(DefinitionError, match="Fulfilment is a workflow already"):
        workflow(version="3")(Fulfilment)


@workflow
class Base:
    """A base with three steps."""

    folder: str

    @step
    def load(self) -> int:
        return 1

    @step(retries=2, name="clean up")
    def clean(self, rows: int = load.result) -> int:
        return rows

    @step
    def save(self, rows: int = clean.result) -> str:
        return f"{rows}"


def test_subclass_inherits_inputs_and_steps():
    """The steps of the bases come first, and sources resolve by name in the subclass."""

    @workflow
    class Sub(Base):
        suffix: str = ".csv"

        @step
        def report(self, saved: str = Base.save.result) -> str:
            return saved

        @step
        def load(self) -> int:
            return 2

    dag = compile_workflow(Sub)

    assert Sub(folder="x").suffix == ".csv"
    assert ["folder", "suffix"] == list(dag.inputs)
    assert ["load", "clean up", "save", "report"] == list(dag.nodes)
    assert dag.nodes["load"].function is Sub.load.function
    assert compile_workflow(Base).nodes["load"].function is Base.load.function


def test_undecorated_override_runs_as_the_step():
    """It takes the options of the step it overrides, and `super()` reaches that one."""

    @workflow
    class Sub(Base):
        def clean(self, rows: int = Base.load.result) -> int:
            return super().clean(rows) * 10

    node = compile_workflow(Sub).nodes["clean up"]

    assert isinstance(Sub.clean, Step)
    assert node.function is Sub.clean.function
    assert node.options.retry.max_retries == 2
    assert Sub(folder="x").clean(4) == 40


def test_override_in_a_mixin_wins_by_the_method_resolution_order():
    """What attribute look-up finds is what runs, also when a mixin has it undecorated."""

    class Loud:
        def load(self) -> int:
            return 99

    @workflow
    class Sub(Loud, Base):
        pass

    assert compile_workflow(Sub).nodes["load"].function is Loud.load
    assert Sub(folder="x").load() == 99


def test_mixin_brings_steps():
    """Steps of undecorated bases are collected, and may name steps of the class that uses them."""

    class Reporting:
        @step(depends_on="load")
        def report(self) -> str:
            return "ok"

    @workflow
    class Sub(Reporting):
        @step
        def load(self) -> int:
            return 1

    assert [("load", "report")] == list(compile_workflow(Sub).edges)


def test_abstract_step_must_be_implemented():
    """An abstract step compiles; only its implementation can be instantiated."""

    class Parts(abc.ABC):
        @step
        @abc.abstractmethod
        def part(self) -> int: ...

    @workflow
    class Whole(Parts):
        def part(self) -> int:
            return 3

    with pytest.raises(TypeError, match="abstract"):
        Parts()  # type: ignore[abstract]
    assert Whole().part() == 3


def test_static_step_may_be_decorated_either_way():
    """`@staticmethod` may stand above or below `@step`."""

    @workflow
    class Static:
        n: int

        @staticmethod
        @step
        def above(n: int) -> int:
            return n

        @step
        @staticmethod
        def below(above: int) -> int:
            return above + 1

    nodes = compile_workflow(Static).nodes

    assert [False, False] == [node.takes_self for node in nodes.values()]
    assert FromInput("n") == nodes["above"].arguments[0].binding
    assert FromStep(("above",)) == nodes["below"].arguments[0].binding
    # To a type checker the instance takes the place of the first argument: nothing tells it of `@staticmethod`.
    made: Any = Static(n=1)
    assert (made.above(5), made.below(5)) == (5, 6)
    assert Static.below(5) == 6


def test_private_step_is_found_as_it_is_written():
    """A name with two underscores, which Python changes, still means the step."""

    @workflow
    class Hidden:
        @step
        def __load(self) -> int:
            return 1

        @step
        def _keep(self, __load: int) -> int:  # noqa: PYI063
            return __load

        @step(depends_on=["__load", "_keep"])
        def done(self) -> None: ...

    dag = compile_workflow(Hidden)

    assert ["_Hidden__load", "_keep", "done"] == list(dag.nodes)
    assert ("_Hidden__load", "_keep") == dag.nodes["done"].dependencies


def test_step_may_have_any_name():
    """`name=` gives the name in the graph; the name of the method keeps working for sources."""

    @workflow
    class Named:
        @step(name="load orders")
        def load(self) -> int:
            return 1

        @step(name="class")
        def by_parameter(self, load: int) -> int:
            return load

        @step(depends_on=["load", "load orders", "class"])
        def by_name(self, first: int = load.result) -> int:
            return first

    dag = compile_workflow(Named)

    assert ["load orders", "class", "by_name"] == list(dag.nodes)
    assert ("load orders", "class") == dag.nodes["by_name"].dependencies


def test_alias_of_an_inherited_step_keeps_its_first_name():
    """A step that two classes name differently is renamed in neither."""

    @workflow
    class First:
        @step
        def one(self) -> int:
            return 1

    with pytest.raises(DefinitionError, match="'two' is the step 'one' again"):

        @workflow
        class Second(First):
            two = First.one

    assert First.one.name == "one"


def test_own_attrs_hooks_work():
    """`__attrs_post_init__` and validators of fields are there for checks."""

    @workflow
    class Checked:
        n: int = attrs.field(validator=attrs.validators.gt(0))
        double: int = attrs.field(init=False, default=0)

        def __attrs_post_init__(self) -> None:
            object.__setattr__(self, "double", self.n * 2)

        @step
        def a(self) -> int:
            return self.double

    assert Checked(n=2).a() == 4
    assert ["n"] == list(compile_workflow(Checked).inputs)
    with pytest.raises(ValueError, match="must be > 0"):
        Checked(n=0)
