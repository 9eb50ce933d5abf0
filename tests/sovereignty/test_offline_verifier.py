"""The offline verifier: it accepts what is true, and names what is not."""

import ast
import copy
import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sovereignty.bundles import (
    FRANCE,
    JOB,
    SIGNER,
    Event,
    bundle_of,
    honest_events,
    placement,
    site,
    state,
    submitted,
)

from galerne.sovereignty.keys import LogSigner
from galerne_client import proofs
from galerne_client.proofs import CHECKS, verify

HONEST = bundle_of(honest_events())

untimed = settings(deadline=None)  # The machine may be busy; no claim here is about time.


def failing(bundle: Any, *, trusted_key: str | None = SIGNER.verifier_key) -> list[str]:
    """Return the names of the checks that fail."""
    return [check.name for check in verify(bundle, trusted_key=trusted_key).failures]


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return the honest bundle with one field replaced."""
    bundle = copy.deepcopy(HONEST)
    target: Any = bundle
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return bundle


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every field and item, at every depth."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [
        found for step, item in items for found in [(*path, step), *paths_of(item, (*path, step))]
    ]


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


PATHS = paths_of(HONEST)
TEXT_PATHS = [path for path in PATHS if isinstance(at(HONEST, path), str)]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)


def test_an_honest_bundle_is_verified() -> None:
    """What the platform made passes every check, under the trusted key."""
    outcome = verify(HONEST, trusted_key=SIGNER.verifier_key)
    assert [check.name for check in outcome.checks] == list(CHECKS)
    assert outcome.ok
    assert outcome.key_is_trusted
    assert outcome.subject_id == JOB
    assert outcome.tree_size == 3 * len(honest_events())
    assert outcome.summary is not None
    assert [each["name"] for each in outcome.summary["sites"]] == ["essonne", "lyon"]
    assert outcome.summary["label"] == FRANCE


def test_without_a_trusted_key_it_says_so() -> None:
    """A bundle that brings its own key may be whole, and the outcome says that nobody vouched for it."""
    outcome = verify(HONEST)
    assert outcome.ok
    assert not outcome.key_is_trusted


@untimed
@given(st.sampled_from(PATHS), anything)
def test_any_field_replaced(path: tuple[Any, ...], value: Any) -> None:
    """Whatever is put in place of any field, at any depth, the proof fails."""
    original = at(HONEST, path)
    same = type(value) is type(original) and value == original
    assert bool(failing(changed(path, value))) != same


@untimed
@given(st.sampled_from(TEXT_PATHS), st.data())
def test_any_character_changed(path: tuple[Any, ...], data: st.DataObject) -> None:
    """Any character of any text replaced, dropped or added makes the proof fail."""
    text = at(HONEST, path)
    place = data.draw(st.integers(0, len(text)))
    new = data.draw(st.text(max_size=1))
    cut = text[:place] + new + text[place + data.draw(st.integers(0, 1)) :]
    if cut != text:
        assert failing(changed(path, cut))


@untimed
@given(st.data())
def test_any_bit_of_any_hash_flipped(data: st.DataObject) -> None:
    """One flipped bit in any hash of any path makes the inclusion fail."""
    number = data.draw(st.integers(0, len(HONEST["entries"]) - 1))
    path = HONEST["entries"][number]["inclusion"]
    place = data.draw(st.integers(0, len(path) - 1))
    flipped = bytearray(proofs._base64(path[place], "hash"))
    bit = data.draw(st.integers(0, 255))
    flipped[bit // 8] ^= 1 << bit % 8
    text = b64encode(flipped).decode()
    assert failing(changed(("entries", number, "inclusion", place), text)) == ["inclusion"]


@untimed
@given(st.sampled_from(PATHS))
def test_any_field_removed(path: tuple[Any, ...]) -> None:
    """A field or item that is left out, at any depth, makes the proof fail."""
    bundle = copy.deepcopy(HONEST)
    target = at(bundle, path[:-1])
    del target[path[-1]]
    assert failing(bundle)


@untimed
@given(st.sampled_from([(), *PATHS]), st.text(), anything)
def test_any_field_added(path: tuple[Any, ...], key: str, value: Any) -> None:
    """A field that the format does not have makes the proof fail: nothing unproven travels along."""
    bundle = copy.deepcopy(HONEST)
    target = at(bundle, path)
    if isinstance(target, dict) and key not in target:
        target[key] = value
        assert failing(bundle)


@untimed
@given(st.data())
def test_truncated(data: st.DataObject) -> None:
    """Fewer entries than were proven never pass with the summary of all of them."""
    kept = data.draw(st.integers(0, len(HONEST["entries"]) - 1))
    assert failing(changed(("entries",), HONEST["entries"][:kept]))


@untimed
@given(st.permutations(range(len(HONEST["entries"]))))
def test_reordered(order: list[int]) -> None:
    """Entries in another order than the log's fail, though each is in the tree."""
    bundle = changed(("entries",), [HONEST["entries"][number] for number in order])
    expected = [] if order == sorted(order) else ["entries"]
    assert failing(bundle)[:1] == expected[:1]


def test_an_entry_twice() -> None:
    """One thing that happened cannot be counted twice."""
    bundle = changed(("entries",), [HONEST["entries"][0], *HONEST["entries"]])
    assert "entries" in failing(bundle)


@untimed
@given(anything)
def test_nothing_makes_it_raise(bundle: Any) -> None:
    """Whatever it is given, the verifier answers, and does not accept it."""
    assert failing(bundle) == ["format"]


def test_deep_nesting_is_answered() -> None:
    """A summary or entry nested without end is refused, not crashed on."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert failing(changed(("summary", "sites"), deep))
    assert failing(changed(("entries", 0, "leaf"), "[" * 100_000))


def test_another_key() -> None:
    """A log signed by somebody else fails under the key that is trusted, and only there."""
    other = LogSigner(SIGNER.name, bytes(32))
    bundle = bundle_of(honest_events(), signer=other)
    assert failing(bundle) == ["key"]
    assert failing(bundle, trusted_key=None) == []


def test_another_logs_checkpoint() -> None:
    """A key of one name does not vouch for a checkpoint of another name."""
    other = LogSigner("other.eu/log", bytes(range(32)))
    bundle = changed(("checkpoint",), bundle_of(honest_events(), signer=other)["checkpoint"])
    assert failing(bundle) == ["signature", "inclusion"]


def test_another_size() -> None:
    """The signed size and root of another tree do not hold these entries."""
    longer = bundle_of([*honest_events(), state("succeeded", "x", "y")])
    assert failing(changed(("checkpoint",), longer["checkpoint"])) == ["inclusion"]


def test_a_size_that_was_not_signed() -> None:
    """A size written into the note by hand breaks the signature."""
    note = HONEST["checkpoint"].replace("\n33\n", "\n34\n")
    assert note != HONEST["checkpoint"]
    assert "signature" in failing(changed(("checkpoint",), note))


def test_a_witness_may_sign_too() -> None:
    """Another key's signature line on the note is ignored, wherever it stands."""
    witness = LogSigner("witness.eu", bytes(32))
    text, _, own = HONEST["checkpoint"].partition("\n\n")
    signature = b64encode(witness.key_id + witness.sign(f"{text}\n".encode())).decode()
    line = f"\N{EM DASH} {witness.name} {signature}\n"
    assert failing(changed(("checkpoint",), f"{text}\n\n{line}{own}")) == []


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (site(country="US"), "is in US, the label allows FR"),
        (site(country=None), "is in None, the label allows FR"),
        (site(operator_subject_to=["FR", "US"]), "subject to the law of ['US']"),
        (site(certifications=[]), "lacks the certifications ['HDS']"),
    ],
)
def test_a_signed_placement_outside_the_label(chosen: dict[str, Any], message: str) -> None:
    """What the platform itself signed is judged again: a site outside the label is named."""
    bundle = bundle_of([submitted(), placement(chosen)])
    outcome = verify(bundle, trusted_key=SIGNER.verifier_key)
    assert [check.name for check in outcome.failures] == ["label"]
    assert message in outcome.failures[0].detail


def test_a_placement_under_another_label() -> None:
    """A workload that was submitted for France cannot be decided under a wider label."""
    wide = {"residency": ["anywhere"], "operator_not_subject_to": [], "certifications": []}
    bundle = bundle_of([submitted(), placement(site(country="US"), label=wide)])
    assert failing(bundle) == ["label"]
    assert failing(bundle_of([submitted(wide), placement(site(country="US"), label=wide)])) == []


def test_a_placement_against_its_own_verdict() -> None:
    """A site on whose verdict the record says no cannot be the one that was chosen."""
    assert failing(bundle_of([submitted(), placement(site(), allowed=False)])) == ["label"]


@pytest.mark.parametrize("ran", ["running", "ready", "finishing", "succeeded"])
def test_it_ran_without_a_placement(ran: str) -> None:
    """A state in which it has run, without a decision before it, is named."""
    assert failing(bundle_of([submitted(), state("starting", "x", ran)])) == ["placement"]
    late = [submitted(), state("starting", "x", ran), placement(site())]
    assert failing(bundle_of(late)) == ["placement"]


def test_a_retry_is_placed_anew() -> None:
    """A placement of the first attempt does not cover the second."""
    events: list[Event] = [
        submitted(),
        placement(site()),
        state("pending", "place", "starting"),
        state("starting", "retry", "pending"),
        state("pending", "place", "starting"),
        state("starting", "started", "running"),
    ]
    assert failing(bundle_of(events)) == ["placement"]


def test_a_refusal_places_nothing() -> None:
    """A refused flow is a decision and no permission."""
    refused: Event = (JOB, "decision.refused", {"label": FRANCE, "reason": "no", "sites": []})
    assert failing(bundle_of([submitted(), refused, state("x", "y", "running")])) == ["placement"]


def test_a_placement_of_what_was_never_submitted() -> None:
    """Without the entry that states the label, nobody can say that it was the right one."""
    assert failing(bundle_of([placement(site())])) == ["label"]


@pytest.mark.parametrize("left_out", range(4, 10))
def test_a_change_of_state_left_out(left_out: int) -> None:
    """An entry that is withheld, with a summary made to fit, leaves a gap between two states or decisions."""
    events = honest_events()
    shorter = bundle_of([*events[:left_out], *events[left_out + 1 :]])
    assert set(failing(shorter)) <= {"states", "placement"}
    assert failing(shorter)


def test_a_key_twice_in_an_entry() -> None:
    """An entry that two readers could read differently proves nothing."""
    leaf = HONEST["entries"][0]["leaf"]
    twice = leaf.replace('"kind":', '"kind":"job.running","kind":')
    assert "entries" in failing(changed(("entries", 0, "leaf"), twice))


def test_several_organizations() -> None:
    """Entries of two tenants are never one proof."""
    leaf = HONEST["entries"][0]["leaf"].replace("org_1", "org_2")
    assert {"inclusion", "entries"} <= set(failing(changed(("entries", 0, "leaf"), leaf)))


def test_the_only_entry_of_the_log() -> None:
    """The smallest tree has an empty path and verifies."""
    bundle = bundle_of([submitted()], others=0)
    assert bundle["entries"][0]["inclusion"] == []
    assert failing(bundle) == []


def test_it_survives_a_file() -> None:
    """A bundle that was written to a file and read back is the same proof."""
    assert failing(json.loads(json.dumps(HONEST, indent=2, ensure_ascii=False))) == []


def test_it_stands_alone() -> None:
    """The verifier imports the standard library and `cryptography`, so that anybody can run and read it."""
    tree = ast.parse(Path(proofs.__file__).read_text(encoding="utf-8"))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}
