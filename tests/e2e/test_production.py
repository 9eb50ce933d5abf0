"""The production processes, several of each, on one PostgreSQL: work is done once, whoever dies."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.e2e.installation import Installation, Tenant, free_port, job, until, wait_until_ready
from tests.postgres import PostgresServer

JOBS = 30
KILL_AFTER = 3  # Jobs that have ended.


@pytest.fixture
def installation(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Installation]:
    """An installation on a PostgreSQL database of its own, migrated."""
    url = asyncio.run(postgres_server.create_empty())
    made = Installation(tmp_path, GALERNE_DATABASE_URL=url)
    migrated = made.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    yield made
    made.close()


def test_two_of_each_do_every_job_once(installation: Installation) -> None:
    """Two APIs, two workers and a gateway: one worker is killed midway, and each job still runs once."""
    second_port = free_port()
    apis = [
        (installation.start("api"), installation.api_port),
        (installation.start("api", GALERNE_API__PORT=str(second_port)), second_port),
    ]
    gateway = installation.start("gateway")
    workers = [installation.start("worker"), installation.start("worker")]
    for process, port in (*apis, (gateway, installation.gateway_port)):
        wait_until_ready(process, port)
    tenant = Tenant(installation)
    bases = [f"http://127.0.0.1:{port}/api/v1" for _, port in apis]

    command = 'echo once >> "$GALERNE_WORKING_DIR/ran"; sleep 0.5'
    small = {"cpu": 0.1, "memory": "32MB", "disk": "1MB"}
    until("the machine has reported itself", lambda: tenant.ask("GET", "/nodes")["items"])
    ids = []
    for number in range(JOBS):
        spec = job(f"job-{number}", command, resources=small)
        url = f"{bases[number % 2]}/jobs"
        made = tenant.client.post(url, json={"spec": spec, "files": []})
        assert made.status_code == 202, made.text
        ids.append(made.json()["id"])
    until("some have ended", lambda: len(_ended(tenant, bases[0])) >= KILL_AFTER)
    workers[0].kill()
    until("all have ended", lambda: len(_ended(tenant, bases[1])) == JOBS, seconds=120)

    for number, job_id in enumerate(ids):
        seen = tenant.client.get(f"{bases[number % 2]}/jobs/{job_id}").json()
        assert seen["state"] == "succeeded", seen
        assert len(seen["attempts"]) == 1
        ran = installation.data / "workspaces" / job_id / "ran"
        assert ran.read_text() == "once\n"
    assert workers[1].is_running
    models = httpx2.get(
        f"http://127.0.0.1:{installation.gateway_port}/v1/models",
        headers={"authorization": f"Bearer {tenant.key}"},
    )
    assert models.json()["data"] == []
    for process in (workers[1], gateway, *(api for api, _ in apis)):
        assert process.terminate() < 10


def _ended(tenant: Tenant, base: str) -> list[str]:
    states = ("succeeded", "failed", "stopped")
    answer = tenant.client.get(f"{base}/jobs", params={"state": states, "limit": 100})
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]
