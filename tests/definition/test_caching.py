"""What `cache` takes, and what a graph says of it."""

from typing import Any

import pytest

from orchwf import BadOptionError, Cache, Dag, DefinitionError, compile_workflow, make_workflow, step
from orchwf.core.caching import cache_key


async def coroutine(self: object) -> str:
    return "k"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": 0}, "Cache(ttl=...) must be longer than 0 seconds"),
        ({"ttl": -1}, "Cache(ttl=...) takes a duration, not -1"),
        ({"ttl": "soon"}, "Cache(ttl=...) takes a duration, not 'soon'"),
        ({"version": 2}, "Cache(version=2) cannot be: a name is text, not 2"),
        ({"version": None}, "Cache(version=None) cannot be: a name is text, not None"),
        ({"version": ""}, "Cache(version='') cannot be: a name is not empty"),
        ({"name": ""}, "Cache(name='') cannot be: a name is not empty"),
        ({"name": 7}, "Cache(name=7) cannot be: a name is text, not 7"),
        (
            {"key": "day"},
            "Cache(key=...) takes a plain function of the workflow's instance and the arguments, not 'day'",
        ),
        ({"key": coroutine}, "Cache(key=...) takes a plain function of the workflow's instance"),
        ({"key": str}, "Cache(key=...) takes a plain function of the workflow's instance"),
        ({"key": lambda: 1}, "Cache(key=...) takes a plain function of the workflow's instance"),
        ({"key": lambda *, rows: 1}, "Cache(key=...) takes a plain function of the workflow's instance"),
    ],
)
def test_bad_values(options: dict[str, Any], message: str):
    """They are told where they are written."""
    with pytest.raises(BadOptionError) as caught:
        Cache(**options)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("value", [True, "1d", 3600, Cache])
def test_bad_options(value: Any):
    """They are told with what else is wrong with a class."""
    with pytest.raises(DefinitionError) as caught:
        make_workflow("W", {"it": step(cache=value)(lambda: 1)})

    (problem,) = caught.value.problems
    assert f"step 'it': cache takes a Cache, not {value!r}" == problem.message
    assert "Cache(" in problem.hint


def test_a_compensation_is_not_cached():
    """It is to have its effect."""
    book = step(lambda: 1, name="book")
    book.compensate(cache=Cache())(lambda output: None)  # type: ignore[call-overload]

    with pytest.raises(DefinitionError, match="the compensation of step 'book' has no option 'cache'"):
        make_workflow("W", [book])


def test_values():
    """Durations become seconds."""
    cache = Cache(ttl="1d", version="2")

    assert (86400.0, "2", None, None) == (cache.ttl, cache.version, cache.key, cache.name)
    assert (None, "1") == (Cache().ttl, Cache().version)
    assert (100.0, 86500.0) == (cache.since(86500.0), cache.expires_at(100.0))
    assert (-float("inf"), None) == (Cache().since(1.0), Cache().expires_at(1.0))


@pytest.mark.parametrize(
    ("key", "given"),
    [
        (lambda self: self, 7),
        (lambda self, rows: rows, [1]),
        (lambda me, rows, day: (rows, day), ([1], "monday")),
        (lambda *args: args, (7,)),
    ],
)
def test_a_key_takes_the_arguments_that_it_names(key: Any, given: object):
    """What it calls its first one is the instance."""
    cache = Cache(key=key)
    arguments: dict[str, object] = {"rows": [1], "day": "monday"}

    assert given == cache.call_key(7, arguments)


def test_a_key_may_take_all_arguments():
    """By name; so does what Python knows nothing of."""
    cache = Cache(key=lambda self, day=None, **args: (self, day, args))

    assert (7, "monday", {"rows": [1]}) == cache.call_key(7, {"rows": [1], "day": "monday"})
    assert None is Cache().call_key(7, {"rows": [1]})
    assert 8 == Cache(key=max).call_key([7, 8], {})


def test_how_texts_are_divided_counts():
    """No two lists of texts have one key."""
    keys = {cache_key(parts) for parts in (["ab"], ["a", "b"], ["", "ab"], ["ab", ""], ["a", "", "b"], [], ["\ud800"])}

    assert 7 == len(keys)
    assert cache_key(["a", "b"]) == cache_key(iter(["a", "b"]))


def test_identities():
    """A step by its workflow and name, or by a name of its own; never one for the other."""
    identities = [
        Cache().identity("W", "s"), Cache(version="2").identity("W", "s"), Cache(name="s").identity("W", "x"),
        Cache(name="s").identity("V", "y"), Cache(name="step").identity("W", "s"),
    ]  # fmt: skip

    assert 4 == len({cache_key(identity) for identity in identities})
    assert identities[2] == identities[3]


def test_a_graph_says_what_is_kept():
    """If anything is: that of others is written as before. A stored graph says the same."""
    dag = compile_workflow(
        make_workflow(
            "W", {"it": step(cache=Cache(ttl=60, key=lambda self: 1, name="n"))(lambda: 1), "other": lambda: 2}
        )
    )
    cached, other = dag.to_dict()["steps"]

    assert {"ttl": 60.0, "version": "1", "name": "n", "key": True} == cached["cache"]
    assert "cache" not in other
    assert dag.to_dict() == Dag.from_dict(dag.to_dict()).to_dict()
    stored = Dag.from_dict(dag.to_dict()).nodes["it"].options.cache
    assert stored is not None
    assert None is stored.call_key(object(), {})


def test_a_cache_does_not_count_for_the_fingerprint():
    """Runs go on with and without it."""
    body = lambda: 1  # noqa: E731

    def fingerprint(**options: Any) -> str:
        return compile_workflow(make_workflow("W", {"it": step(**options)(body)})).fingerprint

    assert fingerprint() == fingerprint(cache=Cache(version="7"))
