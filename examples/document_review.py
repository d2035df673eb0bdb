"""
A document on its way to the public: polished in a loop, judged by whoever comes first, published or archived.

Two people may judge, and nobody has to: after three days a timer wins the race. Of the two ways on one is taken. A run
for what is published already ends at its first step.

`python examples/document_review.py` sends in four documents, and waits for moments instead of days.
"""

import asyncio
import hashlib
from enum import StrEnum

from attrs import field, frozen

from orchwf import Finish, Orchestrator, RunResult, signal, sleep, step, workflow

FILLERS = {"really": "", "very": "", "utilise": "use", "in order to": "to"}


class Verdict(StrEnum):
    PUBLISH = "publish"
    ARCHIVE = "archive"


@frozen
class Review:
    """What somebody thinks of a document."""

    by: str
    verdict: Verdict


@frozen
class Draft:
    """A text, and what was done to it."""

    text: str
    changes: list[str] = field(factory=list)

    @property
    def fillers(self) -> list[str]:
        return [filler for filler in FILLERS if filler in self.text]

    @property
    def is_good(self) -> bool:
        return not self.fillers


@frozen
class Library:
    """Two shelves, by the digests of what was handed in."""

    published: dict[str, str] = field(factory=dict)
    archived: dict[str, str] = field(factory=dict)


LIBRARY = Library()


@workflow
class DocumentReview:
    """From a manuscript to a place in the library."""

    manuscript: str
    patience: float = 3 * 24 * 3600.0

    @step
    def register(self) -> str:
        """The digest by which the document is known. One that is published already is nobody's work."""
        digest = hashlib.sha256(self.manuscript.encode()).hexdigest()[:8]
        if digest in LIBRARY.published:
            raise Finish(digest)
        return digest

    @step(depends_on=register)
    def draft(self) -> Draft:
        return Draft(" ".join(self.manuscript.split()))

    @step(until=lambda draft: draft.is_good, max_iterations=10)
    def polish(self, draft: Draft = draft.result) -> Draft:
        """Each time round one word is mended; the draft that it gives is the one that it takes next."""
        if draft.is_good:
            return draft
        filler = draft.fillers[0]
        text = " ".join(draft.text.replace(filler, FILLERS[filler]).split())
        return Draft(text, [*draft.changes, filler])

    editor = signal(Review, depends_on=polish)
    lawyer = signal(Review, depends_on=polish)
    nobody = sleep(lambda self: self.patience, depends_on=polish)

    @step(join="first", cancel_rest=True, depends_on=nobody)
    def judge(self, editor: Review | None = editor.maybe, lawyer: Review | None = lawyer.maybe) -> Verdict:
        """Runs as soon as one of the three is there, and calls the other two off."""
        review = editor or lawyer
        return review.verdict if review else Verdict.ARCHIVE

    @step(when=judge.is_(Verdict.PUBLISH))
    def publish(self, digest: str = register.result, draft: Draft = polish.result) -> str:
        LIBRARY.published[digest] = draft.text
        return f"it is published as {digest}"

    @step(when=judge.is_(Verdict.ARCHIVE))
    def archive(self, digest: str = register.result, draft: Draft = polish.result) -> str:
        LIBRARY.archived[digest] = draft.text
        return f"it is archived as {digest}"

    @step
    def answer(self, outcome: str = (publish | archive).result, draft: Draft = polish.result) -> str:
        return f"Dear author, {outcome}; mended: {', '.join(draft.changes) or 'nothing'}."


def answer_of(result: RunResult[DocumentReview]) -> str:
    if "answer" in result.outputs:
        return result[DocumentReview.answer]
    return f"Dear author, it was published before, as {result[DocumentReview.register]}."


async def send_in(store: str) -> list[str]:
    liked, disliked, unread = "We really utilise tea.", "Tea is very very good.", "In short: tea."
    yes, no = Review(by="Ada", verdict=Verdict.PUBLISH), Review(by="Bob", verdict=Verdict.ARCHIVE)

    async with Orchestrator(store, workflows=[DocumentReview]) as orchestrator:
        first = await orchestrator.start(DocumentReview(manuscript=liked))
        await first.send(DocumentReview.editor, yes)

        second = await orchestrator.start(DocumentReview(manuscript=disliked))
        await second.send(DocumentReview.lawyer, no)

        third = await orchestrator.start(DocumentReview(manuscript=unread, patience=0.1))
        results = [await run.result() for run in (first, second, third)]

        results.append(await orchestrator.run(DocumentReview(manuscript=liked)))
    return [answer_of(result) for result in results]


def main(store: str = "memory:") -> list[str]:
    answers = asyncio.run(send_in(store))
    print("\n".join(answers))
    return answers


if __name__ == "__main__":
    main()
