"""
Files with defects, really published ones and ones made for the purpose: each gives one error that names the culprits.

What is expected of a file is said by the manifest beside it; this module says how orchwf says it.
"""

import json
import math
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from examples.replay import InstanceError, load_instance, replay_workflow
from orchwf import Dag, DefinitionError, compile_workflow

UNICYCLER = "NFCORE_BACASS.BACASS.UNICYCLER_5"
FASTQC_2 = "NFCORE_BACASS.BACASS.FASTQC_2"

# file -> what its one error says; each of these files is refused before there is a graph.
FORMAT_ERRORS = {
    "derived/duplicate-id.json": ["NFCORE_BACASS.BACASS.SKEWER_3", "2 tasks"],
    "derived/duplicate-id-different-parents.json": ["NFCORE_BACASS.BACASS.SKEWER_3", "2 tasks"],
    "derived/parents-key-missing.json": [UNICYCLER, "parents None"],
    "derived/parents-null.json": [UNICYCLER, "parents None"],
    "derived/parents-string.json": [UNICYCLER, "'NFCORE_BACASS.BACASS.SKEWER_1'", "list of ids"],
    "derived/empty-id.json": ["the id ''"],
    "derived/runtime-nan.json": [FASTQC_2, "nan"],
    "derived/runtime-negative.json": [FASTQC_2, "-5"],
    "derived/schema-9.9.json": ["'9.9'", "1.5"],
    "derived/truncated.json": ["not JSON", "line 124"],
    "derived/trailing-comma.json": ["not JSON", "line 258"],
    "derived/empty-file.json": ["not JSON"],
    "derived/latin1.json": ["not UTF-8", "0xfc"],
}

# file -> the number of tasks and edges; the defect is none for who reads the lists of parents.
ACCEPTED = {
    "derived/duplicate-dependency-reference.json": (11, 14),
    "derived/children-disagree-with-parents.json": (11, 14),
    "derived/id-python-keyword.json": (11, 14),
    "derived/id-unicode-quotes-newline.json": (11, 14),
    "derived/id-nfc-nfd-twins.json": (11, 14),
    "derived/id-case-twins.json": (11, 14),
    "derived/execution-entry-missing.json": (11, 14),
    "derived/utf8-bom.json": (11, 14),
    "derived/duplicate-json-keys.json": (11, 14),
    "real/wfinstances15-chain5-ghost-child.json": (5, 4),
    "real/schema10-blast-small.json": (43, 120),
    "real/schema12-blast-small.json": (43, 120),
    "real/schema13-blast-small.json": (43, 120),
    "real/schema14-blast-small.json": (43, 120),
}

UNKNOWN_PARENTS = ["derived/unknown-dependency.json", "derived/unknown-dependency-case.json"]
ONE_CYCLE = {
    "derived/cycle-leaf-to-root.json": "one_cycle",
    "derived/cycle-two-steps.json": "cycle",
    "derived/cycle-long.json": "one_cycle",
}
OTHERS = [
    "derived/self-dependency.json",
    "derived/no-tasks.json",
    "real/nextflow13-rnaseq-cyclic.json.gz",
    "real/nextflow14-sarek-missing-parents.json",
    "real/nextflow14-bacass-duplicate-names.json",
    "real/wfinstances15-mag-selfloop.json.gz",
]


@pytest.fixture
def malformed(shared_data: Path) -> Path:
    return shared_data / "malformed"


def manifest_of(folder: Path) -> dict[str, dict[str, Any]]:
    """File (with its folder) -> its entry in the manifest."""
    return {
        f"{kind}/{entry['file']}": entry
        for kind in ("derived", "real")
        for entry in json.loads((folder / kind / "manifest.json").read_text())
    }


def compiled(path: Path) -> Dag:
    return compile_workflow(replay_workflow(load_instance(path)))


def refused(path: Path) -> DefinitionError:
    """The error with which the compiler refuses this file."""
    instance = load_instance(path)
    with pytest.raises(DefinitionError) as caught:
        replay_workflow(instance)
    return caught.value


def cycles_in(path: Path) -> list[set[str]]:
    """The groups of tasks of which each waits for all others of the group, or for itself."""
    tasks = load_instance(path).tasks
    graph = nx.DiGraph((parent, name) for name, task in tasks.items() for parent in task.parents)
    return [
        group
        for group in nx.strongly_connected_components(graph)
        if len(group) > 1 or graph.has_edge(*(list(group) * 2))
    ]


def test_every_file_is_looked_at(malformed: Path):
    """No file of the manifests is left out of this module."""
    covered = [*FORMAT_ERRORS, *ACCEPTED, *UNKNOWN_PARENTS, *ONE_CYCLE, *OTHERS]

    assert sorted(manifest_of(malformed)) == sorted(covered)


@pytest.mark.parametrize(("file", "culprits"), FORMAT_ERRORS.items(), ids=FORMAT_ERRORS)
def test_no_instance_is_one_error(file: str, culprits: list[str], malformed: Path):
    """What is wrong with a file beyond its graph is said at once, with the name of the file and of the task."""
    path = malformed / file

    with pytest.raises(InstanceError) as caught:
        load_instance(path)

    assert len(caught.value.problems) == 1
    assert [text for text in [str(path), *culprits] if text not in str(caught.value)] == []


@pytest.mark.parametrize(("file", "size"), ACCEPTED.items(), ids=ACCEPTED)
def test_harmless_defects_are_accepted(file: str, size: tuple[int, int], malformed: Path):
    """Where the lists of parents are sound the graph is theirs, and no edge is lost or counted twice."""
    dag = compiled(malformed / file)

    assert size == (len(dag.nodes), len(dag.edges))


def test_unicode_id_survives(malformed: Path):
    """A name with emoji, quotes and a newline stays as it is, character by character."""
    dag = compiled(malformed / "derived/id-unicode-quotes-newline.json")

    assert '💥 Größe/測試 "x"\n' in dag.nodes


def test_unknown_runtime_counts_as_nothing(malformed: Path):
    """A task that has no entry in the execution has no runtime, and the critical path is still a number."""
    instance = load_instance(malformed / "derived/execution-entry-missing.json")

    path = compile_workflow(replay_workflow(instance)).critical_path(instance.runtimes)

    assert [task.runtime for task in instance.tasks.values()].count(None) == 1
    assert math.isfinite(path.duration)


@pytest.mark.parametrize("file", UNKNOWN_PARENTS)
def test_unknown_parent_is_named(file: str, malformed: Path):
    """A dependency on a step that does not exist names both."""
    expected = manifest_of(malformed)[file]

    error = refused(malformed / file)

    assert [("unknown-dependency", expected["step"])] == [(problem.code, problem.node) for problem in error.problems]
    assert repr(expected["missing"][0]) in error.problems[0].message


def test_near_miss_is_suggested(malformed: Path):
    """A parent that is written in another case than the task gets that task as a suggestion."""
    error = refused(malformed / "derived/unknown-dependency-case.json")

    assert "'NFCORE_BACASS.BACASS.SKEWER_1'" in error.problems[0].hint


def test_all_unknown_parents_are_named(malformed: Path):
    """64 references to tasks that are not in the file make one error that has each of them."""
    expected = manifest_of(malformed)["real/nextflow14-sarek-missing-parents.json"]["diagnosis"]["missing_parent_refs"]

    error = refused(malformed / "real/nextflow14-sarek-missing-parents.json")

    assert {"unknown-dependency"} == {problem.code for problem in error.problems}
    pairs = {
        (missing, problem.node)
        for missing, _ in expected
        for problem in error.problems
        if repr(missing) in problem.message
    }
    assert {(missing, step) for missing, step in expected} == pairs


@pytest.mark.parametrize(("file", "key"), ONE_CYCLE.items(), ids=ONE_CYCLE)
def test_cycle_is_one_problem(file: str, key: str, malformed: Path):
    """One edge too many is one problem: one shortest cycle through it, and only real edges."""
    path = malformed / file
    example = manifest_of(malformed)[file][key]
    (group,) = cycles_in(path)

    error = refused(path)

    (problem,) = error.problems
    assert problem.code == "cycle"
    first, *rest = problem.message.rpartition(": ")[2].split(" -> ")
    left_out = [int(part.split()[1]) for part in rest if part.startswith("... ")]
    named = [first, *(part for part in rest if not part.startswith("... "))]
    assert first == named[-1]
    assert len(named) - 1 + sum(left_out) <= len(example)
    assert set(named) <= group
    tasks = load_instance(path).tasks
    pairs = zip([first, *rest], rest, strict=False)
    assert [(one, two) for one, two in pairs if {one, two} <= group and one not in tasks[two].parents] == []


@pytest.mark.parametrize(
    ("file", "step"),
    [
        ("derived/self-dependency.json", UNICYCLER),
        ("real/wfinstances15-mag-selfloop.json.gz", "NFCORE_MAG.MAG.BUSCO_QC.BUSCO_DB_PREPARATION_2"),
    ],
)
def test_self_dependency_names_that_step_alone(file: str, step: str, malformed: Path):
    """A step that waits for itself is one problem, whatever waits for it."""
    error = refused(malformed / file)

    assert [("cycle", step)] == [(problem.code, problem.node) for problem in error.problems]
    assert repr(step) in error.problems[0].message


def test_each_group_of_cycles_is_one_problem(malformed: Path):
    """A published file in which 127 tasks wait for each other gives one shortest cycle per group, not 127 problems."""
    path = malformed / "real/nextflow13-rnaseq-cyclic.json.gz"
    groups = cycles_in(path)

    error = refused(path)

    assert ["cycle"] * len(groups) == [problem.code for problem in error.problems]
    loops = set(manifest_of(malformed)["real/nextflow13-rnaseq-cyclic.json.gz"]["diagnosis"]["self_loops"])
    assert {problem.node for problem in error.problems} <= loops


def test_duplicates_and_unknown_parents_come_together(malformed: Path):
    """A file with both defects gives one error that has the four duplicates and the one missing parent."""
    expected = manifest_of(malformed)["real/nextflow14-bacass-duplicate-names.json"]["diagnosis"]

    with pytest.raises(InstanceError) as caught:
        load_instance(malformed / "real/nextflow14-bacass-duplicate-names.json")

    assert len(caught.value.problems) == 5
    culprits = [*expected["duplicate_ids"], *expected["missing_parent_refs"][0]]
    assert [name for name in culprits if repr(name) not in str(caught.value)] == []


def test_empty_graph_is_refused(malformed: Path):
    """A workflow without steps does not compile."""
    error = refused(malformed / "derived/no-tasks.json")

    assert [problem.code for problem in error.problems] == ["no-steps"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[]", "holds a list"),
        (b"{}", "schema version is None"),
        (b'{"schemaVersion": "1.5"}', "not laid out"),
        (b'{"schemaVersion": "1.5", "workflow": {"specification": {"tasks": [1]}}}', "not laid out"),
        (b'{"tasks": {"a": null}}', "not laid out"),
        (b"\x1f\x8bnot gzip", "not JSON"),
        (b'{"tasks": {"a": {"parents": [1]}}}', "parents [1]"),
        (b'{"tasks": {"a": {"parents": [], "runtime": true}}}', "runtime True"),
    ],
)
def test_other_nonsense_is_one_error(content: bytes, complaint: str, tmp_path: Path):
    """Whatever a file holds, the error names it and says what is wrong."""
    path = tmp_path / "nonsense.json"
    path.write_bytes(content)

    with pytest.raises(InstanceError, match=r"nonsense\.json") as caught:
        load_instance(path)

    assert complaint in str(caught.value)
