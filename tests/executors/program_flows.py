"""Workflows for processes that are watched from outside."""

import ctypes
import fcntl
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from orchwf import Retry, StepContext, step, workflow


def note(file: str, text: str) -> None:
    """Write a line that is whole."""
    with Path(file).open("a") as opened:
        opened.write(f"{text}\n")


def begin_another(file: str) -> None:
    """Begin a process that runs for long, and note its number."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    note(file, f"{os.getpid()} {process.pid}")


@workflow
class Long:
    """Runs until it is killed; the next time it does not."""

    file: str

    @step(executor="there")
    def look(self, ctx: StepContext) -> str:
        if ctx.attempt == 1:
            begin_another(self.file)
            while True:
                time.sleep(1)
        return f"attempt {ctx.attempt}"


@workflow
class LongOnce:
    """The same, but nobody may do it twice."""

    file: str

    @step(executor="there", delivery="at_most_once")
    def look(self, ctx: StepContext) -> str:
        begin_another(self.file)
        while True:
            time.sleep(1)


@workflow
class Late:
    """Takes too long, and has begun a process."""

    file: str

    @step(executor="there", timeout=3, required=False)
    def look(self) -> None:
        begin_another(self.file)
        while True:
            time.sleep(1)


@workflow
class Loud:
    """Prints, and reads what there is to read."""

    file: str

    @step(executor="there")
    def look(self) -> str:
        print("printed by a body")
        os.write(1, b"written by a body\n")
        subprocess.run(["echo", "said by what a body began"], check=True)
        return repr(sys.stdin.read())


@workflow
class Number:
    """Tells by which process it was run."""

    @step(executor="there", retries=Retry(1, initial=0, retry_on=(RuntimeError,)))
    def look(self) -> int:
        return os.getpid()


@workflow
class Odd:
    """Does odd things to its process, and returns nothing."""

    how: str

    @step(executor="there")
    def look(self) -> str:
        match self.how:
            case "closes all":
                os.closerange(3, 100)
                time.sleep(1000)
            case "closes its way home":
                for file in range(3, 100):
                    with suppress(OSError):
                        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
                            os.close(file)
                # No other thread of its process runs meanwhile.
                ctypes.PyDLL(None).sleep(1000)
            case "leaves a thread":
                threading.Thread(target=time.sleep, args=(1000,)).start()
        return "done"
