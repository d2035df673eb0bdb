import os
import sys

from dbos import DBOS, DBOSConfig, SetWorkflowID


@DBOS.step()
def extract() -> list[float]:
    print("extract runs")
    return [12.5, -12.5, 30.0]


@DBOS.step()
def validate(amounts: list[float]) -> list[float]:
    if "LENIENT" not in os.environ and min(amounts) < 0:
        raise ValueError("an amount is negative")
    return [amount for amount in amounts if amount > 0]


@DBOS.step()
def load(amounts: list[float]) -> float:
    return sum(amounts)


@DBOS.workflow()
def sales() -> float:
    return load(validate(extract()))


if __name__ == "__main__":
    config: DBOSConfig = {"name": "first", "system_database_url": "sqlite:///first.db"}
    DBOS(config=config)
    DBOS.launch()
    if "resume" in sys.argv:
        print(DBOS.fork_workflow("monday", 2).get_result())
    else:
        with SetWorkflowID("monday"):
            print(sales())
