"""From the resources that a workload's file asks for to the lease that one unit of it holds."""

from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.spec import WorkloadSpec
from galerne.sovereignty.labels import Label


def lease_request(spec: WorkloadSpec, label: Label, *, nodes: int = 1) -> LeaseRequest:
    """Spell the capacity of one attempt or one replica, which may be where `label` allows."""
    per_node = spec.resources.per_node()
    return LeaseRequest(
        cpu_millis=per_node.cpu_millis,
        memory_bytes=per_node.memory_bytes,
        disk_bytes=per_node.disk_bytes,
        accelerator_type=per_node.accelerator_type,
        accelerators=per_node.accelerators,
        nodes=nodes,
        label=label,
        site=spec.regions[0] if spec.regions else None,
        priority=spec.priority,
    )
