"""Remembers runs: `open_store(url)` opens a store, whatever its kind."""

from .memory import MemoryStore
from .urls import open_store

__all__ = ["MemoryStore", "open_store"]
