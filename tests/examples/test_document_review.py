"""A document is judged by whoever comes first, and goes one of two ways."""

from collections.abc import AsyncIterator, Iterator

import pytest

from examples import document_review
from examples.document_review import LIBRARY, DocumentReview, Draft, Review, Verdict
from orchwf import RunHandle, RunResult, RunStatus
from orchwf.testing import FakeClock, TestOrchestrator, crash_everywhere

PAPER = DocumentReview(manuscript="We really  utilise tea in order to wake.")
YES, NO = Review(by="Ada", verdict=Verdict.PUBLISH), Review(by="Bob", verdict=Verdict.ARCHIVE)


def clear() -> None:
    LIBRARY.published.clear()
    LIBRARY.archived.clear()


@pytest.fixture(autouse=True)
def _empty_library() -> Iterator[None]:
    clear()
    yield
    clear()


@pytest.fixture
async def orchestrator() -> AsyncIterator[TestOrchestrator]:
    """Its time stands still until a test moves it."""
    async with TestOrchestrator(workflows=[DocumentReview], clock=FakeClock()) as orchestrator:
        yield orchestrator


async def handed_in(orchestrator: TestOrchestrator) -> RunHandle[DocumentReview]:
    """A run that waits for somebody to judge."""
    run = await orchestrator.start(PAPER)
    await orchestrator.clock.advance("1h")
    return run


async def test_words_are_mended_one_by_one(orchestrator: TestOrchestrator):
    """Each time round is stored by itself; the last one is what the loop gives."""
    run = await handed_in(orchestrator)
    polish = (await run.steps())["polish"]
    await run.send(DocumentReview.editor, YES)
    result = await run.result()

    assert polish.count == 3
    assert result[DocumentReview.polish] == Draft("We use tea to wake.", ["really", "utilise", "in order to"])
    assert result[DocumentReview.answer].endswith("; mended: really, utilise, in order to.")


@pytest.mark.parametrize(
    ("signal", "other", "review", "taken", "left"),
    [("editor", "lawyer", YES, "publish", "archive"), ("lawyer", "editor", NO, "archive", "publish")],
)
async def test_whoever_comes_first_judges(
    signal: str, other: str, review: Review, taken: str, left: str, orchestrator: TestOrchestrator
):
    """The other one and the timer are called off, and of the two ways on one is taken."""
    run = await handed_in(orchestrator)

    await run.send(signal, review)
    result = await run.result()

    assert result[DocumentReview.judge] is review.verdict
    ends = {name: str(step.status) for name, step in result.steps.items()}
    assert [ends[name] for name in (signal, other, "nobody")] == ["completed", "cancelled", "cancelled"]
    assert (ends[taken], ends[left]) == ("completed", "skipped")
    assert result.steps[left].reason == f"runs only when judge is Verdict.{left.upper()}"


async def test_after_three_days_nobody_has_judged(orchestrator: TestOrchestrator):
    """Then the document is archived."""
    run = await handed_in(orchestrator)
    await orchestrator.clock.advance("2d22h")
    assert await run.status() is RunStatus.RUNNING

    await orchestrator.clock.advance("1h1s")
    result = await run.result()

    assert result[DocumentReview.judge] is Verdict.ARCHIVE
    assert [str(result.steps[name].status) for name in ("editor", "lawyer")] == ["cancelled", "cancelled"]
    assert list(LIBRARY.archived.values()) == ["We use tea to wake."]


async def test_what_is_published_is_not_judged_again(orchestrator: TestOrchestrator):
    """The second run of the same manuscript completes in its first step; nobody is asked."""
    first = await handed_in(orchestrator)
    await first.send(DocumentReview.editor, YES)
    digest = (await first.result())[DocumentReview.register]

    again = await orchestrator.run(PAPER)

    assert (again.status, again.outputs) == ("completed", {"register": digest})
    assert {str(step.status) for name, step in again.steps.items() if name != "register"} == {"cancelled"}
    assert again.steps["editor"].reason == "register finished the run"


async def test_a_draft_that_does_not_get_better_fails(monkeypatch: pytest.MonkeyPatch, orchestrator: TestOrchestrator):
    """Ten times round, and no more."""
    monkeypatch.setitem(document_review.FILLERS, "tea", "tea, tea")

    result = await (await orchestrator.start(PAPER)).wait()

    assert result.status == "failed"
    assert "step 'polish' did not settle in 10 iterations" in result.error
    assert result.steps["polish"].count == 10


def is_published(result: RunResult[DocumentReview]) -> bool:
    return list(LIBRARY.published.values()) == ["We use tea to wake."] and not LIBRARY.archived


def is_archived(result: RunResult[DocumentReview]) -> bool:
    return list(LIBRARY.archived.values()) == ["We use tea to wake."] and not LIBRARY.published


@pytest.mark.slow
def test_a_review_survives_crashes():
    """In the midst of the loop, of the race and of either branch: the document comes to its one place."""
    judged = crash_everywhere(PAPER, reset=clear, check=is_published, send={DocumentReview.editor: YES})
    unread = crash_everywhere(PAPER, reset=clear, check=is_archived)

    assert "after item 1 of the body of 'polish' (attempt 1) returned, before that was stored" in judged.deaths
    assert len(judged.deaths) > 50
    assert len(unread.deaths) > 50


def test_the_script_answers_four_authors():
    """One is published, one archived, one unread, and one was published before."""
    answers = document_review.main()

    assert [answer.partition(" as ")[0] for answer in answers] == [
        "Dear author, it is published",
        "Dear author, it is archived",
        "Dear author, it is archived",
        "Dear author, it was published before,",
    ]
