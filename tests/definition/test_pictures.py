"""How graphs show themselves: what changed between two, what a step reaches, classes, and single steps."""

import base64
import re

import pytest

from orchwf import Cache, Dag, UnknownStepError, compile_workflow, make_workflow, signal, step, workflow
from orchwf.core.difference import Difference
from orchwf.core.pictures import node_text


def graph(parents: dict[str, list[str]], name: str = "W") -> Dag:
    """Step -> what it waits for."""
    steps = [step(lambda: 1, name=each, depends_on=own) for each, own in parents.items()]
    return compile_workflow(make_workflow(name, steps))


def svg_of(bundle: dict[str, str]) -> str:
    return base64.b64decode(bundle["text/html"].split("base64,")[1].split('"')[0]).decode()


def marks(dag_or_difference: Difference) -> dict[str, str]:
    picture = dag_or_difference.picture()
    assert picture is not None
    return {shape.id: shape.status for shape in picture.shapes}


def test_a_difference_is_a_picture():
    """Both graphs as one: what is new, what is gone, what changed, and what stayed as it was."""
    old = graph({"a": [], "b": ["a"], "c": ["a"], "d": ["b"]})
    new = graph({"a": [], "b": ["a"], "x": ["a"], "d": ["b", "x"]})

    difference = old.diff(new)
    bundle = difference._repr_mimebundle_()

    assert {"a": "", "b": "", "x": "added", "d": "changed", "c": "removed"} == marks(difference)
    picture = difference.picture()
    assert picture is not None
    arrows = {(arrow.source, arrow.target): arrow.status for arrow in picture.arrows}
    assert {("a", "b"): "", ("b", "d"): "", ("a", "x"): "added", ("x", "d"): "added", ("a", "c"): "removed"} == arrows
    assert "1 step new, 1 step gone, 1 step changed. 2 arrows new, 1 arrow gone." == picture.note
    assert 'class="arrow added"' in svg_of(bundle)
    assert 'class="arrow dashed removed"' in svg_of(bundle)
    assert "- c  removed" in bundle["text/plain"]
    assert "+ step 'x' is new" in bundle["text/plain"]


def test_a_dependency_that_turned_round_closes_no_circle():
    """A picture has none: what is gone is left out where it would, and the note says so."""
    old = graph({"a": [], "b": ["a"], "c": ["b"], "z": ["a"]})
    new = graph({"c": [], "b": ["c"], "a": ["b"], "z": ["a"]})

    picture = old.diff(new).picture()

    assert picture is not None
    assert {("c", "b"), ("b", "a"), ("a", "z")} == {(arrow.source, arrow.target) for arrow in picture.arrows}
    assert picture.note.endswith("Left out: 2 arrows that turned round.")
    assert "removed" not in old.diff(new)._repr_mimebundle_()["text/plain"]


def test_an_arrow_that_alone_is_gone_has_its_colour():
    """Also where no step is."""
    old, new = graph({"a": [], "b": [], "c": ["a", "b"]}), graph({"a": [], "b": [], "c": ["a"]})

    svg = svg_of(old.diff(new)._repr_mimebundle_())

    assert 'class="arrow dashed removed"' in svg
    assert ".orchwf .arrow.removed{stroke:" in svg


def test_inputs_that_changed_are_told_in_the_note():
    """They have no boxes."""
    old = compile_workflow(make_workflow("W", [step(lambda: 1, name="a")], {"n": int}))
    new = compile_workflow(make_workflow("W", [step(lambda: 1, name="a")], {"n": str}))

    picture = old.diff(new).picture()

    assert picture is not None
    assert "inputs changed: n." in picture.note


def test_no_difference_is_said_in_words():
    """There is nothing to draw; nor is there where the graphs are not known."""
    dag = graph({"a": []})

    assert {"text/plain": "no difference"} == dag.diff(dag)._repr_mimebundle_()
    assert {"text/plain": "- step 'a' is gone"} == Difference(
        removed=("a",), lines=("- step 'a' is gone",)
    )._repr_mimebundle_()
    assert Difference().picture() is None


def test_a_difference_of_thousands_of_steps_is_small():
    """As any picture it is drawn as groups."""
    old = graph({f"s{at}": [f"s{at - 1}"] if at else [] for at in range(3_000)})
    new = graph({f"s{at}": [f"s{at - 1}"] if at else [] for at in range(2_900)})

    assert len(old.diff(new)._repr_mimebundle_()["text/html"]) < 300_000


def test_what_a_step_reaches():
    """Directly, in all, in topological order; and how much it does not."""
    dag = graph({"a": [], "b": ["a"], "c": ["b"], "x": [], "d": ["c", "x"]})

    impact = dag.impact_of("b")

    assert ("b", ("c",), ("c", "d"), 2) == (impact.step, tuple(impact.direct), tuple(impact.steps), impact.spared)
    assert "b reaches 2 of the other 4 steps: directly c; in all c, d" == str(impact)
    statuses = {shape.id: shape.status for shape in impact.picture().shapes}
    assert {"a": "", "b": "changed", "c": "reached", "d": "reached", "x": ""} == statuses
    assert "> d  reached" in impact._repr_mimebundle_()["text/plain"]
    assert "no step waits for d" == str(dag.impact_of("d"))
    with pytest.raises(UnknownStepError, match="'nope'"):
        dag.impact_of("nope")


@workflow
class Tea:
    """Makes tea.

    And no coffee.
    """

    cups: int = 1

    told = signal()

    @step(
        retries=2, timeout="30s", total_timeout="2m", delivery="at_most_once", priority=3, executor="process",
        join="settled", depends_on=[told],
    )  # fmt: skip
    def boil(self) -> list[str]:
        """Heats the water
        until it sings.

        With fire.
        """
        return []

    @step(retries=1, cache=Cache(ttl="1h"))
    def pour(self, boil: list[str]) -> None: ...

    @step
    def drink(self, pour: None): ...


def test_a_class_shows_its_graph_and_an_instance_its_inputs():
    """A notebook asks a class only for methods that are bound to it."""
    shown, instance = Tea._repr_mimebundle_(), Tea(cups=3)._repr_mimebundle_()  # type: ignore[attr-defined]

    assert ["Tea", "Makes tea."] == shown["text/plain"].splitlines()[:2]
    assert ["Tea", "Tea(cups=3)"] == instance["text/plain"].splitlines()[:2]
    assert "pour" in svg_of(shown)


def test_a_class_that_shows_itself_in_its_own_way_does_so():
    """What is there is not replaced."""

    @workflow
    class Own:
        @step
        def one(self) -> int:
            return 1

        def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
            return {"text/plain": "own"}

    assert {"text/plain": "own"} == Own()._repr_mimebundle_()


def test_a_step_shows_what_is_around_it():
    """What it waits for, what waits for it, and what it says of itself; not what is further away."""
    text = Tea.boil._repr_mimebundle_()["text/plain"]

    assert "Tea.boil" == text.splitlines()[0]
    assert "pour" in text
    assert "drink" not in text
    assert "told" in Tea.told._repr_mimebundle_()["text/plain"]


def test_a_step_that_belongs_to_no_workflow_is_named():
    """Nothing is known of what is around it."""

    @step
    def free() -> int:
        return 1

    assert {"text/plain": repr(free)} == free._repr_mimebundle_()


def test_pointing_at_a_step_tells_what_it_is():
    """Its docstring, what it gives, the options that are not as they are by themselves, and where it stands."""
    dag = compile_workflow(Tea)

    said, gives, options, place = node_text(dag.nodes["boil"]).splitlines()

    assert "Heats the water until it sings." == said
    assert "gives list[str]" == gives
    assert (
        "2 retries, timeout 30 s, total timeout 2 min 00 s, at most once, join settled, executor process, priority 3"
        == options
    )
    assert re.fullmatch(r".*test_pictures\.py:\d+", place)
    assert "1 retry, cached" in node_text(dag.nodes["pour"])
    assert f"Heats the water until it sings.&#10;{gives}" in dag._repr_mimebundle_()["text/html"]


def test_a_long_docstring_is_cut_where_it_is_pointed_at():
    """It is in the code."""

    def talks() -> None: ...

    talks.__doc__ = "word " * 1_000
    dag = compile_workflow(make_workflow("W", [step(talks)]))

    assert len(node_text(dag.nodes["talks"]).splitlines()[0]) < 250
