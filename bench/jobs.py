"""What the platform adds to a job: to one that starts, to ten thousand that wait, and to looking at them.

    python -m bench.jobs [start] [queue] [ps] [--jobs 10000] [--rounds 20] [--json FILE]

*start*: a trivial job on the local driver, with the isolation that this machine has, from the call of
the job service until its first command ran, by that command's own clock; against `Popen` of the same
command. Scheduler, reconcilers and the log's sequencer run in this process as `galerne up` runs them;
the two alternate, each alone, and idle a moment before. *ps*: the real command line in a process of its
own against an API with this many jobs, with none, and a bare SELECT of the same page.

*queue*: jobs on the simulated driver, each running for no time, on SQLite and PostgreSQL, the one of
GALERNE_BENCH_POSTGRES or one that is started for it without fsync. Half are submitted through the HTTP
application (no socket), half through the job service, each in a transaction of its own by eight callers
at once; then one worker's loops run until all have ended. The physical peers are the rows that this
left: inserted with the driver's own call, one transaction a job for submissions, in one transaction of
all for the whole. A reconciliation is one look at one row: claimed, decided, written.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

import uvloop
from bench.harness import Report

from bench import job_ps, job_queue, job_start

Part = Callable[[Report, Path, argparse.Namespace], Coroutine[object, object, None]]
PARTS: Mapping[str, Part] = {
    "start": job_start.measure,
    "queue": job_queue.measure,
    "ps": job_ps.measure,
}


def main() -> None:
    options = _options()
    report = Report("jobs", __doc__ or "")
    report.parameters = {name: str(value) for name, value in vars(options).items()}
    for name in options.parts or PARTS:
        with (
            tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(PARTS[name](report, Path(folder), options))
    report.print()
    report.write(options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all if left out")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20, help="of *start*; *ps* takes a quarter")
    parser.add_argument("--databases", nargs="*", help="of *queue*: sqlite, postgresql")
    parser.add_argument("--json", type=Path, help="write the report there too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
