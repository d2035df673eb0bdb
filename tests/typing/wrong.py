# mypy: ignore-errors
"""Wrong uses: each line that ends in `# wrong` is an error to mypy and to pyright, and no other line is."""

from typing import Literal

import orchwf
from orchwf import Quorum, step, workflow


@workflow
class Shop:
    """A workflow to be used wrongly."""

    order_id: str
    express: bool = False

    @step
    async def load(self) -> list[int]:
        return [1]

    @step
    def judge(self) -> Literal["approve", "review"]:
        return "review"

    @step
    def book(self) -> str:
        return ""

    @step
    def edge_type(self, rows: list[str] = load.result) -> None: ...  # wrong

    @step
    def maybe(self, text: str = book.maybe) -> None: ...  # wrong

    @step
    def choice(self, text: str = (book | judge | load).result) -> None: ...  # wrong

    @step(when=judge.is_("aprove"))  # wrong
    def branch(self) -> None: ...

    @step(when=True)  # wrong
    def condition(self) -> None: ...

    @step(when=book.where(lambda text: text.missing))  # wrong
    def predicate(self) -> None: ...

    @book.compensate  # wrong
    def undo(self, booking: int) -> None: ...

    @book.compensate(retries="3")  # wrong
    def undo_with_options(self, booking: str) -> None: ...

    @step(delivery="exactly_once")  # wrong
    def delivered(self) -> None: ...

    @step(retires=3)  # wrong
    def option(self) -> None: ...

    @step(retries="3")  # wrong
    def value(self) -> None: ...

    @step(join="frist")  # wrong
    def join(self) -> None: ...

    @step(depends_on=[3])  # wrong
    def depends(self) -> None: ...

    @step(join=Quorum("2"))  # wrong
    def quorum(self) -> None: ...


@workflow(verson="2")  # wrong
class Misspelt:
    """A workflow with an option that there is not."""

    @step
    def a(self) -> None: ...


def inputs() -> None:
    """The constructor is known."""
    Shop()  # wrong
    Shop("A1")  # wrong
    Shop(order_id=3)  # wrong
    Shop(order_id="A1", expres=True)  # wrong
    Shop(order_id="A1").express = True  # wrong


def direct_calls(shop: Shop) -> None:
    """So are the bodies."""
    shop.edge_type([1])  # wrong
    shop.maybe(3)  # wrong
    shop.maybe(txt="x")  # wrong
    shop.judge(1)  # wrong
    rows: list[str] = shop.judge()  # wrong
    shop.missing()  # wrong
    rows.clear()


def results(shop: Shop) -> None:
    """And what a run gives."""
    result = orchwf.run(shop)
    number: int = result[Shop.book]  # wrong
    text: str = result[Shop.load]  # wrong
    orchwf.run(shop, run_id=3)  # wrong
    print(number, text)
