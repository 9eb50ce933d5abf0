"""Asks for the capacity that one attempt of a job holds."""

from galerne.compute.capacity import lease_request
from galerne.compute.jobs.models import Job
from galerne.compute.jobs.schemas import JobSpec
from galerne.compute.leases.service import LeaseService
from galerne.sovereignty.labels import Label


async def request_lease(leases: LeaseService, row: Job, spec: JobSpec, *, actor: str) -> str:
    """Ask for the capacity of the next attempt; return the lease's id."""
    lease = await leases.request(
        lease_request(spec, Label.from_json(row.label), nodes=spec.nodes),
        organization_id=row.organization_id,
        project_id=row.project_id,
        workload_id=row.id,
        unit_id=row.id,
        actor=actor,
    )
    return lease.id
