"""What a graph can be asked."""

import copy
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from orchwf import (
    Dag,
    Quorum,
    Retry,
    StepContext,
    UsageError,
    compile_workflow,
    make_workflow,
    signal,
    sleep,
    step,
    subflow,
    workflow,
)
from orchwf.core.definition import ForChild, ForSignal, ForTime
from orchwf.core.plan import Plan
from orchwf.core.references import Condition
from orchwf.core.types import describe_type
from orchwf.errors import UnknownStepError

LINKS = {
    "load": [],
    "parse": ["load"],
    "weather": [],
    "join": ["parse", "weather"],
    "report": ["join"],
    "archive": ["load"],
    "notify": ["report", "join"],
}


def made(links: dict[str, Any] = LINKS, name: str = "Flights", **options: Any) -> Dag:
    """A graph of steps that do nothing: name -> what it waits for."""
    steps = [step(lambda: 1, name=name, depends_on=row) for name, row in links.items()]
    return compile_workflow(make_workflow(name, steps, **options))


def test_order_is_topological_with_ties_by_definition():
    """Among the steps that could come next the one that was defined first does."""
    dag = made({"z": ["m"], "b": [], "m": [], "a": ["b"], "c": []})

    assert list(dag.nodes) == ["b", "m", "z", "a", "c"]
    assert [dag.nodes[name].position for name in dag.nodes] == [1, 2, 0, 3, 4]


def test_views():
    """Edges, generations, roots, leaves."""
    dag = made()

    assert repr(dag) == "<Dag Flights: 7 steps, 7 edges>"
    assert dag.edges == (
        ("load", "parse"), ("parse", "join"), ("weather", "join"), ("join", "report"), ("load", "archive"),
        ("report", "notify"), ("join", "notify"),
    )  # fmt: skip
    assert dag.generations == (("load", "weather"), ("parse", "archive"), ("join",), ("report",), ("notify",))
    assert (dag.roots, dag.leaves) == (("load", "weather"), ("archive", "notify"))
    assert dag.children["load"] == ("parse", "archive")


def test_ancestors_and_descendants():
    """All that is above or below, the step itself not counted."""
    dag = made()

    assert dag.ancestors("join") == {"load", "parse", "weather"}
    assert dag.descendants("parse") == {"join", "report", "notify"}
    assert dag.ancestors("load") == frozenset()


def test_steps_may_be_asked_by_reference():
    """Where a name is wanted the step will do."""

    @workflow
    class W:
        @step
        def a(self) -> int:
            return 1

        @step
        def b(self, a: int) -> int:
            return a

    dag = compile_workflow(W)

    assert dag.descendants(W.a) == {"b"}
    assert list(dag.paths(W.a, "b")) == [("a", "b")]


def test_paths():
    """Every path once, one after the other."""
    dag = made()

    assert list(dag.paths("load", "notify")) == [
        ("load", "parse", "join", "report", "notify"),
        ("load", "parse", "join", "notify"),
    ]
    assert list(dag.paths("archive", "notify")) == []
    assert list(dag.paths("load", "load")) == [("load",)]


def test_paths_are_made_as_they_are_asked_for():
    """Of a graph with 2**50 paths the first ones come at once."""
    links: dict[str, Any] = {"s0": []}
    for number in range(1, 51):
        before = [f"s{number - 1}"] if number == 1 else [f"l{number - 1}", f"r{number - 1}"]
        links |= {f"l{number}": before, f"r{number}": before}

    paths = made(links).paths("s0", "r50")

    assert len(next(paths)) == 51


def test_critical_path():
    """The longest way through, by the durations given; what has none takes none."""
    dag = made()

    critical = dag.critical_path({"load": 2, "parse": 3.5, "weather": 5, "report": 1, "archive": 4})

    assert critical.steps == ("load", "parse", "join", "report", "notify")
    assert critical.duration == 6.5
    assert dag.critical_path({}).duration == 0.0


@pytest.mark.parametrize("duration", [-1, math.nan, "3", True, None])
def test_critical_path_refuses_what_is_no_duration(duration: Any):
    """The error names the step."""
    with pytest.raises(UsageError, match="the duration of step 'join' is"):
        made().critical_path({"join": duration})


def test_unknown_steps():
    """A name that is not there is an error with a hint, also as a LookupError."""
    dag = made()

    for ask in (
        dag.ancestors,
        dag.descendants,
        lambda name: dag.paths("load", name),
        lambda name: dag.critical_path({name: 1}),
    ):
        with pytest.raises(UnknownStepError) as caught:
            ask("prase")
        assert str(caught.value) == "Flights has no step 'prase'. Did you mean 'parse'?"
        assert isinstance(caught.value, LookupError)


def test_networkx_graph_is_fresh():
    """What is done to it does not change the graph."""
    dag = made()

    graph = dag.graph
    graph.remove_node("load")

    assert set(dag.graph.nodes) == set(LINKS)
    assert list(dag.graph.edges) != []
    assert dag.graph.nodes["join"]["step"] is dag.nodes["join"]


def test_networkx_edges_say_by_which_parameters():
    """An edge knows the parameters that take the output."""
    a = step(lambda: 1, name="a")
    dag = compile_workflow(
        make_workflow(
            "W", [a, step(lambda x=a.result, y=a.maybe: 1, name="b"), step(lambda: 1, name="c", depends_on="a")]
        )
    )

    assert dag.graph.edges["a", "b"]["via"] == ("x", "y")
    assert dag.graph.edges["a", "c"]["via"] == ()


def test_it_cannot_be_changed():
    """Its attributes and mappings are read-only."""
    dag = made()

    with pytest.raises(AttributeError):
        dag.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        dag.nodes["x"] = dag.nodes["load"]  # type: ignore[index]


def rich() -> Dag:
    """A graph with a bit of everything."""
    a = step(lambda: 1, name="a", required=False)

    def b(x: int | None = a.maybe, *, n: int, **outputs: object) -> str:
        """It has a docstring."""
        return ""

    read = step(b, retries=Retry(3), total_timeout="1m", priority=2, tags=["t"], depends_on="c")
    return compile_workflow(
        make_workflow(
            "Rich",
            [
                a,
                step(lambda: 1, name="c", when=a.is_(1)),
                read,
                step(lambda: 1, name="d", depends_on=["a", "c"], join=Quorum(1), cancel_rest=True),
                step(lambda x=(read | a).result: x, name="e", when=lambda self: self.n > 0),
            ],
            {"n": int, "m": (str, "x")},
        )
    )


def test_document():
    """`to_dict` is JSON with what pictures and comparisons need."""
    document = rich().to_dict()
    steps = {each["name"]: each for each in document["steps"]}

    assert document == json.loads(json.dumps(document))
    assert (document["schema"], document["name"], document["version"]) == (1, "Rich", "1")
    assert document["inputs"] == [
        {"name": "n", "type": "int", "required": True},
        {"name": "m", "type": "str", "required": False},
    ]
    assert steps["c"]["when"] == "a is 1"
    assert steps["e"]["when"] == "lambda self: ..."
    assert (steps["d"]["join"], steps["d"]["cancel_rest"]) == ("quorum(1)", True)
    assert steps["e"]["choices"] == [["b", "a"]]
    assert steps["b"]["arguments"] == [
        {"parameter": "x", "source": "maybe", "names": ["a"]},
        {"parameter": "n", "source": "input", "names": ["n"]},
        {"parameter": "outputs", "source": "outputs", "names": ["c"]},
    ]
    assert (steps["b"]["retries"], steps["b"]["total_timeout"], steps["b"]["type"]) == (3, 60.0, "str")
    assert steps["b"]["description"] == "It has a docstring."


def test_document_is_a_copy():
    """Changing it does not change the graph."""
    dag = rich()

    dag.to_dict()["steps"].clear()

    assert len(dag.to_dict()["steps"]) == 5


def test_round_trip():
    """A graph read from its document is the same, and can be drawn; it has no code."""
    dag = rich()

    again = Dag.from_dict(dag.to_dict())

    assert again.to_dict() == dag.to_dict()
    assert again.fingerprint == dag.fingerprint
    assert not dag.diff(again)
    assert (again.workflow, again.module, again.nodes["b"].function) == (None, "", None)
    assert again.generations == dag.generations
    assert again.to_text() == dag.to_text()
    when = again.nodes["c"].options.when
    assert isinstance(when, Condition)
    assert when.answer(lambda ref: 1) is None


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "it has no schema number"),
        ([], "it has no schema number"),
        ({"schema": 99}, "written by a newer orchwf .schema 99, this one reads 1."),
        ({"schema": 1}, "KeyError 'name'"),
    ],
)
def test_documents_that_are_none(document: Any, message: str):
    """What is no graph, or of a later form, is refused."""
    with pytest.raises(UsageError, match=message):
        Dag.from_dict(document)


def test_every_binding_survives():
    """A context and an input are bindings, too."""

    def it(ctx: StepContext, n: int) -> None: ...

    dag = compile_workflow(make_workflow("W", [it], {"n": int}))

    assert Dag.from_dict(dag.to_dict()).nodes["it"].arguments == dag.nodes["it"].arguments


@workflow
class Child:
    """What another one starts."""

    @step
    def book(self) -> int:
        return 1


@workflow
class All:
    """A node of every kind, and every way to take what one gives."""

    day: str = ""

    @step
    def load(self, day: str) -> list[int]:
        return [1]

    @step(max_parallel=2, tolerate=0.5, need=1, item_key=str)
    def score(self, x: int = load.each) -> float:
        return 1.0

    @score.compensate(retries=2)
    def undo(self, score: float) -> None: ...

    @step
    def rows(self) -> Iterator[int]:
        yield 1

    @step(until=lambda xs: True, max_iterations=3)
    def refine(self, xs: list[int] = load.result) -> list[int]:
        return xs

    paid = signal(int, timeout="1d", default=None, depends_on=load)
    pause = sleep("1h", depends_on=[paid])
    moment = sleep(datetime(2030, 1, 1, tzinfo=UTC))
    patient = sleep(lambda self: 5)

    @subflow(on_parent_close="abandon", max_depth=3)
    def ship(self, n: int | None = paid.result) -> Child:
        return Child()

    @subflow
    def ships(self, n: int = load.each) -> Child:
        return Child()

    @step
    def end(
        self, ctx: StepContext, scores: Sequence[float | None] = score.all, one: int = ship[Child.book].result,
        many: list[int] = ships[Child.book].all, paid: int | None = paid.maybe, **outputs: object,
    ) -> None: ...  # fmt: skip


def test_every_kind_of_node_survives():
    """The document says what there is to say: the plan of it, and its pictures, are the same."""
    dag = compile_workflow(All)

    again = Dag.from_dict(json.loads(json.dumps(dag.to_dict())))

    assert dag.to_dict() == again.to_dict()
    assert dag.fingerprint == again.fingerprint
    assert not dag.diff(again)
    for name in set(Plan.__slots__) - {"nodes"}:
        assert getattr(Plan(dag), name) == getattr(Plan(again), name), name
    assert dag.to_svg() == again.to_svg()
    assert (dag.to_text(), dag.to_mermaid(), dag.to_dot()) == (again.to_text(), again.to_mermaid(), again.to_dot())
    assert [node.arguments for node in dag.nodes.values()] == [node.arguments for node in again.nodes.values()]


def test_what_is_waited_for_survives():
    """But for code: a time that a function says, and the workflow that is started."""
    nodes = Dag.from_dict(compile_workflow(All).to_dict()).nodes

    signalled, slept, shipped = nodes["paid"].waits, nodes["moment"].waits, nodes["ship"].waits
    assert isinstance(signalled, ForSignal)
    assert (86_400.0, "null", "int") == (signalled.timeout, signalled.default, describe_type(signalled.type))
    assert ForTime(until=datetime(2030, 1, 1, tzinfo=UTC)) == slept
    assert ForTime(until=3600.0) == nodes["pause"].waits
    assert ForChild(name="Child", on_parent_close="abandon", max_depth=3) == shipped
    until = getattr(nodes["patient"].waits, "until", None)
    assert callable(until)
    assert 0.0 == until(None)


def test_a_graph_whose_conditions_are_texts_can_be_counted_with():
    """A run of it can be ended, though nobody has its code."""
    a, b = step(lambda: 1, name="a"), step(lambda: 1, name="b")
    dag = compile_workflow(
        make_workflow("W", [a, b, step(lambda: 1, name="c", when=a.is_(1), depends_on=b, join="any")])
    )

    plan = Plan(Dag.from_dict(dag.to_dict()))

    assert ([(), (), (1, 0)], {2: frozenset({0})}) == (plan.parents, plan.gates)


def test_options_of_items_survive():
    """But for functions."""
    options = Dag.from_dict(compile_workflow(All).to_dict()).nodes["score"].options

    assert (2, 0.5, 1, None) == (options.max_parallel, options.tolerate, options.need, options.item_key)


def test_documents_of_plain_steps_say_nothing_of_what_they_have_not():
    """So they are as they were in earlier releases."""
    (document,) = made({"a": []}).to_dict()["steps"]

    assert not {"several", "carries", "waits", "max_parallel"} & document.keys()


def test_difference_in_how_steps_run():
    """Once, per item, in a loop, as a generator, or not at all but to wait."""

    def yields(load: Any) -> Iterator[int]:
        yield 1

    def graph(**steps: Any) -> Dag:
        return compile_workflow(make_workflow("W", {"load": load, **steps}))

    load = step(lambda: [1], name="load")
    plain = step(lambda x: x, name="a", depends_on={"x": load.result})
    ways = {
        "runs once per item": step(lambda x: x, name="a", depends_on={"x": load.each}),
        "runs in a loop": step(lambda x: x, name="a", depends_on={"x": load.result}, until=lambda x: True),
        "is a generator": step(yields, name="a"),
    }

    for text, other in ways.items():
        difference = graph(a=plain).diff(graph(a=other))
        assert (("a",), f"~ step 'a' {text}, and no more runs once") == (difference.rewired, difference.lines[0])
        assert f"~ step 'a' runs once, and no more {text}" == graph(a=other).diff(graph(a=plain)).lines[0]
    waits = graph(a=signal(int, depends_on="load"))
    assert "~ step 'a' is a signal, not a step" == graph(a=plain).diff(waits).lines[0]


def test_difference():
    """What was added, removed, rewired, retyped or changed, and of the inputs."""
    old = made({"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "e": []})

    def e() -> int:
        return 5

    steps: list[Callable[..., Any]] = [
        step(lambda: 1, name="a"), step(lambda: 1, name="b"), step(lambda: 1, name="x"),
        step(lambda: 1, name="c", depends_on=["b", "x"], required=False),
        step(lambda: 1, name="d", depends_on="c", join="settled"), e,
    ]  # fmt: skip
    difference = old.diff(compile_workflow(make_workflow("Flights", steps, {"n": int})))

    assert (difference.added, difference.removed) == (("x",), ())
    assert set(difference.rewired) == {"b", "c", "d"}
    assert (difference.retyped, difference.inputs) == (("e",), ("n",))
    assert "e" in difference.changed
    assert difference.is_structural
    assert str(difference).splitlines() == [
        "+ step 'x' is new",
        "~ step 'b' no longer waits for a",
        "~ step 'c' waits for x",
        "~ step 'd' has join='settled', not 'all'",
        "~ step 'e' gives int, not anything",
        "~ input 'n' is new",
        *(f"* step {name!r} has other code" for name in difference.changed),
    ]


def test_difference_of_inputs():
    """Types and whether they must be given count."""

    def graph(inputs: dict[str, Any]) -> Dag:
        return compile_workflow(make_workflow("W", [step(lambda: 1, name="a")], inputs))

    difference = graph({"a1": int, "b1": int, "c1": (int, 1), "d1": int}).diff(
        graph({"a1": str, "b1": (int, 1), "c1": int})
    )

    assert difference.inputs == ("a1", "b1", "c1", "d1")
    assert difference.lines == (
        "~ input 'a1' is str, not int",
        "~ input 'b1' is no longer required",
        "~ input 'c1' is now required",
        "~ input 'd1' is gone",
    )


def test_difference_of_sources():
    """Two arguments that change places make another graph."""

    def graph(x: str, y: str) -> Dag:
        a, b = step(lambda: 1, name="a"), step(lambda: 1, name="b")
        by_name = {"a": a, "b": b}
        use = step(lambda x, y: 1, name="c", depends_on={"x": by_name[x].result, "y": by_name[y].result})
        return compile_workflow(make_workflow("W", [a, b, use]))

    difference = graph("a", "b").diff(graph("b", "a"))

    assert difference.rewired == ("c",)
    assert str(difference) == "~ step 'c' takes its values from elsewhere"


def test_difference_of_nothing():
    """Equal graphs do not differ, and a version alone is no difference of the graph."""
    same = made().diff(made(version="2"))

    assert not same
    assert not same.is_structural
    assert str(same) == "no difference"


def test_long_difference_is_cut():
    """A message stays readable."""
    text = str(made({"a": []}).diff(made({f"s{n}": [] for n in range(100)})))

    assert len(text.splitlines()) == 21
    assert text.endswith("... and 81 more")


def test_pictures():
    """Every picture shows every step."""
    dag = rich()
    bundle = dag._repr_mimebundle_()

    for picture in (dag.to_svg(), dag.to_mermaid(), dag.to_dot(), dag.to_text()):
        assert all(name in picture for name in dag.nodes)
    assert set(bundle) == {"text/html", "text/plain"}


def test_importing_does_not_import_networkx():
    """Who compiles and asks does not pay for it; who reads `graph` does."""
    code = (
        "import sys; from orchwf import *; "
        "dag = compile_workflow(make_workflow('W', [step(lambda: 1, name='a')])); dag.fingerprint; dag.generations; "
        "print('networkx' in sys.modules); dag.graph; print('networkx' in sys.modules)"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda dag: dag.ancestors(3), "a step is named by its name or by itself, not by 3"),
        (lambda dag: dag.critical_path([1.0]), "takes a mapping of names of steps to seconds"),
        (lambda dag: dag.diff("other"), "a Dag is compared with another one"),
    ],
)
def test_what_makes_no_sense_is_refused(ask: Callable[[Dag], object], message: str):
    """With what was meant, instead of what Python stumbles over."""
    dag = compile_workflow(make_workflow("W", [step(lambda: 1, name="only")]))

    with pytest.raises(UsageError, match=message):
        ask(dag)


def test_a_copy_of_a_graph_is_the_graph():
    """It cannot be changed; what holds it, such as a result, can be copied."""
    dag = compile_workflow(make_workflow("W", [step(lambda: 1, name="only")]))

    assert dag is copy.deepcopy(dag)
