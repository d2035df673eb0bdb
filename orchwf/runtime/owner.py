"""Who executes a run, and whether that process still lives."""

import os
import platform
import socket
import subprocess
from pathlib import Path

import attrs

from ..errors import StoreError
from ..ports import RunRecord


@attrs.frozen
class Owner:
    """
    One orchestrator in one process.

    Attributes:
        host: The machine since its last boot, and its space of process ids.
        pid: The process.
        birth: When that process started, in whatever unit the system counts; it tells a reused pid.
        key: Which orchestrator of the process.
    """

    host: str
    pid: int
    birth: str
    key: str

    def __str__(self) -> str:
        return "|".join((self.host, str(self.pid), self.birth, self.key))

    @property
    def label(self) -> str:
        """For people: `process 4711 on myhost`."""
        return f"process {self.pid} on {self.host.partition('/')[0]}"


def parse_owner(text: str) -> Owner:
    """
    The owner that this text was made of.

    Raises:
        StoreError: it is no such text.
    """
    try:
        host, pid, birth, key = text.rsplit("|", 3)
        return Owner(host, int(pid), birth, key)
    except ValueError as error:
        raise StoreError(f"a run has the owner {text!r}, whom orchwf did not write: the store is damaged") from error


def this_process(key: str) -> Owner:
    """An owner in this process."""
    return Owner(_host(), os.getpid(), _birth(os.getpid()) or "", key)


def is_abandoned(record: RunRecord) -> bool:
    """
    Whether nobody executes this run any more, if anybody did.

    Its owner has let go, or let its lease run out, or is known to be dead: that is known at once, on the same host.
    """
    return record.owner is None or record.has_lapsed or is_dead(parse_owner(record.owner))


def is_dead(owner: Owner) -> bool:
    """
    Whether the owner is known to be gone: its process was on this host and does not exist any more.

    False for another host: from here nobody can know.
    """
    if owner.host != _host():
        # The same machine after a reboot: nothing of before lives. Another machine: unknown.
        return owner.host.partition("/")[0] == _host().partition("/")[0] and _booted_since(owner)
    birth = _birth(owner.pid)
    return birth is None or birth != owner.birth


def has_died(text: str) -> bool:
    """Whether the owner of this text is known to be gone; False of a text that orchwf did not write."""
    try:
        return is_dead(parse_owner(text))
    except StoreError:
        # Nobody knows who that is: its lease will run out.
        return False


def beginning_of(owner: Owner) -> str:
    """With what the texts of all owners begin that were ever on the machine of this one."""
    return owner.host.partition("/")[0] + "/"


def _booted_since(owner: Owner) -> bool:
    """Whether the host of this owner has the present machine's id and space of process ids, but another boot."""
    then, now = owner.host.split("/"), _host().split("/")
    return len(then) == len(now) == 4 and then[1] == now[1] and then[3] == now[3] and then[2] != now[2]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _host() -> str:
    """Host name, machine id, boot id and space of process ids (both of Linux, else empty)."""
    try:
        pid_space = os.readlink("/proc/self/ns/pid")
    except OSError:
        pid_space = ""
    machine = _read("/etc/machine-id")
    boot = _read("/proc/sys/kernel/random/boot_id")
    return "/".join((socket.gethostname(), machine, boot, pid_space))


def _birth(pid: int) -> str | None:
    """When a process started, as text that is the same whoever asks; None if it does not exist."""
    if platform.system() == "Linux":
        stat = _read(f"/proc/{pid}/stat")
        # The name of the program stands in parentheses and may hold anything; state is field 3, the start field 22.
        fields = stat.rpartition(")")[2].split()
        return None if not fields or fields[0] in ("Z", "X") else fields[19]
    return _birth_elsewhere(pid)  # pragma: no cover


def _birth_elsewhere(pid: int) -> str | None:  # pragma: no cover
    """The same by the tools of other systems."""
    if platform.system() == "Windows":
        command = ["powershell", "-NoProfile", "-Command", f"(Get-Process -Id {pid}).StartTime.Ticks"]
    else:
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None
