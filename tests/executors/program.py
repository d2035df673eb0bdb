"""A program with processes of its own: `python -m tests.executors.program STORE WORKFLOW FILE`."""

import sys

import orchwf
from orchwf.executors import ProcessExecutor
from tests.executors import program_flows


def main(store: str, workflow: str, file: str) -> None:
    """Run it, and print one line."""
    made = getattr(program_flows, workflow)(file=file)
    result = orchwf.run(made, store=store, run_id="r", executors={"there": ProcessExecutor(max_workers=1)})
    print(f"result {result.outputs['look']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
