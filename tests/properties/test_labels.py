"""The algebra of labels: what is derived is allowed only where everything it came from is."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galerne.sovereignty.labels import Label, Place, parse_label
from galerne.sovereignty.zones import ADEQUATE, EEA, EU, ZONES

COUNTRIES = ["FR", "DE", "CH", "NO", "US", "CN"]
CERTIFICATIONS = ["SecNumCloud", "HDS", "C5"]

some_countries = st.frozensets(st.sampled_from(COUNTRIES))
some_certifications = st.frozensets(st.sampled_from(CERTIFICATIONS))
labels = st.builds(Label, st.none() | some_countries, some_countries, some_certifications)
places = st.builds(
    Place,
    st.just("site"),
    st.none() | st.just("") | st.sampled_from(COUNTRIES),
    some_countries,
    some_certifications,
)

untimed = settings(deadline=None)  # The machine may be busy; no claim here is about time.


@untimed
@given(labels, labels)
def test_intersection_is_commutative(a: Label, b: Label) -> None:
    """It does not matter which input is named first."""
    assert a & b == b & a


@untimed
@given(labels, labels, labels)
def test_intersection_is_associative(a: Label, b: Label, c: Label) -> None:
    """It does not matter in how many steps something was derived."""
    assert (a & b) & c == a & (b & c)


@untimed
@given(labels)
def test_intersection_is_idempotent(a: Label) -> None:
    """Using an input twice adds nothing."""
    assert a & a == a


@untimed
@given(labels)
def test_anywhere_is_neutral(a: Label) -> None:
    """What has no restriction adds none."""
    assert a & Label() == a


@untimed
@given(labels, labels, labels)
def test_intersection_is_monotone(a: Label, b: Label, c: Label) -> None:
    """A stricter input never makes a wider result."""
    assert (a & b).within(a)
    if a.within(b):
        assert (a & c).within(b & c)


@untimed
@given(labels, labels, labels)
def test_within_is_an_order(a: Label, b: Label, c: Label) -> None:
    """Being within is reflexive, antisymmetric and transitive."""
    assert a.within(a)
    if a.within(b) and b.within(a):
        assert a == b
    if a.within(b) and b.within(c):
        assert a.within(c)


@untimed
@given(labels, labels, places)
def test_a_derived_label_allows_what_both_allow(a: Label, b: Label, place: Place) -> None:
    """A place will do for what is derived exactly where it will do for both inputs."""
    both = a.check(place).allowed and b.check(place).allowed
    assert (a & b).check(place).allowed == both


@untimed
@given(labels, labels, places)
def test_within_keeps_places_out(a: Label, b: Label, place: Place) -> None:
    """Whatever is within a label goes nowhere that the label refuses."""
    if a.within(b) and a.check(place).allowed:
        assert b.check(place).allowed


@untimed
@given(labels, st.sampled_from([None, ""]), some_countries, some_certifications)
def test_an_unknown_country_is_in_nothing(
    label: Label,
    country: str | None,
    subject_to: frozenset[str],
    certifications: frozenset[str],
) -> None:
    """Where the country is unknown, only a label that says nothing of countries or laws will do."""
    verdict = label.check(Place("somewhere", country, subject_to, certifications))
    if label.countries is not None or label.operator_not_subject_to:
        assert not verdict.allowed


@untimed
@given(labels)
def test_the_open_network_is_an_unknown_place(label: Label) -> None:
    """Only a label without any demand lets data out on the open network."""
    assert label.check_open_network().allowed == (label == Label())


@untimed
@given(labels, places)
def test_every_verdict_has_a_reason(label: Label, place: Place) -> None:
    """A verdict says why, and a refusal says what would change it."""
    verdict = label.check(place)
    assert verdict.reason
    assert verdict.allowed or verdict.hint


@untimed
@given(labels)
def test_a_label_survives_its_json(label: Label) -> None:
    """What is stored and sent means the same when it is read."""
    assert Label.from_json(label.as_json()) == label


def test_zones_contain_each_other() -> None:
    """27 members of the EU, three more in the EEA, and adequacy around both."""
    assert len(EU) == 27
    assert len(EEA - EU) == 3
    assert EU < EEA < ADEQUATE


@pytest.mark.parametrize("country", ["US", "CN", "RU", "IN"])
def test_countries_without_a_decision_are_in_no_zone(country: str) -> None:
    """No zone's name lets data into a country that the zone's rule does not name."""
    assert all(country not in members for members in ZONES.values())


@untimed
@given(st.sampled_from(sorted(ZONES)), st.sampled_from(sorted(ZONES)))
def test_zones_are_sets_of_countries(first: str, second: str) -> None:
    """A zone is short for its members: naming two means either's members, in any spelling."""
    label = parse_label([first.lower(), second])
    assert label.countries == ZONES[first] | ZONES[second]


def test_adequacy_is_not_residency() -> None:
    """French data is not placed in Switzerland, though Switzerland is adequate."""
    france = parse_label(["FR"])
    swiss = Place("zurich", "CH", frozenset({"CH"}))
    assert not france.check(swiss).allowed
    assert not parse_label(["EEA"]).check(swiss).allowed
    assert parse_label(["ADEQUATE"]).check(swiss).allowed


def test_a_foreign_law_keeps_a_place_out() -> None:
    """A site in France will not do where the law of the United States reaches its operator."""
    label = parse_label(["FR"], operator_not_subject_to=["us"])
    assert not label.check(Place("paris", "FR", frozenset({"US", "FR"}))).allowed
    assert label.check(Place("paris", "FR", frozenset({"FR"}))).allowed


@pytest.mark.parametrize("word", ["FRA", "europe", "", "F1", "ÉÉ", "anywhere"])
def test_unknown_words_are_refused(word: str) -> None:
    """A word that is no country and no zone is an error that names the zones, not a wish unheard."""
    with pytest.raises(ValueError, match="EEA"):
        parse_label(["FR", word])


def test_nothing_is_allowed_by_default() -> None:
    """A label without residency cannot be read, and an empty one allows no place."""
    with pytest.raises(ValueError, match="says its residency"):
        Label.from_json({})
    assert parse_label([]) == Label(frozenset())
    assert not parse_label([]).check(Place("paris", "FR")).allowed
    assert parse_label([]).places_text() == "nowhere"


def test_a_label_is_spelt_as_people_say_it() -> None:
    """The countries of a zone are called by its name."""
    assert parse_label(["EU", "NO", "IS", "LI"]).places_text() == "EEA"
    assert parse_label(["FR", "DE"]).places_text() == "DE, FR"
    assert Label().places_text() == "anywhere"
