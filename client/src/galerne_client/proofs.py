"""Verifies a residency proof without asking anybody: no network, nothing of the server's code.

A bundle holds entries of the platform's log about one thing. `verify` checks, each under its name:

    format      the bundle has exactly the shape of its version
    key         the log's key is the one that you trust
    signature   the checkpoint is signed by that key (C2SP signed note, Ed25519)
    inclusion   every entry is in the tree that the checkpoint states (RFC 6962)
    entries     every entry is about this thing, of one organization, each once and in order
    summary     the summary says what the entries say, and no more
    label       every site it was placed at is one that its label allows
    placement   it never ran without a decision to place it there
    states      no change of state is missing between the first and the last

What no bundle can show by itself: that the platform has shown you its newest entries, and that it has shown
everybody the same log. For that, compare checkpoints over time and with others.
"""

import binascii
import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "galerne-residency-proof/1"
CHECKS = (
    "format",
    "key",
    "signature",
    "inclusion",
    "entries",
    "summary",
    "label",
    "placement",
    "states",
)
_FoundT = TypeVar("_FoundT")
_ANYWHERE = "anywhere"
_PLACED_STATES = frozenset({"running", "ready", "finishing", "succeeded"})
_ED25519 = b"\x01"
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_SIGNATURE_LINE = re.compile(r"\N{EM DASH} ([^\s+]+) ([A-Za-z0-9+/=]+)")
_LEAF_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "id": str,
    "at": str,
    "organization_id": str,
    "project_id": (str, type(None)),
    "subject_id": str,
    "kind": str,
    "actor": str,
    "data": dict,
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked; `name` is one of `CHECKS`."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome. The facts are worth something only where it is `ok`."""

    checks: tuple[Check, ...]
    key_is_trusted: bool  # False: the key came with the bundle, and nobody vouched for it.
    subject_id: str | None
    verifier_key: str | None
    tree_size: int | None
    summary: Mapping[str, Any] | None

    @property
    def ok(self) -> bool:
        return len(self.checks) == len(CHECKS) and all(check.passed for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)


def verify(bundle: Mapping[str, Any], *, trusted_key: str | None = None) -> Verification:
    """Check a bundle. Never raises for what is in it, however broken.

    `trusted_key` is the log's verifier key (`name+id+key`) from a source other than the bundle. Without
    it the bundle's own key is used, and `key_is_trusted` says that nobody vouched for it.
    """
    audit = _Audit()
    parsed = audit.run("format", "it has the shape of its version", lambda: _read_bundle(bundle))
    if parsed is None:
        return _outcome(audit, None, None, is_trusted=False)
    audit.run("key", _key_detail(parsed, trusted_key), lambda: _check_key(parsed, trusted_key))
    checkpoint = audit.run(
        "signature", "the checkpoint is signed by the log's key", lambda: _signed_checkpoint(parsed)
    )
    audit.run(
        "inclusion",
        f"{len(parsed.entries)} entries are in the signed tree",
        lambda: _check_inclusion(parsed.entries, checkpoint),
    )
    leaves = audit.run(
        "entries", f"all are about {parsed.subject_id[:100]}", lambda: _read_leaves(parsed)
    )
    _check_claims(audit, parsed, leaves)
    return _outcome(audit, parsed, checkpoint, is_trusted=trusted_key is not None)


class _ProofError(Exception):
    """A check that did not pass, with what was found."""


@dataclass(frozen=True, slots=True)
class _Entry:
    leaf_index: int
    leaf: str
    inclusion: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Bundle:
    subject_id: str
    verifier_key: str
    checkpoint: str
    entries: tuple[_Entry, ...]
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class _Leaf:
    index: int
    at: str
    organization_id: str
    kind: str
    data: Mapping[str, Any]

    @property
    def state(self) -> str | None:
        """The state that the entry is a change to, if it is one."""
        return self.kind.partition(".")[2] if "verb" in self.data else None

    @property
    def site(self) -> Mapping[str, Any] | None:
        """The site that a placement chose."""
        site = self.data.get("site")
        return site if self.kind == "decision.placement" and isinstance(site, dict) else None


class _Audit:
    """Collects the checks."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def run(self, name: str, passed: str, check: Callable[[], _FoundT]) -> _FoundT | None:
        """Record what `check` found out. What it cannot read fails it; nothing is raised."""
        try:
            found = check()
        except _ProofError as error:
            self.checks.append(Check(name, passed=False, detail=str(error)))
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            detail = f"cannot be read: {type(error).__name__}: {error}"[:300]
            self.checks.append(Check(name, passed=False, detail=detail))
        else:
            self.checks.append(Check(name, passed=True, detail=passed))
            return found
        return None


def _outcome(
    audit: _Audit, bundle: _Bundle | None, checkpoint: _Checkpoint | None, *, is_trusted: bool
) -> Verification:
    return Verification(
        checks=tuple(audit.checks),
        key_is_trusted=is_trusted,
        subject_id=bundle.subject_id if bundle else None,
        verifier_key=bundle.verifier_key if bundle else None,
        tree_size=checkpoint.size if checkpoint else None,
        summary=bundle.summary if bundle else None,
    )


def _read_bundle(bundle: Any) -> _Bundle:
    found = _fields(
        bundle,
        "the bundle",
        format=str,
        subject_id=str,
        verifier_key=str,
        checkpoint=str,
        entries=list,
        summary=dict,
    )
    if found["format"] != FORMAT:
        raise _ProofError(
            f"the format is {found['format'][:100]!r}; this verifier reads {FORMAT!r}"
        )
    if not found["entries"]:
        raise _ProofError("there is no entry, so nothing is proven")
    return _Bundle(
        subject_id=found["subject_id"],
        verifier_key=found["verifier_key"],
        checkpoint=found["checkpoint"],
        entries=tuple(_read_entry(entry, at) for at, entry in enumerate(found["entries"])),
        summary=found["summary"],
    )


def _read_entry(entry: Any, at: int) -> _Entry:
    found = _fields(entry, f"entry {at}", leaf_index=int, leaf=str, inclusion=list)
    hashes = tuple(_base64(text, f"a hash of entry {at}") for text in found["inclusion"])
    if any(len(each) != hashlib.sha256().digest_size for each in hashes):
        raise _ProofError(f"entry {at}: a hash does not have 32 bytes")
    return _Entry(found["leaf_index"], found["leaf"], hashes)


def _fields(value: Any, name: str, **types: type) -> dict[str, Any]:
    """Return the fields of an object that has exactly these, of exactly these types."""
    if type(value) is not dict or set(value) != set(types):
        raise _ProofError(f"{name} does not have exactly the fields {', '.join(types)}")
    for field, wanted in types.items():
        if type(value[field]) is not wanted:  # A bool is no integer here.
            raise _ProofError(f"{name}: {field} is not of type {wanted.__name__}")
    return value


def _base64(text: Any, name: str) -> bytes:
    """Decode the one spelling that base64 has for some bytes."""
    try:
        decoded = b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise _ProofError(f"{name} is not base64") from None
    if b64encode(decoded).decode() != text:
        raise _ProofError(f"{name} is not spelt as base64 is")
    return decoded


def _key_detail(bundle: _Bundle, trusted_key: str | None) -> str:
    name = bundle.verifier_key.partition("+")[0][:100]
    if trusted_key is None:
        return f"{name}: taken from the bundle itself; compare it with the operator's"
    return f"{name}: the key that you trust"


def _check_key(bundle: _Bundle, trusted_key: str | None) -> None:
    _parse_key(bundle.verifier_key)
    if trusted_key is not None and trusted_key.strip() != bundle.verifier_key:
        raise _ProofError(
            f"the bundle is signed under {bundle.verifier_key[:200]!r},"
            f" and you trust {trusted_key.strip()[:200]!r}"
        )


def _parse_key(verifier_key: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """Return name, id and key of `name+id+key`."""
    parts = verifier_key.split("+", 2)
    if len(parts) != 3 or not parts[0] or re.search(r"\s", parts[0]):
        raise _ProofError("the verifier key is not of the form name+id+key")
    name, id_text, key_text = parts
    public = _base64(key_text, "the verifier key")
    if public[:1] != _ED25519 or len(public) != 33:
        raise _ProofError("the verifier key is not an Ed25519 key")
    key_id = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
    if key_id.hex() != id_text:
        raise _ProofError("the verifier key's id does not belong to its name and key")
    return name, key_id, Ed25519PublicKey.from_public_bytes(public[1:])


def _signed_checkpoint(bundle: _Bundle) -> _Checkpoint:
    """Return what the note states, if the log's key has signed it."""
    name, key_id, key = _parse_key(bundle.verifier_key)
    text, separator, signatures = bundle.checkpoint.partition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise _ProofError("the checkpoint has no signature")
    for line in signatures[:-1].split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise _ProofError("the checkpoint has a line that is no signature")
        blob = _base64(match[2], "the signature")
        # Other keys' lines are witnesses', which may be there and prove nothing here.
        if match[1] == name and blob[:4] == key_id:
            _verify_ed25519(key, blob[4:], f"{text}\n".encode())
            return _read_checkpoint(text, name)
    raise _ProofError(f"the checkpoint is not signed by the key of {name!r}")


def _read_checkpoint(text: str, name: str) -> _Checkpoint:
    lines = text.split("\n")
    if len(lines) != 3 or lines[0] != name or not _SIZE.fullmatch(lines[1]):
        raise _ProofError(f"the checkpoint does not state the size and root of {name!r}")
    root = _base64(lines[2], "the checkpoint's root")
    return _Checkpoint(int(lines[1]), root)


def _verify_ed25519(key: Ed25519PublicKey, signature: bytes, message: bytes) -> None:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        raise _ProofError("the signature does not fit the checkpoint") from None


def _check_inclusion(entries: Sequence[_Entry], checkpoint: _Checkpoint | None) -> None:
    if checkpoint is None:
        raise _ProofError("not checked, because there is no signed checkpoint")
    for entry in entries:
        leaf = hashlib.sha256(b"\x00" + entry.leaf.encode()).digest()
        root = _root_from(leaf, entry.leaf_index, checkpoint.size, entry.inclusion)
        if root != checkpoint.root:
            raise _ProofError(f"entry {entry.leaf_index} is not in the signed tree as it is here")


def _root_from(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Follow a path from a leaf to the root; None where it has not the length that it must have.

    At each level the leaf's ancestor is a right child, a left child, or the last of its level without
    a sibling, which goes up as it is.
    """
    if not 0 <= index < size:
        return None
    found, last, siblings = leaf, size - 1, iter(path)
    while last:
        if index % 2 or index < last:
            sibling = next(siblings, None)
            if sibling is None:
                return None
            left, right = (sibling, found) if index % 2 else (found, sibling)
            found = hashlib.sha256(b"\x01" + left + right).digest()
        index, last = index // 2, last // 2
    return found if next(siblings, None) is None else None


def _read_leaves(bundle: _Bundle) -> Sequence[_Leaf]:
    leaves = [_read_leaf(entry, bundle.subject_id) for entry in bundle.entries]
    indexes = [leaf.index for leaf in leaves]
    if indexes != sorted(set(indexes)):
        raise _ProofError("the entries are not in the order of the log, each once")
    if len({leaf.organization_id for leaf in leaves}) != 1:
        raise _ProofError("the entries are of several organizations")
    return leaves


def _read_leaf(entry: _Entry, subject_id: str) -> _Leaf:
    content = json.loads(
        entry.leaf, object_pairs_hook=_unique, parse_float=_refused, parse_constant=_refused
    )
    if type(content) is not dict or set(content) != set(_LEAF_KEYS):
        raise _ProofError(f"entry {entry.leaf_index} does not have the fields of an entry")
    for field, wanted in _LEAF_KEYS.items():
        if not isinstance(content[field], wanted):
            raise _ProofError(f"entry {entry.leaf_index}: {field} has a wrong type")
    if content["subject_id"] != subject_id:
        raise _ProofError(
            f"entry {entry.leaf_index} is about {content['subject_id'][:100]!r}, not {subject_id!r}"
        )
    return _Leaf(
        index=entry.leaf_index,
        at=content["at"],
        organization_id=content["organization_id"],
        kind=content["kind"],
        data=content["data"],
    )


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _ProofError("an entry has a key twice")
    return found


def _refused(text: str) -> Any:
    raise _ProofError(f"an entry has {text[:50]!r}, which no entry can have")


def _check_claims(audit: _Audit, bundle: _Bundle, leaves: Sequence[_Leaf] | None) -> None:
    """Check what the entries mean together."""
    claims: Sequence[tuple[str, str, Callable[[Sequence[_Leaf]], None]]] = (
        (
            "summary",
            "the summary follows from the entries",
            lambda read: _check_summary(bundle.summary, read),
        ),
        ("label", "every placement is within the label", _check_labels),
        ("placement", "it ran only where it had been placed", _check_placed),
        ("states", "no change of state is missing", _check_states),
    )
    for name, passed, check in claims:
        audit.run(name, passed, partial(_check_read, check, leaves))


def _check_read(check: Callable[[Sequence[_Leaf]], None], leaves: Sequence[_Leaf] | None) -> None:
    if leaves is None:
        raise _ProofError("not checked, because the entries do not stand")
    check(leaves)


def _check_summary(summary: Mapping[str, Any], leaves: Sequence[_Leaf]) -> None:
    expected = _summarize(leaves)
    if set(summary) != set(expected):
        raise _ProofError(f"the summary does not have exactly the fields {', '.join(expected)}")
    for field, value in expected.items():
        # As text: 1, 1.0 and true are equal in Python and not in a proof.
        if json.dumps(summary[field], sort_keys=True) != json.dumps(value, sort_keys=True):
            raise _ProofError(f"the summary's {field} do not follow from the entries")


def _summarize(leaves: Sequence[_Leaf]) -> dict[str, Any]:
    """Say in short what the entries say, by the rules of the format."""
    labels = [leaf.data["label"] for leaf in leaves if "label" in leaf.data]
    sites: list[dict[str, Any]] = []
    for leaf in leaves:
        if leaf.site is not None:
            site = {
                "name": leaf.site["name"],
                "country": leaf.site.get("country"),
                "operator": leaf.site.get("operator"),
            }
            if site not in sites:
                sites.append(site)
    return {
        "entries_count": len(leaves),
        "label": labels[-1] if labels else None,
        "sites": sites,
        "decisions": [_decision(leaf) for leaf in leaves if leaf.kind.startswith("decision.")],
        "states": [
            {"leaf_index": leaf.index, "at": leaf.at, "kind": leaf.kind}
            for leaf in leaves
            if leaf.state is not None
        ],
    }


def _decision(leaf: _Leaf) -> dict[str, Any]:
    site = leaf.site
    is_allowed = site is not None or leaf.data.get("allowed") is True
    verdict = _verdict_on(leaf)
    return {
        "leaf_index": leaf.index,
        "at": leaf.at,
        "kind": leaf.kind,
        "verdict": "allowed" if is_allowed else "refused",
        "site": site["name"] if site is not None else None,
        "country": site.get("country") if site is not None else None,
        "reason": str(verdict["reason"] if verdict else leaf.data.get("reason", "")),
    }


def _verdict_on(leaf: _Leaf) -> Mapping[str, Any] | None:
    """Return the recorded verdict on the chosen site, where it is among those on record."""
    for verdict in leaf.data.get("sites", ()):
        if leaf.site is not None and verdict["site"] == leaf.site["name"]:
            found: Mapping[str, Any] = verdict
            return found
    return None


def _check_labels(leaves: Sequence[_Leaf]) -> None:
    accepted = [leaf.data["label"] for leaf in leaves if leaf.kind.endswith(".submitted")]
    for leaf in leaves:
        if leaf.site is None:
            continue
        if not accepted:
            raise _ProofError(f"entry {leaf.index} places what was never submitted under a label")
        if any(label != leaf.data["label"] for label in accepted):
            raise _ProofError(
                f"entry {leaf.index} was decided under another label than it was submitted with"
            )
        _check_label(leaf, leaf.site, leaf.data["label"])


def _check_label(leaf: _Leaf, site: Mapping[str, Any], label: Mapping[str, Any]) -> None:
    """Decide again whether the chosen site is one that the label allows."""
    where = f"entry {leaf.index}: {site['name']}"
    residency = label["residency"]
    if residency != [_ANYWHERE] and site["country"] not in residency:
        raise _ProofError(
            f"{where} is in {site['country']}, the label allows {', '.join(residency) or 'nowhere'}"
        )
    foreign = set(label["operator_not_subject_to"]) & set(site["operator_subject_to"])
    if foreign:
        raise _ProofError(f"{where}: its operator is subject to the law of {sorted(foreign)}")
    missing = set(label["certifications"]) - set(site["certifications"])
    if missing:
        raise _ProofError(f"{where} lacks the certifications {sorted(missing)}")
    verdict = _verdict_on(leaf)
    if verdict is not None and verdict["allowed"] is not True:
        raise _ProofError(f"{where} was chosen against the recorded verdict")


def _check_placed(leaves: Sequence[_Leaf]) -> None:
    is_placed = False
    for leaf in leaves:
        if leaf.site is not None:
            is_placed = True
        elif leaf.state == "pending":
            is_placed = False  # A retry is placed anew.
        elif leaf.state in _PLACED_STATES and not is_placed:
            raise _ProofError(f"entry {leaf.index}: {leaf.kind} without a placement before it")


def _check_states(leaves: Sequence[_Leaf]) -> None:
    before: str | None = None
    for leaf in leaves:
        if leaf.state is None:
            continue
        if before is not None and leaf.data["from"] != before:
            raise _ProofError(
                f"entry {leaf.index}: {leaf.kind} came from {leaf.data['from']!r},"
                f" but the state before it here is {before!r}"
            )
        before = leaf.state
