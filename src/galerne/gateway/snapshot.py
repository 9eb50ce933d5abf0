"""The policy that requests are judged by: keys, models, replicas, prices; immutable, replaced whole.

`SnapshotHolder` keeps the current one and refreshes it from a `SnapshotSource` that the wiring supplies.
When a refresh fails the last snapshot stays in force, and metrics and log say so.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog

from galerne.kit.clock import Clock

PUBLIC = None  # The key of `Snapshot.models` for models that every project may use.
SCOPE_INFERENCE = "inference"

_log = structlog.get_logger("galerne.gateway.snapshot")


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """What one API key may do."""

    key_id: str
    organization_id: str
    project_id: str  # A key of a whole organization has that organization's id here.
    scopes: frozenset[str] = frozenset({SCOPE_INFERENCE})
    models: frozenset[str] | None = None  # Public names; None allows all that the project sees.
    expires_at: datetime | None = None
    countries: frozenset[str] | None = (
        None  # The label: where its prompts may go; None is anywhere.
    )


@dataclass(frozen=True, slots=True)
class ReplicaAddress:
    """Where one replica listens."""

    replica_id: str
    base_url: str
    model_name: str  # What the serving program calls the model.
    site_id: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class EnergyModel:
    """Estimate the energy of a request as its share of a replica's power while it ran."""

    replica_watts: float  # Drawn by one replica while it decodes.
    pue: float = 1.0
    gco2e_per_kwh: float | None = None  # Of the site's grid; None where it is unknown.
    method: str = "estimated"

    def watt_hours(self, *, seconds: float, sharing: float) -> float:
        """Energy of `seconds` on a replica that `sharing` requests shared."""
        return self.replica_watts * self.pue * seconds / 3600 / max(sharing, 1.0)


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-euro for each million tokens."""

    input_nano_per_million: int = 0
    output_nano_per_million: int = 0
    cached_nano_per_million: int | None = None  # Of prompt tokens from the cache; None: as input.


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that customers name, and the replicas that answer for it."""

    name: str
    deployment_id: str
    organization_id: str
    project_id: str
    created: int  # Unix seconds, as the API lists it.
    owned_by: str
    model: str = ""  # Whose weights it serves: what usage is priced by. Empty: `name`.
    replicas: tuple[ReplicaAddress, ...] = ()
    aliases: tuple[str, ...] = ()
    price: Price = Price()
    refused_fields: frozenset[str] = frozenset()  # As `runtimes.base.Runtime.refused_fields`.
    context_tokens: int | None = None
    energy: EnergyModel | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a request is judged by, as of one version."""

    version: str
    key_pepper: bytes  # Secret of the HMAC under which keys are stored.
    keys: Mapping[bytes, KeyPolicy] = field(default_factory=dict)  # By `key_digest`.
    models: Mapping[str | None, Mapping[str, ServedModel]] = field(default_factory=dict)

    def find(self, policy: KeyPolicy, name: str) -> ServedModel | None:
        """Return the model that `policy` may use under `name`: the project's own before public ones."""
        own = self.models.get(policy.project_id)
        served = own.get(name) if own else None
        if served is None:
            public = self.models.get(PUBLIC)
            served = public.get(name) if public else None
        if served is None or (policy.models is not None and served.name not in policy.models):
            return None
        return served

    def visible(self, policy: KeyPolicy) -> list[ServedModel]:
        """List the models that `policy` may use, each once, by name."""
        found: dict[str, ServedModel] = {}
        for project in (PUBLIC, policy.project_id):
            for served in self.models.get(project, {}).values():
                if policy.models is None or served.name in policy.models:
                    found[served.name] = served
        return [found[name] for name in sorted(found)]

    def base_urls(self) -> frozenset[str]:
        return frozenset(
            replica.base_url
            for by_name in self.models.values()
            for served in by_name.values()
            for replica in served.replicas
        )


def key_digest(pepper: bytes, key: bytes) -> bytes:
    """Digest an API key for storage and look-up: HMAC-SHA-256 under the installation's pepper."""
    return hmac.digest(pepper, key, "sha256")


def index_models(models: Iterable[ServedModel]) -> dict[str, ServedModel]:
    """Index models of one project (or the public ones) by name and alias; names win over aliases."""
    served = list(models)
    index = {alias: model for model in served for alias in model.aliases}
    index.update({model.name: model for model in served})
    return index


class SnapshotSource(Protocol):
    """Where snapshots come from; implemented by the control plane."""

    async def load(self, known_version: str | None) -> Snapshot | None:
        """Return the current snapshot, or None if it still has `known_version`."""
        ...


class SnapshotHolder:
    """The current snapshot, and the task that keeps it current."""

    def __init__(
        self,
        source: SnapshotSource,
        clock: Clock,
        *,
        refresh_seconds: float,
        load_seconds_max: float,
        on_change: Callable[[Snapshot], None] = lambda _: None,
    ) -> None:
        self.current: Snapshot | None = None
        self.failures = 0  # Refreshes failed in a row.
        self._source = source
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._load_seconds_max = load_seconds_max
        self._on_change = on_change
        self._confirmed_at: float | None = None

    @property
    def age_seconds(self) -> float | None:
        """Seconds since the source last confirmed the current snapshot; None before the first."""
        if self._confirmed_at is None:
            return None
        return self._clock.monotonic() - self._confirmed_at

    async def refresh(self) -> None:
        """Ask the source once. Never raises for its failure: the last snapshot stays in force."""
        known = self.current.version if self.current else None
        try:
            async with asyncio.timeout(self._load_seconds_max):
                loaded = await self._source.load(known)
        except Exception as error:  # noqa: BLE001 - whatever ails the source, requests go on
            self.failures += 1
            _log.warning(
                "snapshot_refresh_failed",
                error=repr(error),
                failures=self.failures,
                serving_version=known,
                age_seconds=self.age_seconds,
            )
            return
        if self.failures:
            _log.info("snapshot_refresh_recovered", after_failures=self.failures)
        self.failures = 0
        self._confirmed_at = self._clock.monotonic()
        if loaded is not None:
            self.current = loaded
            self._on_change(loaded)

    async def run(self) -> None:
        """Refresh for ever."""
        while True:
            await self._clock.sleep(self._refresh_seconds)
            await self.refresh()
