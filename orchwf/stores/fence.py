"""The fence of a log, the same in each database: which appends of a batch may be written, and where logs end then."""

import attrs

from ..errors import ConflictError, RunExistsError, RunNotFoundError
from ..ports import Append
from .labels import numbering_error


@attrs.define
class End:
    """Where the log of a run will end after what was accepted in this batch: `run` is its number in the store."""

    run: int
    owner: str | None
    seq: int

    def accept(self, append: Append) -> None:
        """Let the log end after this append."""
        self.seq = append.expected + len(append.events)
        self.owner = None if append.releases else self.owner


def refusal(append: Append, end: End | None, url: str) -> Exception | None:
    """Why nothing of this append may be written, to a log that ends so; `end` is None if there is no such run."""
    if error := numbering_error(append):
        return error
    if append.create is not None:
        return RunExistsError(append.run_id) if end else None
    if end is None:
        return RunNotFoundError(append.run_id, url)
    is_foreign = append.owner is not None and end.owner != append.owner
    return ConflictError(append.run_id, append.expected) if is_foreign or end.seq != append.expected else None
