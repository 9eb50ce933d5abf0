"""Builds proof bundles as the platform does, over logs that a test makes up, honest or not."""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from galerne.events import merkle
from galerne.events.leaves import leaf_bytes
from galerne.events.merkle import Appended, Leaves
from galerne.events.models import LogEntry
from galerne.events.notes import checkpoint_text, sign_note
from galerne.sovereignty.keys import LogSigner
from galerne.sovereignty.proofs.schemas import FORMAT
from galerne.sovereignty.proofs.summary import summarize

JOB = "job_01h455vb4pex5vsknk084sn02q"
SIGNER = LogSigner("example.eu/log", bytes(range(32)))
FRANCE = {"residency": ["FR"], "operator_not_subject_to": ["US"], "certifications": ["HDS"]}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

Event = tuple[str, str, dict[str, Any]]  # Subject, kind, data.


def site(name: str = "essonne", country: str | None = "FR", **facts: Any) -> dict[str, Any]:
    return {
        "id": f"site_{name}",
        "name": name,
        "country": country,
        "operator": "Nuage SA",
        "operator_subject_to": ["FR"],
        "certifications": ["HDS"],
        **facts,
    }


def placement(
    chosen: dict[str, Any], *, label: dict[str, Any] = FRANCE, allowed: bool = True
) -> Event:
    verdicts = [
        {"site": chosen["name"], "country": "FR", "allowed": allowed, "reason": "is within FR"},
        {"site": "ohio", "country": "US", "allowed": False, "reason": "the label allows FR"},
    ]
    data = {"label": label, "site": chosen, "sites": verdicts, "nodes": ["n1"]}
    return (JOB, "decision.placement", data)


def state(before: str, verb: str, after: str) -> Event:
    return (JOB, f"job.{after}", {"from": before, "verb": verb})


def submitted(label: dict[str, Any] = FRANCE) -> Event:
    return (JOB, "job.submitted", {"name": "train", "label": label})


def honest_events() -> list[Event]:
    """A job that is refused a site, placed, loses its node, is placed again and succeeds."""
    refusal = {"label": FRANCE, "code": "label_refused", "reason": "Ohio is in US", "sites": []}
    return [
        submitted(),
        (JOB, "decision.refused", refusal),
        placement(site()),
        state("pending", "place", "starting"),
        state("starting", "started", "running"),
        state("running", "retry", "pending"),
        placement(site("lyon")),
        state("pending", "place", "starting"),
        state("starting", "started", "running"),
        state("running", "finish", "finishing"),
        state("finishing", "succeed", "succeeded"),
    ]


def entries_of(events: Sequence[Event], *, others: int = 2) -> list[LogEntry]:
    """Make entries of a log, with `others` of other things between any two."""
    entries: list[LogEntry] = []
    for event in events:
        for other in range(others):
            entries.append(_entry(len(entries), ("job_other", "job.running", {"n": other})))
        entries.append(_entry(len(entries), event))
    return entries


def bundle_of(
    events: Sequence[Event], *, signer: LogSigner = SIGNER, others: int = 2
) -> dict[str, Any]:
    """Sign a log of these events and prove those about the job, as JSON would carry it."""
    entries = entries_of(events, others=others)
    tree = merkle.append(0, [], [merkle.leaf_hash(leaf_bytes(entry)) for entry in entries])
    about = [(i, leaf_bytes(e).decode()) for i, e in enumerate(entries) if e.subject_id == JOB]
    bundle = {
        "format": FORMAT,
        "subject_id": JOB,
        "verifier_key": signer.verifier_key,
        "checkpoint": sign_note(checkpoint_text(signer.name, tree), signer),
        "entries": [
            {"leaf_index": index, "leaf": leaf, "inclusion": _inclusion(index, tree)}
            for index, leaf in about
        ],
        "summary": summarize([(index, json.loads(leaf)) for index, leaf in about]).model_dump(),
    }
    copied: dict[str, Any] = json.loads(json.dumps(bundle))
    return copied


def _inclusion(index: int, tree: Appended) -> list[str]:
    nodes = dict(tree.nodes)
    path: Sequence[Leaves] = merkle.inclusion_path(index, tree.size)
    return [b64encode(merkle.subtree_hash(run, nodes)).decode() for run in path]


def _entry(number: int, event: Event) -> LogEntry:
    subject_id, kind, data = event
    return LogEntry(
        id=f"evt_{number:026d}",
        created_at=NOON + timedelta(seconds=number),
        organization_id="org_1",
        project_id="prj_1",
        subject_id=subject_id,
        kind=kind,
        actor="worker",
        data=data,
    )
