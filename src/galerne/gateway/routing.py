"""Which replica answers: inside the label, with the fewest requests outstanding, not lately failing."""

from collections.abc import Set as AbstractSet

from galerne.gateway.errors import ApiError
from galerne.gateway.snapshot import KeyPolicy, ReplicaAddress, ServedModel
from galerne.kit.clock import Clock

AVOID_SECONDS = 1.0  # After a failure to connect; a replica is still used if there is no other.


class Router:
    """Counts requests outstanding by replica and chooses."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._outstanding: dict[str, int] = {}
        self._avoided_until: dict[str, float] = {}
        self._turn = 0

    def outstanding(self, replica: ReplicaAddress) -> int:
        return self._outstanding.get(replica.replica_id, 0)

    def enter(self, replica: ReplicaAddress) -> None:
        self._outstanding[replica.replica_id] = self.outstanding(replica) + 1

    def leave(self, replica: ReplicaAddress) -> None:
        left = self._outstanding.get(replica.replica_id, 0) - 1
        if left > 0:
            self._outstanding[replica.replica_id] = left
        else:
            self._outstanding.pop(replica.replica_id, None)

    def avoid(self, replica: ReplicaAddress) -> None:
        """Prefer other replicas for a moment: this one could not be reached."""
        self._avoided_until[replica.replica_id] = self._clock.monotonic() + AVOID_SECONDS

    def choose(
        self, candidates: tuple[ReplicaAddress, ...], tried: AbstractSet[str]
    ) -> ReplicaAddress | None:
        """Choose among those not tried yet; equals take turns. None when all were tried."""
        if len(candidates) == 1:
            return None if candidates[0].replica_id in tried else candidates[0]
        self._turn += 1
        best, best_rank = None, (True, 0)
        for step in range(len(candidates)):
            replica = candidates[(self._turn + step) % len(candidates)]
            if replica.replica_id in tried:
                continue
            rank = (self._avoided(replica), self.outstanding(replica))
            if best is None or rank < best_rank:
                best, best_rank = replica, rank
        return best

    def _avoided(self, replica: ReplicaAddress) -> bool:
        until = self._avoided_until.get(replica.replica_id)
        if until is None:
            return False
        if until > self._clock.monotonic():
            return True
        del self._avoided_until[replica.replica_id]
        return False


def inside_label(served: ServedModel, policy: KeyPolicy) -> tuple[ReplicaAddress, ...]:
    """Return the replicas that the key's label allows. Raises ApiError when it excludes them all."""
    if policy.countries is None or not served.replicas:
        return served.replicas
    countries = policy.countries
    allowed = tuple(replica for replica in served.replicas if replica.country in countries)
    if not allowed:
        raise ApiError(
            403,
            "residency_not_allowed",
            f"This project's data may be processed in {', '.join(sorted(countries))} only, and no "
            f"replica of '{served.name}' stands there. Deploy it there or change the label.",
        )
    return allowed
