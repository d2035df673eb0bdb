"""The fingerprint is the same in every process, and changes with what matters only."""

import linecache
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from orchwf import Dag, Quorum, Retry, compile_workflow, make_workflow, step
from orchwf.core.definition import Argument, FromContext, FromInput, FromOutputs, FromStep, Input, Node
from orchwf.core.options import StepOptions
from orchwf.digest import code_digest

BASE = '''
from orchwf import compile_workflow, step, workflow

RATE = 3

def helper(x):
    return other(x) + 1

def other(x):
    return x if x < 1 else helper(x - 1)

def unused(x):
    return x

@workflow
class Shop:
    """Sells."""
    n: int = 1

    @step(retries=1)
    def load(self) -> int:
        """Load it."""
        rows: int = helper(self.n)
        return rows + self._extra() + self._fixed()

    @step(when=load.where(lambda rows: rows > 0))
    def save(self, rows: int = load.result) -> str:
        # A comment.
        return str(rows)

    def _extra(self):
        return 1

    @staticmethod
    def _fixed():
        return 7
'''

_number = 0


def test_a_graph_of_plain_steps_keeps_its_fingerprint():
    """Runs of earlier releases go on with it: what is new says nothing of a step that has no use for it."""
    nodes = [
        Node(name="load", returns=list[int], digest=lambda: "1", arguments=(Argument("day", FromInput("day")),)),
        Node(
            name="risk", position=1, dependencies=("load",), needs=frozenset({"load"}),
            options=StepOptions(required=False, retry=Retry(3)),
            arguments=(Argument("rows", FromStep(("load",))), Argument("ctx", FromContext())),
        ),
        Node(
            name="end", position=2, dependencies=("load", "risk"), choices=(("load", "risk"),),
            asked=frozenset({"load"}), options=StepOptions(join=Quorum(1), cancel_rest=True),
            arguments=(
                Argument("x", FromStep(("risk", "load"), maybe=True)), Argument("outputs", FromOutputs(("load",))),
            ),
        ),
    ]  # fmt: skip
    inputs = {"day": Input("day", str, required=False)}

    dag = Dag(name="Pinned", version="2", inputs=inputs, nodes={node.name: node for node in nodes})

    assert "c3004a49823cdf954e588d876bbfd6062ae69c7f7c1ece1baf3280d230f59157" == dag.fingerprint


def load(source: str, tmp_path: Path, package: str = "shop") -> Dag:
    """The graph of `Shop` in a module of this source."""
    global _number
    _number += 1
    path = tmp_path / f"{package}_{_number}.py"
    path.write_text(source)
    linecache.checkcache(str(path))
    module = types.ModuleType(f"{package}.module_{_number}")
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), vars(module))
    return compile_workflow(vars(module)["Shop"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Load it.", "Load all of it."),
        ('        """Load it."""\n', ""),
        ("# A comment.", "# Another comment.\n"),
        ("Sells.", "Sells a lot."),
        ("rows: int = helper", "rows = helper"),
        ("rows: int = helper", "rows: int\n        rows = helper"),
        ("def helper(x):", "def helper(x: int) -> int:"),
        ("RATE = 3", "RATE = 3\n\n\n"),
        ("    return x\n\n@workflow", "    return x * 2\n\n@workflow"),
        ("retries=1", "retries=5, timeout='1m', priority=3, tags=['x']"),
        ("str(rows)", "str( rows )"),
        ("    n: int = 1", "    n: int = 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*sync-timeout")
def test_what_does_not_matter(old: str, new: str, tmp_path: Path):
    """Docstrings, comments, annotations in bodies, layout, retries and unused functions."""
    assert old in BASE

    assert load(BASE.replace(old, new), tmp_path).fingerprint == load(BASE, tmp_path).fingerprint


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("rows + self", "rows - self", ("load",)),
        ("other(x) + 1", "other(x) + 2", ("load",)),
        ("x if x < 1", "x if x < 2", ("load",)),
        ("        return 1\n", "        return 2\n", ("load",)),
        ("        return 7\n", "        return 8\n", ("load",)),
        ("rows: rows > 0", "rows: rows > 1", ("save",)),
        ("str(rows)", "repr(rows)", ("save",)),
    ],
)
def test_code_that_matters(old: str, new: str, changed: tuple[str, ...], tmp_path: Path):
    """The bodies, conditions, the methods they call on self, and the functions of the package that they name."""
    assert old in BASE

    before, after = load(BASE, tmp_path), load(BASE.replace(old, new), tmp_path)

    assert before.fingerprint != after.fingerprint
    assert before.diff(after).changed == changed
    assert not before.diff(after).is_structural


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("load.result", "load.maybe"),
        ('-> int:\n        """Load', '-> float:\n        """Load'),
        ("when=load.where(lambda rows: rows > 0)", "required=False"),
        ("n: int = 1", "n: float = 1"),
        ("@workflow\n", "@workflow(version='2')\n"),
        ("@workflow\n", "@workflow(name='Other')\n"),
    ],
)
def test_graph_that_matters(old: str, new: str, tmp_path: Path):
    """Sources, types, conditions, inputs, name and version."""
    assert old in BASE
    source = BASE.replace("rows: int = load", "rows: object = load")

    assert load(source.replace(old, new), tmp_path).fingerprint != load(source, tmp_path).fingerprint


def test_functions_of_other_packages_do_not_matter(tmp_path: Path):
    """What another package does may change with it; it is not the workflow's code."""
    digests = []
    for body in ("return 1", "return 2"):
        library = types.ModuleType("library.parts")
        exec(compile(f"def part():\n    {body}\n", f"<library {body}>", "exec"), vars(library))
        vars(library)["part"].__module__ = "library.parts"
        source = BASE.replace("RATE = 3", "from library_parts import part, helper_module").replace(
            "rows + self", "part() + self"
        )
        sys.modules["library_parts"] = library
        library.helper_module = library  # type: ignore[attr-defined]
        digests.append(load(source, tmp_path).fingerprint)
        del sys.modules["library_parts"]

    assert digests[0] == digests[1]


def test_functions_of_modules_of_the_package_matter(tmp_path: Path):
    """`parts.part()` is followed into another module of the same package."""
    digests = set()
    for body in ("return 1", "return 2"):
        parts = types.ModuleType("shop.parts")
        exec(compile(f"def part():\n    {body}\n", f"<parts {body}>", "exec"), vars(parts))
        sys.modules["shop_parts"] = parts
        source = BASE.replace("RATE = 3", "import shop_parts as parts").replace("rows + self", "parts.part() + self")
        digests.add(load(source, tmp_path).fingerprint)
        del sys.modules["shop_parts"]

    assert len(digests) == 2


PROGRAM = """
import enum
from orchwf import Quorum, compile_workflow, make_workflow, step
class Color(enum.Enum):
    RED = 1
a = step(lambda: {'x', 'y', 'z'}, name='a')
def b(**outputs): return outputs.keys() & {'p', 'q', 'r'} in ('x', frozenset({'v', 'w'}))
steps = [a, step(name='b', depends_on={'a', 'c'})(b), step(lambda: 1, name='c', when=a.is_({'one', 'two', 'three'})),
         step(lambda: 1, name='d', when=a.is_(Color.RED) | a.contains(object()), depends_on=['c', 'b'], join=Quorum(2))]
print(compile_workflow(make_workflow('W', steps)).fingerprint)
"""


def test_same_in_every_process(tmp_path: Path):
    """The seed of the hash, the directory and the name of the main module do not matter."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, *command],
            capture_output=True, text=True, check=True, cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{root}{os.pathsep}{tmp_path}"},
        ).stdout
        for command, folder, seed in [
            ([str(path)], root, "1"), ([str(path)], tmp_path, "2"), (["-m", "program"], tmp_path, "3"),
            (["-c", "import program"], root, "4"),
        ]
    }  # fmt: skip

    assert len(outputs) == 1
    assert len(outputs.pop().strip()) == 64


def test_errors_are_the_same_under_every_hash_seed(tmp_path: Path):
    """Problems come in the order of definition, cycles by their first step."""
    path = tmp_path / "wrong.py"
    path.write_text(
        "from orchwf import *\n"
        "steps = [step(lambda: 1, name=f's{n}', depends_on={f's{(n * 7 + k) % 40}' for k in range(3)} | {f'x{n}'})"
        " for n in range(40)]\n"
        "try:\n    make_workflow('W', steps)\nexcept DefinitionError as error:\n    print(error)\n"
    )
    root = Path(__file__).parents[2]

    outputs = {
        subprocess.run(
            [sys.executable, str(path)], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip

    assert len(outputs) == 1
    assert "41 problems" in outputs.pop()


def test_without_source_the_compiled_code_counts():
    """Lambdas and functions made from text have a digest, too: constants, nested code and names."""

    def made(source: str) -> Any:
        return eval(source)

    same = {code_digest(made("lambda x: x in {'a', 'b', 'c'} and (1, (2, 3.5))")) for _ in range(2)}
    others = [
        made(text)
        for text in ("lambda x: 1", "lambda x: 2", "lambda x: (lambda: 2)", "lambda x: (lambda: 3)", "lambda x: len(x)")
    ]

    assert len(same) == 1
    assert len({code_digest(function) for function in others}) == 5


def test_c_functions_have_a_digest():
    """What is written in C changes with its package only."""
    assert code_digest(len) == code_digest(len)
    assert code_digest(len) != code_digest(sum)


def test_closures_count():
    """A function of the package that a closure holds is followed; an empty cell is not."""

    def outer(inner: Any, *, bind: bool) -> Any:
        def body() -> int:
            result: int = inner() + late()
            return result

        if bind:

            def late() -> int:
                return 1

        return body

    def one() -> int:
        return 1

    def two() -> int:
        return 2

    assert code_digest(outer(one, bind=True)) != code_digest(outer(two, bind=True))
    assert code_digest(outer(one, bind=False)) != code_digest(outer(one, bind=True))


def test_decorators_that_hide_do_not_count():
    """A body is read through `functools.wraps`, caches and partials."""
    import functools

    def body(x: int) -> int:
        return x + 1

    class Callable:
        def __call__(self) -> int:
            return 1

    assert code_digest(functools.cache(body)) == code_digest(body)
    assert code_digest(functools.partial(body, 1)) == code_digest(body)
    assert code_digest(Callable()) == code_digest(Callable.__call__)


def test_source_that_cannot_be_parsed():
    """A cell of a notebook with magics, and an expression of hundreds of terms, fall back to the compiled code."""
    for number, source in enumerate(
        ["def it():\n    return 1\n!ls\n", "def it():\n    return " + "+".join(["x"] * 800)]
    ):
        name = f"<cell {number}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        namespace: dict[str, Any] = {}
        exec(compile(source.replace("!ls\n", ""), name, "exec"), namespace)

        assert code_digest(namespace["it"]) == code_digest(namespace["it"])


def test_steps_that_share_a_function_are_read_once():
    """Of a hundred thousand steps with one function one is read: the bodies are the same objects."""

    def work() -> int:
        return 1

    nodes = compile_workflow(make_workflow("W", [step(name=f"s{n}")(work) for n in range(1000)])).nodes

    assert len({id(node.digest) for node in nodes.values()}) == 1
