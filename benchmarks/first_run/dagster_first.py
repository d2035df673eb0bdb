import os

from dagster import Definitions, job, op


@op
def extract() -> list[float]:
    print("extract runs")
    return [12.5, -12.5, 30.0]


@op
def validate(amounts: list[float]) -> list[float]:
    if "LENIENT" not in os.environ and min(amounts) < 0:
        raise ValueError("an amount is negative")
    return [amount for amount in amounts if amount > 0]


@op
def load(amounts: list[float]) -> float:
    return sum(amounts)


@job
def sales() -> None:
    load(validate(extract()))


definitions = Definitions(jobs=[sales])
