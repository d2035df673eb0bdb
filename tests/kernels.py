"""Notebooks executed in a kernel of their own, and what they show."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchwf


def executed(notebook: Any, folder: Path, *, allow_errors: bool = False) -> list[Any]:
    """The code cells of a notebook that was executed in this folder; the test is skipped where there are no kernels."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, timeout=100, resources=resources, allow_errors=allow_errors)
    client.execute(env={**os.environ, "PYTHONPATH": str(Path(orchwf.__file__).parents[1]), "TMPDIR": str(folder)})
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cells: list[Any], kind: str) -> Iterator[str]:
    """Everything that the cells show in this form."""
    for cell in cells:
        for output in cell.outputs:
            if kind in output.get("data", {}):
                yield output["data"][kind]


def printed(cells: list[Any]) -> str:
    """What the cells print."""
    return "".join(output["text"] for cell in cells for output in cell.outputs if output.output_type == "stream")


def svg_of(html: str) -> str:
    """The SVG of an image in this HTML."""
    return base64.b64decode(html.split("base64,")[1].split('"')[0]).decode()
