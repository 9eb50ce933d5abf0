"""Life of a lease. The table is the specification; the diagram in the docs is drawn from it."""

from enum import StrEnum


class LeaseState(StrEnum):
    """Whether the capacity is the tenant's."""

    WAITING = "waiting"  # Asked for; `waiting` on the row says what for.
    HELD = "held"  # The nodes on the row are the tenant's.
    RELEASED = "released"  # Given back, or no longer wanted.


TERMINAL = frozenset({LeaseState.RELEASED})

TRANSITIONS: dict[tuple[LeaseState, str], LeaseState] = {
    (LeaseState.WAITING, "hold"): LeaseState.HELD,
    (LeaseState.WAITING, "release"): LeaseState.RELEASED,
    (LeaseState.HELD, "release"): LeaseState.RELEASED,
}
