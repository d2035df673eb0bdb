"""A real Prometheus, on this machine alone."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

_PATIENCE = 90.0

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="no Prometheus: it is not installed (on Debian: apt install prometheus)"
)
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool: it comes with Prometheus (on Debian: apt install prometheus)"
)


def get(url: str, **headers: str) -> tuple[int, str]:
    """The status code and the text that are answered at this URL."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def until(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """What is seen as soon as it is as wanted; the last that was seen if it never is."""
    ends_at, seen = time.monotonic() + _PATIENCE, None
    while time.monotonic() < ends_at:
        with contextlib.suppress(OSError):
            seen = look()
            if wanted(seen):
                break
        time.sleep(0.1)
    return seen


@attrs.frozen
class Prometheus:
    """One that runs; `url` is where it is asked."""

    url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """What its API answers."""
        _, text = get(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        return json.loads(text)["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values that this gives now."""
        found = self.ask("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def value(self, expression: str) -> float | None:
        """The only value that this gives now; None if it gives none."""
        found = self.query(expression)
        return found[0][1] if len(found) == 1 else None

    def until_value(self, expression: str, expected: float) -> float | None:
        """The value that this gives as soon as it is the expected one; another one if it never is."""
        found: float | None = until(lambda: self.value(expression), lambda value: value == expected)
        return found


@contextlib.contextmanager
def scraping(folder: Path, targets: Sequence[str], rules: Sequence[Path] = ()) -> Iterator[Prometheus]:
    """A Prometheus that scrapes these, `host:port`, five times a second, in the block."""
    config = {
        "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [{"job_name": "orchwf", "static_configs": [{"targets": list(targets)}]}],
    }
    # JSON is YAML, too.
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with socket.create_server(("127.0.0.1", 0)) as found:
        address = f"127.0.0.1:{found.getsockname()[1]}"
    with open(folder / "prometheus.log", "wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address={address}"],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        url = f"http://{address}"
        assert 200 == until(lambda: get(f"{url}/-/ready")[0], lambda code: code == 200), (
            folder / "prometheus.log"
        ).read_text()
        yield Prometheus(url)
    finally:
        process.terminate()
        process.wait(timeout=30)


def problems_of(text: str) -> str:
    """What `promtool check metrics` has to say of this; empty if it is as it should be."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
