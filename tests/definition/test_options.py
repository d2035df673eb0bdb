"""What `@step(...)` and `@workflow(...)` take, and what they say of what they do not."""

import json
from datetime import timedelta
from typing import Any

import pytest

from orchwf import BadOptionError, Dag, DefinitionError, Quorum, Retry, compile_workflow, make_workflow, step, workflow
from orchwf.core.options import Join, StepOptions


@step
def up() -> int:
    """A step to depend on."""
    return 1


async def coroutine(output: object) -> bool:
    """No predicate: it is always true."""
    return False


def options_of(**options: Any) -> StepOptions:
    """The options of a step as they are in the graph."""
    made = make_workflow("W", [up, step(lambda: 1, name="it", depends_on="up", **options)])
    return compile_workflow(made).nodes["it"].options


def problem_of(**options: Any) -> tuple[str, str]:
    """Message and hint of the one bad option."""
    with pytest.raises(DefinitionError) as caught:
        make_workflow("W", [up, step(lambda: 1, **{"name": "it", "depends_on": "up", **options})])
    (problem,) = caught.value.problems
    assert problem.code == "bad-option"
    return problem.message.removeprefix("step 'it': "), problem.hint


def test_defaults():
    """A bare step is tried once, without a limit, and must succeed."""
    options = options_of()

    assert (options.retry.max_retries, options.timeout, options.total_timeout) == (0, None, None)
    assert (options.required, options.priority, options.join, options.when) == (True, 0, Join.ALL, None)


@pytest.mark.filterwarnings("ignore:.*sync-timeout")
def test_values():
    """Durations become seconds, numbers of retries a `Retry`."""
    retry = Retry(2, initial="500ms", jitter=None)
    options = options_of(
        retries=3, timeout="1h30m", total_timeout=timedelta(days=2), required=False, priority=-5, tags=["a", "b"]
    )

    assert options.retry == Retry(3)
    assert (options.timeout, options.total_timeout) == (5400.0, 172800.0)
    assert (options.required, options.priority, options.tags) == (False, -5, ("a", "b"))
    assert options_of(retries=retry).retry is retry
    assert options_of(timeout=None, when=None).timeout is None
    assert options_of(tags={"b", "a"}).tags == ("a", "b")


@pytest.mark.parametrize(
    ("join", "meant"),
    [("all", Join.ALL), ("any", Join.ANY), ("first", Join.FIRST), ("settled", Join.SETTLED), (Quorum(1), Quorum(1))],
)
def test_joins(join: Any, meant: object):
    """A join is a word or a `Quorum`."""
    assert options_of(join=join).join == meant


@pytest.mark.parametrize("join", ["first", Quorum(1)])
def test_cancel_rest(join: Any):
    """The rest can be cancelled where there may be one."""
    assert options_of(join=join, cancel_rest=True).cancel_rest is True


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"retries": -1}, "retries takes a whole number of at least 0, or a Retry, not -1",
         "It counts the attempts after the first one."),
        ({"retries": True}, "retries takes a whole number of at least 0, or a Retry, not True",
         "It counts the attempts after the first one."),
        ({"timeout": 0}, "timeout must be longer than 0 seconds", "Leave it out for no limit."),
        ({"total_timeout": "5 parsecs"}, "total_timeout takes a duration, not '5 parsecs'",
         "Give seconds (a number that is not negative), a timedelta, or text such as '30s', '1h30m', '2d'."),
        ({"required": 1}, "required takes True or False, not 1", ""),
        ({"priority": 1.5}, "priority takes a whole number, not 1.5", "Higher goes first."),
        ({"priority": True}, "priority takes a whole number, not True", "Higher goes first."),
        ({"join": "frist"}, "join takes 'all', 'any', 'first', 'settled' or Quorum(n), not 'frist'",
         "Did you mean 'first'?"),
        ({"join": 2}, "join takes 'all', 'any', 'first', 'settled' or Quorum(n), not 2",
         "For so many of them: join=Quorum(2)"),
        ({"join": True}, "join takes 'all', 'any', 'first', 'settled' or Quorum(n), not True", ""),
        ({"join": "zzz"}, "join takes 'all', 'any', 'first', 'settled' or Quorum(n), not 'zzz'", ""),
        ({"cancel_rest": True}, "cancel_rest=True goes with join='first' or Quorum(n), not with join='all'",
         "With this join the others have ended anyway."),
        ({"tags": "slow"}, "tags takes a list of texts that are not empty, not 'slow'", "For one: tags=['slow']"),
        ({"tags": [1]}, "tags takes a list of texts that are not empty, not [1]", ""),
        ({"tags": 5}, "tags takes a list of texts that are not empty, not 5", ""),
        ({"when": up}, "when takes a condition on 'up', not the step itself", "For example: when=up.is_(True)"),
        ({"when": up.result}, "when takes a condition on 'up', not the step itself", "For example: when=up.is_(True)"),
        ({"when": True}, "when takes a condition or a function of the instance, not True",
         "For example: when=assess.is_('approve'), or when=lambda self: self.express"),
        ({"when": int}, "when takes a condition or a function of the instance, not <class 'int'>",
         "For example: when=assess.is_('approve'), or when=lambda self: self.express"),
        ({"depends_on": 3}, "depends_on takes steps and names of steps, not 3", ""),
        ({"depends_on": [3]}, "depends_on takes steps and names of steps, not 3", ""),
        ({"depends_on": [up.result]}, "depends_on takes steps and names of steps, not up.result",
         "Name the step itself:  depends_on=[up]"),
        ({"depends_on": (up | up).maybe}, "depends_on takes steps and names of steps, not (up | up).maybe",
         "Name the step itself:  depends_on=[up | up]"),
        ({"depends_on": [print]}, "depends_on takes steps and names of steps, not <built-in function print>",
         "Decorate 'print' with @step first."),
        ({"depends_on": {1: up.result}}, "a mapping in depends_on goes from names of parameters, not from 1", ""),
        ({"depends_on": {"x": up}}, "a mapping in depends_on goes to sources, not to <Step up>",
         "For example: depends_on={'order': validate.result}"),
        ({"retires": 3}, "@step has no option 'retires'", "Did you mean 'retries'?"),
        ({"zzz": 3}, "@step has no option 'zzz'", None),
        ({"max_parallel": 0}, "max_parallel takes a whole number of at least 1, not 0", None),
        ({"max_parallel": True}, "max_parallel takes a whole number of at least 1, not True", None),
        ({"tolerate": -1}, "tolerate takes how many items may fail, not -1", None),
        ({"tolerate": 1.5}, "tolerate takes how many items may fail, not 1.5", None),
        ({"tolerate": True}, "tolerate takes how many items may fail, not True", None),
        ({"need": 0}, "need takes a whole number of at least 1, not 0", None),
        ({"item_key": 3}, "item_key takes a function of an item, not 3", "Such as item_key=lambda order: order.id"),
        ({"executor": 3}, "executor takes 'auto', 'process' or the name of one, not 3", None),
        ({"executor": ""}, "executor='' cannot be: ", None),
        ({"resources": {"gpu": 1}}, "resources are of an executor, and none is given", None),
        ({"resources": {"gpu": 1}, "executor": "auto"}, "resources are of an executor, and none is given", None),
        ({"executor": "dask", "resources": ["gpu"]}, "resources takes names with how much of each, not ['gpu']",
         "For example: resources={'gpu': 1}"),
        ({"executor": "dask", "resources": {"gpu": 0}},
         "resources takes names with a positive number for each, not 'gpu': 0", None),
        ({"executor": "dask", "resources": {"gpu": True}},
         "resources takes names with a positive number for each, not 'gpu': True", None),
        ({"executor": "dask", "resources": {"": 1}},
         "resources takes names with a positive number for each, not '': 1", None),
        (
            {"delivery": "at_most_one"},
            "delivery takes 'at_least_once' or 'at_most_once', not 'at_most_one'",
            "Did you mean 'at_most_once'?",
        ),
        ({"on_exhausted": True}, "on_exhausted takes 'fail' or 'pause', not True", ""),
        ({"until": bool}, "until takes a function of the output, not <class 'bool'>", None),
        ({"until": lambda: True}, "until takes a function of the output alone", None),
        ({"until": up}, "until takes a function of the output, not <Step up>", None),
        ({"until": coroutine}, "until takes a plain function of the output, not a coroutine function", None),
        ({"max_iterations": 3}, "max_iterations goes with until, which is not given",
         "Say when the loop ends:  until=lambda output: ..."),
    ],
)  # fmt: skip
def test_bad_options(options: dict[str, Any], message: str, hint: str | None):
    """Each with what is wrong and what would be right."""
    told = problem_of(**options)

    assert told == (told[0] if message.endswith(" ") else message, told[1] if hint is None else hint)
    assert told[0].startswith(message)


def test_condition_in_depends_on():
    """It has a place of its own."""
    assert problem_of(depends_on=up.is_(1))[1] == "A condition goes into when=..."


def test_when_must_be_plain():
    """A coroutine function is always true."""

    async def when(self) -> bool:
        return True

    assert problem_of(when=when)[0] == "when takes a plain function of the instance, not a coroutine function"


def test_defaults_may_be_said():
    """What means nothing new."""
    options = options_of(
        executor="auto", resources=None, delivery="at_least_once", on_exhausted="fail", until=None, cache=None
    )

    assert (True, None, {}) == (options.required, options.executor, options.resources)
    assert options_of(executor=None, resources={}).executor is None


def test_an_executor_and_what_it_needs():
    """Are kept as they were given; what is given later is another mapping."""
    needs = {"gpu": 1, "disk": 0.5}
    options = options_of(executor="dask", resources=needs)
    needs.clear()

    assert ("dask", {"gpu": 1, "disk": 0.5}) == (options.executor, options.resources)


def test_a_graph_that_was_stored_knows_where_its_steps_run():
    """One that names no executor is stored as it was before there were any, and has the same fingerprint."""
    here, there = step(lambda: 1, name="it"), step(lambda: 1, name="it", executor="dask", resources={"gpu": 1})
    plain, dag = (compile_workflow(make_workflow("W", [each])) for each in (here, there))

    again = Dag.from_dict(json.loads(dag.to_json()))

    assert ("dask", {"gpu": 1}) == (again.nodes["it"].options.executor, again.nodes["it"].options.resources)
    assert "executor" not in plain.to_dict()["steps"][0]
    assert plain.fingerprint == dag.fingerprint


def test_retry_and_quorum_fail_at_once():
    """A value that is wrong by itself raises where it is written."""
    for make in (lambda: Retry(-1), lambda: Quorum(0), lambda: Retry(1, multiplier=0.5)):
        with pytest.raises(BadOptionError) as caught:
            make()
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"version": 2}, "version takes a text, not 2", 'For example: version="2"'),
        ({"version": None}, "version takes a text, not None", ""),
        ({"version": ""}, "version='' cannot be: a name is not empty", ""),
        ({"name": 3}, "name=3 cannot be: a name is text, not 3", ""),
        ({"deadline": 0}, "deadline must be longer than 0 seconds", "Leave it out for no limit."),
        ({"fail_fast": None}, "fail_fast takes True or False, not None", ""),
        ({"on_change": "ignore"}, "on_change takes 'refuse' or 'adopt', not 'ignore'", ""),
        ({"verson": "2"}, "@workflow has no option 'verson'", "Did you mean 'version'?"),
    ],
)  # fmt: skip
def test_bad_workflow_options(options: dict[str, Any], message: str, hint: str):
    """They are problems of the class."""
    with pytest.raises(DefinitionError) as caught:

        @workflow(**options)
        class W:
            @step
            def a(self) -> None: ...

    (problem,) = caught.value.problems
    assert (problem.code, problem.message, problem.hint) == ("bad-option", message, hint)
    assert problem.location != ""


def test_workflow_name_and_options():
    """`name` is the name in the store; a made workflow takes the same options."""

    @workflow(name="order fulfilment", deadline=None)
    class W:
        @step
        def a(self) -> None: ...

    made = make_workflow(
        "Made", [up], {"n": (int, 3)}, "7", deadline="1d", fail_fast=False, tags=["x"], description="What it does."
    )
    dag = compile_workflow(made)

    assert compile_workflow(W).name == "order fulfilment"
    assert (dag.name, dag.version, dag.description) == ("Made", "7", "What it does.")
    assert (dag.options.deadline, dag.options.fail_fast, dag.options.tags) == (86400.0, False, ("x",))
    assert made().n == 3
    assert made.__module__ == __name__


def test_step_takes_options_beside_the_function():
    """`step(function, retries=1)` is the same as `step(retries=1)(function)`."""
    assert step(lambda: 1, retries=2).options.retry == Retry(2)


def test_made_steps_are_attributes_where_they_can_be():
    """Names that are identifiers can be read from the class; none hides what the class has."""
    made = make_workflow("W", {"load": up, "a b": up, "mro": up, "n": step(lambda load: load + 1)})

    assert made.load.name == "load"
    assert not hasattr(made, "a b")
    assert isinstance(made.mro(), list)
    assert made().n(4) == 5
    assert made().load() == 1


def test_a_class_may_inherit_from_a_made_one():
    """The made steps keep their names and still take no self."""
    made = make_workflow("Made", {"a b": up, "load": step(lambda: 2)}, {"n": int})

    @workflow
    class Sub(made):  # type: ignore[misc, valid-type]
        @step(depends_on="a b")
        def after(self, load: int) -> int:
            return load

    dag = compile_workflow(Sub)

    assert set(dag.nodes) == {"a b", "load", "after"}
    assert [dag.nodes[name].takes_self for name in ("a b", "load", "after")] == [False, False, True]
    assert dag.nodes["after"].dependencies == ("a b", "load")


def test_retry_takes_its_values_in_order():
    """As the reference page writes them."""
    assert Retry(3, initial=0.1, multiplier=3.0, max_interval=9.0, jitter=None) == Retry(3, 0.1, 3.0, 9.0, None)


def test_no_dependency_may_be_said():
    """`depends_on=None` is the default, as a program that makes steps may give it."""
    made = make_workflow("W", [step(lambda: 1, name="alone", depends_on=None)])

    assert () == compile_workflow(made).nodes["alone"].dependencies


@pytest.mark.parametrize("given", ["load", 3, [up]])
def test_an_option_given_by_position_is_refused(given: Any):
    """It stands where the function belongs, and would be taken for it."""
    with pytest.raises(DefinitionError, match="@step decorates a function, not"):
        step(given)


@pytest.mark.parametrize("steps", [None, 3, "load", up])
def test_made_steps_are_several(steps: Any):
    """One step, or none at all, is told as what it is."""
    with pytest.raises(DefinitionError, match="steps are a sequence of steps and functions") as caught:
        make_workflow("W", steps)

    assert ["bad-option"] == [problem.code for problem in caught.value.problems]


@pytest.mark.parametrize("inputs", [["path"], "path", 3])
def test_made_inputs_are_a_mapping(inputs: Any):
    """Anything else is told as what it is."""
    with pytest.raises(DefinitionError, match="inputs are a mapping of names to types"):
        make_workflow("W", [up], inputs)


def test_made_input_has_a_type():
    """A value where the type belongs is no silent annotation."""
    with pytest.raises(DefinitionError, match=r"an input is name: type, or name: \(type, default\), not 'path': 3"):
        make_workflow("W", [up], {"path": 3})


def test_when_takes_the_instance():
    """A function that cannot be called with it alone is refused before anything runs."""
    message, hint = problem_of(when=lambda: True)

    assert "when takes a function of the instance alone" == message
    assert "For example: when=lambda self: self.express" == hint
    # What Python does not know the parameters of is believed.
    assert options_of(when=max).when is max
