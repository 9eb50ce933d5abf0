"""What one pass does with one job. Pure: no clock, no database, no driver."""

from dataclasses import dataclass
from enum import Enum, auto

from galerne.compute.jobs.schemas import RetrySpec
from galerne.compute.jobs.states import JobState
from galerne.drivers.base import ExitCause, Observation, Phase


class Action(Enum):
    """At most one a pass."""

    NOTHING = auto()
    PLACE = auto()  # Capacity is held: put an attempt on record.
    SUBMIT = auto()  # Ask the engine to start the attempt; it may have been asked before.
    ASK_STOP = auto()  # Ask the engine to stop the attempt.
    MARK_RUNNING = auto()
    FINISH = auto()  # It ended well: store its outputs.
    SUCCEED = auto()  # The outputs are stored.
    RETRY = auto()
    FAIL = auto()
    MARK_STOPPED = auto()


@dataclass(frozen=True, slots=True)
class Situation:
    """A job as one pass sees it."""

    state: JobState
    stop_wanted: bool
    capacity_held: bool
    attempt: int
    retry: RetrySpec


def before_engine(situation: Situation) -> Action:
    """Choose what to do where the engine need not be asked first."""
    match situation.state:
        case JobState.PENDING if situation.stop_wanted:
            return Action.MARK_STOPPED
        case JobState.PENDING if situation.capacity_held:
            return Action.PLACE
        case JobState.STARTING if not situation.stop_wanted:
            return Action.SUBMIT
        case JobState.STARTING | JobState.RUNNING | JobState.STOPPING if situation.stop_wanted:
            return Action.ASK_STOP
        case JobState.FINISHING:
            return Action.SUCCEED
        case _:
            return Action.NOTHING


def after_engine(situation: Situation, seen: Observation) -> Action:
    """Choose what the engine's answer means."""
    match situation.state:
        case JobState.STARTING | JobState.RUNNING | JobState.STOPPING if seen.exit is not None:
            return _ended(situation, seen.exit.cause)
        case JobState.STARTING | JobState.RUNNING if situation.stop_wanted:
            return Action.ASK_STOP
        case JobState.RUNNING if seen.phase is Phase.ABSENT:
            return _ended(situation, ExitCause.INTERRUPTED)
        case JobState.STOPPING if seen.phase is Phase.ABSENT:
            return Action.MARK_STOPPED
        case JobState.STARTING if seen.phase is Phase.RUNNING:
            return Action.MARK_RUNNING
        case _:
            return Action.NOTHING


def _ended(situation: Situation, cause: ExitCause) -> Action:
    if cause is ExitCause.COMPLETED:
        return Action.FINISH
    if situation.stop_wanted:
        return Action.MARK_STOPPED
    if situation.retry.covers(cause) and situation.attempt < situation.retry.attempts:
        return Action.RETRY
    return Action.FAIL
