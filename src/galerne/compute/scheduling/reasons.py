"""The words for why a request has no nodes, and what would change that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from galerne.compute.scheduling.schemas import SiteVerdict
from galerne.compute.scheduling.snapshot import Kind, SiteSnapshot, Wish
from galerne.kit.units import format_bytes

FINAL = frozenset({"impossible_resources", "label_allows_no_site", "site_not_found"})
WAITING_FOR_OLDER = "waiting_for_older"
_NAMES_MAX = 8
_AHEAD_EXACT_MAX = 9


@dataclass(frozen=True, slots=True)
class Why:
    """A stable code, a sentence, and what would help."""

    code: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What one pool has in all: kinds of nodes and how many of each."""

    site: SiteSnapshot
    staying: Mapping[Kind, int]


@dataclass(frozen=True, slots=True)
class View:
    """One pool as a wish that it could serve finds it now."""

    site: SiteSnapshot
    free: int  # Nodes with room now.
    is_open: int  # Nodes that take work now, with room or not.
    staying: int  # Those, and the ones that are down.
    kept: int  # Nodes that had room, kept for requests that have waited long.


def site_not_found(name: str, names: Sequence[str]) -> Why:
    return Why(
        "site_not_found",
        f"there is no site named {name}",
        f"the sites are: {_list(names)}",
    )


def label_allows_no_site(wish: Wish, verdicts: Sequence[SiteVerdict]) -> Why:
    refused = "; ".join(verdict.reason for verdict in verdicts[:_NAMES_MAX])
    if wish.site is not None:
        return Why("label_allows_no_site", f"{wish.site} is refused: {refused}", verdicts[0].hint)
    hints = list(dict.fromkeys(verdict.hint for verdict in verdicts[:_NAMES_MAX]))
    return Why("label_allows_no_site", f"no site is allowed: {refused}", "; or ".join(hints))


def impossible(wish: Wish, offers: Sequence[Offer], elsewhere: Sequence[SiteVerdict]) -> Why:
    """Say which part of the wish no allowed site could ever meet."""
    message, hint = _obstacle(wish, offers)
    if elsewhere:
        other = elsewhere[0]
        hint = f"{hint}; {other.site} could, but {other.reason}"
    return Why("impossible_resources", message, hint)


def waiting(wish: Wish, views: Sequence[View]) -> Why:
    """Say what a possible wish waits for, of the pool where it comes nearest."""
    view = max(views, key=lambda v: (v.free >= wish.nodes, v.free, v.is_open))
    site = view.site.name
    if view.free >= wish.nodes:
        return Why(
            "waiting_for_power",
            f"{_wish_text(wish)}; {site} has the nodes free, but its power cap leaves too little",
            "starts when running work has ended; asking for less would start sooner",
        )
    if view.is_open < wish.nodes:
        return Why(
            "waiting_for_nodes",
            f"{_wish_text(wish)}; {view.staying - view.is_open} of the {view.staying} such nodes"
            f" of {site} are down",
            "starts when they are back",
        )
    if view.free + view.kept >= wish.nodes:
        return Why(
            WAITING_FOR_OLDER,
            f"{_wish_text(wish)}; {site} has them free, and keeps them for requests that have"
            " waited longer",
            "starts after those; a higher priority would go first",
        )
    return Why(
        "waiting_for_capacity",
        f"{_wish_text(wish)}; {site} has {view.free} of its {view.staying} such nodes free",
        "starts when running work has ended; asking for less, or another site, may start sooner",
    )


def ahead_text(ahead: int) -> str:
    """Spell how many go first: exact when few, else by powers of ten, so that it seldom changes."""
    if ahead == 0:
        return "it is first in line"
    if ahead <= _AHEAD_EXACT_MAX:
        return f"{ahead} {'request is' if ahead == 1 else 'requests are'} ahead of it"
    return f"more than {10 ** (len(str(ahead)) - 1) - 1:,} requests are ahead of it"


def least_draw_milliwatts(wish: Wish, staying: Mapping[Kind, int]) -> int | None:
    """Return the least that the wish's nodes could draw; None: there are too few nodes."""
    missing, power = wish.nodes, 0
    for draw, count in sorted((k.draw_milliwatts(wish.demand), n) for k, n in staying.items()):
        used = min(missing, count)
        missing -= used
        power += used * draw
    return None if missing else power


def _obstacle(wish: Wish, offers: Sequence[Offer]) -> tuple[str, str]:
    """Return what stands against the wish on every offer, and what would do instead."""
    if not any(offer.staying for offer in offers):
        return (
            f"{_wish_text(wish)}; no site that is allowed has any node",
            "nodes appear when a worker reports its machine, or a fleet is imported",
        )
    if wish.demand.accelerators:
        typed = [offer for offer in offers if any(_is_type(wish, kind) for kind in offer.staying)]
        if not typed:
            return _no_such_type(wish, offers)
        offers = typed
    return _too_large(wish, offers) or _too_many(wish, offers)


def _no_such_type(wish: Wish, offers: Sequence[Offer]) -> tuple[str, str]:
    types = sorted({k.accelerator_type for offer in offers for k in offer.staying} - {""})
    return (
        f"{_wish_text(wish)}; no site that is allowed has {wish.accelerator_type or 'accelerators'}",
        f"there are: {_list(types)}" if types else "ask for CPU and memory only",
    )


def _too_large(wish: Wish, offers: Sequence[Offer]) -> tuple[str, str] | None:
    """Say which amount per node exceeds the largest node, if one does."""
    demand = wish.demand
    kinds = [(k, o.site) for o in offers for k in o.staying if _is_type(wish, k)]
    if any(demand.fits_in(kind.total) for kind, _ in kinds):
        return None
    text = _wish_text(wish)
    most, site = max(kinds, key=lambda item: item[0].total.accelerators)
    if demand.accelerators > most.total.accelerators:
        have = most.total.accelerators
        nodes = -(-demand.accelerators * wish.nodes // max(1, have))
        return (
            f"{text}; {site.name} has at most {have} per node",
            f"ask for {have} per node and {nodes} nodes",
        )
    for number, (name, spell) in enumerate(
        (("cores", _cores), ("memory", format_bytes), ("disk", format_bytes)), start=1
    ):
        most, site = max(kinds, key=lambda item: item[0].total[number])
        if demand[number] > most.total[number]:
            return (
                f"{text}; of {name}, {site.name} has at most {spell(most.total[number])} per node",
                f"ask for at most {spell(most.total[number])} {name} per node, and more nodes",
            )
    return (f"{text}; no one node has all of that together", "ask for less per node, on more nodes")


def _too_many(wish: Wish, offers: Sequence[Offer]) -> tuple[str, str]:
    """Say that one site has too few nodes that are large enough, or too little power for them."""
    counts = {
        offer.site.name: sum(count for kind, count in offer.staying.items() if kind.serves(wish))
        for offer in offers
    }
    site = max(counts, key=lambda name: (counts[name], name))
    text = _wish_text(wish)
    if counts[site] < wish.nodes:
        return (
            f"{text}; {site} has {counts[site]} such nodes in all, and a job stays within one site",
            f"ask for at most {counts[site]} nodes",
        )
    return (
        f"{text}; that would draw more than the power cap of {site} allows, even alone",
        "ask for fewer nodes, or fewer accelerators on each",
    )


def _is_type(wish: Wish, kind: Kind) -> bool:
    if not wish.demand.accelerators:
        return True
    if wish.accelerator_type is None:
        return bool(kind.total.accelerators)
    return wish.accelerator_type == kind.accelerator_type


def _wish_text(wish: Wish) -> str:
    demand = wish.demand
    if demand.accelerators:
        each = f"{demand.accelerators} {wish.accelerator_type or 'accelerators'}"
    else:
        each = f"{_cores(demand.cpu_millis)} cores and {format_bytes(demand.memory_bytes)} memory"
    return f"needs {wish.nodes} nodes with {each} each" if wish.nodes > 1 else f"needs {each}"


def _cores(cpu_millis: int) -> str:
    return f"{cpu_millis / 1000:g}"


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:_NAMES_MAX]) or "none yet"
    more = len(names) - _NAMES_MAX
    return f"{shown} and {more} more" if more > 0 else shown
