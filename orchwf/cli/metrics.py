"""`--metrics-port`: gives Prometheus what a worker and its store know."""

from collections.abc import Mapping

from ..orchestrator import Orchestrator
from .exits import CommandError
from .serving import Answer, Page


def metrics_pages(orchestrator: Orchestrator) -> Mapping[str, Page]:
    """
    What is answered to those who scrape; from now on it is counted.

    Raises:
        CommandError: it needs a package that is not installed.
    """
    try:
        from ..metrics import CONTENT_TYPE, registry_of, rendered  # It comes with an extra that may not be installed.
    except ImportError as error:
        raise CommandError(str(error)) from None
    registry = registry_of(orchestrator, has_process=True)

    async def show() -> Answer:
        return Answer("200 OK", await rendered(registry), CONTENT_TYPE)

    return {"/metrics": show}
