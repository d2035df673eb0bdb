"""`runs --watch`: the list of runs on a terminal, drawn anew as things happen."""

import asyncio
from collections.abc import Awaitable, Callable

from rich.live import Live

from .exits import CommandError
from .live import cropped
from .look import Wanted
from .output import Output
from .places import Place, opened

_INTERVAL = 1.0
"""Seconds between two looks at the store."""


def _pause() -> Awaitable[None]:
    return asyncio.sleep(_INTERVAL)


async def watch(output: Output, place: Place, wanted: Wanted, pause: Callable[[], Awaitable[None]] = _pause) -> int:
    """
    Draw the list of runs until somebody interrupts it.

    Args:
        pause: Returns when it is time to look again.

    Raises:
        CommandError: there is no terminal.
    """
    if output.json or not output.is_terminal:
        raise CommandError("--watch draws on a terminal; a program lists runs with --json, again and again")
    async with opened(place.url) as store:
        with Live(console=output.console, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                _, _, lines = await wanted.listing(store, output.width)
                # One line is left for the cursor.
                live.update(cropped(lines[: max(1, output.console.height - 1)]), refresh=True)
                await pause()
