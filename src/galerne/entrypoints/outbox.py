"""Which handler reads which topic of the outbox."""

from collections.abc import Mapping, Sequence

from galerne.compute.windows import TOPIC as USAGE_TOPIC
from galerne.entrypoints.wiring import Platform
from galerne.metering.usage.tasks import ComputeUsage
from galerne.registry.outputs import TOPIC as OUTPUTS_TOPIC
from galerne.registry.outputs import OutputRegistrar
from galerne.worker.outbox import Handler


def handlers(platform: Platform) -> Mapping[str, Sequence[Handler]]:
    """Return the handlers of every topic; a topic that is missing here would back off for ever."""
    return {
        USAGE_TOPIC: [ComputeUsage(platform.clock).record_compute],
        OUTPUTS_TOPIC: [OutputRegistrar(platform.clock, platform.trees)],
    }
