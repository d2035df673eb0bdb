"""Random graphs: those without a cycle are sorted, of the others a shortest cycle is told."""

from collections import deque
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from orchwf import DefinitionError, compile_workflow, make_workflow, step
from orchwf.core import cycles
from orchwf.core.cycles import shortest_cycles

Links = dict[int, list[int]]


@st.composite
def graphs(draw: st.DrawFn, acyclic: bool) -> Links:
    """number -> the numbers it depends on."""
    size = draw(st.integers(1, 14))
    order = draw(st.permutations(range(size)))
    links: Links = {number: [] for number in range(size)}
    for place, number in enumerate(order):
        allowed = order[:place] if acyclic else list(range(size))
        if allowed:
            links[number] = draw(st.lists(st.sampled_from(allowed), max_size=3))
    return links


def shortest_by_trying(links: Links, start: int) -> int | None:
    """How long the shortest cycle through a vertex is: plain breadth-first search."""
    queue, seen = deque([(start, 0)]), {start}
    while queue:
        number, length = queue.popleft()
        for other in links[number]:
            if other == start:
                return length + 1
            if other not in seen:
                seen.add(other)
                queue.append((other, length + 1))
    return None


def reachable(links: Links, start: int) -> set[int]:
    """All that a vertex leads to."""
    found: set[int] = set()
    waiting = [start]
    while waiting:
        fresh = set(links[waiting.pop()]) - found
        found |= fresh
        waiting += fresh
    return found


def components(links: Links) -> list[frozenset[int]]:
    """The sets of vertices that lead to each other."""
    reach = {number: reachable(links, number) for number in links}
    knots = {
        frozenset(other for other in reach[number] if number in reach[other])
        for number in links
        if number in reach[number]
    }
    return sorted(knots, key=min)


@given(graphs(acyclic=True))
@settings(deadline=None)
def test_acyclic_graphs_compile_in_topological_order(links: Links):
    """Dependencies come first, each edge is there once, ties go by definition."""
    steps = [step(lambda: 1, name=f"s{n}", depends_on=[f"s{other}" for other in row]) for n, row in links.items()]

    dag = compile_workflow(make_workflow("W", steps))

    place = {name: number for number, name in enumerate(dag.nodes)}
    assert set(dag.edges) == {(f"s{other}", f"s{n}") for n, row in links.items() for other in row}
    assert len(dag.edges) == len(set(dag.edges))
    assert all(place[parent] < place[child] for parent, child in dag.edges)
    for one, other in pairwise(dag.nodes.values()):
        assert one.position < other.position or one.name in other.dependencies
    assert sorted(name for row in dag.generations for name in row) == sorted(dag.nodes)


@given(graphs(acyclic=False))
@settings(max_examples=300, deadline=None)
def test_each_knot_has_one_shortest_cycle(links: Links):
    """One true cycle for each component, none of its component is shorter; without a component it compiles."""
    knots = components(links)

    found = shortest_cycles(links)

    assert found == sorted(found)
    assert len(found) == len(knots)
    for cycle in found:
        knot = next(knot for knot in knots if cycle[0] in knot)
        lengths = [length for number in knot if (length := shortest_by_trying(links, number)) is not None]
        assert len(cycle) == min(lengths)
        assert cycle[0] == min(cycle)
        assert len(set(cycle)) == len(cycle)
        assert all(other in links[number] for number, other in pairwise([*cycle, cycle[0]]))


@given(graphs(acyclic=False))
@settings(deadline=None)
def test_a_graph_compiles_if_and_only_if_it_has_no_cycle(links: Links):
    """The compiler says `cycle` exactly when there is one."""
    steps = [step(lambda: 1, name=f"s{n}", depends_on=[f"s{other}" for other in row]) for n, row in links.items()]

    try:
        compile_workflow(make_workflow("W", steps))
        codes = []
    except DefinitionError as error:
        codes = [problem.code for problem in error.problems]

    assert codes == ["cycle"] * len(components(links))


def test_a_large_ring_is_searched_once():
    """After the first search nothing of a ring is left: 50,000 steps are no more than 50,000 visits."""
    size = 50_000

    (cycle,) = shortest_cycles({number: [(number + 1) % size] for number in range(size)})

    assert cycle == list(range(size))


def test_search_has_an_end(monkeypatch):
    """Beyond a bound of visits the shortest cycle found so far is told."""
    monkeypatch.setattr(cycles, "_EXACT_VISITS", 3)
    links = {0: [1], 1: [2], 2: [3], 3: [0, 4], 4: [3]}

    (cycle,) = shortest_cycles(links)

    assert cycle == [0, 1, 2, 3]


def test_a_node_between_two_cycles():
    """It is on none of them, and the search through it ends."""
    between = {0: [2], 1: [4], 2: [3], 3: [2, 1], 4: [5], 5: [4, 0]}

    assert [[2, 3]] == shortest_cycles(between)
