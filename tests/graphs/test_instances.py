"""Recorded workflows of the real world compile to the graphs that they are."""

import gzip
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from examples.replay import Instance, load_instance, replay_workflow
from orchwf import Dag, compile_workflow

GRAPHS = [
    "wfinstances/1000genome-chameleon-2ch-250k-001.json",
    "wfinstances/airrflow-dirt02-001.json.gz",
    "wfinstances/bacass-dirt02-001.json",
    "wfinstances/blast-chameleon-small-001.json",
    "wfinstances/bwa-chameleon-medium-001.json.gz",
    "wfinstances/cutandrun-dirt02-001.json.gz",
    "wfinstances/cycles-chameleon-1l-1c-12p-001.json.gz",
    "wfinstances/epigenomics-chameleon-hep-1seq-50k-001.json",
    "wfinstances/fetchngs-dirt02-001.json",
    "wfinstances/helloworld-chain-5-chameleon.json",
    "wfinstances/montage-chameleon-2mass-04d-001.json.gz",
    "wfinstances/soykb-chameleon-10fastq-10ch-001.json.gz",
    "wfinstances/srasearch-chameleon-10a-001.json",
    "wfinstances/synthetic-montage-4000.json.gz",
    "dags_other/dbt-jaffle-shop-classic.json",
    "dags_other/debian12-installed-packages-condensed.json",
]
# Of these nobody has counted the ancestors: they are many.
UNCOUNTED = [
    "wfinstances/bwa-chameleon-medium-001.json.gz",
    "wfinstances/montage-chameleon-2mass-04d-001.json.gz",
    "wfinstances/synthetic-montage-4000.json.gz",
    "dags_other/debian12-installed-packages-condensed.json",
]
OLDER_SCHEMAS = ["schema10", "schema12", "schema13", "schema14"]

_loaded: dict[Path, tuple[Instance, Dag]] = {}


def load(path: Path) -> tuple[Instance, Dag]:
    """An instance and its graph; several tests look at each, and compiling the large ones takes a second."""
    if path not in _loaded:
        instance = load_instance(path)
        _loaded[path] = instance, compile_workflow(replay_workflow(instance))
    return _loaded[path]


def facts_of(path: Path) -> dict[str, Any]:
    """What is known of a graph, computed from its file without orchwf."""
    name = path.name.removesuffix(".gz").removesuffix(".json")
    facts: dict[str, Any] = json.loads((path.parent / f"{name}.facts.json").read_text())["facts"]
    return facts


def digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def edges_sha256(dag: Dag) -> str:
    return digest(f"{parent}\0{child}\n" for parent, child in sorted(dag.edges))


def ids_sha256(dag: Dag) -> str:
    return digest(f"{name}\n" for name in sorted(dag.nodes))


@pytest.mark.parametrize("file", GRAPHS)
def test_steps_and_edges_are_those_of_the_file(file: str, shared_data: Path):
    """No task is lost, none is added, and the edges are the parents lists of the file."""
    path = shared_data / file
    expected = facts_of(path)

    _, dag = load(path)

    assert expected["tasks"] == len(dag.nodes)
    assert expected["ids_sha256"] == ids_sha256(dag)
    assert expected["edges_parents"] == len(dag.edges) == len(set(dag.edges))
    assert expected["edges_sha256"] == edges_sha256(dag)


@pytest.mark.parametrize("file", GRAPHS)
def test_shape_is_that_of_the_file(file: str, shared_data: Path):
    """Roots, leaves, levels and degrees are what other programs count."""
    path = shared_data / file
    expected = facts_of(path)

    _, dag = load(path)

    assert expected["roots"] == len(dag.roots)
    assert expected["leaves"] == len(dag.leaves)
    assert expected["level_widths"] == [len(generation) for generation in dag.generations]
    assert expected["depth_levels"] == len(dag.generations)
    assert expected["max_level_width"] == max(len(generation) for generation in dag.generations)
    assert expected["max_in_degree"] == max(degree for _, degree in dag.graph.in_degree())
    assert expected["max_out_degree"] == max(degree for _, degree in dag.graph.out_degree())


@pytest.mark.parametrize("file", GRAPHS)
def test_critical_path_is_that_of_the_file(file: str, shared_data: Path):
    """The longest path takes as long as other programs say, and it is a path."""
    path = shared_data / file
    expected = facts_of(path)
    instance, dag = load(path)

    found = dag.critical_path(instance.runtimes)

    assert found.duration == pytest.approx(expected["critical_path_s"])
    assert found.duration == pytest.approx(sum(instance.runtimes[name] for name in found.steps))
    assert set(zip(found.steps, found.steps[1:], strict=False)) <= set(dag.edges)


@pytest.mark.parametrize("file", [file for file in GRAPHS if file not in UNCOUNTED])
def test_ancestors_are_those_of_the_file(file: str, shared_data: Path):
    """Counted over all steps, as many pairs of a step and one that it waits for as other programs count."""
    path = shared_data / file
    expected = facts_of(path)

    _, dag = load(path)

    assert expected["ancestor_pairs"] == sum(len(dag.ancestors(name)) for name in dag.nodes)


@pytest.mark.parametrize("file", GRAPHS)
def test_nodes_are_in_topological_order(file: str, shared_data: Path):
    """Each step comes after all that it waits for."""
    _, dag = load(shared_data / file)

    position = {name: number for number, name in enumerate(dag.nodes)}

    assert all(position[parent] < position[child] for parent, child in dag.edges)


@pytest.mark.parametrize("schema", OLDER_SCHEMAS)
def test_older_schemas_hold_the_same_graph(schema: str, shared_data: Path):
    """A workflow that was published in five versions of the schema compiles to one graph."""
    expected = facts_of(shared_data / "wfinstances/blast-chameleon-small-001.json")

    instance, dag = load(shared_data / "malformed/real" / f"{schema}-blast-small.json")

    assert expected["ids_sha256"] == ids_sha256(dag)
    assert expected["edges_sha256"] == edges_sha256(dag)
    assert dag.critical_path(instance.runtimes).duration == pytest.approx(10.413171)


def test_compact_form_needs_no_runtimes(tmp_path: Path):
    """In the compact form a runtime may be null, and a file may be gzipped under any name."""
    document = {"name": "two", "tasks": {"a": {"parents": [], "runtime": None}, "b": {"parents": ["a"], "runtime": 2}}}
    path = tmp_path / "two"
    path.write_bytes(gzip.compress(json.dumps(document).encode()))

    instance, dag = load(path)

    assert instance.runtimes == {"a": 0.0, "b": 2}
    assert list(dag.edges) == [("a", "b")]
