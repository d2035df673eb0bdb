"""The simulation behind `docs/scale.md`: what can be computed by hand comes out of it, and more is never less."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import predict
from benchmarks.scale.costs import Costs, MissingError, costs_of
from benchmarks.scale.model import CONNECTIONS, SERVERS, WORKERS, System, simulate
from benchmarks.scale.names import (
    CLIENT_CPU,
    IDLE_CPU,
    IDLE_READS,
    IDLE_WRITES,
    LATE,
    MEDIAN,
    ROUND_TRIP,
    SERVER_CPU,
    STEPS,
    SYNC,
    TIME,
    TOGETHER,
    WORKER_CPU,
    executed,
    written,
)
from benchmarks.scale.names import CONNECTIONS as CONNECTIONS_OF_A_PROCESS
from benchmarks.scale.page import MEASURED, PAGE, PREDICTED, rewritten

FREE = Costs(
    answer=0.0, sync=0.0, stall=0.0, worker_call=0.0, worker_step=0.0, server_call=0.0, server_step=0.0,
    server_look=0.0, reads=0.0, writes=0.0, connections=1.0,
)  # fmt: skip
"""Nothing costs anything."""
USUAL = Costs(
    answer=0.0001, sync=0.001, stall=0.0002, worker_call=0.0003, worker_step=0.00005, server_call=0.0004,
    server_step=0.00003, server_look=0.0002, reads=2.0, writes=0.2, connections=2.0,
)  # fmt: skip
FIGURES = {
    ROUND_TRIP: 50.0,
    SYNC: 400.0,
    written(1, TIME): 2000.0,
    written(1, CLIENT_CPU): 505.0,
    written(100, CLIENT_CPU): 1000.0,
    written(1_000, CLIENT_CPU): 5500.0,
    written(1, SERVER_CPU): 402.0,
    written(100, SERVER_CPU): 600.0,
    written(1_000, SERVER_CPU): 2400.0,
    executed(1, WORKER_CPU): 60.0,
    executed(1, SERVER_CPU): 24.0,
    executed(1, TOGETHER): 100.0,
    executed(1, STEPS): 5000.0,
    executed(1, MEDIAN): 15.0,
    executed(1, LATE): 20.0,
    IDLE_CPU: 1000.0,
    IDLE_READS: 180.0,
    IDLE_WRITES: 12.0,
    CONNECTIONS_OF_A_PROCESS: 2.0,
}


def test_costs_follow_from_the_figures():
    """A transaction is what one event costs beyond an event; a step what is left beside its transaction."""
    found = costs_of(FIGURES)

    assert found.worker_call == pytest.approx(500e-6)
    assert found.worker_step == pytest.approx(55e-6)
    assert found.server_call == pytest.approx(400e-6)
    assert found.server_step == pytest.approx(20e-6)
    assert found.stall == pytest.approx(593e-6)
    assert found.reads == pytest.approx(3.0)
    assert found.writes == pytest.approx(0.2)
    assert found.server_look == pytest.approx(0.001 / 3.2)


def test_a_missing_figure_is_named():
    """Of half of the measures nothing is made up."""
    with pytest.raises(MissingError, match="a sync of the server's log"):
        costs_of({name: value for name, value in FIGURES.items() if name != SYNC})


def test_one_step_takes_the_sum_of_its_parts():
    """Where nobody is in the way it is computed by hand; to start a run takes a transaction more."""
    alone = replace(USUAL, reads=0.0, writes=0.0)
    call = alone.worker_call + alone.stall + 2 * alone.answer + alone.server_call + alone.sync
    step = alone.worker_step + alone.server_step

    found = simulate(alone, System(workers=1, lanes=1, run=4), steps=400)

    assert found.median == pytest.approx(call + step)
    assert found.rate == pytest.approx(4 / (5 * call + 4 * step), rel=0.02)


def test_a_body_adds_its_time_and_nothing_else():
    """How long a step takes is told beyond its body."""
    alone = replace(USUAL, reads=0.0, writes=0.0)

    short = simulate(alone, System(workers=1, lanes=1), steps=50)
    long = simulate(alone, System(workers=1, lanes=1, duration=5.0), steps=50)

    assert long.median == pytest.approx(short.median)
    assert long.rate == pytest.approx(1 / 5.0, rel=0.05)


def test_one_sync_serves_all_that_wait():
    """A hundred workers commit far more often than the disk syncs."""
    found = simulate(replace(FREE, sync=0.01, answer=0.001), System(workers=100, lanes=1), steps=5_000)

    # A sync at a time, and a round of answers between two that one takes part in.
    assert found.rate > 3_000


def test_steps_that_end_together_are_written_together():
    """A transaction costs its worker once, however many steps are in it."""
    found = simulate(replace(FREE, worker_call=0.01), System(workers=1, lanes=100, run=1_000), steps=5_000)

    assert found.rate == pytest.approx(10_000, rel=0.05)


def test_a_transaction_has_at_most_so_many_steps_as_an_orchestrator_writes():
    """A thousand steps that end together take two."""
    found = simulate(replace(FREE, worker_call=0.01), System(workers=1, lanes=1_000, run=1_000), steps=10_000)

    assert found.rate == pytest.approx(50_000, rel=0.05)


def test_the_cpu_of_the_server_is_a_bound():
    """What a step costs there, over all of its cores."""
    found = simulate(replace(FREE, server_step=0.001), System(workers=50, lanes=4, cores=2), steps=5_000)

    assert found.rate == pytest.approx(2_000, rel=0.05)
    assert found.saturated == SERVERS


def test_the_cpu_of_the_workers_is_a_bound():
    """Each has one core, and so has its loop."""
    found = simulate(replace(FREE, worker_step=0.001), System(workers=3, lanes=4), steps=5_000)

    assert found.rate == pytest.approx(3_000, rel=0.05)
    assert found.saturated == WORKERS


def test_the_connections_are_a_bound():
    """A transaction holds one for as long as the server is answered."""
    found = simulate(replace(FREE, answer=0.005), System(workers=50, lanes=1, connections=10, run=1_000), steps=5_000)

    assert found.rate == pytest.approx(1_000, rel=0.05)
    assert found.saturated == CONNECTIONS


def test_nothing_is_saturated_where_steps_wait():
    """Two workers with steps of a second leave everything idle."""
    found = simulate(USUAL, System(workers=2, lanes=4, duration=1.0), steps=100)

    assert found.saturated == ""


def test_looks_by_the_clock_take_what_steps_want():
    """A thousand workers that look thrice a second are a load by themselves."""
    busy, idle = replace(FREE, server_look=0.001, reads=3.0), replace(FREE, server_look=0.001)
    system = System(workers=1_000, lanes=1, duration=10.0, cores=4)

    assert simulate(busy, system, steps=500).busy[SERVERS] == pytest.approx(0.75, rel=0.1)
    assert simulate(idle, system, steps=500).busy[SERVERS] == 0.0


@pytest.mark.parametrize("duration", [0.0, 0.05])
def test_more_is_never_less(duration: float):
    """More workers, lanes, databases and cores do not make it slower."""
    base = System(workers=8, lanes=4, duration=duration, cores=2)
    more = [
        replace(base, workers=32),
        replace(base, lanes=16),
        replace(base, databases=4),
        replace(base, cores=8),
    ]

    rate = simulate(USUAL, base, steps=3_000).rate

    assert [each for each in more if simulate(USUAL, each, steps=3_000).rate < rate * 0.98] == []


@pytest.mark.parametrize("duration", [0.0, 0.05])
def test_dearer_is_never_faster(duration: float):
    """A network, a slower disk, dearer transactions and longer bodies do not make it faster."""
    base = System(workers=8, lanes=4, duration=duration, cores=2)
    dearer = [
        replace(USUAL, answer=0.005),
        replace(USUAL, sync=0.02),
        replace(USUAL, stall=0.005),
        replace(USUAL, server_call=0.003),
        replace(USUAL, worker_step=0.002),
    ]

    rate = simulate(USUAL, base, steps=3_000).rate

    assert [each for each in dearer if simulate(each, base, steps=3_000).rate > rate] == []
    assert simulate(USUAL, replace(base, duration=1.0), steps=3_000).rate < rate


def test_the_same_seed_gives_the_same():
    """There is no clock in it, and no chance but that of the seed."""
    system = System(workers=5, lanes=3, duration=0.02)

    assert simulate(USUAL, system, steps=1_000) == simulate(USUAL, system, steps=1_000)


def test_the_command_prints_what_follows_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """The costs, what was measured beside what is predicted for it, and the rest."""
    file = tmp_path / "measured.json"
    rows = {name: [{"value": value}] for name, value in FIGURES.items()}
    file.write_text(json.dumps({"machine": {"cores": "2", "rounds": "3"}, "rows": rows}))
    words = ["predict", str(file), "--workers", "2", "20", "--durations", "0.01", "--databases", "2"]
    monkeypatch.setattr(sys, "argv", words)

    predict.main()

    printed = capsys.readouterr().out
    assert "1 process: steps" in printed
    assert "2 processes: steps" not in printed
    assert len([line for line in printed.splitlines() if line.startswith("10 ms ")]) == 2


def test_the_page_has_a_place_for_each_command():
    """What the commands print is written where the page says so, and nothing else is changed."""
    page = PAGE.read_text(encoding="utf-8")
    for command in (MEASURED, PREDICTED):
        changed = rewritten(page, command, "### New\n\n| a |\n")

        assert "### New" in changed
        assert rewritten(changed, command, "### New\n\n| a |\n") == changed
        assert page.partition("<!-- Made by")[0] == changed.partition("<!-- Made by")[0]


def test_a_page_without_a_place_is_left_alone():
    """Nothing is lost on a page that somebody changed."""
    with pytest.raises(ValueError, match="has no place"):
        rewritten("# Scale\n", MEASURED, "| a |")
