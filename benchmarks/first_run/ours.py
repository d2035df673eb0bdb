import os

from orchwf import step, workflow


@workflow
class Sales:
    @step
    def extract(self) -> list[float]:
        print("extract runs")
        return [12.5, -12.5, 30.0]

    @step
    def validate(self, amounts: list[float] = extract.result) -> list[float]:
        if "LENIENT" not in os.environ and min(amounts) < 0:
            raise ValueError("an amount is negative")
        return [amount for amount in amounts if amount > 0]

    @step
    def load(self, amounts: list[float] = validate.result) -> float:
        return sum(amounts)
