"""What is served right now, as the gateway needs it: every live deployment and its ready replicas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.inference.deployments.repository import DeploymentRepository
from galerne.inference.deployments.schemas import DeploymentSpec
from galerne.runtimes.base import Runtime


@dataclass(frozen=True, slots=True)
class ReadyReplica:
    """A replica that takes requests."""

    id: str
    base_url: str
    site_id: str


@dataclass(frozen=True, slots=True)
class Route:
    """A deployment by the name that requests ask for."""

    deployment_id: str
    organization_id: str
    project_id: str
    name: str
    model_name: str
    created_at: datetime
    context_tokens: int
    cpu_millis: int
    memory_bytes: int
    refused_fields: frozenset[str]
    replicas: tuple[ReadyReplica, ...]


async def routes(session: AsyncSession, runtimes: Mapping[str, Runtime]) -> Sequence[Route]:
    """Return the route of every live deployment of every tenant; for a system session."""
    found: dict[str, Route] = {}
    ready: dict[str, list[ReadyReplica]] = {}
    for deployment, replica in await DeploymentRepository(session).served():
        ready.setdefault(deployment.id, [])
        if replica is not None and replica.base_url is not None:
            ready[deployment.id].append(
                ReadyReplica(replica.id, replica.base_url, replica.site_id or "")
            )
        if deployment.id in found:
            continue
        spec = DeploymentSpec.model_validate(deployment.spec)
        per_node = spec.resources.per_node()
        found[deployment.id] = Route(
            deployment_id=deployment.id,
            organization_id=deployment.organization_id,
            project_id=deployment.project_id,
            name=deployment.name,
            model_name=deployment.model["name"],
            created_at=deployment.created_at,
            context_tokens=spec.context_tokens,
            cpu_millis=per_node.cpu_millis,
            memory_bytes=per_node.memory_bytes,
            refused_fields=runtimes[deployment.runtime].refused_fields,
            replicas=(),
        )
    return [replace(route, replicas=tuple(ready[key])) for key, route in found.items()]
