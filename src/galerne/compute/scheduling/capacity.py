"""Free capacity of one pool, indexed so that a decision looks at kinds of nodes and not at nodes.

Nodes of a kind that have the same amount free stand in one bucket, and in it by domain. An idle fleet
of thousands of equal nodes is one bucket; a busy one has as many as there are different leftovers.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence

from galerne.compute.scheduling.snapshot import Amount, Kind, NodeSnapshot, Wish


class Bucket:
    """Open nodes of one kind with one free amount, by domain; node numbers ascend in each."""

    __slots__ = ("count", "domains", "free", "kind")

    def __init__(self, kind: Kind, free: Amount) -> None:
        self.kind = kind
        self.free = free
        self.count = 0
        self.domains: dict[str, list[int]] = {}

    def add(self, number: int, domain: str) -> None:
        insort(self.domains.setdefault(domain, []), number)
        self.count += 1

    def remove(self, number: int, domain: str) -> None:
        numbers = self.domains[domain]
        del numbers[bisect_left(numbers, number)]
        if not numbers:
            del self.domains[domain]
        self.count -= 1


class Pool:
    """The nodes of one site that one driver runs."""

    def __init__(
        self, nodes: Mapping[int, NodeSnapshot], *, staying: Mapping[Kind, int] | None = None
    ) -> None:
        self._nodes = nodes
        self._free: dict[int, Amount] = {}
        self._buckets: dict[Kind, dict[Amount, Bucket]] = {}
        # Nodes that are open or will be again, by kind.
        self.staying: dict[Kind, int] = dict(staying or {})
        for number, node in nodes.items():
            if node.is_open:
                self._put(number, node.free)
            if node.is_open or node.is_staying:
                self.staying[node.kind] = self.staying.get(node.kind, 0) + 1

    def kinds_for(self, wish: Wish) -> tuple[Kind, ...]:
        """Return the kinds whose empty nodes would do, in a fixed order."""
        return tuple(sorted(kind for kind in self.staying if kind.serves(wish)))

    def select(
        self, wish: Wish, kinds: Sequence[Kind], *, headroom_milliwatts: int | None
    ) -> list[int] | None:
        """Choose open nodes for the wish within the power that is left, or none.

        One node: best fit, in the domain that has the fewest like it, so that whole domains stay
        whole. Several: within one domain where one has enough (the tightest such), else over as few
        domains as possible; where power is short, those that draw least.
        """
        if wish.nodes == 1:
            return self._select_one(wish.demand, kinds, headroom_milliwatts)
        fitting = self._fitting(wish.demand, kinds)
        if sum(bucket.count for bucket in fitting) < wish.nodes:
            return None
        chosen = _by_locality(fitting, wish.nodes)
        if headroom_milliwatts is None or self.draw(chosen, wish.demand) <= headroom_milliwatts:
            return chosen
        fitting.sort(key=lambda bucket: bucket.kind.draw_milliwatts(wish.demand))
        chosen = _first(fitting, wish.nodes)
        return chosen if self.draw(chosen, wish.demand) <= headroom_milliwatts else None

    def _select_one(
        self, demand: Amount, kinds: Sequence[Kind], headroom_milliwatts: int | None
    ) -> list[int] | None:
        best: Bucket | None = None
        accelerators, cpu, memory, disk = demand
        for kind in kinds:
            if (
                headroom_milliwatts is not None
                and kind.draw_milliwatts(demand) > headroom_milliwatts
            ):
                continue
            for free, bucket in self._buckets.get(kind, {}).items():
                # The test of `Amount.fits_in`, spelt out: this is the innermost loop.
                if (
                    (best is None or free < best.free)
                    and accelerators <= free[0]
                    and cpu <= free[1]
                    and memory <= free[2]
                    and disk <= free[3]
                ):
                    best = bucket
        if best is None:
            return None
        domain = min(best.domains, key=lambda name: (len(best.domains[name]), name))
        return [best.domains[domain][0]]

    def _fitting(self, demand: Amount, kinds: Sequence[Kind]) -> list[Bucket]:
        """Return the buckets whose nodes have room for `demand`, best fit first."""
        found = [
            bucket
            for kind in kinds
            for free, bucket in self._buckets.get(kind, {}).items()
            if demand.fits_in(free)
        ]
        found.sort(key=lambda bucket: (bucket.free, bucket.kind))
        return found

    def free_nodes(self, wish: Wish, kinds: Sequence[Kind]) -> int:
        """Count the open nodes that have room for one of the wish's nodes now."""
        return sum(bucket.count for bucket in self._fitting(wish.demand, kinds))

    def open_nodes(self, kinds: Sequence[Kind]) -> int:
        return sum(
            bucket.count for kind in kinds for bucket in self._buckets.get(kind, {}).values()
        )

    def nearest(self, wish: Wish, kinds: Sequence[Kind]) -> list[int] | None:
        """Choose the open nodes that come nearest to the wish: the freest of the kinds that would do."""
        buckets = [b for kind in kinds for b in self._buckets.get(kind, {}).values()]
        if sum(bucket.count for bucket in buckets) < wish.nodes:
            return None
        buckets.sort(key=lambda b: (_shortage(wish.demand, b.free), b.free, b.kind))
        return _first(buckets, wish.nodes)

    def draw(self, numbers: Sequence[int], demand: Amount) -> int:
        """Return what `demand` on each of the nodes adds to their power, in milliwatts."""
        return sum(self._nodes[number].kind.draw_milliwatts(demand) for number in numbers)

    def take(self, number: int, demand: Amount) -> None:
        """Take `demand` from a node; it has that much free."""
        self._move(number, demand.taken_from(self._free[number]))

    def keep(self, number: int, demand: Amount) -> Amount:
        """Keep `demand` of a node for later, free or not yet; return what was free."""
        free = self._free[number]
        self._move(number, Amount(*(max(0, left) for left in demand.taken_from(free))))
        return free

    def _move(self, number: int, free: Amount) -> None:
        node = self._nodes[number]
        alike = self._buckets[node.kind]
        bucket = alike[self._free[number]]
        bucket.remove(number, node.domain)
        if not bucket.count:
            del alike[bucket.free]
        self._put(number, free)

    def _put(self, number: int, free: Amount) -> None:
        node = self._nodes[number]
        self._free[number] = free
        alike = self._buckets.setdefault(node.kind, {})
        bucket = alike.get(free)
        if bucket is None:
            bucket = alike[free] = Bucket(node.kind, free)
        bucket.add(number, node.domain)


def _by_locality(buckets: Sequence[Bucket], wanted: int) -> list[int]:
    """Choose `wanted` nodes out of at least as many, over as few domains as possible."""
    sizes: dict[str, int] = {}
    for bucket in buckets:
        for domain, numbers in bucket.domains.items():
            sizes[domain] = sizes.get(domain, 0) + len(numbers)
    chosen: list[int] = []
    for domain in _domains(sizes, wanted):
        for bucket in buckets:
            chosen += bucket.domains.get(domain, ())[: wanted - len(chosen)]
    return chosen


def _domains(sizes: dict[str, int], wanted: int) -> list[str]:
    """Choose domains that have `wanted` nodes together: largest first, the last as tight as can be."""
    descending = sorted(sizes, key=lambda domain: (not domain, -sizes[domain], domain))
    chosen: list[str] = []
    for position, domain in enumerate(descending):
        if sizes[domain] >= wanted:
            enough = [other for other in descending[position:] if sizes[other] >= wanted]
            return [*chosen, min(enough, key=lambda d: (not d, sizes[d], d))]
        chosen.append(domain)
        wanted -= sizes[domain]
    return chosen


def _first(buckets: Sequence[Bucket], wanted: int) -> list[int]:
    chosen: list[int] = []
    for bucket in buckets:
        for domain in sorted(bucket.domains):
            chosen += bucket.domains[domain][: wanted - len(chosen)]
        if len(chosen) == wanted:
            break
    return chosen


def _shortage(demand: Amount, free: Amount) -> float:
    """Return how much of the demand is missing, as the sum of the missing shares."""
    return sum(max(0, want - have) / want for want, have in zip(demand, free, strict=True) if want)
