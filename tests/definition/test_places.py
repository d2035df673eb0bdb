"""Where things are written: paths, notebook cells, entry points."""

import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchwf import compile_workflow, step, workflow
from orchwf.core.definition import UNKNOWN
from orchwf.errors import OrchwfWarning
from orchwf.introspection import location_of, place, shown_path


def test_paths_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Below the working directory they are relative, elsewhere absolute."""
    monkeypatch.chdir(tmp_path)

    assert place(str(tmp_path / "shop" / "orders.py"), 18) == f"shop{os.sep}orders.py:18"
    assert place(str(tmp_path.parent / "x.py"), 1) == f"{tmp_path.parent / 'x.py'}:1"
    assert place("<string>", 3) == "<string>:3"


def test_path_without_a_working_directory(monkeypatch: pytest.MonkeyPatch):
    """If there is none, or it is on another drive, the path stays as it is."""

    def no_path(filename: str) -> str:
        raise ValueError

    monkeypatch.setattr(os.path, "relpath", no_path)

    assert shown_path("/x/y.py") == "/x/y.py"


@pytest.mark.parametrize("filename", ["/tmp/ipykernel_12/345.py", "<ipython-input-7-abc>"])
def test_notebook_cells_are_named(filename: str, monkeypatch: pytest.MonkeyPatch):
    """A step of a notebook is in a cell, by the number that the reader sees."""
    compiler = types.SimpleNamespace(format_code_name=lambda name: ("Cell", "In[7]"))
    module: Any = types.ModuleType("IPython")
    module.get_ipython = lambda: types.SimpleNamespace(compile=compiler)
    monkeypatch.setitem(sys.modules, "IPython", module)

    assert place(filename, 3) == "cell In[7], line 3"
    assert place("/x/shop.py", 3) == "/x/shop.py:3"


def test_unknown_notebook_cells_keep_their_file(monkeypatch: pytest.MonkeyPatch):
    """A shell that does not know the cell, or none at all, changes nothing."""
    module: Any = types.ModuleType("IPython")
    monkeypatch.setitem(sys.modules, "IPython", module)

    assert place("<ipython-input-7-abc>", 3) == "<ipython-input-7-abc>:3"


def test_location_of_things():
    """Functions, properties and classes have a place; what is written in C has none."""

    class Plain:
        def first(self) -> None: ...

        value = property(first)

    here, line = os.path.relpath(__file__), Plain.first.__code__.co_firstlineno

    assert location_of(Plain.first) == f"{here}:{line}"
    assert location_of(Plain.value) == f"{here}:{line}"
    assert location_of(Plain) == f"{here}:{line}"
    assert location_of(type("Empty", (), {"__module__": __name__})) == here
    assert location_of(type("Numbered", (), {"__module__": __name__, "__firstlineno__": 5})) == f"{here}:5"
    assert location_of(len) == ""
    assert location_of(3) == ""


def test_class_is_located_where_it_is_decorated():
    """A problem of the class itself points at its decorator."""
    with pytest.raises(TypeError) as caught:

        @workflow
        class Empty:
            pass

    line = test_class_is_located_where_it_is_decorated.__code__.co_firstlineno
    assert f"at {os.path.relpath(__file__)}:{line + 4}" in str(caught.value)


def test_entrypoint_of_a_program(tmp_path: Path):
    """A class of the file that is run is found by that file, which another process can read."""
    path = tmp_path / "program.py"
    path.write_text(
        "from orchwf import compile_workflow, step, workflow\n"
        "@workflow\nclass W:\n    @step\n    def a(self) -> None: ...\n"
        "print(compile_workflow(W).entrypoint)\n"
    )
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}

    by_path = subprocess.run(
        [sys.executable, "program.py"], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    by_text = subprocess.run(
        [sys.executable, "-c", path.read_text()], capture_output=True, text=True, check=True, env=environment
    )

    assert by_path.stdout.strip() == f"{path.resolve()}:W"
    assert by_text.stdout.strip() == "__main__:W"


def test_inputs_of_a_base_without_annotations():
    """A field that another attrs class made without a type is an input of unknown type."""

    @attrs.define(slots=False, frozen=True, kw_only=True, auto_attribs=False)
    class Old:
        x = attrs.field(default=1)

    @workflow
    class W(Old):
        @step
        def a(self) -> int:
            return int(self.x)

    assert compile_workflow(W).inputs["x"].type is UNKNOWN
    assert W(x=3).a() == 3


def test_empty_cell_of_a_closure():
    """An annotation that a closure will only know later is not resolved, and the rest is."""

    def later() -> "Later":
        return Later()

    with pytest.warns(OrchwfWarning, match="name 'Later' is not defined"):

        @workflow
        class W:
            @step
            def a(self) -> "Later":
                return later()

            @step
            def b(self) -> int:
                return 1

    class Later:
        pass

    assert compile_workflow(W).nodes["b"].returns is int
    assert isinstance(W().a(), Later)


def test_warning_without_a_file():
    """What has no place of its own warns all the same."""
    namespace: dict[str, Any] = {}
    exec(compile("def slow(self): ...", "a cell", "exec"), namespace)
    slow = namespace["slow"]
    slow.__code__ = slow.__code__.replace(co_filename="<ipython-input-1-x>")

    with pytest.warns(OrchwfWarning, match="sync-timeout") as caught:
        workflow(type("W", (), {"slow": step(slow, timeout=1), "__module__": __name__}))

    assert caught[0].filename == "<ipython-input-1-x>"
