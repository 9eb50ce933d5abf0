"""What a pass does with a replica and with a deployment, whatever is seen."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.drivers.base import Phase
from galerne.inference.deployments.decide import Action, Sight, decide
from galerne.inference.deployments.reconciler import RESTARTS_MAX, balance
from galerne.inference.deployments.repository import Endings
from galerne.inference.deployments.states import (
    DEPLOYMENT_TERMINAL,
    DEPLOYMENT_TRANSITIONS,
    REPLICA_TRANSITIONS,
    DeploymentState,
    ReplicaState,
)
from galerne.worker.claims import backoff_seconds

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
VERBS = {
    Action.PLACE: "place",
    Action.MARK_READY: "ready",
    Action.DRAIN: "drain",
    Action.STOP: "stop",
    Action.END: "end",
}
ON_ENGINE = set(ReplicaState) - {ReplicaState.PENDING, ReplicaState.ENDED}

sights = st.builds(
    Sight,
    state=st.sampled_from(ReplicaState),
    end_wanted=st.booleans(),
    capacity_held=st.booleans(),
    phase=st.one_of(st.none(), st.sampled_from(Phase)),
    ready=st.booleans(),
    idle=st.booleans(),
    overdue=st.booleans(),
)
counts = st.integers(0, 12)
names = st.lists(st.uuids().map(str), max_size=12, unique=True)
endings = st.one_of(
    st.just(Endings(0, None)),
    st.builds(
        Endings,
        count=st.integers(1, 20),
        latest=st.integers(0, 400).map(lambda seconds: NOON - timedelta(seconds=seconds)),
    ),
)


@given(sights)
def test_every_action_is_one_that_the_table_allows(sight: Sight) -> None:
    """No pass can ever ask for a transition that does not exist, and an ended replica is left alone."""
    action = decide(sight)

    if action is not Action.NOTHING:
        assert (sight.state, VERBS[action]) in REPLICA_TRANSITIONS
        assert sight.state is not ReplicaState.ENDED


@given(sights)
def test_what_is_gone_is_ended(sight: Sight) -> None:
    """A replica whose process has ended, or that the engine has lost, ends in the same pass."""
    if sight.state in ON_ENGINE and sight.phase in {Phase.ENDED, Phase.ABSENT}:
        assert decide(sight) is Action.END


@given(sights)
def test_nothing_ready_is_cut_off(sight: Sight) -> None:
    """A ready replica whose owner wants its end drains before it is stopped."""
    if sight.state is ReplicaState.READY and sight.end_wanted:
        assert decide(sight) in {Action.DRAIN, Action.END}
    if sight.state is ReplicaState.DRAINING and not sight.idle:
        assert decide(sight) in {Action.NOTHING, Action.END}


@given(st.sampled_from(ReplicaState), st.booleans())
def test_an_end_that_is_wanted_comes(state: ReplicaState, ready: bool) -> None:
    """From every state, on an engine that obeys, a replica that is to end has ended in a few passes."""
    for _ in range(5):
        gone = state is ReplicaState.STOPPING
        phase = Phase.ENDED if gone else Phase.RUNNING
        action = decide(Sight(state, True, False, phase, ready, idle=True, overdue=False))
        if action is not Action.NOTHING:
            state = REPLICA_TRANSITIONS[state, VERBS[action]]
    assert state is ReplicaState.ENDED


@pytest.mark.parametrize("state", sorted(set(DeploymentState) - DEPLOYMENT_TERMINAL))
def test_every_deployment_state_has_a_way_out(state: DeploymentState) -> None:
    """From each state that is not terminal a terminal one is reached, and from a terminal one none."""
    reached, edge = set[DeploymentState](), {state}
    while edge:
        reached |= edge
        edge = {to for (of, _), to in DEPLOYMENT_TRANSITIONS.items() if of in edge} - reached
    assert reached & DEPLOYMENT_TERMINAL
    assert not {of for of, _ in DEPLOYMENT_TRANSITIONS} & DEPLOYMENT_TERMINAL


@given(wanted=counts.filter(bool), live=names, ended=endings)
def test_balance_meets_what_is_wanted(wanted: int, live: list[str], ended: Endings) -> None:
    """It never makes too many, drains the newest, and does one thing at a time."""
    todo = balance(wanted=wanted, live=live, endings=ended, now=NOON)

    assert todo.create >= 0
    assert len(live) + todo.create - len(todo.drain) <= wanted
    assert todo.drain == tuple(live[wanted:])
    assert not (todo.create and todo.drain)
    assert not (todo.give_up and (todo.create or todo.drain))


@given(wanted=counts.filter(bool), live=names, ended=endings)
def test_balance_waits_and_gives_up(wanted: int, live: list[str], ended: Endings) -> None:
    """After an ending it waits out the pause, and gives up only when nothing lives and enough was tried."""
    todo = balance(wanted=wanted, live=live, endings=ended, now=NOON)

    assert todo.give_up == (ended.count >= RESTARTS_MAX and not live)
    if ended.latest is not None and todo.create:
        assert NOON - ended.latest >= timedelta(seconds=backoff_seconds(ended.count))
    if not ended.count and len(live) < wanted:
        assert todo.create == wanted - len(live)


@given(live=names, ended=endings.filter(lambda e: e.count < RESTARTS_MAX))
def test_balance_goes_on_after_every_pause(live: list[str], ended: Endings) -> None:
    """However a deployment stands, once the longest pause is over it is as its owner wants it."""
    later = NOON + timedelta(hours=1)

    todo = balance(wanted=3, live=live, endings=ended, now=later)

    assert len(live) + todo.create - len(todo.drain) == 3
