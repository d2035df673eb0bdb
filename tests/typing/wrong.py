# mypy: ignore-errors
"""Wrong uses: each line that ends in `# wrong` is an error to mypy and to pyright, and no other line is."""

from collections.abc import Iterator
from typing import Literal

import orchwf
from orchwf import Cache, Mutex, Orchestrator, Queue, Quorum, RunHandle, signal, sleep, step, subflow, workflow


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

    @step
    def item(self, row: str = load.each) -> None: ...  # wrong

    @step
    def items(self, rows: list[str] = load.all) -> None: ...  # wrong

    agreed = signal(int, timeout="1d")

    @step
    def agree(self, agreed: str = agreed.result) -> None: ...  # wrong

    forever = signal(int, default=0)  # wrong

    soon = sleep([1])  # wrong

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

    @step(queue=3)  # wrong
    def queue(self) -> None: ...

    @step(queue=Queue("api", concurrency="4"))  # wrong
    def concurrency(self) -> None: ...

    @step(mutex=3)  # wrong
    def mutex(self) -> None: ...

    @step(cache="1d")  # wrong
    def kept(self) -> None: ...

    @step(cache=Cache(version=2))  # wrong
    def version(self) -> None: ...

    @step(mutex=Mutex("m", scope="workflow"))  # wrong
    def scope(self) -> None: ...

    @step(join=Quorum("2"))  # wrong
    def quorum(self) -> None: ...


@workflow
class Shipping:
    """A workflow that others start."""

    @step
    def book(self) -> int:
        return 1


class Receipt:
    """What a signal holds."""


@workflow
class Orders:
    """Items, signals, times, and other workflows, used wrongly."""

    @step
    def load(self) -> list[int]:
        return [1]

    @step
    def rows(self) -> Iterator[bytes]:
        yield b""

    paid = signal(Receipt, timeout="1d", default=None)
    answer = signal(bool)
    late = sleep("1h")

    @step
    def item(self, row: str = load.each) -> float:  # wrong
        return 1.0

    @step
    def item_of_generator(self, row: str = rows.each) -> None: ...  # wrong

    @step
    def all_of_generator(self, rows: list[str] = rows.result) -> None: ...  # wrong

    @step
    def price(self, row: int = load.each) -> float:
        return 1.0

    @step
    def item_of_items(self, price: str = price.each) -> None: ...  # wrong

    @step
    def all_of_items(self, prices: list[str] = price.all) -> None: ...  # wrong

    @step
    def may_be_missing(self, receipt: Receipt = paid.result) -> None: ...  # wrong

    @step
    def nothing(self, late: int = late.result) -> None: ...  # wrong

    @step(when=answer.is_("yes"))  # wrong
    def branch(self) -> None: ...

    @subflow
    def ship(self) -> Shipping:
        return Shipping()

    @step
    def output(self, booked: str = ship[Shipping.book].result) -> None: ...  # wrong

    @step
    def no_step(self, booked: int = ship[Shipping.books].result) -> None: ...  # wrong

    @step(max_parallel="3")  # wrong
    def parallel(self, row: int = load.each) -> None: ...

    @step(until=3)  # wrong
    def loop(self, rows: list[int] = load.result) -> list[int]:
        return rows

    @subflow(delivery="at_most_once")  # wrong
    def once(self) -> Shipping:
        return Shipping()

    @subflow(on_parent_close="kill")  # wrong
    def closing(self) -> Shipping:
        return Shipping()

    retried = signal(int, retries=3)  # wrong
    never = signal(int, default=3)  # wrong
    long = sleep("1h", timeout=3)  # wrong
    soon = sleep(None)  # wrong


async def sending(run: RunHandle[Orders]) -> None:
    """A signal takes what it holds."""
    await run.send(Orders.paid, 3)  # wrong
    await run.send(Orders.load, [1])  # wrong
    await run.send(Orders.answer)  # wrong
    await run.send(3, True)  # wrong


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


async def signals(run: RunHandle[Shop]) -> None:
    """And what a signal holds."""
    await run.send(Shop.agreed, "yes")  # wrong
    await run.send(Shop.book, "yes")  # wrong


def results(shop: Shop) -> None:
    """And what a run gives."""
    result = orchwf.run(shop)
    number: int = result[Shop.book]  # wrong
    text: str = result[Shop.load]  # wrong
    orchwf.run(shop, run_id=3)  # wrong
    print(number, text)


class Misnamed:
    """A middleware whose method has another name."""

    async def around_steps(self, call: object, context: object) -> None: ...


def accompanied(shop: Shop) -> None:
    """What is given to an orchestrator is looked at, too."""
    Orchestrator("memory:", middleware=[Misnamed()])  # wrong
    Orchestrator("memory:", on_failure="mail me")  # wrong
    orchwf.run(shop, codec="key")  # wrong
