"""What `queue` and `mutex` take, and what a graph says of them."""

from typing import Any

import pytest

from orchwf import BadOptionError, Dag, DefinitionError, Mutex, Queue, compile_workflow, make_workflow, step
from orchwf.core.arity import takes_one
from orchwf.core.limits import Limit, Rate


def graph(**options: Any) -> Dag:
    """A graph of one step with these options, and one without."""
    return compile_workflow(make_workflow("W", {"it": step(**options)(lambda: 1), "other": lambda: 2}))


def problem_of(**options: Any) -> tuple[str, str]:
    """Message and hint of the one bad option."""
    with pytest.raises(DefinitionError) as caught:
        graph(**options)
    (problem,) = caught.value.problems
    assert "bad-option" == problem.code
    return problem.message.removeprefix("step 'it': "), problem.hint


@pytest.mark.parametrize(
    ("text", "count", "period"),
    [
        ("10/second", 10, 1.0),
        ("100/minute", 100, 60.0),
        ("1/hour", 1, 3600.0),
        (" 5 / day ", 5, 86400.0),
        ("5/90s", 5, 90.0),
        ("3/1h30m", 3, 5400.0),
        ("7/1s", 7, 1.0),
    ],
)
def test_rates(text: str, count: int, period: float):
    """So many per second, minute, hour, day, or any duration."""
    rate = Queue("api", rate=text).rate

    assert Rate(count, period) == rate
    assert rate is not None
    assert period / count == rate.interval


@pytest.mark.parametrize(
    "rate",
    [
        "",
        "10",
        "ten/second",
        "0/second",
        "-1/second",
        "1.5/second",
        "10/",
        "10/fortnight",
        "10/0s",
        10,
        True,
        "1/second/2",
    ],
)
def test_bad_rates(rate: Any):
    """They are told where they are written."""
    with pytest.raises(BadOptionError) as caught:
        Queue("api", rate=rate)

    assert (
        f"Queue(rate=...) takes a number of steps per time, not {rate!r}\n"
        "For example: rate='10/second', rate='100/minute', rate='5/90s'"
    ) == str(caught.value)


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5, "4"])
def test_bad_concurrency(concurrency: Any):
    """As above."""
    with pytest.raises(BadOptionError) as caught:
        Queue("api", concurrency=concurrency)

    assert "takes a whole number of at least 1, or None for no bound, not" in str(caught.value)


def test_a_queue_that_bounds_nothing():
    """It would mean nothing."""
    with pytest.raises(BadOptionError, match=r"Queue\('api'\) bounds nothing"):
        Queue("api")


@pytest.mark.parametrize("name", ["", " ", 7, None, "x\0"])
def test_bad_names(name: Any):
    """Of queues, and of mutexes."""
    with pytest.raises(BadOptionError, match=r"cannot be: |takes a name"):
        Queue(name, concurrency=1)
    with pytest.raises(BadOptionError, match=r"cannot be: |takes a name"):
        Mutex(name)


async def coroutine(flow: object) -> str:
    return "x"


@pytest.mark.parametrize("function", [7, "customer", coroutine, str, lambda: "x", lambda one, other: "x"])
def test_bad_functions(function: Any):
    """They take the instance alone, and answer at once."""
    with pytest.raises(BadOptionError, match=r"Queue\(key=...\) takes a plain function of the workflow's instance"):
        Queue("api", concurrency=1, key=function)
    if not isinstance(function, str):
        with pytest.raises(BadOptionError, match=r"mutex takes a (plain function of the workflow's instance|name)"):
            Mutex(function)


def test_functions_that_python_knows_nothing_of():
    """They are taken at their word."""
    assert takes_one(max)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queue": 7}, "queue takes the name of one, or a Queue, not 7"),
        ({"queue": ""}, "queue='' cannot be: a name is not empty"),
        ({"queue": Mutex("m")}, "queue takes the name of one, or a Queue, not Mutex(name='m', scope='store')"),
        ({"mutex": ""}, "mutex='' cannot be: a name is not empty"),
        ({"mutex": 7}, "mutex takes a name, or a function of the workflow's instance that gives one, not 7"),
        ({"mutex": ["m"]}, "mutex takes a name, or a function of the workflow's instance that gives one, not ['m']"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str):
    """They are told with what else is wrong with a class."""
    assert message == problem_of(**options)[0]


def test_bad_scope():
    """There are two."""
    with pytest.raises(BadOptionError, match=r"Mutex\(scope=...\) takes 'store' or 'run', not 'workflow'"):
        Mutex("m", scope="workflow")  # type: ignore[arg-type]


def test_what_a_step_keeps():
    """A name, or the queue itself; a mutex, however it was given."""
    queue = Queue("api", concurrency=1)

    assert queue is graph(queue=queue).nodes["it"].options.queue
    assert Mutex("m") == graph(mutex="m").nodes["it"].options.mutex
    assert Mutex("m") == graph(mutex=Mutex("m")).nodes["it"].options.mutex
    plain = graph(queue=None, mutex=None).nodes["it"].options
    assert (None, None) == (plain.queue, plain.mutex)


def test_limits_have_names_of_their_own():
    """No queue is taken for a mutex, no key for a name, and no run for a key."""
    flow = type("Flow", (), {"customer": 'a", "b'})()
    queue, keyed = Queue("api", concurrency=2), Queue("api", rate="1/second", key=lambda flow: flow.customer)
    limits = [
        queue.limit_for(flow), keyed.limit_for(flow), Mutex("api").limit_for(flow, "r"),
        Mutex("api", scope="run").limit_for(flow, "r"), Mutex(lambda flow: flow.customer).limit_for(flow, "r"),
    ]  # fmt: skip

    assert [
        Limit(name='["queue", "api"]', concurrency=2),
        Limit(name='["queue", "api", "a\\", \\"b"]', rate=Rate(1, 1.0)),
        Limit(name='["mutex", "api"]', concurrency=1),
        Limit(name='["mutex", "api", "r"]', concurrency=1),
        Limit(name='["mutex", "a\\", \\"b"]', concurrency=1),
    ] == limits


def test_a_graph_says_how_its_steps_are_limited():
    """If they are: that of others is written as before. A stored graph says the same."""
    book = step(queue=Queue("api", concurrency=1), mutex="m")(lambda: 1)
    book.compensate(queue="undo", mutex=Mutex(lambda flow: "x", scope="run"))(lambda output: None)
    dag = compile_workflow(make_workflow("W", {"book": book, "other": lambda: 2}))
    limited, other = dag.to_dict()["steps"]

    assert ("api", "m") == (limited["queue"], limited["mutex"])
    assert ("undo", "lambda self: ... (within a run)") == (
        limited["compensation"]["queue"],
        limited["compensation"]["mutex"],
    )
    assert {"queue", "mutex"}.isdisjoint(other)
    assert dag.to_dict() == Dag.from_dict(dag.to_dict()).to_dict()


def test_limits_do_not_count_for_the_fingerprint():
    """How a step is limited is not what it does: a run goes on under other limits."""
    body = lambda: 1  # noqa: E731

    def fingerprint(**options: Any) -> str:
        return compile_workflow(make_workflow("W", {"it": step(**options)(body)})).fingerprint

    assert fingerprint() == fingerprint(queue="api", mutex="m")
