"""The plugin of pytest: its fixtures in tests of every kind, what it tells of failures, and what it leaves undone."""

import re

import pytest

from tests.conftest import ROOT
from tests.project.pages import blocks, write_titled

pytest_plugins = ["pytester"]

FLOWS = """
    import pytest
    from orchwf import Retry, RunFailed, step, workflow

    @workflow
    class Flow:
        fails: bool = False

        @step
        def load(self) -> int:
            return 17

        @step(retries=Retry(2, initial="2d", max_interval="2d", jitter=None))
        async def sell(self, load: int) -> int:
            if self.fails:
                raise ValueError("sold out")
            return load
"""


@pytest.fixture(autouse=True)
def settings(pytester: pytest.Pytester) -> None:
    """A project in which warnings are errors."""
    pytester.makeini(
        """
        [pytest]
        filterwarnings =
            error
            ignore:The configuration option "asyncio_default_fixture_loop_scope" is unset
        """
    )
    pytester.makepyfile(flows=FLOWS)


def project_of(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    """What came of tests that see the workflow `Flow`."""
    pytester.makepyfile(test_it=f"from flows import *\n{source}")
    # The modules of this process are none of those tests: but for time they are as in one of their own.
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)


def test_a_plain_test_runs_a_workflow(pytester: pytest.Pytester):
    """It blocks, takes no time for what is waited for, raises as `orchwf.run`, and takes what an orchestrator takes."""
    done = project_of(
        pytester,
        """
def test_it(orchwf_run):
    assert orchwf_run(Flow(), "r1", tags={"shop": "eu"}, max_concurrency=1)[Flow.sell] == 17
    with pytest.raises(RunFailed) as caught:
        orchwf_run(Flow(fails=True), "r2")
    assert caught.value.run_id == "r2"
""",
    )

    done.assert_outcomes(passed=1)


def test_coroutines_of_pytest_asyncio(pytester: pytest.Pytester):
    """In its strict mode, too, an orchestrator is entered on the loop of the test."""
    done = project_of(
        pytester,
        """
@pytest.mark.asyncio
async def test_it(orchwf_orchestrator):
    async with orchwf_orchestrator(workflows=[Flow]) as orchestrator:
        result = await orchestrator.run(Flow())
        assert orchestrator.recorder.starts(Flow.sell) == 1
    assert result[Flow.sell] == 17
""",
    )

    done.assert_outcomes(passed=1)


def test_coroutines_of_anyio(pytester: pytest.Pytester):
    """On asyncio they pass; of other loops it is said that orchwf does not know them."""
    done = project_of(
        pytester,
        """
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", ("asyncio", {"debug": True}), "trio"])
async def test_it(orchwf_orchestrator, anyio_backend):
    async with orchwf_orchestrator() as orchestrator:
        assert (await orchestrator.run(Flow()))[Flow.sell] == 17
""",
        "-p", "no:asyncio",
    )  # fmt: skip

    done.assert_outcomes(passed=2, errors=1)
    done.stdout.fnmatch_lines(["*orchwf runs on asyncio, and this test runs on trio: *returns 'asyncio'"])


def test_a_coroutine_is_told_not_to_block(pytester: pytest.Pytester):
    """The fixture for plain tests says which one is for the others."""
    done = project_of(
        pytester,
        """
from orchwf import UsageError

@pytest.mark.asyncio
async def test_it(orchwf_run):
    with pytest.raises(UsageError, match="async with orchwf_orchestrator"):
        orchwf_run(Flow())
""",
    )

    done.assert_outcomes(passed=1)


def test_orchestrators_of_a_test_share_a_store(pytester: pytest.Pytester):
    """What one has left another one goes on with; and the next test finds nothing of it."""
    done = project_of(
        pytester,
        """
from orchwf.testing import override

@pytest.mark.asyncio
async def test_first(orchwf_orchestrator, orchwf_clock):
    async with orchwf_orchestrator() as orchestrator:
        assert orchestrator.clock is orchwf_clock
        run = await orchestrator.start(Flow(fails=True), "r")
        assert (await run.wait()).status == "failed"
    with override(Flow.sell, 5):
        async with orchwf_orchestrator(workflows=[Flow]) as orchestrator:
            run = await orchestrator.resume("r")
            assert (await run.result())[Flow.sell] == 5

def test_second(orchwf_run):
    assert orchwf_run(Flow(), "r")[Flow.sell] == 17
""",
    )

    done.assert_outcomes(passed=2)


def test_a_failed_test_shows_its_runs(pytester: pytest.Pytester):
    """Each run with its report and a line for each step; a test that passed shows none."""
    done = project_of(
        pytester,
        """
def test_bad(orchwf_run, orchwf_store):
    with pytest.raises(RunFailed):
        orchwf_run(Flow(fails=True), "bad")
    assert orchwf_run(Flow(), "good")[Flow.sell] == 18

def test_good(orchwf_run):
    orchwf_run(Flow(), "unseen")
""",
    )

    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "*- orchwf run bad -*",
            "x Flow run bad failed in 4 d*(1 done, 1 failed)",
            "  x sell  attempt 3/3  ValueError: sold out",
            "*load *completed*",
            "*sell *failed *3 *ValueError: sold out",
            "*- orchwf run good -*",
            "*sell *completed*",
        ]
    )
    done.stdout.no_fnmatch_line("*unseen*")


def test_a_test_that_fails_before_its_runs_shows_none(pytester: pytest.Pytester):
    """Nothing was opened, and there is nothing to tell."""
    done = project_of(
        pytester,
        """
def test_it(orchwf_orchestrator):
    orchwf_orchestrator()
    assert False
""",
    )

    done.assert_outcomes(failed=1)
    done.stdout.no_fnmatch_line("*orchwf run*")


def test_of_many_runs_the_last_ones_are_shown(pytester: pytest.Pytester):
    """A test of hundreds of runs does not bury its own error."""
    done = project_of(
        pytester,
        """
@pytest.mark.asyncio
async def test_it(orchwf_orchestrator):
    async with orchwf_orchestrator() as orchestrator:
        for number in range(8):
            await orchestrator.run(Flow(), f"r{number}")
    assert False
""",
    )

    done.stdout.fnmatch_lines(["and 3 runs before these", "*- orchwf run r3 -*", "*- orchwf run r7 -*"])
    done.stdout.no_fnmatch_line("*orchwf run r2*")


@pytest.mark.parametrize("store", ["memory", "sqlite", "sqlite:///own.db"])
def test_the_store_is_chosen_by_an_option(pytester: pytest.Pytester, store: str):
    """In memory, a file of the test's own, or what a URL says: each outlives an orchestrator."""
    done = project_of(
        pytester,
        """
def test_it(orchwf_run, orchwf_store):
    orchwf_run(Flow(), "r")
    with pytest.raises(Exception, match="exists already"):
        orchwf_run(Flow(), "r")
""",
        "-o", f"orchwf_store={store}",
    )  # fmt: skip

    done.assert_outcomes(passed=1)
    assert (store == "sqlite:///own.db") is (pytester.path / "own.db").exists()


def test_a_store_that_there_is_not(pytester: pytest.Pytester):
    """A word that is none of the three is quoted, with what there is."""
    done = project_of(pytester, "def test_it(orchwf_run): pass", "-o", "orchwf_store=redis")

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*orchwf_store takes 'memory', 'sqlite', or the URL of a store, not 'redis'"])


def test_a_project_gives_a_store_of_its_own(pytester: pytest.Pytester):
    """A fixture of the same name takes the place of ours, as always."""
    done = project_of(
        pytester,
        """
@pytest.fixture
def orchwf_store(tmp_path):
    return f"sqlite:///{tmp_path / 'mine.db'}"

def test_it(orchwf_run, tmp_path):
    orchwf_run(Flow())
    assert (tmp_path / "mine.db").exists()
""",
    )

    done.assert_outcomes(passed=1)


def test_a_workflow_dies_everywhere(pytester: pytest.Pytester):
    """With the patience of the project, and as a test of its own with another one."""
    done = project_of(
        pytester,
        """
from orchwf.errors import BadOptionError

def test_it(orchwf_crash_everywhere):
    assert len(orchwf_crash_everywhere(Flow(), patience="60s").deaths) > 10
    with pytest.raises(BadOptionError, match="some time"):
        orchwf_crash_everywhere(Flow())
""",
        "-o", "orchwf_patience=some time",
    )  # fmt: skip

    done.assert_outcomes(passed=1)


def test_the_page_shows_what_is_true(pytester: pytest.Pytester):
    """Its tests pass, and what became of a run is told as it says."""
    page = ROOT / "docs" / "testing.md"
    shown = next(block.text for block in blocks(page) if block.text.startswith("---") and "orchwf run" in block.text)
    write_titled(page, pytester.path)

    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "test_orders.py")
    failed = project_of(pytester, "import orders\ndef test_it(orchwf_run): orchwf_run(orders.Order(id='sold'), 'sold')")

    done.assert_outcomes(passed=4)
    failed.stdout.fnmatch_lines([re.sub(r"-{9,}|\d+ ms|  +", "*", line) for line in shown.splitlines()])


def test_nothing_is_imported_for_other_tests(pytester: pytest.Pytester):
    """Who has orchwf installed, and tests something else, does not wait for it; the fixtures are there all the same."""
    pytester.makepyfile(
        """
import sys

def test_first(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("orchwf")
    assert "orchwf" not in sys.modules

def test_second(orchwf_store):
    assert "orchwf" in sys.modules
"""
    )

    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    done.assert_outcomes(passed=2)


def test_it_can_be_left_out(pytester: pytest.Pytester):
    """Without the plugin there are no fixtures."""
    done = project_of(pytester, "def test_it(orchwf_run): pass", "-p", "no:orchwf")

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*fixture 'orchwf_run' not found"])


@pytest.mark.slow
def test_failures_in_other_processes_are_told(pytester: pytest.Pytester):
    """What became of the runs of a test comes along from a worker of pytest-xdist."""
    pytester.makepyfile(
        test_it="""
from flows import *

def test_it(orchwf_run):
    orchwf_run(Flow(fails=True), "far")
"""
    )

    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-n", "1")

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*- orchwf run far -*", "*sell *failed *3 *ValueError: sold out"])
