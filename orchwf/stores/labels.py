"""What every store does alike with what it is given: checks the numbering of events, turns labels into JSON text."""

import json
from collections.abc import Mapping

from ..errors import StoreError
from ..ports import Append, RunRecord


def numbering_error(append: Append) -> StoreError | None:
    """What is wrong with the `seq` of these events; None if they go on from `expected` without gaps."""
    first = append.expected + 1
    if [event.seq for event in append.events] == [*range(first, first + len(append.events))]:
        return None
    return StoreError(
        f"the events for run {append.run_id!r} are not numbered from {append.expected + 1} on without gaps, "
        "so nothing was written; this is a bug in orchwf, please report it"
    )


def encode_labels(record: RunRecord) -> tuple[str, str]:
    """
    The metadata and the tags of a run as JSON text.

    Raises:
        StoreError: they cannot be JSON.
    """
    return _encode(record, "metadata", record.metadata), _encode(record, "tags", record.tags)


def _encode(record: RunRecord, name: str, labels: Mapping[str, object]) -> str:
    if not labels:
        return "{}"
    try:
        text = json.dumps(dict(labels), ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise StoreError(f"the {name} of run {record.id!r} cannot be stored as JSON: {error}") from error
    return text


def decode_labels(metadata: str, tags: str) -> tuple[dict[str, object], dict[str, str]]:
    """The metadata and the tags of a run, from the texts that `encode_labels` made."""
    return json.loads(metadata), json.loads(tags)
