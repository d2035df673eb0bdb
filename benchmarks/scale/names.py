"""What the figures are called that the prediction is made of."""

ROUND_TRIP = "an answer to SELECT 1"
SYNC = "a sync of the server's log"

STEPS = "steps"
MEDIAN = "a step, median"
LATE = "a step, 99th percentile"
WORKER_CPU = "CPU of the workers"
CLIENT_CPU = "CPU of the client"
SERVER_CPU = "CPU of the server"
TIME = "time"
TOGETHER = "steps in one commit"
CONNECTIONS = "connections of a process"

IDLE_CPU = "an orchestrator with one run that waits: CPU of the server"
IDLE_READS = "an orchestrator with one run that waits: transactions that read"
IDLE_WRITES = "an orchestrator with one run that waits: transactions that write"


def commits_of(connections: int) -> str:
    """Of rows that are committed one by one."""
    return f"commits of {connections} connection{'s' * (connections > 1)}"


def executed(processes: int, figure: str) -> str:
    """Of so many processes that execute runs."""
    return f"{processes} process{'es' * (processes > 1)}: {figure}"


def written(events: int, figure: str) -> str:
    """Of transactions that write so many events each."""
    return f"transactions of {events:,} event{'s' * (events > 1)}: {figure}"
