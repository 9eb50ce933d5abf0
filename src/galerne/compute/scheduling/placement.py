"""Decides which waiting leases get which nodes. Pure: one snapshot in, one outcome per lease out.

The policy, in the order in which it applies:

1. A request goes only to sites that its label allows, and to the one it names if it names one. A
   simulated site serves only those that name it, as long as the fleet has a real one: nothing that
   was meant to run is quietly not run.
2. Priority first. Within one priority projects take turns, each offering its oldest request, so ten
   thousand jobs of one project delay another's job by one. Ties go to who waited longest.
3. All nodes of a request at once, on one site and driver, or none. Sites are tried by the carbon of
   their grid, lowest first; nodes are chosen by best fit, several of them close together.
4. A site never draws more than its cap: idle power and the rated draw of all that is held, times PUE.
5. What cannot be placed does not block what comes after it: that may fill the gaps. So that gaps do
   not starve a large request, the oldest of each project and priority, once it has waited
   `reserve_after_seconds`, keeps its share of the nodes (and of the power) that come nearest to it,
   and what comes after it finds that much less. Every cycle chooses anew; as what runs there ends,
   the kept share only grows, until it is enough.

Waiting that would not help is told apart: `impossible_resources`, `label_allows_no_site`,
`site_not_found`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from galerne.compute.scheduling import reasons
from galerne.compute.scheduling.capacity import Pool
from galerne.compute.scheduling.reasons import Why
from galerne.compute.scheduling.schemas import SiteVerdict
from galerne.compute.scheduling.snapshot import (
    Amount,
    Fleet,
    Kind,
    NodeSnapshot,
    Request,
    SiteSnapshot,
    Wish,
)

RESERVE_AFTER_SECONDS = 600.0
PoolKey = tuple[str, str]  # A site's id and a driver.


@dataclass(frozen=True, slots=True)
class Placement:
    """A request's nodes."""

    site: SiteSnapshot
    driver: str
    nodes: tuple[NodeSnapshot, ...]
    power_milliwatts: int  # Added to the site's load at full use, over all nodes.


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a request has no nodes yet, and how many unplaced ones go before it."""

    why: Why
    ahead: int

    @property
    def is_final(self) -> bool:
        """Say whether waiting does not help while the fleet and the request are as they are."""
        return self.why.code in reasons.FINAL


@dataclass(frozen=True, slots=True)
class Options:
    """Where a wish could ever go."""

    verdicts: tuple[SiteVerdict, ...]
    places: tuple[tuple[SiteSnapshot, str, tuple[Kind, ...]], ...]  # Site, driver, kinds of node.
    refusal: Why | None


def place(
    requests: Iterable[Request],
    fleet: Fleet,
    *,
    reserve_after_seconds: float = RESERVE_AFTER_SECONDS,
) -> Mapping[str, Placement | Waiting]:
    """Decide for every request, in the order of the policy above. Deterministic."""
    return Board(fleet, reserve_after_seconds=reserve_after_seconds).place(requests)


class Board:
    """One cycle's working state: what is still free as decisions are made."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        reserve_after_seconds: float = RESERVE_AFTER_SECONDS,
        kinds: Mapping[PoolKey, Mapping[Kind, int]] | None = None,
    ) -> None:
        """Look at the fleet's nodes, or, for `options` alone, at how many `kinds` of them there are."""
        self._fleet = fleet
        self._reserve_after_seconds = reserve_after_seconds
        pools = _pools(fleet) if kinds is None else _pools_of_kinds(kinds)
        order = {
            site.id: number for number, site in enumerate(sorted(fleet.sites, key=_preference))
        }
        sites = {site.id: site for site in fleet.sites}
        self._pools = {
            key: (sites[key[0]], pools[key])
            for key in sorted(pools, key=lambda key: (order[key[0]], key[1]))
        }
        self._headroom = {site.id: _headroom_milliwatts(site) for site in fleet.sites}
        self._options: dict[Wish, Options] = {}
        self._failed: dict[Wish, Why] = {}  # Alike wishes fail alike: what is free only shrinks.
        self._kept: dict[str, list[tuple[Kind, Amount]]] = {}  # By site: kept, and what was free.
        self._has_real_site = any(not site.is_simulated for site, _ in self._pools.values())

    def place(self, requests: Iterable[Request]) -> Mapping[str, Placement | Waiting]:
        """Decide for every request."""
        outcomes: dict[str, Placement | Waiting] = {}
        ahead = 0
        for request in sorted(requests, key=_order):
            outcome = self.decide(request)
            if isinstance(outcome, Placement):
                outcomes[request.id] = outcome
            else:
                outcomes[request.id] = Waiting(outcome, ahead)
                ahead += 1
        return outcomes

    def decide(self, request: Request) -> Placement | Why:
        """Place one request, or say why not; what it takes or keeps is gone for the next."""
        wish = request.wish
        failed = self._failed.get(wish)
        if failed is None:
            options = self.options(wish)
            placed = self._try(wish, options) if options.refusal is None else None
            if placed is not None:
                return placed
            failed = self._failed[wish] = options.refusal or self._why(wish, options)
        if (
            request.turn == 1
            and request.waited_seconds >= self._reserve_after_seconds
            and failed.code not in reasons.FINAL
        ):
            self._keep(wish)
        return failed

    def options(self, wish: Wish) -> Options:
        """Return where the wish could go if nothing else ran, and the verdict on every site."""
        options = self._options.get(wish)
        if options is None:
            options = self._options[wish] = self._find_options(wish)
        return options

    def _find_options(self, wish: Wish) -> Options:
        considered = [site for site in self._fleet.sites if wish.site in (None, site.name)]
        verdicts = {site.id: self._verdict(wish, site) for site in considered}
        sites = tuple(verdicts.values())
        if wish.site is not None and not considered:
            names = [site.name for site in self._fleet.sites]
            return Options(sites, (), reasons.site_not_found(wish.site, names))
        possible = self._possible(wish, considered)
        allowed = tuple(entry for entry in possible if verdicts[entry[0].id].allowed)
        if allowed:
            return Options(sites, allowed, None)
        elsewhere = [verdicts[site.id] for site, _, _ in possible]
        if considered and not any(verdict.allowed for verdict in sites):
            return Options(sites, (), reasons.label_allows_no_site(wish, sites))
        offers = [
            reasons.Offer(site, pool.staying)
            for site, pool in self._pools.values()
            if site.id in verdicts and verdicts[site.id].allowed
        ]
        return Options(sites, (), reasons.impossible(wish, offers, elsewhere))

    def _possible(
        self, wish: Wish, considered: list[SiteSnapshot]
    ) -> list[tuple[SiteSnapshot, str, tuple[Kind, ...]]]:
        """Return the pools that could serve the wish if they were empty, label aside."""
        ids = {site.id for site in considered}
        found = []
        for (_, driver), (site, pool) in self._pools.items():
            kinds = pool.kinds_for(wish) if site.id in ids else ()
            least = reasons.least_draw_milliwatts(wish, {k: pool.staying[k] for k in kinds})
            budget = site.budget_milliwatts()
            if least is not None and (budget is None or least <= budget):
                found.append((site, driver, kinds))
        return found

    def _verdict(self, wish: Wish, site: SiteSnapshot) -> SiteVerdict:
        verdict = wish.label.check(site.place)
        country = site.place.country or ""
        if verdict.allowed and site.is_simulated and self._has_real_site and wish.site is None:
            return SiteVerdict(
                site.name,
                country,
                allowed=False,
                reason=f"{site.name} is simulated: it serves only what names it",
                hint=f"name it, as `regions: [{site.name}]`",
            )
        return SiteVerdict(site.name, country, verdict.allowed, verdict.reason, verdict.hint)

    def _try(self, wish: Wish, options: Options) -> Placement | None:
        for site, driver, kinds in options.places:
            _, pool = self._pools[site.id, driver]
            chosen = pool.select(wish, kinds, headroom_milliwatts=self._headroom[site.id])
            if chosen is not None:
                for number in chosen:
                    pool.take(number, wish.demand)
                power = self._draw(site, pool, chosen, wish)
                nodes = tuple(self._fleet.nodes[number] for number in chosen)
                return Placement(site, driver, nodes, power)
        return None

    def _draw(self, site: SiteSnapshot, pool: Pool, chosen: list[int], wish: Wish) -> int:
        """Take the power of the chosen nodes from what the site has left; return it."""
        power = pool.draw(chosen, wish.demand)
        headroom = self._headroom[site.id]
        if headroom is not None:
            self._headroom[site.id] = headroom - power
        return power

    def _keep(self, wish: Wish) -> None:
        for site, driver, kinds in self._options[wish].places:
            _, pool = self._pools[site.id, driver]
            nearest = pool.nearest(wish, kinds)
            if nearest is not None:
                kept = self._kept.setdefault(site.id, [])
                for number in nearest:
                    kept.append((self._fleet.nodes[number].kind, pool.keep(number, wish.demand)))
                self._draw(site, pool, nearest, wish)
                return

    def _why(self, wish: Wish, options: Options) -> Why:
        """Say what the wish waits for, of the site where it comes nearest to being placed."""
        views = []
        for site, driver, kinds in options.places:
            _, pool = self._pools[site.id, driver]
            kept = self._kept.get(site.id, ())
            views.append(
                reasons.View(
                    site=site,
                    free=pool.free_nodes(wish, kinds),
                    is_open=pool.open_nodes(kinds),
                    staying=sum(pool.staying[kind] for kind in kinds),
                    kept=sum(kind in kinds and wish.demand.fits_in(was) for kind, was in kept),
                )
            )
        return reasons.waiting(wish, views)


def _order(request: Request) -> tuple[int, int, float, str]:
    return (-request.priority, request.turn, -request.waited_seconds, request.id)


def _headroom_milliwatts(site: SiteSnapshot) -> int | None:
    budget = site.budget_milliwatts()
    return None if budget is None else budget - site.load_milliwatts


def _pools(fleet: Fleet) -> dict[PoolKey, Pool]:
    members: dict[PoolKey, dict[int, NodeSnapshot]] = {}
    for number, node in enumerate(fleet.nodes):
        members.setdefault((node.site_id, node.driver), {})[number] = node
    return {key: Pool(nodes) for key, nodes in members.items()}


def _pools_of_kinds(kinds: Mapping[PoolKey, Mapping[Kind, int]]) -> dict[PoolKey, Pool]:
    return {key: Pool({}, staying=staying) for key, staying in kinds.items()}


def _preference(site: SiteSnapshot) -> tuple[bool, float, str]:
    carbon = site.carbon_milligrams_per_kwh
    return (site.is_simulated, float("inf") if carbon is None else carbon, site.name)
