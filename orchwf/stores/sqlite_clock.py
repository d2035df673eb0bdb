"""The clock of a SQLite store, by which leases run out."""

import sqlite3
import time


def add_clock(connection: sqlite3.Connection) -> None:
    """
    Give the connection the SQL function `lease_clock()`: seconds since the machine was started.

    All processes of the machine have this clock in common, and nobody can set it; a SQLite file is used on one machine.
    """
    connection.create_function("lease_clock", 0, time.monotonic)
