"""A control plane in memory, at the outer seam: it is given HTTP requests and answers them.

It keeps what it was sent, so that a test can look, and misbehaves on request. Its answers are made of
the client's own models, so they have the API's shape as long as those are generated from it.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx2

from galerne_client import models
from galerne_client.base import ApiModel

KEY = "gal_" + "k" * 43
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FRANCE = {"residency": ["FR"], "operator_not_subject_to": [], "certifications": []}


def id_of(prefix: str, number: int) -> str:
    return f"{prefix}_{number:026d}"


@dataclass(frozen=True, slots=True)
class Received:
    """One request, as it came."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def answered(value: Any, status: int = 200) -> Reply:
    if isinstance(value, ApiModel):
        value = value.model_dump(mode="json")
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json"})


def problem(status: int, code: str, detail: str, **more: Any) -> Reply:
    fields = {"type": f"urn:galerne:error:{code}", "title": "No", "status": status}
    body = json.dumps({**fields, "detail": detail, "code": code, **more}).encode()
    headers = {"content-type": "application/problem+json"}
    return Reply(status, body, {**headers, "retry-after": "0"} if status in {429, 503} else headers)


class ConnectionCut(Exception):  # noqa: N818 - an event of the network
    """The connection breaks before there is an answer."""


class FakePlatform:
    """Jobs, deployments, datasets and a log, just enough for a client to be tested against."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.faults: deque[Reply | ConnectionCut] = deque()
        self.blobs: dict[str, bytes] = {}
        self.artifacts: dict[str, models.Artifact] = {}
        self.datasets: list[models.Dataset] = []
        self.jobs: dict[str, models.JobDetail] = {}
        self.deployments: dict[str, models.DeploymentDetail] = {}
        self.job_states: deque[str] = deque(["starting", "running", "running", "succeeded"])
        self.log = b"hello\n"
        self.log_piece_bytes = 1_000_000
        self.verdict = "placed"
        self.plan_reason = "the only site within FR with room"
        self.page_rows_max = 500
        self.bundle: dict[str, Any] = {"version": 1}
        self.routes: dict[str, Callable[[Received], Reply]] = {
            "GET /whoami": lambda _: answered(WHO),
            "GET /sites": lambda _: answered({"items": [dump(SITE)]}),
            "GET /nodes": lambda _: answered({"items": [dump(NODE)], "next_cursor": None}),
            "POST /jobs/plan": lambda received: answered(self._plan(received)),
            "POST /deployments/plan": lambda received: answered(self._plan(received)),
            "POST /jobs": self._create_job,
            "POST /deployments": self._create_deployment,
            "POST /artifacts": self._create_artifact,
            "POST /datasets": self._create_dataset,
            "GET /jobs": lambda received: self._page(received, self.jobs.values()),
            "GET /deployments": lambda received: self._page(received, self.deployments.values()),
            "GET /datasets": lambda received: self._page(received, self.datasets),
            "GET /events": lambda received: self._page(received, []),
            "GET /usage/summary": lambda _: answered(summary()),
            "GET /prices": lambda _: answered(PRICES),
            "POST /api-keys": lambda received: answered(created_key(received.json()["name"]), 201),
        }

    def __call__(self, received: Received) -> Reply:
        self.received.append(received)
        if self.faults:
            fault = self.faults.popleft()
            if isinstance(fault, ConnectionCut):
                raise fault
            return fault
        if received.headers.get("authorization") != f"Bearer {KEY}":
            return problem(401, "unauthenticated", "no valid key", hint="send a key")
        path = received.path.removeprefix("/api/v1")
        route = self.routes.get(f"{received.method} {path}")
        return route(received) if route else self._object(received, path.strip("/").split("/"))

    def posted(self, path: str) -> list[Received]:
        """Return the POSTs to a path of the API."""
        wanted = f"/api/v1{path}"
        return [each for each in self.received if each.method == "POST" and each.path == wanted]

    def _object(self, received: Received, parts: list[str]) -> Reply:
        match [received.method, *parts]:
            case ["PUT", "blobs", sha256]:
                self.blobs[sha256] = received.body
                return Reply(204)
            case ["GET", "proofs", _]:
                return answered(self.bundle)
            case ["GET", "artifacts", artifact_id] if artifact_id in self.artifacts:
                return answered(self.artifacts[artifact_id])
            case ["GET", "artifacts", artifact_id, "files", *path] if artifact_id in self.artifacts:
                files = self.artifacts[artifact_id].files
                wanted = unquote("/".join(path))
                return Reply(200, self.blobs[next(f.sha256 for f in files if f.path == wanted)])
            case ["GET", "jobs", job_id, *rest] if job_id in self.jobs:
                return self._job(received, job_id, rest)
            case ["GET", "deployments", deployment_id] if deployment_id in self.deployments:
                return answered(self.deployments[deployment_id])
            case ["POST", "jobs", job_id, "stop"] if job_id in self.jobs:
                stopped = self.jobs[job_id].model_copy(update={"wanted": "stop"})
                return answered(stopped, 202)
        return problem(404, "job_not_found", "no such object", hint="check the id")

    def _job(self, received: Received, job_id: str, rest: list[str]) -> Reply:
        if rest == ["logs"]:
            return self._log(received)
        if rest == ["why"]:
            reason = models.Reason(code="no_capacity", message="no room", hint="wait")
            return answered(
                models.Why(id=job_id, state="pending", reason=reason, facts={"sites": 2})
            )
        state = self.job_states.popleft() if len(self.job_states) > 1 else self.job_states[0]
        ended = (
            NOON + timedelta(seconds=61) if state in {"succeeded", "failed", "stopped"} else None
        )
        failed = models.Reason(code="exit_code", message="it exited with 3", hint="read its log")
        self.jobs[job_id] = self.jobs[job_id].model_copy(
            update={
                "state": state,
                "attempt": 1,
                "started_at": NOON,
                "ended_at": ended,
                "reason": failed if state == "failed" else None,
            }
        )
        return answered(self.jobs[job_id])

    def _log(self, received: Received) -> Reply:
        offset = int(received.query.get("offset", ["0"])[0])
        data = self.log[offset : offset + self.log_piece_bytes]
        is_complete = offset + len(data) == len(self.log)
        headers = {
            "galerne-log-next-offset": str(offset + len(data)),
            "galerne-log-complete": "true" if is_complete else "false",
            "galerne-log-dropped-bytes": "0",
            "content-type": "text/plain",
        }
        return Reply(200, data, headers)

    def _plan(self, received: Received) -> models.Plan:
        spec = received.json()["spec"]
        placed = self.verdict == "placed"
        return models.Plan.model_validate(
            {
                "name": spec["name"],
                "kind": spec["type"],
                "project": received.json()["project"] or "research",
                "label": FRANCE,
                "placement": {
                    "verdict": self.verdict,
                    "site": "paris" if placed else None,
                    "driver": "local" if placed else None,
                    "nodes": ["node-1"] if placed else [],
                    "code": "placed" if placed else "label_refused",
                    "reason": self.plan_reason,
                    "hint": "" if placed else "choose a site in the label",
                    "sites": [
                        {"site": "paris", "country": "FR", "allowed": True, "reason": "within FR"},
                        {"site": "bern", "country": "CH", "allowed": False, "reason": "not in FR"},
                    ],
                },
                "network": "none",
                "price_per_hour": {"amount_nano": 36_000_000, "currency": "EUR"},
                "price_total": {"amount_nano": 6_000_000, "currency": "EUR"},
                "duration_seconds": 600,
                "energy_watt_hours_per_hour": 20,
                "energy_method": "estimated",
                "energy_note": "",
                "carbon_milligrams_per_hour": 828,
                "carbon_source": "FRA 2024",
                "warnings": ["the price does not include storage"],
            }
        )

    def _create_job(self, received: Received) -> Reply:
        spec = received.json()["spec"]
        unknown = set(spec) - {"type", "name", "commands", "files", "env"}
        if unknown:
            at = f"body.spec.{min(unknown)}"
            errors = [{"at": at, "message": "Extra inputs are not permitted"}]
            return problem(
                422, "invalid_request", f"{at}: Extra inputs are not permitted", errors=errors
            )
        job = job_of(len(self.jobs) + 1, name=spec["name"], spec=spec)
        self.jobs[job.id] = job
        return answered(job, 202)

    def _create_deployment(self, received: Received) -> Reply:
        spec = received.json()["spec"]
        deployment = deployment_of(len(self.deployments) + 1, name=spec["name"])
        self.deployments[deployment.id] = deployment
        return answered(deployment, 202)

    def _create_artifact(self, received: Received) -> Reply:
        files = received.json()["files"]
        number = len(self.artifacts) + 1
        artifact = artifact_of(number, files)
        self.artifacts[artifact.id] = artifact
        return answered(artifact, 201)

    def _create_dataset(self, received: Received) -> Reply:
        body = received.json()
        dataset = dataset_of(len(self.datasets) + 1, body)
        self.datasets.append(dataset)
        return answered(dataset, 201)

    def _page(self, received: Received, rows: Any) -> Reply:
        query = received.query
        found = sorted(rows, key=lambda row: row.id, reverse=True)
        if "name" in query:
            found = [row for row in found if row.name == query["name"][0]]
        if "state" in query:
            found = [row for row in found if row.state in query["state"]]
        if "cursor" in query:
            found = [row for row in found if row.id < query["cursor"][0]]
        limit = min(int(query.get("limit", ["100"])[0]), self.page_rows_max)
        page = found[:limit]
        more = page[-1].id if len(page) < len(found) else None
        return answered({"items": [dump(row) for row in page], "next_cursor": more})


def dump(model: ApiModel) -> dict[str, Any]:
    return model.model_dump(mode="json")


def job_of(
    number: int,
    *,
    name: str = "train",
    state: str = "pending",
    spec: Mapping[str, Any] | None = None,
) -> models.JobDetail:
    return models.JobDetail.model_validate(
        {
            "id": id_of("job", number),
            "kind": "job",
            "name": name,
            "organization_id": id_of("org", 1),
            "project_id": id_of("prj", 1),
            "state": state,
            "wanted": "run",
            "attempt": 0,
            "detail": "",
            "label": FRANCE,
            "site_id": None,
            "spec": dict(spec or {}),
            "reason": None,
            "submitted_by": id_of("key", 1),
            "created_at": NOON,
            "started_at": None,
            "ended_at": None,
            "attempts": [],
            "inputs": [],
        }
    )


def deployment_of(number: int, *, name: str, state: str = "running") -> models.DeploymentDetail:
    return models.DeploymentDetail.model_validate(
        {
            "id": id_of("dep", number),
            "kind": "deployment",
            "name": name,
            "organization_id": id_of("org", 1),
            "project_id": id_of("prj", 1),
            "state": state,
            "wanted": "run",
            "replicas_wanted": 1,
            "replicas_ready": 1,
            "model": {"name": "smollm2", "version": None},
            "runtime": "llamacpp",
            "label": FRANCE,
            "spec": {},
            "reason": None,
            "submitted_by": id_of("key", 1),
            "created_at": NOON,
            "ready_at": NOON,
            "ended_at": None,
            "replicas": [],
        }
    )


def artifact_of(number: int, files: list[dict[str, Any]]) -> models.Artifact:
    return models.Artifact.model_validate(
        {
            "id": id_of("art", number),
            "project_id": id_of("prj", 1),
            "files": [{"executable": False, **file} for file in files],
            "size_bytes": sum(file["size_bytes"] for file in files),
            "digest": "0" * 64,
            "created_at": NOON,
        }
    )


def dataset_of(number: int, body: Mapping[str, Any]) -> models.Dataset:
    return models.Dataset.model_validate(
        {
            "id": id_of("dset", number),
            "project_id": id_of("prj", 1),
            "version": number,
            "label": FRANCE,
            "size_bytes": 12,
            "created_at": NOON,
            **{key: value for key, value in body.items() if key not in {"project", "label"}},
        }
    )


ORGANIZATION = models.Organization(
    id=id_of("org", 1),
    legal_name="Institut Exemple",
    country="FR",
    vat_id=None,
    is_operator=False,
    created_at=NOON,
)
MEMBER = models.Member(
    id=id_of("mem", 1),
    organization_id=ORGANIZATION.id,
    email="ada@example.eu",
    name="Ada",
    role="developer",
    created_at=NOON,
)
API_KEY = models.ApiKey(
    id=id_of("key", 1),
    organization_id=ORGANIZATION.id,
    member_id=MEMBER.id,
    project_id=None,
    name="laptop",
    prefix="gal_kkkk",
    scopes=["jobs:read"],
    models=None,
    created_at=NOON,
    expires_at=None,
    revoked_at=None,
)
WHO = models.WhoAmI(
    organization=ORGANIZATION, member=MEMBER, project=None, api_key=API_KEY, scopes=["jobs:read"]
)
SITE = models.Site(
    id=id_of("site", 1),
    name="paris",
    country="FR",
    operator="Exemple SAS",
    operator_subject_to=["FR"],
    certifications=["HDS"],
    jurisdictions=["FR"],
    grid_zone="FRA",
    carbon_milligrams_per_kwh=41_400,
    carbon_source="FRA 2024",
    pue_milli=1250,
    power_cap_watts=None,
    is_simulated=False,
)
_CAPACITY = models.Capacity.model_validate(
    {
        "cpu_millis": 2000,
        "memory_bytes": 8_000_000_000,
        "disk_bytes": 50_000_000_000,
        "accelerators": 0,
    }
)
NODE = models.Node(
    id=id_of("node", 1),
    name="node-1",
    site="paris",
    country="FR",
    driver="local",
    rack=None,
    nvlink_domain=None,
    architecture="x86_64",
    cpu_model="Example",
    capacity=_CAPACITY,
    used=_CAPACITY,
    free=_CAPACITY,
    accelerator_type=None,
    isolation=["cgroup2", "bubblewrap"],
    energy_meters=[],
    idle_watts=10,
    is_simulated=False,
    state="ready",
    seen_at=NOON,
)
PRICES = models.PriceList(
    id=id_of("prl", 1),
    name="default",
    effective_from=NOON,
    effective_to=None,
    prices=[
        models.Price(
            meter="cpu_milliseconds",
            model=None,
            accelerator_type=None,
            unit="ms",
            per=3_600_000,
            per_text="CPU-h",
            price=models.Money(amount_nano=18_000_000, currency="EUR"),
        )
    ],
)


def created_key(name: str) -> models.ApiKeyCreated:
    return models.ApiKeyCreated.model_validate({**dump(API_KEY), "name": name, "secret": KEY})


def summary() -> models.UsageSummary:
    sums: dict[str, Any] = {
        "records": 3,
        "requests": 1,
        "tokens_input": 12,
        "tokens_cached": 0,
        "tokens_output": 34,
        "cpu_milliseconds": 61_000,
        "memory_mebibyte_seconds": 1000,
        "accelerator_milliseconds": 0,
        "storage_mebibyte_seconds": 0,
        "energy_microwatt_hours": 421_300,
        "energy_methods": ["estimated"],
        "carbon_micrograms": 17_300,
        "carbon_sources": ["FRA 2024"],
        "cost": {"amount_nano": 4_217_000, "currency": "EUR"},
        "unpriced_records": 0,
    }
    return models.UsageSummary.model_validate(
        {
            "as_of": NOON,
            "group_by": "workload",
            "project_id": None,
            "since": None,
            "until": None,
            "groups": [{**sums, "key": id_of("job", 1)}],
            "others_count": 0,
            "others": sums,
            "totals": sums,
        }
    )


def mock_transport(platform: FakePlatform) -> httpx2.MockTransport:
    """Return a transport that hands requests to `platform` without a network, for either client."""

    def handle(request: httpx2.Request) -> httpx2.Response:
        return _respond(platform, request, request.read())

    return httpx2.MockTransport(handle)


def async_transport(platform: FakePlatform) -> httpx2.MockTransport:
    """Do the same for bodies that can only be read asynchronously."""

    async def handle(request: httpx2.Request) -> httpx2.Response:
        return _respond(platform, request, await request.aread())

    return httpx2.MockTransport(handle)


def _respond(platform: FakePlatform, request: httpx2.Request, body: bytes) -> httpx2.Response:
    headers = {name.lower(): value for name, value in request.headers.items()}
    query = parse_qs(request.url.query.decode())
    received = Received(request.method, request.url.path, query, headers, body)
    try:
        reply = platform(received)
    except ConnectionCut as cut:
        raise httpx2.ReadError("cut") from cut
    return httpx2.Response(reply.status, content=reply.body, headers=dict(reply.headers))


@contextmanager
def served(platform: FakePlatform) -> Iterator[str]:
    """Serve `platform` on loopback for as long as the block runs; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            address = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = parse_qs(address.query)
            try:
                reply = platform(Received(self.command, address.path, query, headers, body))
            except ConnectionCut:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the base's names

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
