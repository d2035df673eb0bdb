"""
A program that holds the lock of a SQLite file: `locking.py FILE SECONDS`.

It prints `locked` when it has the lock, and `released` and the time (of the steady clock) before it lets go.
"""

import sqlite3
import sys
import time


def main() -> None:
    path, seconds = sys.argv[1:]
    db = sqlite3.connect(path, isolation_level=None, timeout=60)
    db.execute("BEGIN IMMEDIATE")
    print("locked", flush=True)
    time.sleep(float(seconds))
    print("released", time.monotonic(), flush=True)
    db.execute("ROLLBACK")
    db.close()


if __name__ == "__main__":
    main()
