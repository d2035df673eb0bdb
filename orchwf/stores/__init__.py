"""Remembers runs: `open_store(url)` opens a store, whatever its kind."""

from .coded import CodedStore
from .memory import MemoryStore
from .offloading import OffloadingStore
from .urls import default_store, open_store

__all__ = ["CodedStore", "MemoryStore", "OffloadingStore", "default_store", "open_store"]
