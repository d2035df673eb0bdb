import sys

from dagster import DagsterInstance, ReexecutionOptions, execute_job, reconstructable
from dagster_first import sales

if __name__ == "__main__":
    with DagsterInstance.get() as instance:
        options = ReexecutionOptions.from_failure(sys.argv[1], instance)
        execute_job(reconstructable(sales), instance, reexecution_options=options)
