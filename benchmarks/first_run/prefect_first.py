import os

from prefect import flow, task


@task
def extract() -> list[float]:
    print("extract runs")
    return [12.5, -12.5, 30.0]


@task
def validate(amounts: list[float]) -> list[float]:
    if "LENIENT" not in os.environ and min(amounts) < 0:
        raise ValueError("an amount is negative")
    return [amount for amount in amounts if amount > 0]


@task
def load(amounts: list[float]) -> float:
    return sum(amounts)


@flow
def sales() -> float:
    return load(validate(extract()))


if __name__ == "__main__":
    print(sales())
