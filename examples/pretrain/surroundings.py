"""Prepare the process before torch and transformers are imported; importing this does it.

The libraries read these settings from the environment when they are imported: stay offline, stay
quiet, use no more threads than the workload was given. A SIGTERM that comes before there is
anything to save ends the process at once with the code that callers expect. Saving a checkpoint on
SIGTERM is left to `train.py`.
"""

import math
import os
import signal
import sys
import warnings
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from types import FrameType

INTERRUPTED = 128 + signal.SIGTERM


def threads(environment: Mapping[str, str], cpus_allowed: int, cgroups: Path) -> int:
    """Threads for one rank: what the user said, else a share of what the workload was given."""
    if environment.get("OMP_NUM_THREADS", "").isdecimal():
        return max(int(environment["OMP_NUM_THREADS"]), 1)
    limits = [float(cpus_allowed), *cgroup_cpus(cgroups)]
    given = environment.get("GALERNE_CPUS", "")
    if given.replace(".", "", 1).isdecimal():
        limits.append(float(given))
    ranks = int(environment.get("LOCAL_WORLD_SIZE", "1"))
    # Rounded up: half a CPU too many costs less than half a CPU left idle.
    return max(math.ceil(min(limits) / ranks), 1)


def cgroup_cpus(cgroups: Path) -> list[float]:
    """CPU limits seen at the root of the cgroup mount (v2, then v1), if there are any."""
    found = []
    for file in (cgroups / "cpu.max", cgroups / "cpu/cpu.cfs_quota_us"):
        if not file.is_file():
            continue
        quota, _, period = file.read_text().partition(" ")
        if not period:
            period = (file.parent / "cpu.cfs_period_us").read_text()
        if quota.strip().isdecimal():  # "max" and -1 mean no limit.
            found.append(int(quota) / int(period))
    return found


def leave(_signal: int, _frame: FrameType | None) -> None:
    # Not SystemExit: a library may be in the middle of an import that would swallow it.
    os._exit(INTERRUPTED)


def prepare() -> None:
    signal.signal(signal.SIGTERM, leave)
    count = str(
        threads(os.environ, len(os.sched_getaffinity(0)), Path("/sys/fs/cgroup")),
    )
    os.environ.update(
        {
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
            "TOKENIZERS_PARALLELISM": "true",
            "OMP_NUM_THREADS": count,
            # A thread that waits for another sleeps: on shared cores, spinning takes the time
            # that the other one needs.
            "OMP_WAIT_POLICY": "PASSIVE",
            "RAYON_NUM_THREADS": count,
        },
    )
    # Deprecations inside the libraries are news for their authors, not for who reads a job's log.
    warnings.filterwarnings("ignore")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


prepare()
