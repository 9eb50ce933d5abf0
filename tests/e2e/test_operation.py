"""Starting, refusing to start, and going on while something is wrong."""

import json
import shutil
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest
from tests.e2e.installation import Installation, Tenant, free_port, job, until

ANSWER_SECONDS_MAX = 20.0


def test_a_second_up_on_a_data_directory_is_refused(tenant: Tenant) -> None:
    """It ends with code 1, names the one that runs, and disturbs it in nothing."""
    second = tenant.installation.run("up")

    assert second.returncode == 1
    assert "data_dir_in_use" in second.stderr
    assert "--data-dir" in second.stderr
    assert tenant.ask("GET", "/whoami")


@pytest.mark.parametrize("process", ["up", "gateway"])
def test_a_taken_port_is_named(tenant: Tenant, tmp_path: Path, process: str) -> None:
    """A process whose port is taken ends with code 1 and says which address it wanted."""
    taken = tenant.installation

    refused = taken.run(process, "--data-dir", str(tmp_path))

    assert refused.returncode == 1
    assert "cannot_listen" in refused.stderr
    assert "Traceback" not in refused.stderr
    port = taken.gateway_port if process == "gateway" else taken.api_port
    assert str(port) in refused.stderr


def test_bad_settings_are_named(installation: Installation) -> None:
    """A wrong key and a wrong value end the process with code 2 and their names; no secret is repeated."""
    path = installation.directory / "galerne.toml"
    path.write_text("wrker = 1")
    url = "mysql://me:secret@there/db"

    refused = installation.run("up", "--config", str(path), GALERNE_DATABASE_URL=url)

    assert refused.returncode == 2
    assert "did you mean worker?" in refused.stderr
    assert "database_url" in refused.stderr
    assert "settings_invalid" in refused.stderr
    assert "secret" not in refused.stderr


def test_a_database_that_is_not_there_ends_up_with_a_reason(installation: Installation) -> None:
    """`galerne up` does not start on a database that does not answer, and says what to look at."""
    url = "postgresql+asyncpg://galerne@127.0.0.1:1/galerne"

    refused = installation.run("up", GALERNE_DATABASE_URL=url)

    assert refused.returncode == 1
    assert "database_unavailable" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_second_gateway_on_a_journal_is_refused(tenant: Tenant) -> None:
    """Two gateways never write one journal: the second ends with code 1 and names it."""
    second = tenant.installation.run("gateway", GALERNE_GATEWAY__PORT=str(free_port()))

    assert second.returncode == 1
    assert "application_failed" in second.stderr
    assert "gateway-journal" in second.stdout + second.stderr


def test_doctor_finds_nothing_to_mend(tenant: Tenant) -> None:
    """On an installation that runs nothing is wrong but, on a machine without it, the missing sandbox."""
    looked = tenant.installation.run("doctor", "--json")

    findings = json.loads(looked.stdout)
    wrong = {finding["name"] for finding in findings if not finding["ok"]}
    assert wrong <= (set() if shutil.which("bwrap") else {"isolation"})
    assert looked.returncode == bool(wrong)


def test_doctor_says_what_to_mend(installation: Installation) -> None:
    """Without a database it ends with code 1, a line for each fault, and a hint."""
    gone = installation.run("doctor", GALERNE_DATABASE_URL="postgresql+asyncpg://x@127.0.0.1:1/x")

    assert gone.returncode == 1
    assert "FAIL  database" in gone.stdout
    assert "hint: run `galerne migrate`" in gone.stdout


def test_probes_metrics_and_canonical_lines(tenant: Tenant) -> None:
    """Health, readiness and metrics answer on API and gateway; each request leaves one JSON line."""
    here = tenant.installation
    answer = tenant.client.get("/whoami")
    for port in (here.api_port, here.gateway_port):
        for path in ("/healthz", "/readyz", "/metrics"):
            assert httpx2.get(f"http://127.0.0.1:{port}{path}").status_code == 200

    lines = [json.loads(line) for line in (here.directory / "up-0.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line.get("request_id") == answer.headers["x-request-id"]]

    assert len(mine) == 1
    assert (mine[0]["route"], mine[0]["status"]) == ("/whoami", 200)
    assert tenant.key not in (here.directory / "up-0.jsonl").read_text()


def test_a_locked_database_is_said_so_and_survived(installation: Installation) -> None:
    """While another process holds the SQLite file writes get 503 and reads go on; then all is well."""
    installation.up()
    tenant = Tenant(installation)
    running = tenant.submit("goes-on", "sleep 2", "echo ended")
    tenant.started(running)
    body = {"spec": job("late", "true"), "files": []}
    holder = sqlite3.connect(installation.data / "galerne.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        began = time.monotonic()
        refused = tenant.client.post("/jobs", json=body)
        seconds = time.monotonic() - began
        read = tenant.client.get("/jobs")
    finally:
        holder.execute("ROLLBACK")
        holder.close()

    assert refused.status_code == 503, refused.text
    assert refused.json()["code"] == "database_unavailable"
    assert refused.json()["hint"]
    assert refused.headers["retry-after"]
    assert seconds < ANSWER_SECONDS_MAX
    assert read.status_code == 200
    accepted = until("it takes jobs again", lambda: _accepted(tenant, body))
    assert tenant.ended(accepted)["state"] == "succeeded"
    assert tenant.ended(running)["state"] == "succeeded"
    assert len(tenant.ask("GET", "/jobs")["items"]) == 2


def _accepted(tenant: Tenant, body: Mapping[str, object]) -> str | None:
    answer = tenant.client.post("/jobs", json=body)
    return str(answer.json()["id"]) if answer.status_code == 202 else None
