"""What all requests of one gateway share; made once by `app`, handed to every endpoint."""

from dataclasses import dataclass

from galerne.gateway.accounting import Accountant
from galerne.gateway.exchange import Keeper
from galerne.gateway.forwarding import Forwarder
from galerne.gateway.limits import Limits
from galerne.gateway.metrics import GatewayMetrics
from galerne.gateway.settings import GatewaySettings
from galerne.gateway.snapshot import SnapshotHolder
from galerne.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class Parts:
    """The gateway's working parts."""

    settings: GatewaySettings
    clock: Clock
    snapshots: SnapshotHolder
    limits: Limits
    keeper: Keeper
    forwarder: Forwarder
    accountant: Accountant
    metrics: GatewayMetrics
