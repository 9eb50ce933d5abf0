"""Life of a node. The table is the specification; the diagram in the docs is drawn from it."""

from enum import StrEnum


class NodeState(StrEnum):
    """Whether work may be placed on a node, and whether it can go on there."""

    READY = "ready"  # Takes work.
    DRAINING = "draining"  # Takes no new work; what runs may end.
    DOWN = "down"  # Its driver has lost it; what was held there is lost too.


TRANSITIONS: dict[tuple[NodeState, str], NodeState] = {
    (NodeState.READY, "drain"): NodeState.DRAINING,
    (NodeState.READY, "lose"): NodeState.DOWN,
    (NodeState.DRAINING, "resume"): NodeState.READY,
    (NodeState.DRAINING, "lose"): NodeState.DOWN,
    (NodeState.DOWN, "return"): NodeState.READY,
}
