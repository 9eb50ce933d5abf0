"""Whatever the fleet and the queue, placement keeps its promises."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.compute.scheduling.fleets import FRANCE, amount, node, site

from galerne.compute.scheduling.placement import Placement, place
from galerne.compute.scheduling.snapshot import (
    Amount,
    Fleet,
    NodeSnapshot,
    Request,
    SiteSnapshot,
    Wish,
)
from galerne.sovereignty.labels import Label, parse_label

NEVER = float("inf")
# Much is drawn from little, and the harmless more often: crowded fleets find what empty ones hide.
LABELS = (*[Label()] * 8, parse_label(["EU"]), FRANCE, parse_label(["US"]))
TYPES = ("", "GB200", "GB200", "H100")
SITES = (*[None] * 10, "s0", "elsewhere")


@st.composite
def sites(draw: st.DrawFn, number: int) -> SiteSnapshot:
    return site(
        f"s{number}",
        draw(st.sampled_from(("FR", "DE", "CH"))),
        cap_watts=draw(st.sampled_from((None, 700, 2_000))),
        idle_watts=draw(st.sampled_from((0, 100))),
        pue_milli=draw(st.integers(1000, 1500)),
        is_simulated=draw(st.sampled_from((False, False, True))),
        carbon=draw(st.none() | st.integers(1, 3)),
    )


@st.composite
def nodes(draw: st.DrawFn, number: int, places: list[SiteSnapshot]) -> NodeSnapshot:
    kind = draw(st.sampled_from(TYPES))
    total = amount(4 if kind else 0, cores=draw(st.sampled_from((4, 8))), gigabytes=8)
    part = draw(st.sampled_from((0, 0, 0, 2, 4)))
    used = amount(min(part, total.accelerators), cores=part, gigabytes=part)
    return node(
        f"n{number:03d}",
        draw(st.sampled_from(places)),
        total,
        used=used,
        accelerator=kind,
        domain=draw(st.sampled_from(("", "d1", "d2"))),
        watts=draw(st.sampled_from((0, 50, 200))),
        is_open=draw(st.integers(0, 5)) > 0,
        is_staying=draw(st.integers(0, 9)) > 0,
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    places = [draw(sites(number)) for number in range(draw(st.integers(1, 3)))]
    count = draw(st.integers(2, 8))
    return Fleet.of(places, [draw(nodes(number, places)) for number in range(count)])


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    accelerators = draw(st.sampled_from((0, 0, 1, 4)))
    return Wish(
        demand=amount(
            accelerators,
            cores=draw(st.sampled_from((1, 4))),
            gigabytes=draw(st.sampled_from((1, 6))),
        ),
        label=draw(st.sampled_from(LABELS)),
        accelerator_type=draw(st.sampled_from((None, "GB200"))) if accelerators else None,
        nodes=draw(st.sampled_from((1, 1, 1, 2, 3))),
        site=draw(st.sampled_from(SITES)),
    )


@st.composite
def queues(draw: st.DrawFn) -> list[Request]:
    drawn = draw(
        st.lists(
            st.tuples(wishes(), st.integers(0, 2), st.integers(1, 3), st.integers(0, 5_000)),
            min_size=4,
            max_size=16,
        )
    )
    return [
        Request(f"lse_{number:02d}", wish, priority=priority, turn=turn, waited_seconds=waited)
        for number, (wish, priority, turn, waited) in enumerate(drawn)
    ]


def placements(fleet: Fleet, queue: list[Request], reserve_after: float) -> dict[str, Placement]:
    outcomes = place(queue, fleet, reserve_after_seconds=reserve_after)
    assert outcomes.keys() == {request.id for request in queue}
    return {name: found for name, found in outcomes.items() if isinstance(found, Placement)}


RESERVES = st.sampled_from((0.0, 1_000.0, NEVER))


class TestWhateverIsAsked:
    @given(fleets(), queues(), RESERVES)
    def test_no_node_gives_more_than_it_has_free(
        self, fleet: Fleet, queue: list[Request], reserve_after: float
    ) -> None:
        """What is placed on a node together fits in what was free, in every dimension."""
        wishes_by_id = {request.id: request.wish for request in queue}
        taken: dict[str, Amount] = {}
        for name, placement in placements(fleet, queue, reserve_after).items():
            for used in placement.nodes:
                before = taken.get(used.id, Amount(0, 0, 0, 0))
                taken[used.id] = Amount(
                    *(a + b for a, b in zip(before, wishes_by_id[name].demand, strict=True))
                )
        free = {found.id: found.free for found in fleet.nodes}
        assert all(total.fits_in(free[node_id]) for node_id, total in taken.items())

    @given(fleets(), queues(), RESERVES)
    def test_all_nodes_of_a_gang_or_none(
        self, fleet: Fleet, queue: list[Request], reserve_after: float
    ) -> None:
        """A placed request has exactly its number of distinct, open nodes, of one site and driver."""
        wanted = {request.id: request.wish.nodes for request in queue}
        for name, placement in placements(fleet, queue, reserve_after).items():
            assert len({found.id for found in placement.nodes}) == wanted[name]
            assert len(placement.nodes) == wanted[name]
            assert {found.site_id for found in placement.nodes} == {placement.site.id}
            assert all(found.is_open for found in placement.nodes)

    @given(fleets(), queues(), RESERVES)
    def test_labels_named_sites_and_types_hold(
        self, fleet: Fleet, queue: list[Request], reserve_after: float
    ) -> None:
        """Nothing is placed outside its label, away from the site it names, or on another type."""
        wishes_by_id = {request.id: request.wish for request in queue}
        for name, placement in placements(fleet, queue, reserve_after).items():
            wish = wishes_by_id[name]
            assert wish.label.check(placement.site.place).allowed
            assert wish.site in (None, placement.site.name)
            if wish.accelerator_type is not None:
                types = {found.kind.accelerator_type for found in placement.nodes}
                assert types == {wish.accelerator_type}

    @given(fleets(), queues(), RESERVES)
    def test_no_site_draws_more_than_its_cap(
        self, fleet: Fleet, queue: list[Request], reserve_after: float
    ) -> None:
        """Idle power and the draw of all that is placed, times PUE, stays below the cap."""
        added: Counter[str] = Counter()
        for placement in placements(fleet, queue, reserve_after).values():
            added[placement.site.id] += placement.power_milliwatts
        for found in fleet.sites:
            if found.power_cap_watts is not None and added[found.id]:
                load = found.idle_milliwatts + found.load_milliwatts + added[found.id]
                assert load * found.pue_milli <= found.power_cap_watts * 1_000_000

    @given(fleets(), queues(), RESERVES, st.integers())
    def test_it_is_deterministic(
        self, fleet: Fleet, queue: list[Request], reserve_after: float, seed: int
    ) -> None:
        """The order in which sites, nodes and requests are handed over decides nothing."""
        shuffle = random.Random(seed).sample  # noqa: S311 - a shuffle, not a secret
        again = Fleet.of(
            shuffle(list(fleet.sites), len(fleet.sites)),
            shuffle(list(fleet.nodes), len(fleet.nodes)),
        )
        mixed = shuffle(queue, len(queue))
        first = place(queue, fleet, reserve_after_seconds=reserve_after)
        assert place(mixed, again, reserve_after_seconds=reserve_after) == first


def could_be_placed(
    wish: Wish, fleet: Fleet, outcomes: dict[str, Placement], queue: list[Request]
) -> bool:
    """Say, by looking at every node, whether a one-node wish still fits after all that was placed."""
    demands = {request.id: request.wish.demand for request in queue}
    free = {found.id: found.free for found in fleet.nodes}
    load = {found.id: found.load_milliwatts for found in fleet.sites}
    for name, placement in outcomes.items():
        load[placement.site.id] += placement.power_milliwatts
        for used in placement.nodes:
            free[used.id] = demands[name].taken_from(free[used.id])
    here = {found.site_id for found in fleet.nodes if found.is_open or found.is_staying}
    here |= {found.site_id for found in fleet.nodes}
    has_real = any(not found.is_simulated and found.id in here for found in fleet.sites)
    for found in fleet.nodes:
        at = next(place for place in fleet.sites if place.id == found.site_id)
        budget = at.budget_milliwatts()
        if (
            found.is_open
            and wish.site in (None, at.name)
            and wish.label.check(at.place).allowed
            and not (at.is_simulated and has_real and wish.site is None)
            and (
                not wish.demand.accelerators
                or wish.accelerator_type in (None, found.kind.accelerator_type)
            )
            and wish.demand.fits_in(free[found.id])
            and (budget is None or load[at.id] + found.kind.draw_milliwatts(wish.demand) <= budget)
        ):
            return True
    return False


class TestWorkConserving:
    @settings(max_examples=200)
    @given(fleets(), queues())
    def test_one_node_waits_only_where_none_would_do(
        self, fleet: Fleet, queue: list[Request]
    ) -> None:
        """While nothing is kept back, a one-node request without a node fits on no node at the end."""
        placed = placements(fleet, queue, NEVER)
        for request in queue:
            if request.wish.nodes == 1 and request.id not in placed:
                assert not could_be_placed(request.wish, fleet, placed, queue)

    @given(fleets(), wishes())
    def test_impossible_means_never(self, fleet: Fleet, wish: Wish) -> None:
        """What is called impossible has no place even on the empty fleet with every node up."""
        outcome = place([Request("lse", wish)], fleet)["lse"]
        empty = Fleet.of(
            list(fleet.sites),
            [
                node(
                    found.name,
                    next(place for place in fleet.sites if place.id == found.site_id),
                    found.kind.total,
                    accelerator=found.kind.accelerator_type,
                    domain=found.domain,
                    watts=found.kind.cpu_watts,
                    is_open=found.is_open or found.is_staying,
                )
                for found in fleet.nodes
            ],
        )
        on_empty = isinstance(place([Request("lse", wish)], empty)["lse"], Placement)
        if isinstance(outcome, Placement):
            assert on_empty
        else:
            assert outcome.is_final == (not on_empty)


class TestPriority:
    @given(fleets(), queues())
    def test_what_is_less_urgent_changes_nothing(self, fleet: Fleet, queue: list[Request]) -> None:
        """The most urgent requests are placed as if the others did not exist."""
        if not queue:
            return
        top = max(request.priority for request in queue)
        urgent = [request for request in queue if request.priority == top]
        alone = placements(fleet, urgent, NEVER)
        together = placements(fleet, queue, NEVER)
        assert {request.id: together.get(request.id) for request in urgent} == {
            request.id: alone.get(request.id) for request in urgent
        }
