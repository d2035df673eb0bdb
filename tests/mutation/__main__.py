"""
Puts small wrongs into modules of the core, one at a time, and tells which of them no test notices:

    python -m tests.mutation machine standing            every wrong of these modules
    python -m tests.mutation machine --sample 100        a hundred of them, always the same
    python -m tests.mutation machine --line 120          those of one line
    python -m tests.mutation report --tests tests/cli    with other tests than those of `TESTS`

Files stay as they are: each wrong lives in a process of its own, which imports the changed module from memory.
"""

import argparse
import ast
import importlib
import importlib.machinery
import importlib.util
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import NoReturn

import attrs
import pytest
from hypothesis import Phase, settings

from tests.mutation.mutants import Mutant, mutants

_CORE = Path(__file__).resolve().parents[2] / "orchwf" / "core"
_KERNEL = [
    f"tests/kernel/test_{name}.py"
    for name in (
        "machine", "items", "items_resumed", "streams", "waits", "children", "places", "reasons", "undoing", "pausing",
        "plan", "adoption", "state", "replay", "replay_items",
    )
]  # fmt: skip
TESTS = {
    "machine": _KERNEL, "standing": _KERNEL, "effects": _KERNEL, "state": _KERNEL, "plan": _KERNEL,
    "adoption": ["tests/kernel/test_adoption.py"], "rows": _KERNEL,
    "history": [
        f"tests/kernel/test_{name}.py"
        for name in ("history", "items", "items_resumed", "streams", "waits", "children", "adoption", "replay_items")
    ],
    "events": ["tests/kernel/test_events.py"], "report": ["tests/cli"],
    "compensating": ["tests/definition"], "options": ["tests/kernel/test_retry.py", "tests/definition"],
}  # fmt: skip
"""Module -> the tests that are to notice, the quickest first; of others all of two folders."""

_SECONDS = 20
"""How long a test may take. A wrong may be an endless loop, so three times that is the end of its process."""
_BYTES = 4 << 30
_OPTIONS = [
    "-x", "-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", f"--timeout={_SECONDS}",
    "-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning",
]  # fmt: skip


@attrs.frozen
class Fate:
    """What became of a wrong: `noticed`, `too long`, `survived` or `broken`, and the test that noticed it."""

    what: str
    test: str = ""


class _ChangedLoader(importlib.machinery.SourceFileLoader):
    """Loads another code than that of the file."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code = code

    def get_code(self, fullname: str) -> CodeType:
        return self._code


@attrs.frozen
class Changed:
    """A module of the core with a wrong in it, or with none."""

    module: str
    mutant: Mutant | None

    @property
    def name(self) -> str:
        return f"orchwf.core.{self.module}"

    @property
    def path(self) -> Path:
        return _CORE / f"{self.module}.py"

    def code(self) -> CodeType:
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        changed = tree if self.mutant is None else self.mutant.applied(tree)
        return compile(changed, str(self.path), "exec", dont_inherit=True)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Where the changed module comes from; None for all others. So it may stand in `sys.meta_path`."""
        if name != self.name:
            return None
        loader = _ChangedLoader(name, str(self.path), self.code())
        return importlib.util.spec_from_file_location(name, self.path, loader=loader)

    def is_put_in(self) -> bool:
        """Put the wrong into the module that is imported already; whether that can be: it is in one function."""
        names = [] if self.mutant is None else self.mutant.function(ast.parse(self.path.read_text(encoding="utf-8")))
        if not names:
            return False
        place: object = sys.modules[self.name]
        code = self.code()
        for name in names:
            place = vars(place).get(name)
            code = next(each for each in code.co_consts if isinstance(each, CodeType) and each.co_name == name)
        function = place.fget if isinstance(place, property) else place
        if not isinstance(function, FunctionType):
            return False
        function.__code__ = code
        return True


class _FirstFailure:
    """Writes down which test failed first, and whether it took too long."""

    def __init__(self, output: int) -> None:
        self._output = output

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            what = "too long" if "Timeout (>" in report.longreprtext else "noticed"
            os.write(self._output, f"{what}\t{report.nodeid}\n".encode())


class Trial:
    """
    Tries out wrongs while pytest is about to run the tests that it has collected.

    Each wrong has a process of its own, a fork of this one; so nothing is imported and collected again but where the
    wrong is outside of functions, and had its effect on the import.
    """

    def __init__(
        self, wrongs: Sequence[Changed], tests: Sequence[str], workers: int, tell: Callable[[Changed, Fate], None]
    ) -> None:
        self.fates: dict[Changed, Fate] = {}
        self._tell = tell
        self._wrongs = wrongs
        self._tests = tests
        self._workers = workers

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        waiting, running = list(reversed(self._wrongs)), dict[int, tuple[Changed, int]]()
        while waiting or running:
            while waiting and len(running) < self._workers:
                changed = waiting.pop()
                reader, writer = os.pipe()
                child = os.fork()
                if child == 0:
                    self._live_with(changed, session, writer)
                os.close(writer)
                running[child] = changed, reader
            child, status = os.wait()
            changed, reader = running.pop(child)
            with open(reader, encoding="utf-8") as told:
                what, _, test = told.readline().strip().partition("\t")
            self.fates[changed] = fate = _fate(status, what, test)
            self._tell(changed, fate)
        return True

    def _live_with(self, changed: Changed, session: pytest.Session, output: int) -> NoReturn:
        code = _BROKEN
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            resource.setrlimit(resource.RLIMIT_CPU, (3 * _SECONDS, 3 * _SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (_BYTES, _BYTES))
            if changed.mutant is None or changed.is_put_in():
                plugins = session.config.pluginmanager
                plugins.unregister(name="terminalreporter")
                plugins.register(_FirstFailure(output))
                code = _run_collected(session)
            else:
                _forget("orchwf", "tests")
                sys.meta_path.insert(0, changed)
                code = int(pytest.main([*_OPTIONS, *self._tests], plugins=[_FirstFailure(output)]))
        finally:
            os._exit(code)


def _run_collected(session: pytest.Session) -> int:
    for number, item in enumerate(session.items):
        following = session.items[number + 1] if number + 1 < len(session.items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


_BROKEN = 99
"""How a process ends in which the wrong could not even be tried out: that is ours, and not noticed by a test."""


def _fate(status: int, what: str, test: str) -> Fate:
    if os.WIFSIGNALED(status):
        return Fate("too long")
    code = os.waitstatus_to_exitcode(status)
    if code == 0 or code == _BROKEN:
        return Fate("broken" if code else "survived")
    return Fate(what or "noticed", test or "the import")


def _forget(*packages: str) -> None:
    """Let these be imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


def try_out(
    wrongs: Sequence[Changed], tests: Sequence[str], workers: int, tell: Callable[[Changed, Fate], None]
) -> dict[Changed, Fate]:
    """What becomes of each of these wrongs with these tests; each is told as soon as it is known."""
    os.environ.setdefault("ORCHWF_TEST_HISTORIES", "150")
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = tempfile.mkdtemp()
    # A wrong is noticed or it is not: the smallest example is not asked for, and the next time it is the same ones.
    quick = settings(phases=[Phase.generate], database=None, derandomize=True)
    settings.register_profile("mutation", quick)
    settings.load_profile("mutation")
    trial = Trial(wrongs, tests, workers, tell)
    pytest.main([*_OPTIONS, "--no-header", "--no-summary", *tests], plugins=[trial])
    return trial.fates


def main(words: Sequence[str]) -> int:
    """Try out what the command line asks for; 1 if a wrong survived."""
    parser = argparse.ArgumentParser(
        prog="tests.mutation", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("module", help="the name of a module of orchwf.core")
    parser.add_argument("--tests", nargs="+")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--line", type=int, action="append")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args(words)
    right = Changed(asked.module, None)
    found = mutants(right.path.read_text(encoding="utf-8"))
    chosen = [Changed(asked.module, each) for each in found if not asked.line or each.line in asked.line]
    if asked.sample is not None and asked.sample < len(chosen):
        chosen = random.Random(asked.module).sample(chosen, asked.sample)
    tests = asked.tests or TESTS.get(asked.module, ["tests/kernel", "tests/definition"])
    began = time.monotonic()

    def tell(changed: Changed, fate: Fate) -> None:
        if changed.mutant is not None and (asked.line or fate.what != "noticed"):
            where = f"{asked.module}.py:{changed.mutant.line}"
            print(f"{where}: {fate.what}: {changed.mutant.text}  {fate.test}".rstrip(), flush=True)

    fates = try_out([right, *chosen], tests, asked.workers, tell)
    if (fate := fates.pop(right)).what != "survived":
        print(f"The tests fail without a wrong: {fate.test}")
        return 2
    counts = Counter(fate.what for fate in fates.values())
    print(f"{asked.module}: {len(fates)} of {len(found)} wrongs in {time.monotonic() - began:.0f} s: {dict(counts)}")
    return int(counts["survived"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
