"""Each benchmark runs at its smallest and prints ratios. What the figures are is no matter here."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 120
SMALLEST = {
    "jobs": ["bench.jobs", "--jobs=16", "--rounds=1", "--databases=sqlite"],
    "ingest": ["bench.ingest", "--records=100", "--batch=50", "--rounds=1"],
    "gateway": ["bench.gateway", "--rounds=1", "--seconds=0.05"],
}


def run(arguments: list[str], path: Path) -> tuple[str, dict[str, Any]]:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", *arguments, f"--json={path}"],
        cwd=ROOT,
        timeout=SECONDS_MAX,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_prints_ratios_and_writes_its_method(name: str, tmp_path: Path) -> None:
    """At its smallest size a benchmark ends well, prints a ratio, and says in JSON how it measured."""
    printed, report = run(SMALLEST[name], tmp_path / "report.json")

    assert "ratio" in printed or "/" in printed
    assert report.get("method") or report.get("claim")
    assert "load average" in printed


def test_all_run_from_one_place(tmp_path: Path) -> None:
    """`bench.run` runs what it is asked for, prints one table, and writes where and with what."""
    printed, report = run(["bench.run", "--quick", "--only", "ingest"], tmp_path / "bench.json")

    assert "one SQL aggregate" in printed
    assert report["machine"]["python"] in printed
    (outcome,) = report["benchmarks"]
    assert not outcome["error"]
    assert all(claim["ratio"] > 0 for claim in outcome["claims"])
