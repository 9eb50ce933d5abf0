"""The capacity that one attempt of a job holds, as a lease is asked for."""

from galerne.compute.jobs.models import Job
from galerne.compute.jobs.schemas import JobSpec
from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.leases.service import LeaseService
from galerne.sovereignty.labels import Label


def lease_request(spec: JobSpec, label: Label) -> LeaseRequest:
    per_node = spec.resources.per_node()
    return LeaseRequest(
        cpu_millis=per_node.cpu_millis,
        memory_bytes=per_node.memory_bytes,
        disk_bytes=per_node.disk_bytes,
        accelerator_type=per_node.accelerator_type,
        accelerators=per_node.accelerators,
        nodes=spec.nodes,
        label=label,
        site=spec.regions[0] if spec.regions else None,
        priority=spec.priority,
    )


async def request_lease(leases: LeaseService, row: Job, spec: JobSpec, *, actor: str) -> str:
    """Ask for the capacity of the next attempt; return the lease's id."""
    lease = await leases.request(
        lease_request(spec, Label.from_json(row.label)),
        organization_id=row.organization_id,
        project_id=row.project_id,
        workload_id=row.id,
        unit_id=row.id,
        actor=actor,
    )
    return lease.id
