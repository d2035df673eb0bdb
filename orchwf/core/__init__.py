"""Decides: pure code without I/O, clock, randomness or await."""
