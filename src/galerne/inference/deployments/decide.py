"""What one pass does with one replica. Pure: no clock, no database, no engine."""

from dataclasses import dataclass
from enum import Enum, auto

from galerne.drivers.base import Phase
from galerne.inference.deployments.states import ReplicaState


class Action(Enum):
    """At most one a pass."""

    NOTHING = auto()
    PLACE = auto()  # Capacity is held: choose a port, then ask the engine.
    MARK_READY = auto()
    DRAIN = auto()  # Send it no more requests.
    STOP = auto()  # Ask the engine to stop it.
    END = auto()


@dataclass(frozen=True, slots=True)
class Sight:
    """A replica as one pass sees it: what is wanted, what the engine and the probe say."""

    state: ReplicaState
    end_wanted: bool
    capacity_held: bool
    phase: Phase | None  # None: the engine was not asked.
    ready: bool  # The probe answered.
    idle: bool  # Drained long enough, and nothing is in flight or the drain's time is over.
    overdue: bool  # Too long in STARTING, or too long without an answer to the probe.


def decide(sight: Sight) -> Action:
    """Choose what to write down, or to ask of the engine."""
    gone = sight.phase in {Phase.ENDED, Phase.ABSENT}
    match sight.state:
        case ReplicaState.PENDING if sight.end_wanted:
            return Action.END
        case ReplicaState.PENDING:
            return Action.PLACE if sight.capacity_held else Action.NOTHING
        case ReplicaState.STARTING | ReplicaState.READY | ReplicaState.DRAINING if gone:
            return Action.END
        case ReplicaState.STARTING if sight.end_wanted or sight.overdue:
            return Action.STOP
        case ReplicaState.STARTING:
            return Action.MARK_READY if sight.ready else Action.NOTHING
        case ReplicaState.READY if sight.end_wanted:
            return Action.DRAIN
        case ReplicaState.READY if sight.overdue:
            return Action.STOP
        case ReplicaState.DRAINING:
            return Action.STOP if sight.idle else Action.NOTHING
        case ReplicaState.STOPPING if gone:
            return Action.END
        case _:
            return Action.NOTHING
