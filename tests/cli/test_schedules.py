"""Schedules at the command line: made, listed, changed, and their times told."""

import json
import sqlite3
from contextlib import closing

import pytest

from tests.cli.console import Said, Shell
from tests.slowness import without_slowness

FLOW = """\
from orchwf import StepContext, step, workflow


@workflow
class Nightly:
    shop: str = "eu"

    @step
    async def write(self, ctx: StepContext) -> str:
        if self.shop == "bad":
            raise ValueError("no such shop")
        return f"{self.shop} {ctx.metadata['scheduled_for']}"
"""
"""What the schedules of these tests begin."""


@pytest.fixture
def shop(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell with the flow above; nobody waits long there for whoever serves it."""
    shell.write("nightly.py", FLOW)
    monkeypatch.setattr("orchwf.cli.schedules.PATIENCE", 0.2)
    return shell


def add(shell: Shell, *words: str, cron: str = "30 2 * * *") -> Said:
    return shell("schedules", "add", "nightly.py", "--cron", cron, "--tz", "Europe/Berlin", *words)


def set_next(shell: Shell, epoch: float) -> None:
    """Let the next time of all schedules be another one."""
    with closing(sqlite3.connect(shell.folder / "orchwf.db")) as db:
        db.execute("UPDATE schedules SET next_at = ?", (epoch,))
        db.commit()


def test_add(shop: Shell):
    """It tells what comes next, and how it is served."""
    said = add(shop, "-i", "shop=us", "--name", "us", "--overlap", "queue", "--catchup", "1h", "--jitter", "30s")
    document = shop("schedules", "--json").json["schedules"][0]

    assert (0, "") == (said.code, said.err)
    assert "+ schedule us is added" == said.lines[0]
    assert said.lines[1].startswith("  next  ")
    assert said.lines[1].endswith(" UTC)")
    assert "  Serve it with:  orchwf worker nightly.py" == said.lines[2]
    assert {
        "name": "us",
        "workflow": "Nightly",
        "version": "1",
        "inputs": {"shop": "us"},
        "cron": "30 2 * * *",
        "tz": "Europe/Berlin",
        "overlap": "queue",
        "catchup": 3600.0,
        "jitter": 30.0,
        "paused": False,
        "waiting": False,
        "last_at": None,
        "last_run": None,
        "last_status": None,
        "skipped_at": None,
        "skipped": None,
        "asked": [],
    } == {name: value for name, value in document.items() if name not in ("entrypoint", "created_at", "next_at")}
    assert document["entrypoint"].endswith("nightly.py:Nightly")
    assert document["next_at"].endswith("00:00.000Z") or document["next_at"].endswith(":30:00.000Z")


def test_add_again(shop: Shell):
    """The same again changes nothing, another one has to be meant."""
    add(shop)

    same, refused = add(shop), add(shop, cron="@daily")
    replaced, listed = add(shop, "--replace", "--json", cron="@daily"), shop("schedules", "--json").json["schedules"]

    assert (0, "+ schedule Nightly is there already, and stays as it is") == (same.code, same.lines[0])
    assert (2, True) == (refused.code, "change it with --replace, or choose another --name" in refused.err)
    assert (0, "@daily") == (replaced.code, replaced.json["cron"])
    assert ["@daily"] == [each["cron"] for each in listed]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--cron", "61 * * * *"], 2, "cron='61 * * * *' cannot be read: bad minute"),
        (["--cron", "@daily", "--tz", "Berlin"], 2, "tz='Berlin' is no time zone that this machine knows"),
        (["--cron", "@daily", "--catchup", "soon"], 2, "catchup takes a duration, not 'soon'"),
        (["--cron", "@daily", "--overlap", "maybe"], 2, "see: orchwf schedules --help"),
        (["--cron", "@daily", "-i", "town=x"], 2, "there is no input 'town'"),
        ([], 2, "--cron"),
    ],
)
def test_what_cannot_be_added(shop: Shell, words: list[str], code: int, told: str):
    """One error, and nothing is stored."""
    said = shop("schedules", "add", "nightly.py", *words)

    assert (code, True) == (said.code, told in said.err)
    assert not (shop.folder / "orchwf.db").exists() or [] == shop("schedules", "--json").json["schedules"]


def test_warnings_of_the_compiler(shop: Shell):
    """They are told when a workflow is scheduled or served, as when it is run."""
    shop.write("warns.py", FLOW + "\n    @step(timeout=1)\n    def slow(self) -> int:\n        return 1\n")

    said = shop("schedules", "add", "warns.py", "--cron", "@daily")

    assert (0, True) == (said.code, "warning: " in said.err)


def test_list(shop: Shell):
    """In the order of their names, with the next time on their clocks and in UTC, and the last run."""
    add(shop)
    shop("schedules", "remove", "Nightly")
    nothing = shop("schedules")
    add(shop, "--name", "b")
    add(shop, "--name", "a")
    shop("schedules", "pause", "b")
    set_next(shop, 1_793_493_000.0)

    head, first, second = shop("schedules").out.splitlines()

    assert ["there are no schedules yet: orchwf schedules add file.py --cron '0 6 * * *'"] == nothing.lines
    assert ["name", "workflow", "cron", "zone", "state", "next", "next", "in", "UTC"] == head.split()
    assert first.split() == [
        "a", "Nightly", "30", "2", "*", "*", "*", "Europe/Berlin", "Sun", "2026-11-01", "01:30", "CET", "2026-11-01",
        "00:30",
    ]  # fmt: skip
    assert second.split() == ["b", "Nightly", "30", "2", "*", "*", "*", "Europe/Berlin", "paused"]


def test_pause_and_resume(shop: Shell):
    """Both say what comes next, and the way back."""
    add(shop)

    paused, document = shop("schedules", "pause", "Nightly"), shop("schedules", "--json").json["schedules"][0]
    resumed = shop("schedules", "resume", "Nightly", "--store", "sqlite:///orchwf.db")

    assert ["+ schedule Nightly is paused", "  Go on with:  orchwf schedules resume Nightly"] == paused.lines
    assert (True, None) == (document["paused"], document["next_at"])
    assert (0, "+ schedule Nightly goes on") == (resumed.code, resumed.lines[0])
    assert resumed.lines[1].startswith("  next  ")


def test_ways_on_can_be_pasted(shop: Shell):
    """Also for names that look like options, and in another store."""
    add(shop, "--name=-v", "--store", "sqlite:///other.db")

    said = shop("schedules", "pause", "--store", "sqlite:///other.db", "--", "-v")

    assert "  Go on with:  orchwf schedules resume --store sqlite:///other.db -- -v" == said.lines[1]


def test_remove(shop: Shell):
    """It is gone, and told once more as it was."""
    add(shop)
    add(shop, "--name", "other")

    said, document = shop("schedules", "remove", "Nightly"), shop("schedules", "remove", "other", "--json").json
    again = shop("schedules", "remove", "Nightly")

    assert (0, ["+ schedule Nightly is removed; its runs stay"]) == (said.code, said.lines)
    assert "other" == document["name"]
    assert (5, True) == (again.code, "there is no schedule 'Nightly' in sqlite:///" in again.err)


@pytest.mark.parametrize("command", ["pause", "resume", "trigger", "remove", "next"])
def test_a_schedule_that_there_is_not(shop: Shell, command: str):
    """Its name may have been mistyped."""
    add(shop)

    said = shop("schedules", command, "Nigthly")
    told = shop("schedules", command, "Nigthly", "--json").json["error"]

    assert (5, True) == (said.code, "Did you mean 'Nightly'?" in said.err)
    assert 5 == told["exit_code"]


def test_trigger_without_anybody_who_serves(shop: Shell):
    """The run is asked for, and begins when somebody does."""
    add(shop)

    said, document = shop("schedules", "trigger", "Nightly"), shop("schedules", "trigger", "Nightly", "--json").json
    asked = shop("schedules", "--json").json["schedules"][0]["asked"]

    assert 0 == said.code
    assert said.lines[0].startswith("o run Nightly@asked-")
    assert said.lines[0].endswith(" is asked for, and begins as soon as somebody serves Nightly")
    assert said.lines[1].startswith("  Nobody seems to serve it:  orchwf worker ")
    assert ("Nightly", False, 2) == (document["schedule"], document["begun"], len(asked))
    assert document["run"] == asked[1]


def test_next_where_summer_time_ends(shop: Shell):
    """The clocks of the zone and UTC part, and where they do is marked."""
    add(shop, cron="30 2 * * *")
    set_next(shop, 1_792_801_800.0)

    said = shop("schedules", "next", "Nightly", "-n", "4")
    document = shop("schedules", "next", "Nightly", "-n", "4", "--json").json

    assert [
        "time                       UTC",
        "Sat 2026-10-24 02:30 CEST  2026-10-24 00:30",
        "Sun 2026-10-25 02:30 CEST  2026-10-25 00:30",
        "Mon 2026-10-26 02:30 CET   2026-10-26 01:30  the clocks went back 1 h",
        "Tue 2026-10-27 02:30 CET   2026-10-27 01:30",
    ] == said.out.splitlines()
    assert ("Nightly", "Europe/Berlin", False) == (document["schedule"], document["tz"], document["paused"])
    assert {
        "at": "2026-10-26T02:30:00+01:00", "utc": "2026-10-26T01:30:00.000Z", "shift": -3600, "moved": False,
        "run": "Nightly@2026-10-26T02:30:00+01:00",
    } == document["times"][2]  # fmt: skip


def test_next_where_summer_time_begins(shop: Shell):
    """A time that there is not is told with the one that stands for it."""
    add(shop)
    set_next(shop, 1_774_661_400.0)

    said = shop("schedules", "next", "Nightly", "-n", "3")

    assert [
        "Sat 2026-03-28 02:30 CET   2026-03-28 01:30",
        "Sun 2026-03-29 03:00 CEST  2026-03-29 01:00  the clocks went forward 1 h, over the time that was meant",
        "Mon 2026-03-30 02:30 CEST  2026-03-30 00:30",
    ] == said.out.splitlines()[1:]


def test_next_begins_where_the_clocks_went(shop: Shell):
    """Of the first time nobody sees it from the one before."""
    add(shop)
    set_next(shop, 1_774_746_000.0)

    said = shop("schedules", "next", "Nightly", "-n", "1")

    told = "Sun 2026-03-29 03:00 CEST  2026-03-29 01:00  the clocks go over the time that was meant"
    assert told == said.out.splitlines()[1]


def test_next_of_a_paused_schedule(shop: Shell):
    """It tells what its times would be, from now on."""
    add(shop)
    shop("schedules", "pause", "Nightly")
    set_next(shop, 1_774_661_400.0)

    said, bad = shop("schedules", "next", "Nightly", "-n", "2"), shop("schedules", "next", "Nightly", "-n", "0")

    assert "o schedule Nightly is paused; these would be its times:" == said.lines[0]
    assert "2026-03-28" not in said.out
    assert 4 == len(said.lines)
    assert "" == said.err
    assert (2, True) == (bad.code, "-n takes a number of at least 1, not 0" in bad.err)


def test_help(shop: Shell):
    """Each of the commands has its own."""
    for command in ("add", "pause", "resume", "trigger", "remove", "next"):
        assert 0 == shop("schedules", command, "--help").code
    assert "there is no place for 'bogus'" in shop("schedules", "bogus").err


# Backfills.


def fill(shell: Shell, *words: str) -> Said:
    return shell("backfill", "Nightly", "--from", "2026-03-28", "--to", "2026-03-31", *words)


def test_backfill(shop: Shell):
    """A line for each run, and what came of all; the same again has nothing left to do."""
    add(shop)

    planned, done = fill(shop, "--dry-run"), fill(shop, "--at-once", "1")
    again, listed = fill(shop, "--json"), fill(shop, "--dry-run")

    assert (0, 0, 0) == (planned.code, done.code, again.code)
    assert [
        "time                       UTC               run",
        "Sat 2026-03-28 02:30 CET   2026-03-28 01:30  Nightly@2026-03-28T02:30:00+01:00",
        "Sun 2026-03-29 03:00 CEST  2026-03-29 01:00  Nightly@2026-03-29T03:00:00+02:00",
        "Mon 2026-03-30 02:30 CEST  2026-03-30 00:30  Nightly@2026-03-30T02:30:00+02:00",
    ] == planned.out.splitlines()
    assert "> backfill of Nightly, 3 times" == done.lines[0]
    assert [
        "> Nightly run Nightly@2026-03-28T02:30:00+01:00 started",
        "+ Nightly run Nightly@2026-03-28T02:30:00+01:00 completed in TIME",
    ] == done.lines[1:3]
    assert "+ backfill: 3 completed" == done.lines[-1]
    assert {"completed"} == {each["status"] for each in json.loads(again.out)["times"]}
    assert 3 == listed.out.count("  completed  ")


def test_backfill_with_what_failed(shop: Shell):
    """The exit code says so, and what to type is told; others were run before."""
    add(shop, "-i", "shop=bad")

    failed, again = fill(shop), fill(shop)
    quiet = fill(shop, "-q")

    assert (1, 1, 1) == (failed.code, again.code, quiet.code)
    assert "x backfill: 3 failed" == failed.lines[-4]
    assert "  x orchwf resume Nightly@2026-03-28T02:30:00+01:00" == failed.lines[-3]
    assert "> backfill of Nightly, 3 times, 3 of them run before" == again.lines[0]
    assert "x backfill: 3 failed" == quiet.lines[0]


def test_backfill_of_times_on_other_clocks(shop: Shell):
    """A time with an offset is that instant; others are on the clocks of the schedule's zone. It ends now by itself."""
    add(shop, cron="@yearly")

    said = shop("backfill", "Nightly", "--from", "2024-12-31T23:00+00:00", "--to", "2025-01-01T00:01", "--dry-run",
                "--json").json  # fmt: skip
    open_ended = shop("backfill", "Nightly", "--from", "2025-01-01T00:01", "--dry-run", "--json").json

    assert ["2025-01-01T00:00:00+01:00"] == [each["at"] for each in said["times"]]
    assert {"at": "2025-01-01T00:00:00+01:00", "utc": "2024-12-31T23:00:00.000Z", "status": None,
            "run": "Nightly@2025-01-01T00:00:00+01:00"} == said["times"][0]  # fmt: skip
    assert "2026-01-01T00:00:00+01:00" == open_ended["times"][0]["at"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--from", "soon"], 2, "--from takes a day or a time, such as 2026-11-02 or 2026-11-02T08:30, not 'soon'"),
        (["--from", "2026-03-02", "--to", "2026-03-01"], 2, "the range is empty"),
        (["--from", "2026-03-02", "--to", "9000-03-01"], 2, "the range ends in the future"),
        (["--from", "2026-03-02", "--at-once", "0"], 2, "--at-once takes a number of at least 1, not 0"),
        (["--from", "2026-03-02", "-j", "0"], 2, "--jobs takes a number of at least 1"),
        ([], 2, "--from"),
    ],
)
def test_what_cannot_be_filled(shop: Shell, words: list[str], code: int, told: str):
    """One error, and nothing is begun."""
    add(shop)

    said = shop("backfill", "Nightly", *words)

    assert (code, True) == (said.code, told in said.err)
    assert [] == shop("runs", "--json").json["runs"]


def test_backfill_of_nothing(shop: Shell):
    """A range without times, and a schedule that there is not."""
    add(shop)

    said = shop("backfill", "Nightly", "--from", "2026-03-28T03:00", "--to", "2026-03-28T04:00")
    missing = shop("backfill", "nobody", "--from", "2026-03-28")

    assert (0, ["Nightly has no time in this range"]) == (said.code, said.lines)
    assert (5, True) == (missing.code, "Did you mean" in missing.err or "Known schedules" in missing.err)


def test_backfill_where_the_file_was_moved(shop: Shell):
    """What says where it is now says it for schedules, too."""
    add(shop)
    (shop.folder / "nightly.py").rename(shop.folder / "moved.py")

    lost, found = fill(shop), fill(shop, "--target", "moved.py")
    other = fill(shop, "--target", "sales.py")

    assert (5, True) == (lost.code, "the workflow of schedule 'Nightly' is not where it was" in lost.err)
    assert (2, True) == (other.code, "schedule 'Nightly' is of the workflow 'Nightly', and sales.py has" in other.err)
    assert 0 == found.code


def test_backfill_is_told_to_end(shop: Shell):
    """What runs may end, nothing more begins, and the same command goes on."""
    shop.write("nightly.py", FLOW.replace(
        'return f"', "while not __import__('pathlib').Path('go').exists():\n"
        '            await __import__("asyncio").sleep(0.01)\n        return f"',
    ))  # fmt: skip
    add(shop)
    process = shop.start("backfill", "Nightly", "--from", "2026-03-28", "--to", "2026-03-31")
    assert process.stdout is not None
    for line in process.stdout:
        if "started" in line:
            break

    process.terminate()
    for line in process.stdout:
        if "stopping" in line:
            break
    shop.write("go", "")
    out, err = process.communicate(timeout=30)
    again = fill(shop)

    assert (143, "") == (process.returncode, without_slowness(err))
    assert ["! backfill: 1 completed, 2 to do", "  Go on with it:  type the same again"] == out.splitlines()[-2:]
    assert (0, "> backfill of Nightly, 3 times, 1 of them run before") == (again.code, again.lines[0])
