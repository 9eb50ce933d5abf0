"""Scheduling's answers before and while a lease waits. The deciding itself is in `placement`."""

from sqlalchemy.ext.asyncio import AsyncSession

from galerne.catalog.sites.errors import SiteNotFound
from galerne.compute.leases.models import CapacityLease
from galerne.compute.leases.schemas import LeaseRequest
from galerne.compute.leases.states import LeaseState
from galerne.compute.scheduling import reasons
from galerne.compute.scheduling.errors import ImpossibleResources, LabelAllowsNoSite
from galerne.compute.scheduling.placement import Board, Placement
from galerne.compute.scheduling.reader import read_fleet, read_kinds, wish_of
from galerne.compute.scheduling.reasons import Why
from galerne.compute.scheduling.schemas import Preview, Reason, SiteVerdict
from galerne.compute.scheduling.snapshot import Request
from galerne.kit.clock import Clock
from galerne.sovereignty.labels import Label

_REFUSALS = {error.code: error for error in (ImpossibleResources, LabelAllowsNoSite, SiteNotFound)}
_PREVIEW = "preview"


class SchedulingService:
    """Plans and reasons."""

    def __init__(self, session: AsyncSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def preview(self, request: LeaseRequest) -> Preview:
        """Say where the request would run if it were placed now, alone, or what stands against it."""
        board = Board(await read_fleet(self._session, self._clock))
        wish = wish_of(request)
        outcome = board.decide(Request(_PREVIEW, wish))
        verdicts = board.options(wish).verdicts
        if isinstance(outcome, Why):
            return _not_placed(outcome, verdicts)
        return _placed(outcome, verdicts)

    async def refusal(self, request: LeaseRequest) -> Preview | None:
        """Return the refusal that `preview` would, or None where the request could be placed one day.

        Cheap, for every submission: it looks at kinds of nodes, not at nodes, and not at what is free.
        """
        board = await read_kinds(self._session, self._clock)
        options = board.options(wish_of(request))
        return _not_placed(options.refusal, options.verdicts) if options.refusal else None

    async def require_possible(self, request: LeaseRequest) -> None:
        """Raise `ImpossibleResources`, `LabelAllowsNoSite` or `SiteNotFound` if waiting would not help.

        As cheap as `refusal`, which it asks.
        """
        refused = await self.refusal(request)
        if refused is not None:
            raise _REFUSALS[refused.code](
                refused.reason,
                hint=refused.hint,
                details={
                    "sites": [
                        {"site": v.site, "allowed": v.allowed, "reason": v.reason}
                        for v in refused.sites
                    ]
                },
            )

    async def why(self, lease: CapacityLease) -> Reason:
        """Say what a lease waits for, and what would change that, as things are now."""
        if lease.state is not LeaseState.WAITING:
            return Reason(lease.state.value, f"the lease is {lease.state.value}", "")
        preview = await self.preview(_request_of(lease))
        stored = lease.waiting
        if preview.verdict == "placed":
            # It fits: so it is its turn that it waits for, or what is kept for others.
            if stored is not None and stored["code"] == reasons.WAITING_FOR_OLDER:
                return Reason(stored["code"], stored["message"], stored["hint"])
            return Reason(
                "queued", "it fits and waits for its turn", "the scheduler takes it up soon"
            )
        message = preview.reason
        if stored is not None and stored.get("ahead") and preview.verdict == "waiting":
            message = f"{message}; {stored['ahead']}"
        return Reason(preview.code, message, preview.hint)


def _request_of(lease: CapacityLease) -> LeaseRequest:
    return LeaseRequest(
        cpu_millis=lease.cpu_millis,
        memory_bytes=lease.memory_bytes,
        disk_bytes=lease.disk_bytes,
        label=Label.from_json(lease.label),
        accelerators=lease.accelerators,
        accelerator_type=lease.accelerator_type,
        nodes=lease.nodes,
        site=lease.site,
        priority=lease.priority,
    )


def _not_placed(why: Why, verdicts: tuple[SiteVerdict, ...]) -> Preview:
    return Preview(
        verdict="refused" if why.code in reasons.FINAL else "waiting",
        code=why.code,
        reason=why.message,
        hint=why.hint,
        site=None,
        site_id=None,
        driver=None,
        nodes=(),
        power_watts=None,
        sites=verdicts,
    )


def _placed(placement: Placement, verdicts: tuple[SiteVerdict, ...]) -> Preview:
    site = placement.site
    verdict = next(v for v in verdicts if v.site == site.name)
    return Preview(
        verdict="placed",
        code="placed",
        reason=verdict.reason,
        hint="",
        site=site.name,
        site_id=site.id,
        driver=placement.driver,
        nodes=tuple(node.name for node in placement.nodes),
        power_watts=-(-placement.power_milliwatts // 1000),
        sites=verdicts,
    )
