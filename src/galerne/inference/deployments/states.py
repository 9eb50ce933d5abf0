"""Lives of a deployment and of its replicas. The tables are the specification."""

from enum import StrEnum


class DeploymentState(StrEnum):
    """Where a deployment is, as its replicas make it."""

    STARTING = "starting"  # No replica is ready.
    RUNNING = "running"  # At least one replica is ready.
    STOPPING = "stopping"  # Its owner stopped it; replicas drain.
    STOPPED = "stopped"
    FAILED = "failed"  # Its replicas failed too often without ever being ready.


class ReplicaState(StrEnum):
    """Where one replica is."""

    PENDING = "pending"  # Waits for capacity.
    STARTING = "starting"  # The engine is asked; the model loads.
    READY = "ready"  # The probe answers; the gateway sends it requests.
    DRAINING = "draining"  # Gets no new requests; those in flight go on.
    STOPPING = "stopping"  # The engine has been asked to stop it.
    ENDED = "ended"


DEPLOYMENT_TERMINAL = frozenset({DeploymentState.STOPPED, DeploymentState.FAILED})
REPLICA_TERMINAL = frozenset({ReplicaState.ENDED})

DEPLOYMENT_TRANSITIONS: dict[tuple[DeploymentState, str], DeploymentState] = {
    (DeploymentState.STARTING, "ready"): DeploymentState.RUNNING,
    (DeploymentState.STARTING, "stop"): DeploymentState.STOPPING,
    (DeploymentState.STARTING, "fail"): DeploymentState.FAILED,
    # All replicas are gone or not ready: they are being replaced.
    (DeploymentState.RUNNING, "unready"): DeploymentState.STARTING,
    (DeploymentState.RUNNING, "stop"): DeploymentState.STOPPING,
    (DeploymentState.STOPPING, "stopped"): DeploymentState.STOPPED,
}

REPLICA_TRANSITIONS: dict[tuple[ReplicaState, str], ReplicaState] = {
    (ReplicaState.PENDING, "place"): ReplicaState.STARTING,
    (ReplicaState.PENDING, "end"): ReplicaState.ENDED,
    (ReplicaState.STARTING, "ready"): ReplicaState.READY,
    (ReplicaState.STARTING, "stop"): ReplicaState.STOPPING,
    (ReplicaState.STARTING, "end"): ReplicaState.ENDED,
    (ReplicaState.READY, "drain"): ReplicaState.DRAINING,
    (ReplicaState.READY, "end"): ReplicaState.ENDED,
    # The probe has failed for too long: nothing is in flight worth waiting for.
    (ReplicaState.READY, "stop"): ReplicaState.STOPPING,
    (ReplicaState.DRAINING, "stop"): ReplicaState.STOPPING,
    (ReplicaState.DRAINING, "end"): ReplicaState.ENDED,
    (ReplicaState.STOPPING, "end"): ReplicaState.ENDED,
}
