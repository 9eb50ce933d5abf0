"""What the entries about one thing say, in short. Pure; the offline verifier has its own copy of the rules.

The rules are part of the bundle's format:

- a decision is an entry `decision.*`. It allows where it names a `site` (`decision.placement`) or says
  `allowed: true`; it refuses otherwise. Its reason is the verdict on that site in `sites`, or its own
  `reason`.
- a state is an entry whose data has a `verb`.
- the label is the last one that a decision or another entry states.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from galerne.sovereignty.proofs.schemas import (
    DecisionSummary,
    ProofSummary,
    SiteSummary,
    StateSummary,
)

Leaf = Mapping[str, Any]


def summarize(leaves: Sequence[tuple[int, Leaf]]) -> ProofSummary:
    """Summarize entries, given with their leaf index in the order of the log."""
    labels = [leaf["data"]["label"] for _, leaf in leaves if "label" in leaf["data"]]
    decisions = [(i, leaf) for i, leaf in leaves if leaf["kind"].startswith("decision.")]
    return ProofSummary(
        entries_count=len(leaves),
        label=labels[-1] if labels else None,
        sites=_sites([leaf for _, leaf in decisions]),
        decisions=[_decision(index, leaf) for index, leaf in decisions],
        states=[
            StateSummary(leaf_index=index, at=leaf["at"], kind=leaf["kind"])
            for index, leaf in leaves
            if "verb" in leaf["data"]
        ],
    )


def _sites(decisions: Sequence[Leaf]) -> list[SiteSummary]:
    sites: list[SiteSummary] = []
    for decision in decisions:
        site = _site(decision)
        if site is None:
            continue
        summary = SiteSummary(
            name=site["name"], country=site.get("country"), operator=site.get("operator")
        )
        if summary not in sites:
            sites.append(summary)
    return sites


def _decision(index: int, leaf: Leaf) -> DecisionSummary:
    data, site = leaf["data"], _site(leaf)
    return DecisionSummary(
        leaf_index=index,
        at=leaf["at"],
        kind=leaf["kind"],
        verdict="allowed" if site is not None or data.get("allowed") is True else "refused",
        site=None if site is None else site["name"],
        country=None if site is None else site.get("country"),
        reason=_reason(data, site),
    )


def _reason(data: Mapping[str, Any], site: Mapping[str, Any] | None) -> str:
    for verdict in data.get("sites", ()):
        if site is not None and verdict["site"] == site["name"]:
            return str(verdict["reason"])
    return str(data.get("reason", ""))


def _site(leaf: Leaf) -> Mapping[str, Any] | None:
    site = leaf["data"].get("site")
    return site if leaf["kind"] == "decision.placement" and isinstance(site, dict) else None
