"""Runs every benchmark, each as a process of its own for a bounded time, and prints one table a claim.

    make bench        or: python -m bench.run [--quick] [--only jobs fleet …] [--json FILE]

Every figure stands beside a peer or a physical limit measured in the same run. `--quick` takes about two
minutes, with sizes too small to quote. One benchmark's failure is shown and stops none of the others.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # Also when it is run by its path.

from bench.harness import Claim, machine, machine_line, print_claims, progress  # noqa: E402

Reading = Callable[[dict[str, Any]], list[Claim]]


@dataclass(frozen=True)
class Bench:
    """One benchmark: its arguments in full and in brief, and how to read what it writes."""

    name: str
    module: str
    full: Sequence[str]
    quick: Sequence[str]
    minutes_max: float
    read: Reading


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    name: str
    seconds: float
    claims: list[Claim]
    report: dict[str, Any]
    error: str = ""


def read_claims(report: dict[str, Any]) -> list[Claim]:
    return [Claim(**claim) for claim in report["claims"]]


def read_gateway(report: dict[str, Any]) -> list[Claim]:
    claims = []
    for row in report["rows"]:
        mode = row["mode"]
        claims += [
            Claim(
                f"{mode}: CPU per request",
                "µs",
                row["cpu_us_per_request"],
                "relay of bytes",
                row["relay_cpu_us_per_request"],
                row["cpu_ratio_to_relay"],
            ),
            Claim(
                f"{mode}: added p50",
                "µs",
                row["added_p50_us"],
                "ratio of the whole p50 to direct access",
                ratio=row["p50_ratio"],
            ),
        ]
    return [*claims, Claim("memory", "MB", report["gateway_resident_mb"])]


def read_ingest(report: dict[str, Any]) -> list[Claim]:
    claims = []
    for database, figures in report["databases"].items():
        rates = figures["records_per_second"]
        for ours, peer, told in (
            ("ingest", "insert", "bare batched INSERT"),
            ("again", "insert", "bare batched INSERT"),
            ("summary", "sum", "one SQL aggregate"),
        ):
            ratio = figures[f"time_ratio_{ours}_to_{peer}"]
            what = f"{database}: {ours}"
            claims.append(Claim(what, "records/s", rates[ours], told, rates[peer], ratio))
    return claims


def read_fleet(report: dict[str, Any]) -> list[Claim]:
    found = report["figures"]
    claims = [
        Claim.of(
            "gangs placed, by CPU",
            "per CPU-s",
            found["gangs_per_cpu_second"],
            "scan of all nodes",
            found["scan_gangs_per_cpu_second"],
        ),
        Claim.of(
            "a decision, p99", "ms", found["decision_p99_milliseconds"], "goal, at most", 10.0
        ),
        Claim.of("leases held", "per s", found["leases_held_per_second"], "goal, at least", 370.0),
        Claim("10,000 wait and nothing is free", "s", found["full_queue_seconds"]),
    ]
    if "bare_insert_cpu_seconds" in found:
        bare = found["bare_insert_cpu_seconds"]
        ours = found["import_cpu_seconds"]
        claims.insert(0, Claim.of("import of 18,000 GPUs", "CPU-s", ours, "bare executemany", bare))
    return claims


BENCHES = (
    Bench(
        "jobs",
        "bench.jobs",
        ["--jobs=10000", "--rounds=30"],
        ["--jobs=200", "--rounds=4"],
        40,
        read_claims,
    ),
    Bench("fleet", "bench.fleet", ["--rounds=3"], ["--rounds=1"], 15, read_fleet),
    Bench(
        "gateway",
        "bench.gateway",
        ["--rounds=5"],
        ["--rounds=1", "--seconds=0.4"],
        10,
        read_gateway,
    ),
    Bench(
        "ingest",
        "bench.ingest",
        ["--records=20000", "--rounds=5"],
        ["--records=2000", "--rounds=3"],
        15,
        read_ingest,
    ),
)


def main() -> int:
    options = _options()
    before = machine()
    outcomes = [
        run(bench, quick=options.quick)
        for bench in BENCHES
        if not options.only or bench.name in options.only
    ]
    for outcome in outcomes:
        print_claims(f"{outcome.name}, {outcome.seconds:.0f} s", outcome.claims)
        if outcome.error:
            print(f"  failed: {outcome.error}")
    print(f"\n{machine_line(before)}; a ratio compares figures of one run only")
    _write(options.json, outcomes, before, quick=options.quick)
    return int(any(outcome.error for outcome in outcomes))


def run(bench: Bench, *, quick: bool) -> Outcome:
    """Run one benchmark in a process of its own."""
    progress(f"{bench.name} …")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "report.json"
        arguments = bench.quick if quick else bench.full
        command = [sys.executable, "-m", bench.module, *arguments, f"--json={path}"]
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                command,
                cwd=ROOT,
                timeout=60 * bench.minutes_max,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            error = "" if done.returncode == 0 else done.stderr[-2000:]
        except subprocess.TimeoutExpired:
            error = f"it took more than {bench.minutes_max} minutes"
        report = {} if error else json.loads(path.read_text("utf-8"))
    claims = bench.read(report) if report else []
    return Outcome(bench.name, time.monotonic() - began, claims, report, error)


def _write(path: Path, outcomes: Sequence[Outcome], before: dict[str, Any], *, quick: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "quick": quick,
        "machine": before,
        "load_average_after": machine()["load_average"],
        "benchmarks": [asdict(outcome) for outcome in outcomes],
    }
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"written to {path}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="about two minutes")
    parser.add_argument("--only", nargs="*", choices=[bench.name for bench in BENCHES])
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
