"""Real workflows, drawn."""

import gzip
import json
import re
from pathlib import Path

import pytest

from orchwf.drawing import Picture, to_dot, to_svg, to_text
from orchwf.drawing.summary import MAX_SHAPES

from .pictures import chart

FILES = [
    "1000genome-chameleon-2ch-250k-001.json",
    "airrflow-dirt02-001.json.gz",
    "bacass-dirt02-001.json",
    "blast-chameleon-small-001.json",
    "cutandrun-dirt02-001.json.gz",
    "cycles-chameleon-1l-1c-12p-001.json.gz",
    "epigenomics-chameleon-hep-1seq-50k-001.json",
    "fetchngs-dirt02-001.json",
    "montage-chameleon-2mass-04d-001.json.gz",
    "soykb-chameleon-10fastq-10ch-001.json.gz",
    "synthetic-montage-4000.json.gz",
]


def picture_of(path: Path) -> Picture:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    tasks = json.loads(text)["workflow"]["specification"]["tasks"]
    return chart({task["id"]: task["parents"] for task in tasks}, path.name.partition(".")[0])


@pytest.mark.parametrize("file", FILES)
def test_a_real_workflow_is_drawn(file: str, shared_data: Path):
    """Each step has its box, or the picture says that it is a summary; it is not large."""
    picture = picture_of(shared_data / "wfinstances" / file)

    svg = to_svg(picture)

    assert len(svg) < 200_000
    assert (svg.count('class="step') == len(picture.shapes)) == (len(picture.shapes) <= MAX_SHAPES)
    assert ("drawn as groups" in svg) == (len(picture.shapes) > MAX_SHAPES)
    assert to_dot(picture).count(" -> ") == len(picture.arrows)


def test_lanes_of_a_real_workflow(shared_data: Path):
    """Eleven steps and their arrows fit into twenty lines."""
    lines = to_text(picture_of(shared_data / "wfinstances" / "bacass-dirt02-001.json")).splitlines()

    names = [match[0] for line in lines for match in [re.search(r"\w+_\d+$", line)] if match]

    assert len(lines) == 19
    assert len(names) == 11
    assert names.index("SKEWER_1") < names.index("UNICYCLER_5") < names.index("MULTIQC_11")
