"""The scheduler: gives waiting leases their nodes, one cycle at a time.

1. Look whether anything waits.
2. Take the turn: a claim on one row, so that one scheduler decides at a time.
3. Read the fleet, what is held, and the queue. Short session, no lock.
4. Decide, purely and off the event loop (`placement`).
5. Apply in one transaction, fenced: only while the turn is still ours, only to leases that still
   wait, only on nodes that are still open. Nobody else takes capacity, and what others give back
   meanwhile only makes more room; so what was decided still fits.
6. Give the turn back.

A scheduler may die anywhere: before step 5 has committed nothing was done, after it all was.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import structlog
from prometheus_client import Counter, Gauge, Histogram
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from galerne.compute.leases.models import CapacityLease
from galerne.compute.leases.rows import Queued
from galerne.compute.leases.service import LeaseService
from galerne.compute.nodes.schemas import Grant, GrantedNode
from galerne.compute.nodes.service import NodeService
from galerne.compute.scheduling import reasons
from galerne.compute.scheduling.models import TURN_ID, SchedulerTurn
from galerne.compute.scheduling.placement import (
    RESERVE_AFTER_SECONDS,
    Board,
    Placement,
    Waiting,
)
from galerne.compute.scheduling.reader import read_fleet
from galerne.compute.scheduling.schemas import SiteVerdict
from galerne.compute.scheduling.snapshot import Amount, Fleet, Request, Wish
from galerne.db.session import Database, Scope
from galerne.db.types import JsonObject
from galerne.events.emit import emit
from galerne.kit.clock import Clock
from galerne.sovereignty.labels import Label
from galerne.worker import claims
from galerne.worker.claims import Claim

ACTOR = "scheduler"
TURN_SECONDS = 30.0
QUEUE_MAX = 10_000  # Leases considered in one cycle.
ALIKE_MAX = 500  # Of them from one project, of one priority and alike in all but age.
PLACEMENTS_MAX = 1_000  # Leases held in one transaction.
NODE_NAMES_MAX = 64  # In the record of a decision.
SITES_MAX = 20

_placements = Counter("galerne_placements_total", "Leases that were given their nodes")
_seconds = Histogram("galerne_scheduling_cycle_seconds", "Length of a scheduling cycle")
_waiting = Gauge("galerne_leases_waiting", "Leases that the last cycle could not place")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What one cycle decided, by lease."""

    placed: Mapping[str, Placement]
    wishes: Mapping[str, Wish]
    verdicts: Mapping[Wish, tuple[SiteVerdict, ...]]
    waiting: Mapping[str, JsonObject]  # Where it differs from what is on the row.
    left: int  # Leases that were considered and have no nodes.


class Scheduler:
    """Runs scheduling cycles as one worker."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        owner: str,
        *,
        reserve_after_seconds: float = RESERVE_AFTER_SECONDS,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        self._database = database
        self._clock = clock
        self._owner = owner
        self._reserve_after_seconds = reserve_after_seconds
        self._turn_seconds = turn_seconds

    async def run(self) -> int:
        """Run one cycle; return how many leases were given nodes."""
        async with self._database.read(Scope.system()) as session:
            if not await LeaseService(session, self._clock).any_waiting():
                _waiting.set(0)
                return 0
        began = self._clock.monotonic()
        turn = await self._take_turn()
        if turn is None:
            return 0
        fleet, queue = await self._read()
        decisions = await asyncio.to_thread(self._decide, fleet, queue)
        held = await self._apply(turn, decisions)
        seconds = self._clock.monotonic() - began
        _seconds.observe(seconds)
        _placements.inc(held)
        _waiting.set(decisions.left)
        _log.debug(
            "scheduling_cycle",
            nodes=len(fleet.nodes),
            considered=len(queue),
            held=held,
            left=decisions.left,
            milliseconds=round(seconds * 1000, 1),
        )
        return held

    async def _take_turn(self) -> Claim | None:
        now = self._clock.now()
        turn = Claim.fresh(self._owner, now=now, seconds=self._turn_seconds)
        async with self._database.write(Scope.system()) as session:
            if await session.get(SchedulerTurn, TURN_ID) is None:
                await self._make_turn(session)
            taken = await claims.claim(
                session, SchedulerTurn, turn, now=now, limit=1, due=SchedulerTurn.id == TURN_ID
            )
        return turn if taken else None

    async def _make_turn(self, session: AsyncSession) -> None:
        row = SchedulerTurn(id=TURN_ID, created_at=self._clock.now())
        with _made_by_another():
            async with session.begin_nested():
                session.add(row)

    async def _read(self) -> tuple[Fleet, Sequence[Queued]]:
        async with self._database.read(Scope.system()) as session:
            fleet = await read_fleet(session, self._clock)
            leases = LeaseService(session, self._clock)
            return fleet, await leases.queue(alike_max=ALIKE_MAX, limit=QUEUE_MAX)

    def _decide(self, fleet: Fleet, queue: Sequence[Queued]) -> Decisions:
        now = self._clock.now()
        board = Board(fleet, reserve_after_seconds=self._reserve_after_seconds)
        shapes: dict[str, Wish] = {}
        wishes = {}
        requests = []
        for queued in queue:
            wish = shapes.get(queued.shape)
            if wish is None:
                wish = shapes[queued.shape] = _wish(queued)
            wishes[queued.id] = wish
            requests.append(
                Request(
                    id=queued.id,
                    wish=wish,
                    priority=queued.priority,
                    turn=queued.turn,
                    waited_seconds=(now - queued.requested_at).total_seconds(),
                )
            )
        outcomes = board.place(requests)
        placed = ((i, o) for i, o in outcomes.items() if isinstance(o, Placement))
        waiting = {i: o for i, o in outcomes.items() if isinstance(o, Waiting)}
        return Decisions(
            placed=dict(islice(placed, PLACEMENTS_MAX)),
            wishes=wishes,
            verdicts={wish: board.options(wish).verdicts for wish in shapes.values()},
            waiting=_news(queue, waiting),
            left=len(waiting),
        )

    async def _apply(self, turn: Claim, decisions: Decisions) -> int:
        async with self._database.write(Scope.system()) as session:
            rows = await claims.still_held(session, SchedulerTurn, turn, [TURN_ID])
            if not rows:
                _log.warning("scheduling_turn_lost", owner=self._owner)
                return 0
            leases = LeaseService(session, self._clock)
            closed = await NodeService(session, self._clock).not_open()
            grants = {
                lease_id: _grant(placement, decisions.wishes[lease_id].demand)
                for lease_id, placement in decisions.placed.items()
                if closed.isdisjoint(node.id for node in placement.nodes)
            }
            held = await leases.hold(grants, actor=ACTOR) if grants else ()
            for lease in held:
                self._record(session, lease, decisions)
            await leases.write_waiting(decisions.waiting)
            claims.release(rows[0], next_pass_at=None)
            return len(held)

    def _record(self, session: AsyncSession, lease: CapacityLease, decisions: Decisions) -> None:
        """Write down the decision with its inputs: the proof of where the workload was allowed to go."""
        placement = decisions.placed[lease.id]
        place = placement.site.place
        verdicts = decisions.verdicts[decisions.wishes[lease.id]]
        emit(
            session,
            "decision.placement",
            subject_id=lease.workload_id,
            organization_id=lease.organization_id,
            project_id=lease.project_id,
            actor=ACTOR,
            data={
                "lease_id": lease.id,
                "unit_id": lease.unit_id,
                "label": lease.label,
                "wanted_site": lease.site,
                "sites": [_verdict_data(verdict) for verdict in verdicts[:SITES_MAX]],
                "sites_considered": len(verdicts),
                "site": {
                    "id": placement.site.id,
                    "name": placement.site.name,
                    "country": place.country,
                    "operator": placement.site.operator,
                    "operator_subject_to": sorted(place.operator_subject_to),
                    "certifications": sorted(place.certifications),
                    "is_simulated": placement.site.is_simulated,
                },
                "driver": placement.driver,
                "nodes": lease.node_names[:NODE_NAMES_MAX],
                "node_count": len(lease.node_names),
                "power_milliwatts": placement.power_milliwatts,
            },
            at=self._clock.now(),
        )


@contextmanager
def _made_by_another() -> Iterator[None]:
    """Let the row be there already: two schedulers may start together."""
    try:
        yield
    except IntegrityError:
        return


def _wish(queued: Queued) -> Wish:
    return Wish(
        demand=Amount(
            accelerators=queued.accelerators,
            cpu_millis=queued.cpu_millis,
            memory_bytes=queued.memory_bytes,
            disk_bytes=queued.disk_bytes,
        ),
        label=Label.from_json(queued.label),
        accelerator_type=queued.accelerator_type,
        nodes=queued.nodes,
        site=queued.site,
    )


def _news(queue: Sequence[Queued], waiting: Mapping[str, Waiting]) -> Mapping[str, JsonObject]:
    """Return what is to be written on waiting leases: only where the reason or the place has changed.

    The numbers in a message would change every cycle; `SchedulingService.why` makes them fresh.
    """
    news: dict[str, JsonObject] = {}
    for queued in queue:
        outcome = waiting.get(queued.id)
        if outcome is None:
            continue
        ahead = "" if outcome.is_final else reasons.ahead_text(outcome.ahead)
        known = queued.waiting
        if known is None or known["code"] != outcome.why.code or known.get("ahead") != ahead:
            news[queued.id] = {
                "code": outcome.why.code,
                "message": outcome.why.message,
                "hint": outcome.why.hint,
                "ahead": ahead,
            }
    return news


def _grant(placement: Placement, demand: Amount) -> Grant:
    return Grant(
        site_id=placement.site.id,
        driver=placement.driver,
        nodes=tuple(
            GrantedNode(node.id, node.name, node.kind.draw_milliwatts(demand))
            for node in placement.nodes
        ),
        cpu_millis=demand.cpu_millis,
        memory_bytes=demand.memory_bytes,
        disk_bytes=demand.disk_bytes,
        accelerators=demand.accelerators,
    )


def _verdict_data(verdict: SiteVerdict) -> JsonObject:
    return {
        "site": verdict.site,
        "country": verdict.country,
        "allowed": verdict.allowed,
        "reason": verdict.reason,
    }
