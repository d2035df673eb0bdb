"""
Rewrites the table of `docs/patterns.md`, which is made of the docstrings of these tests:

python -m tests.patterns
"""

from tests.patterns.table import PAGE, rewritten

PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
