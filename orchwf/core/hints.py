"""What the reader of an error may have done, where the error itself does not say it."""

from .events import ErrorInfo

_NOT_AWAITED = "a coroutine was taken for a value: write  await  before the call that made it, in an  async def"
_RUNS_ALREADY = "the event loop runs already: make the step an  async def  and await what is given to asyncio.run()"


def hint_for(error: ErrorInfo) -> str:
    """The way out of an error that a body raised, if it is one of those that many come upon; else empty."""
    match error.type_name:
        case "TypeError" | "AttributeError" if "'coroutine'" in error.message:
            return _NOT_AWAITED
        case "RuntimeError" if "asyncio.run() cannot be called" in error.message:
            return _RUNS_ALREADY
        case _:
            return ""
