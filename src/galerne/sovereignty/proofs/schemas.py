"""The proof bundle. `format` names its version; whatever changes its meaning makes a new one."""

from typing import Any, Literal

from pydantic import BaseModel

FORMAT = "galerne-residency-proof/1"


class ProvenEntry(BaseModel):
    """One entry of the log, and the hashes that lead from it to the checkpoint's root."""

    leaf_index: int
    leaf: str  # RFC 8785 canonical JSON; its UTF-8 bytes are what is hashed.
    inclusion: list[str]  # Base64, from the leaf upwards (RFC 6962, section 2.1.1).


class SiteSummary(BaseModel):
    """Where it was placed."""

    name: str
    country: str | None
    operator: str | None


class DecisionSummary(BaseModel):
    """One decision about a flow."""

    leaf_index: int
    at: str
    kind: str
    verdict: Literal["allowed", "refused"]
    site: str | None
    country: str | None
    reason: str


class StateSummary(BaseModel):
    """One change of state."""

    leaf_index: int
    at: str
    kind: str


class ProofSummary(BaseModel):
    """What the entries say, for people. Follows from them; a verifier makes it again and compares."""

    entries_count: int
    label: dict[str, Any] | None
    sites: list[SiteSummary]
    decisions: list[DecisionSummary]
    states: list[StateSummary]


class ProofOut(BaseModel):
    """Everything that is needed to verify it without us, but the trust in the key."""

    format: Literal["galerne-residency-proof/1"]
    subject_id: str
    verifier_key: str  # C2SP signed-note form. Compare it with the one that the operator publishes.
    checkpoint: str  # A C2SP checkpoint note.
    entries: list[ProvenEntry]
    summary: ProofSummary
