"""What cannot run on an executor is refused before it starts."""

import sys
from typing import Any

import pytest

import orchwf
from orchwf import DefinitionError, Orchestrator, UsageError, step, workflow
from orchwf.executors import DaskExecutor, ProcessExecutor, RayExecutor
from orchwf.executors.ray import options_for
from tests.executors import near
from tests.executors.fakes import Near
from tests.executors.near import Kept, Plain


def refusal(flow: object, **executors: Any) -> str:
    """Why a run of this cannot start."""
    with pytest.raises(UsageError) as caught:
        orchwf.run(flow, store="memory:", executors=executors)
    return str(caught.value)


def test_an_unknown_name():
    """The names there are; one that is near is named."""
    assert refusal(Plain()) == (
        "step 'look' of Plain runs on the executor 'there', which this orchestrator does not have "
        "(it has: 'process', 'dask', 'ray'). Give it:  Orchestrator(..., executors={'there': ...})"
    )
    assert "Did you mean 'here'?" in refusal(Plain(), here=Near())


async def test_an_unknown_name_of_a_workflow_that_is_given():
    """Before anything is taken up."""
    with pytest.raises(UsageError, match="step 'look' of Plain runs on the executor 'there'"):
        async with Orchestrator("memory:", workflows=[Plain]):
            pass


def test_resources_that_nobody_knows():
    """They are not ignored."""
    assert "which knows no resources, and asks for {'gpu': 0.5}; leave them out" in refusal(
        Kept(), there=ProcessExecutor()
    )


def test_a_class_that_stands_in_a_function():
    """No import finds it."""

    @workflow
    class Inner:
        @step(executor="process")
        def look(self) -> None: ...

    assert "it is made in a function, where no import finds it: move the class to the top level" in refusal(Inner())


def test_a_class_of_the_program(monkeypatch: pytest.MonkeyPatch):
    """What was started as a program cannot be imported, nor can a notebook."""
    monkeypatch.setattr(Plain, "__module__", "__main__")

    told = refusal(Plain(), there=Near())

    assert "it stands in the program itself (__main__), which cannot be imported: move the class into a module" in told
    assert "orchwf run file.py" in told


def test_a_class_whose_name_leads_elsewhere(monkeypatch: pytest.MonkeyPatch):
    """As when it was defined a second time."""
    flow = Plain()
    monkeypatch.setattr(near, "Plain", None)

    assert "the name tests.executors.near:Plain does not lead to it (any more)" in refusal(flow, there=Near())


@pytest.mark.parametrize(
    ("executors", "message"),
    [
        ([ProcessExecutor()], "executors takes a mapping, such as {'dask': DaskExecutor(address=...)}, not ["),
        ({"auto": ProcessExecutor()}, "executors cannot have one called 'auto'"),
        ({"gpu": ProcessExecutor}, "executors['gpu'] takes an executor, such as ProcessExecutor(), not <class"),
        ({"gpu": 3}, "executors['gpu'] takes an executor, such as ProcessExecutor(), not 3"),
        ({"": ProcessExecutor()}, "executors has '', which cannot be a name: "),
    ],
)
def test_what_is_no_executor(executors: Any, message: str):
    """Is told at once."""
    with pytest.raises(UsageError) as caught:
        Orchestrator("memory:", executors=executors)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("executor", "package", "extra"), [(DaskExecutor(), "distributed", "dask"), (RayExecutor(), "ray", "ray")]
)
def test_a_package_that_is_not_installed(executor: Any, package: str, extra: str, monkeypatch: pytest.MonkeyPatch):
    """How to get it."""
    monkeypatch.setitem(sys.modules, package, None)

    assert f"the executor 'there' needs the package {package}:  pip install 'orchwf[{extra}]'" == refusal(
        Plain(), there=executor
    )


@pytest.mark.parametrize("count", [0, True, 1.5])
def test_a_number_of_processes_that_cannot_be(count: Any):
    """Is told at once."""
    with pytest.raises(UsageError, match="takes a whole number of at least 1"):
        ProcessExecutor(max_workers=count)


def test_a_generator():
    """What it gives is stored one by one, here."""
    with pytest.raises(DefinitionError, match="is a generator, and cannot run on an executor"):

        @workflow
        class Gives:
            @step(executor="process")
            def rows(self) -> Any:
                yield 1


def test_resources_as_ray_calls_them():
    """It has options of its own for some."""
    assert {"num_gpus": 1, "num_cpus": 0.5, "resources": {"tpu": 2}} == options_for({"GPU": 1, "cpu": 0.5, "tpu": 2})
    assert {} == options_for({})
