"""Objects of the control-plane API. Generated from openapi.json; do not edit.

Regenerate with `python scripts/generate_client_models.py`.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from galerne_client.base import ApiModel


class Accelerator(ApiModel):
    """An accelerator type as the API shows it."""

    aliases: list[str]
    interconnect: str
    memory_bytes: int
    name: str
    source: str
    tdp_watts: int | None
    vendor: str


class Accelerators(ApiModel):
    """The whole list; it is short and is not paged."""

    as_of: str
    items: list[Accelerator]


class ApiKeyCreate(ApiModel):
    """What a new key may do. What is left out is as the member's role and the caller's own key have it."""

    expires_at: datetime | None = None
    member_id: str | None = None
    models: list[str] | None = None
    name: str
    project: str | None = None
    scopes: list[str] | None = None


class ApiKeyCreated(ApiModel):
    """A new key with its secret, which is shown this once: null where an answer is repeated."""

    created_at: datetime
    expires_at: datetime | None
    id: str
    member_id: str
    models: list[str] | None
    name: str
    organization_id: str
    prefix: str
    project_id: str | None
    revoked_at: datetime | None
    scopes: list[str]
    secret: str | None


class ApiKey(ApiModel):
    """A key, without its secret."""

    created_at: datetime
    expires_at: datetime | None
    id: str
    member_id: str
    models: list[str] | None
    name: str
    organization_id: str
    prefix: str
    project_id: str | None
    revoked_at: datetime | None
    scopes: list[str]


class FileIn(ApiModel):
    """A file of an artifact, whose content was sent as a blob before."""

    executable: bool = False
    path: str
    sha256: str
    size_bytes: int


class ArtifactCreate(ApiModel):
    """A directory to keep."""

    files: list[FileIn]
    project: str | None = None


class File(ApiModel):
    """A file of an artifact."""

    executable: bool
    path: str
    sha256: str
    size_bytes: int


class Artifact(ApiModel):
    """A directory of files that never changes."""

    created_at: datetime
    digest: str
    files: list[File]
    id: str
    project_id: str
    size_bytes: int


class Attempt(ApiModel):
    """One try on the engine."""

    accelerator_milliseconds: int
    cause: str | None
    cpu_nanoseconds: int
    driver: str
    ended_at: datetime | None
    exit_code: int | None
    id: str
    memory_peak_bytes: int
    message: str
    node_names: list[str]
    number: int
    signal: int | None
    site_id: str
    started_at: datetime | None


class Blob(ApiModel):
    """Content that this organization has sent."""

    sha256: str
    size_bytes: int


class Capacity(ApiModel):
    """An amount of what nodes have."""

    accelerators: int
    cpu_millis: int
    disk_bytes: int
    memory_bytes: int


class LabelIn(ApiModel):
    """Where something may be: countries and zones, and what must be true of who operates there."""

    certifications: list[str] = Field(default_factory=list)
    operator_not_subject_to: list[str] = Field(default_factory=list)
    residency: list[str]


class DatasetCreate(ApiModel):
    """A new version of a dataset. Whoever gives it must know its licence."""

    artifact_id: str
    description: str = ""
    label: LabelIn | None = None
    licence: str
    name: str
    project: str | None = None
    source: dict[str, Any] = Field(default_factory=dict)


class Label(ApiModel):
    """A label, spelt by countries."""

    certifications: list[str]
    operator_not_subject_to: list[str]
    residency: list[str]


class Dataset(ApiModel):
    """One version of a dataset."""

    artifact_id: str
    created_at: datetime
    description: str
    id: str
    label: Label
    licence: str
    name: str
    project_id: str
    size_bytes: int
    source: dict[str, Any]
    version: int


class DecisionSummary(ApiModel):
    """One decision about a flow."""

    at: str
    country: str | None
    kind: str
    leaf_index: int
    reason: str
    site: str | None
    verdict: Literal["allowed", "refused"]


class ResourcesSpec(ApiModel):
    """What each node gives. `cpu` in cores, `gpu` as `B200:4`, `B200` or a bare count."""

    cpu: float = 1
    disk: str | int = 1000000000
    gpu: str | int | None = None
    memory: str | int = 1000000000


class DeploymentSpec(ApiModel):
    """A served model."""

    context_tokens: int = 2048
    env: dict[str, str] = Field(default_factory=dict)
    model: str
    name: str
    parallel: int = 4
    priority: int = 50
    regions: list[str] = Field(default_factory=list)
    replicas: int = 1
    resources: ResourcesSpec = Field(
        default_factory=lambda: ResourcesSpec.model_validate(
            {"cpu": 1.0, "disk": 1000000000, "memory": 1000000000}
        )
    )
    runtime: str | None = None
    stop_duration: str | int = 10
    tags: dict[str, str] = Field(default_factory=dict)
    type: Literal["deployment"]


class DeploymentCreate(ApiModel):
    """A deployment and the project it is for."""

    project: str | None = None
    spec: DeploymentSpec


class Reason(ApiModel):
    """Why something is as it is, and what would change that."""

    code: str
    hint: str
    message: str


ReplicaState = Literal["pending", "starting", "ready", "draining", "stopping", "ended"]


class Replica(ApiModel):
    """One copy."""

    created_at: datetime
    detail: str
    driver: str | None
    ended_at: datetime | None
    id: str
    node_names: list[str]
    ready_at: datetime | None
    reason: Reason | None
    site_id: str | None
    started_at: datetime | None
    state: ReplicaState


DeploymentState = Literal["starting", "running", "stopping", "stopped", "failed"]


class DeploymentDetail(ApiModel):
    """A deployment with its replicas, the newest first."""

    created_at: datetime
    ended_at: datetime | None
    id: str
    kind: Literal["deployment"]
    label: dict[str, Any]
    model: dict[str, Any]
    name: str
    organization_id: str
    project_id: str
    ready_at: datetime | None
    reason: Reason | None
    replicas: list[Replica]
    replicas_ready: int
    replicas_wanted: int
    runtime: str
    spec: dict[str, Any]
    state: DeploymentState
    submitted_by: str
    wanted: Literal["run", "stop"]


class Deployment(ApiModel):
    """A deployment."""

    created_at: datetime
    ended_at: datetime | None
    id: str
    kind: Literal["deployment"]
    label: dict[str, Any]
    model: dict[str, Any]
    name: str
    organization_id: str
    project_id: str
    ready_at: datetime | None
    reason: Reason | None
    replicas_ready: int
    replicas_wanted: int
    runtime: str
    spec: dict[str, Any]
    state: DeploymentState
    submitted_by: str
    wanted: Literal["run", "stop"]


class Event(ApiModel):
    """One entry of the log."""

    actor: str
    at: datetime
    data: dict[str, Any]
    id: str
    kind: str
    leaf_index: int | None
    meaning: str | None
    organization_id: str
    project_id: str | None
    subject_id: str


class NodeStated(ApiModel):
    """One node of a rack."""

    accelerators: str | None = None
    architecture: str = "x86_64"
    cpu: float | str
    cpu_model: str = ""
    disk: str | int
    memory: str | int


class RacksStated(ApiModel):
    """`count` racks that are alike."""

    count: int
    idle_power: str | int | None = None
    name: str = "r"
    node: NodeStated
    nodes: int
    nvlink_domain: bool = False
    power: str | int | None = None


class SiteStated(ApiModel):
    """One site."""

    certifications: list[str] = Field(default_factory=list)
    country: str
    grid_zone: str
    jurisdictions: list[str] = Field(default_factory=list)
    name: str
    operator: str
    operator_subject_to: list[str]
    power_cap: str | int | None = None
    pue: float | str = "1"
    racks: list[RacksStated]


class FleetFile(ApiModel):
    """A simulated fleet."""

    driver: Literal["fake"]
    sites: list[SiteStated]


class NodeCounts(ApiModel):
    """What happened to the nodes of a site."""

    changed: int
    created: int
    drained: int
    unchanged: int


class SiteImport(ApiModel):
    """What importing did to one site."""

    accelerators: dict[str, int]
    change: Literal["created", "changed", "unchanged"]
    id: str
    name: str
    nodes: NodeCounts
    power_cap_watts: int | None
    power_full_watts: int
    power_idle_watts: int
    racks: int


class FleetImport(ApiModel):
    """What importing a fleet file did."""

    sites: list[SiteImport]
    warnings: list[str]


GroupBy = Literal["workload", "model", "meter", "project", "day"]


class InputSpec(ApiModel):
    """Something from the registry, mounted read-only; its path is in GALERNE_INPUT_<NAME>."""

    dataset: str | None = None
    model: str | None = None
    name: str


class UploadedFile(ApiModel):
    """A file of the workload, sent as a blob before."""

    executable: bool = False
    path: str
    sha256: str
    size_bytes: int


class OutputSpec(ApiModel):
    """A directory below $GALERNE_OUTPUTS that is kept when the job succeeds."""

    dataset: str | None = None
    licence: str | None = None
    model: str | None = None
    path: str


class RetrySpec(ApiModel):
    """When a failed attempt is followed by another."""

    attempts: int = 3
    on_events: list[Literal["no-capacity", "error", "interruption", "out-of-memory"]] = Field(
        ["interruption"]
    )


class JobSpec(ApiModel):
    """A batch run."""

    commands: list[str]
    env: dict[str, str] = Field(default_factory=dict)
    files: list[str] = Field(default_factory=list)
    image: str | None = None
    inputs: list[InputSpec] = Field(default_factory=list)
    max_duration: str | int | None = None
    name: str
    network: Literal["none", "open"] = "none"
    nodes: int = 1
    outputs: list[OutputSpec] = Field(default_factory=list)
    priority: int = 50
    regions: list[str] = Field(default_factory=list)
    resources: ResourcesSpec = Field(
        default_factory=lambda: ResourcesSpec.model_validate(
            {"cpu": 1.0, "disk": 1000000000, "memory": 1000000000}
        )
    )
    retry: RetrySpec = Field(
        default_factory=lambda: RetrySpec.model_validate(
            {"attempts": 1, "on_events": ["interruption"]}
        )
    )
    stop_duration: str | int = 10
    tags: dict[str, str] = Field(default_factory=dict)
    type: Literal["job"]
    working_dir: str = "."


class JobCreate(ApiModel):
    """A job and the project it is for."""

    files: list[UploadedFile] = Field(default_factory=list)
    project: str | None = None
    spec: JobSpec


JobState = Literal[
    "pending", "starting", "running", "stopping", "finishing", "succeeded", "failed", "stopped"
]


class JobDetail(ApiModel):
    """A job with its attempts and what it used from the registry."""

    attempt: int
    attempts: list[Attempt]
    created_at: datetime
    detail: str
    ended_at: datetime | None
    id: str
    inputs: list[dict[str, Any]]
    kind: Literal["job"]
    label: dict[str, Any]
    name: str
    organization_id: str
    project_id: str
    reason: Reason | None
    site_id: str | None
    spec: dict[str, Any]
    started_at: datetime | None
    state: JobState
    submitted_by: str
    wanted: Literal["run", "stop"]


class Job(ApiModel):
    """A job."""

    attempt: int
    created_at: datetime
    detail: str
    ended_at: datetime | None
    id: str
    kind: Literal["job"]
    label: dict[str, Any]
    name: str
    organization_id: str
    project_id: str
    reason: Reason | None
    site_id: str | None
    spec: dict[str, Any]
    started_at: datetime | None
    state: JobState
    submitted_by: str
    wanted: Literal["run", "stop"]


class Lineage(ApiModel):
    """Something that the model came from."""

    id: str
    kind: Literal["dataset", "model", "job"]
    name: str
    version: int | None


Role = Literal["owner", "admin", "developer", "billing", "viewer"]


class MemberChange(ApiModel):
    """What changes; what is left out stays."""

    name: str | None = None
    role: Role | None = None


class MemberCreate(ApiModel):
    """A new member and their role."""

    email: str
    name: str
    role: Role


class Member(ApiModel):
    """A member."""

    created_at: datetime
    email: str
    id: str
    name: str
    organization_id: str
    role: Role


ModelFormat = Literal["gguf", "safetensors"]


class Model(ApiModel):
    """One version of a model: a project's own, or a public one of the operator's catalogue."""

    artifact_id: str | None
    context_tokens: int | None
    created_at: datetime
    description: str
    format: ModelFormat
    id: str
    is_public: bool
    label: Label
    licence: str
    lineage: list[Lineage]
    metrics: dict[str, Any]
    name: str
    project_id: str | None
    size_bytes: int
    source: dict[str, Any]
    version: int


class Money(ApiModel):
    """An amount in nano-euro (10⁻⁹ €)."""

    amount_nano: int
    currency: Literal["EUR"]


class Node(ApiModel):
    """A node as the API shows it."""

    accelerator_type: str | None
    architecture: str
    capacity: Capacity
    country: str
    cpu_model: str
    driver: str
    energy_meters: list[str]
    free: Capacity | None
    id: str
    idle_watts: int
    is_simulated: bool
    isolation: list[str]
    name: str
    nvlink_domain: str | None
    rack: str | None
    seen_at: datetime
    site: str
    state: str
    used: Capacity


class PersonIn(ApiModel):
    """Who a member is."""

    email: str
    name: str


class OrganizationCreate(ApiModel):
    """A new customer and its first owner."""

    country: str
    legal_name: str
    owner: PersonIn
    vat_id: str | None = None


class OrganizationCreated(ApiModel):
    """A new organization with its owner and the owner's first key.

    The key's secret is shown this once: null where an answer is repeated.
    """

    api_key: ApiKey
    country: str
    created_at: datetime
    id: str
    is_operator: bool
    legal_name: str
    owner: Member
    secret: str | None
    vat_id: str | None


class Organization(ApiModel):
    """An organization."""

    country: str
    created_at: datetime
    id: str
    is_operator: bool
    legal_name: str
    vat_id: str | None


class SiteVerdict(ApiModel):
    """One site against the label."""

    allowed: bool
    country: str | None
    reason: str
    site: str


class PlacementPlan(ApiModel):
    """Where it would run now, or what stands against it."""

    code: str
    driver: str | None
    hint: str
    nodes: list[str]
    reason: str
    site: str | None
    sites: list[SiteVerdict]
    verdict: Literal["placed", "waiting", "refused"]


class Plan(ApiModel):
    """What `apply` shows before it asks."""

    carbon_milligrams_per_hour: int | None
    carbon_source: str | None
    duration_seconds: int | None
    energy_method: str
    energy_note: str
    energy_watt_hours_per_hour: int
    kind: Literal["job", "deployment"]
    label: dict[str, Any]
    name: str
    network: str
    placement: PlacementPlan
    price_per_hour: Money
    price_total: Money | None
    project: str
    warnings: list[str]


class Price(ApiModel):
    """The price of one meter, for one model or accelerator type or, with neither, for all others."""

    accelerator_type: str | None
    meter: str
    model: str | None
    per: int
    per_text: str
    price: Money
    unit: str


class PriceList(ApiModel):
    """Every price in force at one moment."""

    effective_from: datetime
    effective_to: datetime | None
    id: str
    name: str
    prices: list[Price]


class Problem(ApiModel):
    """What an error looks like on the control plane."""

    code: str
    detail: str
    details: dict[str, Any] | None = None
    errors: list[dict[str, Any]] | None = None
    hint: str | None = None
    status: int
    title: str
    type: str


class ProjectChange(ApiModel):
    """What changes; what is left out stays."""

    label: LabelIn | None = None
    name: str | None = None


class ProjectCreate(ApiModel):
    """What a new project is given. The label has no default: where data may go is for its owner to say."""

    label: LabelIn
    name: str


class Project(ApiModel):
    """A project."""

    created_at: datetime
    id: str
    label: Label
    name: str
    organization_id: str


class ProvenEntry(ApiModel):
    """One entry of the log, and the hashes that lead from it to the checkpoint's root."""

    inclusion: list[str]
    leaf: str
    leaf_index: int


class SiteSummary(ApiModel):
    """Where it was placed."""

    country: str | None
    name: str
    operator: str | None


class StateSummary(ApiModel):
    """One change of state."""

    at: str
    kind: str
    leaf_index: int


class ProofSummary(ApiModel):
    """What the entries say, for people. Follows from them; a verifier makes it again and compares."""

    decisions: list[DecisionSummary]
    entries_count: int
    label: dict[str, Any] | None
    sites: list[SiteSummary]
    states: list[StateSummary]


class Proof(ApiModel):
    """Everything that is needed to verify it without us, but the trust in the key."""

    checkpoint: str
    entries: list[ProvenEntry]
    format: Literal["galerne-residency-proof/1"]
    subject_id: str
    summary: ProofSummary
    verifier_key: str


class Site(ApiModel):
    """A site as the API shows it."""

    carbon_milligrams_per_kwh: int | None
    carbon_source: str | None
    certifications: list[str]
    country: str
    grid_zone: str
    id: str
    is_simulated: bool
    jurisdictions: list[str]
    name: str
    operator: str
    operator_subject_to: list[str]
    power_cap_watts: int | None
    pue_milli: int


class Sites(ApiModel):
    """The whole list; there are few sites, and it is not paged."""

    items: list[Site]


class UsageGroup(ApiModel):
    """The sums of one workload, model, meter, project or day."""

    accelerator_milliseconds: int
    carbon_micrograms: int
    carbon_sources: list[str]
    cost: Money
    cpu_milliseconds: int
    energy_methods: list[str]
    energy_microwatt_hours: int
    key: str | None
    memory_mebibyte_seconds: int
    records: int
    requests: int
    storage_mebibyte_seconds: int
    tokens_cached: int
    tokens_input: int
    tokens_output: int
    unpriced_records: int


class UsageRecord(ApiModel):
    """A usage record."""

    accelerator_type: str | None
    carbon_micrograms: int | None
    carbon_source: str | None
    created_at: datetime
    ended_at: datetime
    energy_method: str | None
    energy_microwatt_hours: int | None
    energy_note: str | None
    id: str
    key_id: str | None
    label: dict[str, Any]
    meter: str
    model: str | None
    project_id: str
    quantity: int
    site_id: str | None
    source_id: str
    started_at: datetime
    unit: str
    workload_id: str
    workload_kind: str


class UsageTotals(ApiModel):
    """Sums over some usage records. Integers in the meters' own units."""

    accelerator_milliseconds: int
    carbon_micrograms: int
    carbon_sources: list[str]
    cost: Money
    cpu_milliseconds: int
    energy_methods: list[str]
    energy_microwatt_hours: int
    memory_mebibyte_seconds: int
    records: int
    requests: int
    storage_mebibyte_seconds: int
    tokens_cached: int
    tokens_input: int
    tokens_output: int
    unpriced_records: int


class UsageSummary(ApiModel):
    """The dearest groups, the sum of the `others`, and the totals of all."""

    as_of: datetime
    group_by: GroupBy
    groups: list[UsageGroup]
    others: UsageTotals
    others_count: int
    project_id: str | None
    since: datetime | None
    totals: UsageTotals
    until: datetime | None


class WhoAmI(ApiModel):
    """Whose key this is, and what it may do now: the key's scopes as far as its member still holds them."""

    api_key: ApiKey
    member: Member
    organization: Organization
    project: Project | None
    scopes: list[str]


class Why(ApiModel):
    """The answer to "why": one sentence, what would change it, and what it rests on."""

    facts: dict[str, Any]
    id: str
    reason: Reason
    state: str


__all__ = [
    "Accelerator",
    "Accelerators",
    "ApiKey",
    "ApiKeyCreate",
    "ApiKeyCreated",
    "Artifact",
    "ArtifactCreate",
    "Attempt",
    "Blob",
    "Capacity",
    "Dataset",
    "DatasetCreate",
    "DecisionSummary",
    "Deployment",
    "DeploymentCreate",
    "DeploymentDetail",
    "DeploymentSpec",
    "DeploymentState",
    "Event",
    "File",
    "FileIn",
    "FleetFile",
    "FleetImport",
    "GroupBy",
    "InputSpec",
    "Job",
    "JobCreate",
    "JobDetail",
    "JobSpec",
    "JobState",
    "Label",
    "LabelIn",
    "Lineage",
    "Member",
    "MemberChange",
    "MemberCreate",
    "Model",
    "ModelFormat",
    "Money",
    "Node",
    "NodeCounts",
    "NodeStated",
    "Organization",
    "OrganizationCreate",
    "OrganizationCreated",
    "OutputSpec",
    "PersonIn",
    "PlacementPlan",
    "Plan",
    "Price",
    "PriceList",
    "Problem",
    "Project",
    "ProjectChange",
    "ProjectCreate",
    "Proof",
    "ProofSummary",
    "ProvenEntry",
    "RacksStated",
    "Reason",
    "Replica",
    "ReplicaState",
    "ResourcesSpec",
    "RetrySpec",
    "Role",
    "Site",
    "SiteImport",
    "SiteStated",
    "SiteSummary",
    "SiteVerdict",
    "Sites",
    "StateSummary",
    "UploadedFile",
    "UsageGroup",
    "UsageRecord",
    "UsageSummary",
    "UsageTotals",
    "WhoAmI",
    "Why",
]
