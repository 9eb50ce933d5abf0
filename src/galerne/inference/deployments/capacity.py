"""The capacity that one replica holds, as a lease is asked for."""

from galerne.compute.leases.schemas import LeaseRequest
from galerne.inference.deployments.schemas import DeploymentSpec
from galerne.sovereignty.labels import Label


def lease_request(spec: DeploymentSpec, label: Label) -> LeaseRequest:
    per_node = spec.resources.per_node()
    return LeaseRequest(
        cpu_millis=per_node.cpu_millis,
        memory_bytes=per_node.memory_bytes,
        disk_bytes=per_node.disk_bytes,
        accelerator_type=per_node.accelerator_type,
        accelerators=per_node.accelerators,
        nodes=1,
        label=label,
        site=spec.regions[0] if spec.regions else None,
        priority=spec.priority,
    )
