import os


def extract() -> list[float]:
    print("extract runs")
    return [12.5, -12.5, 30.0]


def validate(extract: list[float]) -> list[float]:
    if "LENIENT" not in os.environ and min(extract) < 0:
        raise ValueError("an amount is negative")
    return [amount for amount in extract if amount > 0]


def load(validate: list[float]) -> float:
    return sum(validate)
