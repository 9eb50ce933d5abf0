"""Life of a job. The table is the specification; the diagram in the docs is drawn from it."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is."""

    PENDING = "pending"  # Accepted; waits for capacity, or for its next attempt.
    STARTING = (
        "starting"  # Capacity is held and an attempt is on record; the engine is being asked.
    )
    RUNNING = "running"  # The engine reports it up; usage accrues.
    STOPPING = "stopping"  # The engine has been asked to stop; usage accrues until it has.
    FINISHING = "finishing"  # It ended well; its outputs are being stored.
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # It gave up. The reason is on the row.
    STOPPED = "stopped"  # Its owner stopped it.


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED})

# States in which an attempt is on record and the engine may know its handle.
ON_ENGINE = frozenset({JobState.STARTING, JobState.RUNNING, JobState.STOPPING})

TRANSITIONS: dict[tuple[JobState, str], JobState] = {
    (JobState.PENDING, "place"): JobState.STARTING,
    (JobState.PENDING, "stop"): JobState.STOPPED,
    (JobState.PENDING, "fail"): JobState.FAILED,
    (JobState.STARTING, "started"): JobState.RUNNING,
    (JobState.STARTING, "stop"): JobState.STOPPING,
    # A short job may end before anybody saw it run.
    (JobState.STARTING, "finish"): JobState.FINISHING,
    (JobState.STARTING, "retry"): JobState.PENDING,
    (JobState.STARTING, "fail"): JobState.FAILED,
    (JobState.RUNNING, "stop"): JobState.STOPPING,
    (JobState.RUNNING, "finish"): JobState.FINISHING,
    (JobState.RUNNING, "retry"): JobState.PENDING,
    (JobState.RUNNING, "fail"): JobState.FAILED,
    (JobState.STOPPING, "stopped"): JobState.STOPPED,
    # It ended by itself with success before the stop reached it: its outputs count.
    (JobState.STOPPING, "finish"): JobState.FINISHING,
    (JobState.FINISHING, "succeed"): JobState.SUCCEEDED,
    (JobState.FINISHING, "fail"): JobState.FAILED,
}
