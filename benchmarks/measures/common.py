"""What the measures share: sizes, processes of their own, memory, the gaps of an event loop."""

import argparse
import gc
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Scale(StrEnum):
    """How large the sizes are: all of them, those that take seconds, or a tenth, to try things out."""

    FULL = "full"
    SHORT = "short"
    QUICK = "quick"


def asked_scale(description: str | None) -> Scale:
    """The command line of a measure, read."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    choice = parser.add_mutually_exclusive_group()
    for scale, text in ((Scale.SHORT, "without the sizes that take minutes"), (Scale.QUICK, "sizes of a tenth")):
        choice.add_argument(f"--{scale}", dest="scale", action="store_const", const=scale, help=text)
    return parser.parse_args().scale or Scale.FULL


def in_own_process(function: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
    """What the function returns in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **keywords).result()


def resident() -> int:
    """Bytes of memory that this process has in RAM now."""
    return _status("VmRSS")


def forget_peak() -> None:
    """
    Let `peak` begin anew.

    Source: /proc/pid/clear_refs, proc(5).
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """The most bytes that this process had in RAM since `forget_peak`."""
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes, once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
