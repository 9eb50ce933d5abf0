"""Jobs as real processes on this machine, from the file to the artifact and to the reason of a failure."""

import json
from typing import Any

import pytest
from tests.e2e.installation import Installation, Tenant, job

from galerne.drivers.local.discovery import Platform

Json = dict[str, Any]

PYTHON = "/usr/bin/python3 -I -S -c"
ALL_WAYS_TO_FAIL: dict[str, Json] = {
    "out-of-memory": job("out-of-memory", f"{PYTHON} \"x = b'x' * 400_000_000\""),
    "time-limit": job("time-limit", "sleep 60", max_duration="2s", stop_duration="1s"),
    "fork-bomb": job(
        "fork-bomb",
        f'{PYTHON} "\nimport os\nwhile True:\n try: os.fork()\n except OSError: pass\n"',
        max_duration="3s",
        stop_duration="1s",
    ),
    "disk-full": job("disk-full", "head -c 60000000 /dev/zero > big", "sleep 60"),
    "exits-three": job("exits-three", "echo no >&2", "exit 3"),
    "not-there": job("not-there", "no-such-program"),
}

NEED_LIMITS = frozenset({"out-of-memory", "fork-bomb"})


def test_a_job_runs_and_its_artifact_is_registered(tenant: Tenant) -> None:
    """From the YAML file: it runs, its log is followed by offsets, its output becomes a dataset."""
    spec = job(
        "hello",
        "echo one",
        "sleep 1",
        "echo two",
        'mkdir -p "$GALERNE_OUTPUTS/words" && echo three > "$GALERNE_OUTPUTS/words/a.txt"',
        outputs=[{"path": "words", "dataset": "words", "licence": "CC0-1.0"}],
    )

    applied = tenant.run("apply", "-f", tenant.file("hello", spec), "--yes")

    assert applied.returncode == 0, applied.stdout + applied.stderr
    assert "one\n" in applied.stdout
    assert "two\n" in applied.stdout
    described = json.loads(tenant.run("describe", "hello", "--json").stdout)
    assert described["state"] == "succeeded"
    shown = tenant.run("datasets", "list", "--json")
    assert "words" in shown.stdout, shown.stderr


def test_a_log_is_read_by_offsets(tenant: Tenant) -> None:
    """Each answer says where to ask next; together the pieces are the whole output."""
    job_id = tenant.submit("counts", "for n in 1 2 3 4 5 6; do echo line $n; sleep 0.2; done")
    pieces, offset, complete = b"", 0, False
    while not complete:
        answer = tenant.client.get(
            f"/jobs/{job_id}/logs", params={"offset": offset, "wait_seconds": 5}
        )
        pieces += answer.content
        offset = int(answer.headers["galerne-log-next-offset"])
        complete = answer.headers["galerne-log-complete"] == "true"

    assert pieces.decode().split("\n") == [*(f"line {n}" for n in range(1, 7)), ""]
    assert offset == len(pieces)
    assert tenant.log(job_id, offset=len(b"line 1\n")).content == pieces[len(b"line 1\n") :]


def test_a_flood_of_output_is_bounded_and_says_so(tenant: Tenant) -> None:
    """A job that floods its log ends well; its newest output is kept, and what was dropped is counted."""
    job_id = tenant.submit("flood", "head -c 30000000 /dev/zero | tr '\\0' x", "echo the end")

    ended = tenant.ended(job_id)
    answer = tenant.log(job_id)

    assert ended["state"] == "succeeded", ended["reason"]
    assert int(answer.headers["galerne-log-dropped-bytes"]) > 15_000_000
    assert b"dropped" in answer.content.splitlines()[0]
    kept = sum(
        path.stat().st_size
        for path in (tenant.installation.data / "engine" / "launches").glob(
            f"{ended['attempts'][0]['id']}/log/*"
        )
    )
    assert kept < 15_000_000


@pytest.fixture(scope="module")
def limited() -> bool:
    """Say whether this machine can hold a launch to its limits; a fork bomb must not run where not."""
    return Platform.detect().cgroups is not None


@pytest.fixture(scope="module")
def failing(shared_installation: Installation, limited: bool) -> Tenant:
    """A customer whose jobs have each failed in a way of its own, all at the same time."""
    made = Tenant(shared_installation, "Malchance")
    ids = [
        made.ask("POST", "/jobs", {"spec": spec, "files": []})["id"]
        for name, spec in ALL_WAYS_TO_FAIL.items()
        if limited or name not in NEED_LIMITS
    ]
    for job_id in ids:
        made.ended(job_id)
    return made


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("out-of-memory", "out_of_memory", "memory"),
        ("time-limit", "time_limit", "max_duration"),
        ("fork-bomb", "time_limit", "max_duration"),
        ("disk-full", "disk_limit", "disk"),
        ("exits-three", "failed", "log"),
        ("not-there", "failed", "log"),
    ],
)
def test_why_tells_each_failure_apart(
    failing: Tenant, limited: bool, name: str, code: str, hint: str
) -> None:
    """`galerne why` says which limit it was, and what would change that."""
    if name in NEED_LIMITS and not limited:
        pytest.skip("no control groups on this machine")
    told = failing.run("why", name, "--json")
    shown = failing.run("why", name)

    reason = json.loads(told.stdout)["reason"]
    assert told.returncode == 0, told.stderr
    assert reason["code"] == code, reason
    assert reason["message"]
    assert hint in reason["hint"]
    assert reason["message"] in shown.stdout.replace("\n", " ")
