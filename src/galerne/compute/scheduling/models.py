"""The scheduler's turn: one row that one scheduler holds at a time."""

from galerne.worker.claims import ClaimableRecord

TURN_ID = "turn_scheduler"


class SchedulerTurn(ClaimableRecord):
    """Who decides now. A decision is written only by the scheduler that still holds the turn."""

    __tablename__ = "scheduler_turns"
    id_prefix = "turn"
