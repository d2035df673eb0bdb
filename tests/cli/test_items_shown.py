"""What the commands say of runs whose steps have items, start runs or loop."""

import asyncio

import pytest

import orchwf
from orchwf.core.events import StepCompleted
from tests.cli.console import Shell, read_until
from tests.cli.sleepers import URL

SHOP = """\
import os

from orchwf import Finish, signal, step, subflow, workflow


@workflow
class Parcel:
    number: int = 0

    @step
    def pack(self) -> str:
        if self.number == 2 and "BROKEN" in os.environ:
            raise OSError("the box is torn")
        return f"parcel {self.number}"


@workflow
class Shop:
    @step
    def orders(self) -> list[int]:
        return [0, 1, 2]

    @step(tolerate=1)
    def check(self, order: int = orders.each) -> int:
        if order == 1:
            raise ValueError(f"order {order} is empty")
        return order * 10

    @step
    def count(self, checked: list[int | None] = check.all) -> int:
        return len(checked)

    @subflow(depends_on=[count])
    def ship(self, order: int = orders.each) -> Parcel:
        return Parcel(number=order)

    @step(until=lambda value: value >= 3, depends_on=[ship])
    def settle(self, value: int = count.result) -> int:
        return value + 1
"""


@pytest.fixture
def shop(shell: Shell) -> Shell:
    """A shell with a flow of items, children and a loop."""
    shell.write("shop.py", SHOP)
    return shell


def test_run_and_show(shop: Shell):
    """Each step has its line; failures that are borne are told; runs that were started are named."""
    ran, listed = shop("run", "shop.py:Shop", "--run-id", "s"), shop("show", "s")

    assert [
        "+ Shop run s completed in TIME   (5 done; items: 5 done, 1 failed)",
        "  + check  2/3, 1 failed  check[1]: ValueError: order 1 is empty",
    ] == ran.lines[-2:]
    assert 0 == ran.code
    steps = [line for line in listed.lines if line.startswith("  ") and "TIME" in line and "longest" not in line]
    assert [
        "  + orders  TIME",
        "  + check   TIME, 2/3, 1 failed",
        "      x check[1]  TIME, ValueError: order 1 is empty",
        "  + count   TIME",
        "  + ship    TIME, 3 items",
        "  + settle  TIME, 1 iteration",
    ] == steps


def test_show_all_items(shop: Shell):
    """With --all each has its line, and in JSON its document."""
    shop("run", "shop.py:Shop", "--run-id", "s")

    lines, document = shop("show", "s", "--all").lines, shop("show", "s", "--all", "--json").json

    assert [
        "  + ship    TIME, 3 items",
        "      + ship[0]  TIME, run s/ship/0",
        "      + ship[1]  TIME, run s/ship/1",
        "      + ship[2]  TIME, run s/ship/2",
        "  + settle  TIME, 1 iteration",
        "      + settle[0]  TIME",
    ] == [line for line in lines if ("ship" in line or "settle" in line) and "longest" not in line]
    assert [("check", 0), ("check", 1), ("check", 2)] == [
        (each["name"], each["item"]) for each in document["items"] if each["name"] == "check"
    ]


def test_show_json_counts_items(shop: Shell):
    """How many are where, and which failed; a step without items has none."""
    shop("run", "shop.py:Shop", "--run-id", "s")

    document, child = shop("show", "s", "--json").json, shop("show", "s/ship/1", "--json").json

    steps = {each["name"]: each for each in document["steps"]}
    assert (3, {"completed": 2, "failed": 1}) == (steps["check"]["items"]["count"], steps["check"]["items"]["statuses"])
    assert [(1, "order 1 is empty")] == [
        (each["item"], each["error"]["message"]) for each in steps["check"]["items"]["failed"]
    ]
    assert steps["count"]["items"] is None
    assert (None, "s") == (document["parent"], child["parent"])
    assert "items" not in document


def test_show_output(shop: Shell):
    """Of a step with items it is the list of theirs; an item is asked for by its number."""
    shop("run", "shop.py:Shop", "--run-id", "s")

    said = {text: shop("show", "s", "--output", text) for text in ("check", "check[2]", "check[1]", "check[3]",
                                                                     "count[0]", "chek[0]", "settle")}  # fmt: skip

    assert ([0, None, 20], 20, 4) == tuple(said[text].json for text in ("check", "check[2]", "settle"))
    assert [5, 5, 5, 5] == [said[text].code for text in ("check[1]", "check[3]", "count[0]", "chek[0]")]
    assert "step 'check[1]' of run 's' has no output: it is failed" in said["check[1]"].err
    assert "step 'check' of run 's' has the items check[0] to check[2], and no check[3]" in said["check[3]"].err
    assert "step 'count' of run 's' has no items, and no count[0]" in said["count[0]"].err
    assert "Did you mean 'check'?" in said["chek[0]"].err


def test_events_of_a_step_and_of_an_item(shop: Shell):
    """`--step` takes either; in JSON the item is a number, and what the kinds have to say is there."""
    shop("run", "shop.py:Shop", "--run-id", "s")

    step_lines, item_lines = (
        shop("events", "s", "--step", "check").lines,
        shop("events", "s", "--step", "check[1]").lines,
    )
    documents = shop("events", "s", "--json").json_lines

    assert {"check", "check[0]", "check[1]", "check[2]"} == {line.split()[3] for line in step_lines}
    assert ["step.started", "step.failed"] == [line.split()[2] for line in item_lines]
    assert {None, 0, 1, 2} == {each["item"] for each in documents if each.get("step") == "check"}
    children = [each for each in documents if each["kind"] == "child.started"]
    assert [("s/ship/0", {"number": 0})] == [(each["child"], each["inputs"]) for each in children if each["item"] == 0]
    assert [3] == [each["count"] for each in documents if each["kind"] == "step.expanded" and each["step"] == "check"]
    assert [None] == [
        each["output"] for each in documents
        if each["kind"] == "step.completed" and each["step"] == "check" and each["item"] is None
    ]  # fmt: skip


def test_last_is_no_run_that_another_one_started(shop: Shell):
    """Somebody who says `last` means what was started by hand."""
    shop("run", "shop.py:Shop", "--run-id", "s")

    assert "s" == shop("show", "--json").json["id"]
    assert "  for       run s" in shop("show", "s/ship/0").lines


def test_run_in_json_is_of_one_run(shop: Shell):
    """Who reads the events of a run gets those of no other."""
    documents = shop("run", "shop.py:Shop", "--run-id", "s", "--json").json_lines

    assert {"s"} == {each["run"] for each in documents[:-1]}


def test_failed_and_resumed(shop: Shell, monkeypatch: pytest.MonkeyPatch):
    """The items that failed are told with their errors, and only they run again."""
    monkeypatch.setenv("BROKEN", "1")
    failed = shop("run", "shop.py:Shop", "--run-id", "s")
    monkeypatch.delenv("BROKEN")
    resumed = shop("resume", "s")

    assert 1 == failed.code
    report = failed.lines[failed.lines.index(next(line for line in failed.lines if line.startswith("x "))) :]
    assert "x Shop run s failed in TIME   (3 done, 1 failed, 1 skipped; items: 4 done, 2 failed)" == report[0]
    assert "  x ship    2/3, 1 failed" == report[1]
    assert report[2].startswith(
        "    x ship[2]  attempt 1/1  RunFailed: run 's/ship/2' of Parcel failed: step pack: OSErr"
    )
    assert '          raise OSError("the box is torn")' in report
    assert "orchwf resume s      (keeps orders, check, count, 2 items of ship)" in report[-1]
    assert [
        "> Shop run s resumed",
        "  keeps  orders, check, count   (completed)",
        "  keeps  2 items of ship   (items that completed)",
    ] == resumed.lines[:3]
    assert resumed.lines[3].startswith("  again  ship   (RunFailed: ")
    assert "  + ship    TIME, 3 items" in resumed.lines
    assert (0, "+ Shop run s completed in TIME   (5 done; items: 5 done, 1 failed)") == (
        resumed.code,
        resumed.lines[-2],
    )


def test_graph_of_a_run(shop: Shell):
    """The picture has the kinds, and how far the items are."""
    shop("run", "shop.py:Shop", "--run-id", "s")

    lines = shop("graph", "s").lines

    assert "+ │ check  (each of orders)  completed TIME, 2/3, 1 failed" in lines
    assert "+ settle  (until)  completed TIME, 1 iteration" in lines
    assert any(line.endswith("ship  (subflow, each of orders)  completed TIME, 3 items") for line in lines)


def test_finish_in_json(shell: Shell):
    """The step that ended the run is named; that is no JSON in the log."""
    shell.write("end.py", "from orchwf import Finish, step, workflow\n@workflow\nclass End:\n    @step\n"
                          "    def first(self) -> int:\n        raise Finish(3)\n")  # fmt: skip
    shell("run", "end.py", "--run-id", "e")

    documents = shell("events", "e", "--json").json_lines

    assert [("finish", "first")] == [
        (each["signal"], each["reason"]) for each in documents if each["kind"] == "signal.received"
    ]


UNDOING = """\
from orchwf import step, workflow


@workflow
class Undo:
    @step
    def seats(self) -> list[int]:
        return [1, 2, 3]

    @step
    def book(self, seat: int = seats.each) -> int:
        return seat

    @book.compensate
    def cancel(self, book: int) -> None:
        if book == 2:
            raise ConnectionError("no answer")

    @step
    def pay(self, booked: list[int] = book.all) -> int:
        raise ValueError("no money")
"""


def test_items_that_are_undone(shell: Shell):
    """What could not be is named, and tried again by a resume, which says what is done."""
    shell.write("undo.py", UNDOING)

    failed, resumed = shell("run", "undo.py", "--run-id", "u"), shell("resume", "u")
    shown = shell("show").lines

    assert 1 == failed.code
    assert "  undone: 2 items of book" in failed.lines
    assert "  x book[1]  could not be undone: ConnectionError: no answer" in failed.lines
    assert "  To try again what could not be undone:  orchwf resume u" in failed.lines
    assert "  done   book[0], book[2]   (undone)" in resumed.lines
    assert "  undo   book[1]   (ConnectionError: no answer)" in resumed.lines
    assert "  + book   TIME, 3 items, 2 items undone" in shown


ONCE = """\
import os
import signal

from orchwf import step, workflow


@workflow
class Once:
    @step
    def orders(self) -> list[int]:
        return [0, 1, 2]

    @step(delivery="at_most_once", max_parallel=1)
    def charge(self, order: int = orders.each) -> int:
        if order == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return order
"""


def test_item_of_unknown_fate(shell: Shell):
    """It is named with its number, and what can be said is said of its step; a value nobody could say of which item."""
    shell.write("once.py", ONCE)
    shell.start("run", "once.py", "--run-id", "o").communicate(timeout=30)

    said, document = shell("show"), shell("show", "--json").json
    silent = shell("resume", "o")

    assert "! Once run o interrupted   (1 done, 1 to do; items: 1 done, 2 to do)" == said.lines[0]
    assert [
        "  ? charge[1]  attempt 1 was in flight when its process died, and it runs at most once",
        "  Find out whether charge took effect, and say so:",
        "    orchwf resume o --rerun charge   it did not: run it again",
        "    orchwf resume o --skip charge    go on without it",
    ] == said.lines[2:6]
    assert "  ! charge  interrupted at 1/3" in said.lines
    assert ["charge"] == document["unknown"]
    assert 2 == silent.code


PAUSING = """\
from orchwf import step, workflow


@workflow
class Pausing:
    @step
    def orders(self) -> list[int]:
        return [0, 1, 2]

    @step(on_exhausted="pause")
    def charge(self, order: int = orders.each) -> int:
        if order == 1:
            raise ConnectionError("the bank is closed")
        return order
"""


def test_item_without_attempts_left(shell: Shell):
    """The run waits for somebody, and says for which item, and why."""
    shell.write("pausing.py", PAUSING)

    said = shell("run", "pausing.py", "--run-id", "p")
    shown = shell("show", "p").lines

    assert "o Pausing run p paused after TIME   (1 done, 1 to do; items: 2 done, 1 to do)" in said.lines
    assert "  ~ charge[1]  attempt 1/1  ConnectionError: the bank is closed" in said.lines
    assert any("orchwf resume p      (keeps orders, 2 items of charge)" in line for line in said.lines)
    assert (
        "      ~ charge[1]  no attempts left, again when the run is resumed: ConnectionError: the bank is closed"
        in shown
    )


def test_many_items_of_a_real_run(shell: Shell):
    """Thousands of them print a handful of lines."""
    shell.write(
        "many.py",
        "from orchwf import step, workflow\n@workflow\nclass Many:\n    @step\n    def rows(self) -> list[int]:\n"
        "        return list(range(3000))\n    @step\n    def parse(self, row: int = rows.each) -> int:\n"
        "        return row\n",
    )

    said = shell("run", "many.py", "--run-id", "m")

    assert len(said.lines) <= 9
    assert "+ Many run m completed in TIME   (2 done; items: 3,000 done)" == said.lines[-1]


SLOW = """\
import time

from orchwf import step, workflow


@workflow
class Slow:
    @step
    def orders(self) -> list[int]:
        return [0, 60, 60]

    @step
    def check(self, order: int = orders.each) -> int:
        time.sleep(order)
        return order

    @step
    def count(self, checked: list[int] = check.all) -> int:
        return len(checked)
"""
"""Its first item is soon done, the others are not."""


def test_items_of_a_run_that_died(shop: Shell):
    """What is interrupted in the middle says how far it was, and what a resume does with it."""
    shop.write("slow.py", SLOW)
    process = shop.start("run", "slow.py", "--run-id", "s")
    assert process.stdout is not None
    read_until(process.stdout, "> check")
    asyncio.run(_until_one_is_done("s"))
    process.kill()
    process.communicate(timeout=30)

    shown, document = shop("show", "s").lines, shop("show", "s", "--json").json

    assert "! Slow run s interrupted   (1 done, 2 to do; items: 1 done, 2 to do)" == shown[0]
    assert "  ! check   interrupted at 1/3" in shown
    assert "  Go on with:  orchwf resume s      (keeps orders, 1 item of check)" in shown
    assert ("waiting", 1) == (document["steps"][1]["status"], document["steps"][1]["items"]["statuses"]["completed"])


async def _until_one_is_done(run_id: str) -> None:
    """Return when an item of `check` has completed."""
    store = await orchwf.open_store(URL)
    while not any(
        isinstance(event, StepCompleted) and event.step == "check" for event in await store.read(run_id, limit=1000)
    ):
        """Another process writes it."""
    await store.close()
