"""Processes that are killed while a job runs: what was running is found again, once, and billed once."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
from tests.e2e.installation import Installation, Tenant, until

Json = dict[str, Any]
FOREVER = "while :; do date +%s >> beats; sleep 0.1; done"
UNTIL_TOLD = "while [ ! -e end ]; do : ; sleep 0.05; done; echo ended by itself"


def program_of(installation: Installation, running: Json) -> int:
    return int(installation.launch(running["attempts"][-1]["id"])["pid"])


def tell_to_end(installation: Installation, job_id: str) -> None:
    (installation.data / "workspaces" / job_id / "end").touch()


def assert_billed_once(tenant: Tenant, ended: Json) -> None:
    """The records must add up to the attempts' own counters, to the rounding of a window."""
    sums = tenant.settled_usage(ended)
    counted = sum(attempt["cpu_nanoseconds"] for attempt in ended["attempts"]) // 1_000_000
    windows = len(tenant.usage(workload_id=ended["id"], meter="cpu_milliseconds"))
    assert abs(sums["cpu_milliseconds"] - counted) <= windows


def assert_proof_verifies(tenant: Tenant, job_id: str) -> None:
    path = tenant.installation.directory / f"{job_id}.json"

    def look() -> bool:
        return tenant.run("proof", "show", job_id, "--output", str(path)).returncode == 0

    until("the log is signed up to the job's end", look)
    verified = tenant.run("proof", "verify", str(path))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_job_outlives_the_control_plane(installation: Installation) -> None:
    """After `kill -9` of `galerne up` the same process goes on and is adopted: one attempt, one bill."""
    up = installation.up()
    tenant = Tenant(installation)
    job_id = tenant.submit("survivor", UNTIL_TOLD)
    pid = program_of(installation, tenant.started(job_id))

    up.kill()
    assert psutil.pid_exists(pid)
    installation.up()
    again = tenant.started(job_id)
    assert program_of(installation, again) == pid
    tell_to_end(installation, job_id)
    ended = tenant.ended(job_id)

    assert ended["state"] == "succeeded"
    assert [attempt["cause"] for attempt in ended["attempts"]] == ["completed"]
    assert tenant.log(job_id).text == "ended by itself\n"
    assert_billed_once(tenant, ended)
    assert_proof_verifies(tenant, job_id)


def test_a_job_that_ends_while_nobody_looks_is_found_ended(installation: Installation) -> None:
    """A job that ends while the control plane is dead has its exit, its log and its use afterwards."""
    up = installation.up()
    tenant = Tenant(installation)
    job_id = tenant.submit("alone", UNTIL_TOLD, "exit 7")
    pid = program_of(installation, tenant.started(job_id))
    up.kill()
    tell_to_end(installation, job_id)
    until("the program has ended", lambda: not psutil.pid_exists(pid))

    installation.up()
    ended = tenant.ended(job_id)

    assert ended["state"] == "failed"
    assert [attempt["exit_code"] for attempt in ended["attempts"]] == [7]
    assert_billed_once(tenant, ended)


def test_a_job_that_dies_with_everything_is_retried_as_its_file_says(
    installation: Installation,
) -> None:
    """After `kill -9` of everything, one job runs again and one fails, each as its `retry` says."""
    up = installation.up()
    tenant = Tenant(installation)
    retry = {"on_events": ["interruption"], "attempts": 2}
    patient = tenant.submit("patient", UNTIL_TOLD, retry=retry)
    fragile = tenant.submit("fragile", UNTIL_TOLD)
    for job_id in (patient, fragile):
        tenant.started(job_id)
    up.kill()
    installation.kill_workloads()

    installation.up()
    failed = tenant.ended(fragile)
    until("a second attempt runs", lambda: len(tenant.job(patient)["attempts"]) == 2)
    tell_to_end(installation, patient)
    ended = tenant.ended(patient)

    assert (failed["state"], failed["reason"]["code"]) == ("failed", "interrupted")
    assert (
        "interruption"
        in json.loads(tenant.run("why", "fragile", "--json").stdout)["reason"]["hint"]
    )
    assert ended["state"] == "succeeded"
    assert [attempt["cause"] for attempt in ended["attempts"]] == ["interrupted", "completed"]
    assert_billed_once(tenant, ended)
    assert_proof_verifies(tenant, patient)


def test_a_clean_end_leaves_jobs_running(installation: Installation) -> None:
    """SIGTERM ends `galerne up` within seconds while a job goes on; the next one adopts and stops it."""
    up = installation.up()
    tenant = Tenant(installation)
    job_id = tenant.submit("goes-on", FOREVER, stop_duration="1s")
    pid = program_of(installation, tenant.started(job_id))

    with ThreadPoolExecutor() as pool:
        following = pool.submit(tenant.client.get, f"/jobs/{job_id}/logs?wait_seconds=25")
        until("somebody follows its log", following.running)
        seconds = up.terminate()
        following.exception()  # It may be cut off; what it must not do is hold the process up.

    assert seconds < 15
    assert psutil.pid_exists(pid)
    installation.up()
    assert program_of(installation, tenant.started(job_id)) == pid
    stopped = tenant.run("stop", "goes-on")
    assert stopped.returncode == 0, stopped.stderr
    ended = tenant.ended(job_id)
    assert ended["state"] == "stopped"
    assert len(ended["attempts"]) == 1
    assert not psutil.pid_exists(pid)
