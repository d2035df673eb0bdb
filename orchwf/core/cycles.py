"""Steps that wait for each other: one shortest path for each knot of them."""

from collections import deque
from collections.abc import Mapping, Sequence

Graph = Mapping[int, Sequence[int]]
"""node -> its children, in order"""

_EXACT_VISITS = 20_000_000
"""How many edges the search for the shortest path may follow; beyond, the shortest one found is taken."""


def shortest_cycles(children: Graph) -> list[list[int]]:
    """
    One shortest cycle of each strongly connected component, in the order of their first nodes.

    Each begins with its smallest node, which is not repeated at the end. A node that depends on itself is a cycle of
    length 1.
    """
    cycles = [_shortest(component, children) for component in _knots(children)]
    return sorted(map(_normal, cycles))


def _knots(children: Graph) -> list[list[int]]:
    # Importing networkx takes long, and only a graph that is wrong needs it here.
    import networkx

    graph: networkx.DiGraph[int] = networkx.DiGraph()
    graph.add_nodes_from(children)
    graph.add_edges_from((node, child) for node, row in children.items() for child in row if child in children)
    components = networkx.strongly_connected_components(graph)
    return [sorted(nodes) for nodes in components if len(nodes) > 1 or graph.has_edge(*[*nodes, *nodes])]


def _shortest(component: Sequence[int], children: Graph) -> list[int]:
    """
    The shortest cycle among these nodes.

    After the shortest cycle through a node is known, the node is taken out, and with it all that is then on no cycle
    any more: a single large ring is done after one search.
    """
    knot = _Knot(component, children)
    best: list[int] = []
    visits = 0
    for start in component:
        if start in knot.after:
            cycle, visited = knot.cycle_through(start, len(best))
            best = cycle or best
            visits += visited
            if len(best) == 1 or visits > _EXACT_VISITS:
                break
            knot.remove(start)
    return best


class _Knot:
    """A strongly connected component that shrinks as its nodes are done."""

    def __init__(self, component: Sequence[int], children: Graph) -> None:
        members = set(component)
        self.after = {node: dict.fromkeys(child for child in children[node] if child in members) for node in component}
        self.before: dict[int, dict[int, None]] = {node: {} for node in component}
        for node, row in self.after.items():
            for child in row:
                self.before[child][node] = None

    def cycle_through(self, start: int, limit: int) -> tuple[list[int], int]:
        """The shortest cycle through a node, if it has fewer nodes than `limit` (0: any), and the edges followed."""
        came_from = {start: start}
        level = {start: 1}
        queue = deque([start])
        visits = 0
        while queue:
            node = queue.popleft()
            if limit and level[node] >= limit:
                break
            for child in self.after[node]:
                visits += 1
                if child == start:
                    return _path(came_from, node, start), visits
                if child not in came_from:
                    came_from[child] = node
                    level[child] = level[node] + 1
                    queue.append(child)
        return [], visits

    def remove(self, node: int) -> None:
        """Take a node out, and every node that then has nothing before or after it."""
        doomed = [node]
        while doomed:
            node = doomed.pop()
            if node not in self.after:
                continue
            for child in self.after.pop(node):
                before = self.before[child]
                before.pop(node, None)
                if not before:
                    doomed.append(child)
            for parent in self.before.pop(node):
                after = self.after[parent]
                after.pop(node, None)
                if not after:
                    doomed.append(parent)


def _path(came_from: Mapping[int, int], end: int, start: int) -> list[int]:
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


def _normal(cycle: list[int]) -> list[int]:
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]
