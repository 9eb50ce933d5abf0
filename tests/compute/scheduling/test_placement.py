"""The policy of placement, one example a rule, and what it says to those who wait."""

import pytest
from tests.compute.scheduling.fleets import (
    FRANCE,
    amount,
    fleet,
    node,
    rack,
    request,
    site,
)

from galerne.compute.scheduling.placement import Board, Placement, Waiting, place
from galerne.compute.scheduling.reasons import Why
from galerne.compute.scheduling.snapshot import Fleet, Request

ESSONNE = site("essonne")
FOUR = amount(4)


def placed(fleet: Fleet, *requests: Request, reserve_after: float = 600) -> dict[str, list[str]]:
    """Return the names of the nodes of each placed request."""
    outcomes = place(requests, fleet, reserve_after_seconds=reserve_after)
    return {
        name: [found.name for found in outcome.nodes]
        for name, outcome in outcomes.items()
        if isinstance(outcome, Placement)
    }


def why(fleet: Fleet, asked: Request) -> Why:
    outcome = place([asked], fleet)[asked.id]
    assert isinstance(outcome, Waiting)
    return outcome.why


class TestChoiceOfNodes:
    def test_one_node_is_chosen_by_best_fit(self) -> None:
        """A small request goes where least is left, so that large ones still find whole nodes."""
        total = amount(4)
        nodes = [
            node("n1", ESSONNE, total, accelerator="GB200"),
            node("n2", ESSONNE, total, used=amount(2, cores=0, gigabytes=0), accelerator="GB200"),
        ]
        assert placed(fleet([ESSONNE], nodes), request("a", amount(2, cores=0, gigabytes=0))) == {
            "a": ["n2"]
        }

    def test_processor_work_leaves_accelerators_alone(self) -> None:
        """A request without accelerators goes to a node without, even a larger one."""
        nodes = [
            node("gpu", ESSONNE, amount(4, cores=4), accelerator="GB200"),
            node("plain", ESSONNE, amount(cores=64, gigabytes=64)),
        ]
        assert placed(fleet([ESSONNE], nodes), request("a", amount(cores=2))) == {"a": ["plain"]}

    def test_a_gang_goes_to_the_tightest_domain(self) -> None:
        """Of two NVLink domains with room, the one that it fills leaves the other whole."""
        sized = fleet([ESSONNE], rack(ESSONNE, 1), rack(ESSONNE, 2, used=14))
        names = placed(sized, request("a", FOUR, nodes=4, accelerator="GB200"))["a"]
        assert {name.split("-")[1] for name in names} == {"r002"}

    def test_a_gang_beyond_a_domain_spans_as_few_as_it_can(self) -> None:
        """Twenty of eighteen-node domains take one whole and two nodes of the tightest other."""
        sized = fleet([ESSONNE], rack(ESSONNE, 1), rack(ESSONNE, 2), rack(ESSONNE, 3, used=15))
        names = placed(sized, request("a", FOUR, nodes=20, accelerator="GB200"))["a"]
        domains = [name.split("-")[1] for name in names]
        assert {domain: domains.count(domain) for domain in domains} == {"r001": 18, "r003": 2}

    def test_where_power_is_short_a_gang_takes_what_draws_least(self) -> None:
        """A cap that the close-by nodes would break is kept by choosing others, before waiting."""
        capped = site("capped", cap_watts=250)
        nodes = [
            *(node(f"hot{n}", capped, amount(), domain="d", watts=200) for n in range(2)),
            *(node(f"cool{n}", capped, amount(cores=2), watts=100) for n in range(2)),
        ]
        assert placed(fleet([capped], nodes), request("a", amount(), nodes=2)) == {
            "a": ["cool0", "cool1"]
        }


class TestChoiceOfSite:
    def test_the_cleaner_grid_goes_first(self) -> None:
        """Of two sites that would do, the one with less carbon in its grid is taken."""
        dirty, clean = site("a", carbon=300), site("b", carbon=40)
        nodes = [node("n1", dirty, amount()), node("n2", clean, amount())]
        assert placed(fleet([dirty, clean], nodes), request("x", amount())) == {"x": ["n2"]}

    def test_work_is_not_quietly_simulated(self) -> None:
        """With a real site, a simulated one serves only what names it, and says so."""
        real, pretended = site("real"), site("pretended", is_simulated=True)
        nodes = [
            node("n1", real, amount()),
            node("n2", pretended, amount(4), accelerator="GB200"),
        ]
        both = fleet([real, pretended], nodes)
        answer = why(both, request("a", amount(1)))
        assert answer.code == "impossible_resources"
        assert "pretended could, but pretended is simulated" in answer.hint
        assert placed(both, request("a", amount(1), at="pretended")) == {"a": ["n2"]}

    def test_a_fleet_that_is_all_simulated_serves_everything(self) -> None:
        """Where nothing is real there is nothing to confuse."""
        pretended = site("pretended", is_simulated=True)
        sized = fleet([pretended], [node("n", pretended, amount())])
        assert placed(sized, request("a", amount())) == {"a": ["n"]}


class TestOrder:
    def test_projects_take_turns(self) -> None:
        """The second project's first request goes before the first project's second, though younger."""
        sized = fleet([ESSONNE], [node("n1", ESSONNE, amount()), node("n2", ESSONNE, amount())])
        crowd = [request(f"a{n}", amount(), turn=n, waited_seconds=100) for n in range(1, 50)]
        assert placed(sized, *crowd, request("b1", amount(), waited_seconds=1)).keys() == {
            "a1",
            "b1",
        }

    def test_what_cannot_be_placed_does_not_block_what_can(self) -> None:
        """A gang that waits lets a later small request fill the gap."""
        sized = fleet(
            [ESSONNE],
            [node("n1", ESSONNE, amount())],
            [node("n2", ESSONNE, amount(), used=amount())],
        )
        gang = request("gang", amount(), nodes=2, waited_seconds=10)
        assert placed(sized, gang, request("small", amount(), turn=2)) == {"small": ["n1"]}

    def test_what_has_waited_long_keeps_its_share(self) -> None:
        """After the bound the gang's nodes are kept for it, and the small request is told so."""
        sized = fleet(
            [ESSONNE],
            [node("n1", ESSONNE, amount())],
            [node("n2", ESSONNE, amount(), used=amount())],
        )
        gang = request("gang", amount(), nodes=2, waited_seconds=601)
        outcomes = place([gang, request("small", amount(), turn=2)], sized)
        small = outcomes["small"]
        assert isinstance(small, Waiting)
        assert small.why.code == "waiting_for_older"
        assert small.ahead == 1

    def test_only_the_share_is_kept(self) -> None:
        """What the old request does not need of its node stays open to others."""
        total = amount(4, cores=8, gigabytes=8)
        busy = amount(2, cores=1, gigabytes=1)
        sized = fleet([ESSONNE], [node("n", ESSONNE, total, used=busy, accelerator="H100")])
        old = request("old", amount(4), waited_seconds=601)
        assert placed(sized, old, request("cpu", amount(cores=2), turn=2)) == {"cpu": ["n"]}
        assert not placed(sized, old, request("gpu", amount(1), turn=2))

    def test_a_large_gang_is_not_starved(self) -> None:
        """Against an endless stream of small requests, kept nodes fall free one by one until it starts."""
        names = [f"n{number}" for number in range(8)]
        ends = dict.fromkeys(names, 0)
        for moment in range(60):
            free = [
                node(name, ESSONNE, amount(), used=amount() if ends[name] > moment else None)
                for name in names
            ]
            gang = request("gang", amount(), nodes=8, waited_seconds=moment * 100 + 50)
            stream = [request(f"s{moment}-{n}", amount(), turn=2) for n in range(8)]
            started = placed(fleet([ESSONNE], free), gang, *stream)
            if moment and "gang" in started:
                return
            for position, (used,) in enumerate(v for k, v in started.items() if k != "gang"):
                ends[used] = moment + 1 + (position + moment) % 5
            if moment == 0:
                ends = {name: 1 + position % 5 for position, name in enumerate(names)}
        pytest.fail("the gang never started")


class TestWhy:
    SIZED = fleet([ESSONNE], rack(ESSONNE, 1), rack(ESSONNE, 2))

    def test_too_many_accelerators_for_a_node(self) -> None:
        """The answer says what a node has, and which request of the same size would fit."""
        answer = why(self.SIZED, request("a", amount(8), nodes=2, accelerator="GB200"))
        assert answer == Why(
            "impossible_resources",
            "needs 2 nodes with 8 GB200 each; essonne has at most 4 per node",
            "ask for 4 per node and 4 nodes",
        )

    def test_a_type_that_is_not_there(self) -> None:
        """The answer lists the types that are."""
        answer = why(self.SIZED, request("a", amount(8), accelerator="H100"))
        assert answer.code == "impossible_resources"
        assert answer.hint == "there are: GB200"

    def test_too_much_memory_for_a_node(self) -> None:
        """The dimension that does not fit is named, with the most that does."""
        answer = why(self.SIZED, request("a", amount(gigabytes=2000)))
        assert answer.message.endswith("of memory, essonne has at most 960.0 GB per node")

    def test_more_nodes_than_there_are(self) -> None:
        """A gang stays within a site, and the answer says how many nodes that has."""
        answer = why(self.SIZED, request("a", FOUR, nodes=37, accelerator="GB200"))
        assert answer.code == "impossible_resources"
        assert answer.hint == "ask for at most 36 nodes"

    def test_more_power_than_the_cap_allows_even_alone(self) -> None:
        """What would break the cap of an idle site is impossible, not waiting."""
        capped = site("capped", cap_watts=100)
        sized = fleet([capped], [node("n", capped, amount(), watts=150)])
        answer = why(sized, request("a", amount()))
        assert answer.code == "impossible_resources"
        assert "power cap of capped" in answer.message

    def test_a_label_that_allows_no_site(self) -> None:
        """A label's refusal is told apart from lack of room, with the site's country."""
        alpes = site("alpes", "CH")
        sized = fleet([alpes], [node("n", alpes, amount())])
        answer = why(sized, request("a", amount(), label=FRANCE, at="alpes"))
        assert answer.code == "label_allows_no_site"
        assert answer.message == "alpes is refused: alpes is in CH; the label allows FR"

    def test_a_refused_site_that_would_have_room_is_named(self) -> None:
        """Who asks for what only a refused site has learns which, and why it is refused."""
        alpes = site("alpes", "CH")
        sized = fleet(
            [ESSONNE, alpes], rack(ESSONNE, 1), [node("n", alpes, amount(8), accelerator="MI300X")]
        )
        answer = why(sized, request("a", amount(8), accelerator="MI300X", label=FRANCE))
        assert (
            answer.hint == "there are: GB200; alpes could, but alpes is in CH; the label allows FR"
        )

    def test_an_unknown_site(self) -> None:
        """A site that does not exist is not waited for."""
        assert why(self.SIZED, request("a", amount(), at="nowhere")).code == "site_not_found"

    def test_a_fleet_without_nodes(self) -> None:
        """Before any node is known the answer says where nodes come from."""
        answer = why(fleet([]), request("a", amount()))
        assert answer.code == "impossible_resources"
        assert "worker" in answer.hint

    def test_waiting_for_running_work(self) -> None:
        """What would fit an empty site waits, and hears how much is free."""
        sized = fleet([ESSONNE], rack(ESSONNE, 1, used=17))
        answer = why(sized, request("a", FOUR, nodes=2, accelerator="GB200"))
        assert answer.code == "waiting_for_capacity"
        assert "essonne has 1 of its 18 such nodes free" in answer.message

    def test_waiting_for_power(self) -> None:
        """Free nodes under an exhausted cap are waiting for power, not for nodes."""
        capped = site("capped", cap_watts=200)
        sized = fleet([capped], [node(f"n{n}", capped, amount(), watts=150) for n in range(2)])
        outcomes = place([request("a", amount()), request("b", amount(), turn=2)], sized)
        assert isinstance(outcomes["a"], Placement)
        second = outcomes["b"]
        assert isinstance(second, Waiting)
        assert second.why.code == "waiting_for_power"

    def test_waiting_for_nodes_that_are_down(self) -> None:
        """A node that is down may come back; one that is drained is no part of the fleet any more."""
        down = [node("n", ESSONNE, amount(), is_open=False)]
        assert why(fleet([ESSONNE], down), request("a", amount())).code == "waiting_for_nodes"
        gone = [node("n", ESSONNE, amount(), is_open=False, is_staying=False)]
        assert why(fleet([ESSONNE], gone), request("a", amount())).code == "impossible_resources"


class TestScale:
    def test_a_decision_looks_at_kinds_of_nodes_and_not_at_nodes(self) -> None:
        """Four thousand equal nodes are one bucket, and twice as many make a decision no dearer."""
        nodes = [
            node(f"n{number:04d}", ESSONNE, amount(4, gigabytes=64), accelerator="GB200")
            for number in range(4000)
        ]
        board = Board(fleet([ESSONNE], nodes))
        for number in range(200):
            assert isinstance(board.decide(request(f"a{number}", amount(2))), Placement)
        ((_, pool),) = board._pools.values()
        assert sum(len(alike) for alike in pool._buckets.values()) == 2

    def test_nothing_is_lost_on_the_way(self) -> None:
        """However nodes move between buckets, each stands in exactly one."""
        sized = fleet([ESSONNE], rack(ESSONNE, 1), rack(ESSONNE, 2, used=3))
        board = Board(sized)
        board.place([request(f"a{n}", amount(n % 4, gigabytes=n), turn=n) for n in range(1, 40)])
        ((_, pool),) = board._pools.values()
        buckets = [bucket for alike in pool._buckets.values() for bucket in alike.values()]
        numbers = sorted(n for b in buckets for found in b.domains.values() for n in found)
        assert numbers == list(range(36))
        assert all(b.count == sum(map(len, b.domains.values())) for b in buckets)
        assert all(min(b.free) >= 0 for b in buckets)
