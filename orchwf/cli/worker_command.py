"""The command `worker`: what it takes, and what its help says."""

from typing import Annotated

from cyclopts import Parameter

from . import options
from .common import DEFAULTS, Common
from .exits import CommandError

_MARGIN = 2.5
"""Seconds that a worker has beside its grace until it is ended in any case."""


def worker(
    *targets: options.Target,
    concurrency: Annotated[
        int | None,
        Parameter(name=["--concurrency", "--jobs", "-j"], help="How many steps may run at once.", show_default=False),
    ] = None,
    max_runs: Annotated[
        int | None,
        Parameter(help="Take up no more while so many runs are executed.", show_default=False),
    ] = None,
    queues: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            show_default=False,
            help="The limits of a queue: NAME=4 at once, NAME=100/minute, or NAME=4,100/minute. Repeatable.",
        ),
    ] = None,
    grace: Annotated[str, Parameter(help="How long what runs may go on after a signal: 10s, 2m.")] = "10s",
    health: Annotated[
        str | None, Parameter(help="Answer /healthz and /readyz at this HOST:PORT.", show_default=False)
    ] = None,
    metrics_port: Annotated[
        str | None,
        Parameter(help="Answer /metrics at this PORT, or HOST:PORT, for Prometheus.", show_default=False),
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """
    Take up the runs of workflows, begin those of their schedules, and execute them, until SIGTERM or Ctrl-C.

    orchwf worker flow.py
    orchwf worker flows/*.py shop.orders:Fulfil --store postgresql://db/orders
    orchwf worker flow.py --concurrency 32 --queues api=4,100/minute --grace 1m
    orchwf worker flow.py --health 127.0.0.1:8080 --metrics-port 9464

    Any number of workers may serve a store, on any machine that reaches it: each
    run is executed by one of them. Told to end, a worker takes nothing more, lets
    go at once of what waits, lets what runs go on for the grace, leaves the rest
    to be taken up by others, and exits with 0. A second signal ends it at once.
    """
    if not targets:
        raise CommandError("name at least one workflow: orchwf worker file.py")
    if concurrency is not None and concurrency < 1:
        raise CommandError(f"--concurrency takes a number of at least 1, not {concurrency}")
    if max_runs is not None and max_runs < 1:
        raise CommandError(f"--max-runs takes a number of at least 1, not {max_runs}")
    from ..core.options import seconds
    from .leaving import leave_threads_behind, run_in_time
    from .serving import parse_address
    from .worker import queue_of, work

    limit, limits = seconds(grace, "--grace"), [queue_of(text) for text in queues or []]
    healthy_at = None if health is None else parse_address(health, "--health")
    scraped_at = None if metrics_port is None else parse_address(metrics_port, "--metrics-port", "127.0.0.1")
    stage = options.stage_for(common, concurrency)
    code = run_in_time(
        lambda deadline: work(
            stage(deadline), targets, grace=limit, queues=limits, health=healthy_at, metrics=scraped_at, most=max_runs
        ),
        limit + _MARGIN,
    )
    # It was told to end, and has said that it does.
    leave_threads_behind(code)
    return code
