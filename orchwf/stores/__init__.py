"""Remembers runs: `open_store(url)` opens a store, whatever its kind."""

from .memory import MemoryStore
from .urls import default_store, open_store

__all__ = ["MemoryStore", "default_store", "open_store"]
