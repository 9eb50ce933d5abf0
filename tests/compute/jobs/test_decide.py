"""What a pass does with a job, over every state and whatever the engine says."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galerne.compute.jobs.decide import Action, Situation, after_engine, before_engine
from galerne.compute.jobs.schemas import RetrySpec
from galerne.compute.jobs.states import ON_ENGINE, TERMINAL, TRANSITIONS, JobState
from galerne.drivers.base import Exit, ExitCause, Observation, Phase

VERBS: dict[Action, tuple[str, ...]] = {
    Action.PLACE: ("place",),
    Action.MARK_RUNNING: ("started",),
    Action.FINISH: ("finish",),
    Action.SUCCEED: ("succeed",),
    Action.RETRY: ("retry",),
    Action.FAIL: ("fail",),
}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

retries = st.builds(
    RetrySpec,
    on_events=st.lists(
        st.sampled_from(["no-capacity", "error", "interruption", "out-of-memory"]), unique=True
    ),
    attempts=st.integers(1, 5),
)
situations = st.builds(
    Situation,
    state=st.sampled_from(JobState),
    stop_wanted=st.booleans(),
    capacity_held=st.booleans(),
    attempt=st.integers(1, 5),
    retry=retries,
).filter(lambda each: each.stop_wanted or each.state is not JobState.STOPPING)
observations = st.one_of(
    st.sampled_from([Phase.ABSENT, Phase.PREPARING, Phase.RUNNING]).map(Observation),
    st.sampled_from(ExitCause).map(lambda c: Observation(Phase.ENDED, ended_at=NOON, exit=Exit(c))),
)


def verbs_of(action: Action, state: JobState) -> tuple[str, ...]:
    """Say which verbs an action means in a state, as `reconciler` writes them down."""
    if action is Action.ASK_STOP:
        return () if state is JobState.STOPPING else ("stop",)
    if action is Action.MARK_STOPPED:
        if state is JobState.PENDING:
            return ("stop",)
        return ("stopped",) if state is JobState.STOPPING else ("stop", "stopped")
    return VERBS.get(action, ())


def ends_in(state: JobState, action: Action) -> JobState:
    for verb in verbs_of(action, state):
        state = TRANSITIONS[state, verb]  # A KeyError here is a transition that is not allowed.
    return state


@given(situations, observations)
def test_every_action_is_one_that_the_table_allows(situation: Situation, seen: Observation) -> None:
    """No pass can ever ask for a transition that does not exist."""
    ends_in(situation.state, before_engine(situation))
    if situation.state in ON_ENGINE:
        ends_in(situation.state, after_engine(situation, seen))


@given(situations, observations)
def test_a_job_that_has_ended_is_left_alone(situation: Situation, seen: Observation) -> None:
    """Whatever anybody says later, nothing is done with a terminal job."""
    if situation.state in TERMINAL:
        assert before_engine(situation) is Action.NOTHING
        assert after_engine(situation, seen) is Action.NOTHING


@given(situations, observations)
def test_retries_are_bounded_and_by_cause(situation: Situation, seen: Observation) -> None:
    """Another attempt follows only a cause that the file names, within its number, and never a stop."""
    if after_engine(situation, seen) is Action.RETRY:
        cause = seen.exit.cause if seen.exit else ExitCause.INTERRUPTED
        assert situation.attempt < situation.retry.attempts
        assert situation.retry.covers(cause)
        assert not situation.stop_wanted


@given(situations, st.sampled_from(ExitCause))
def test_an_end_on_the_engine_is_an_end_here(situation: Situation, cause: ExitCause) -> None:
    """Where the engine says that it has ended, the job leaves the engine in the same pass."""
    seen = Observation(Phase.ENDED, ended_at=NOON, exit=Exit(cause))
    if situation.state in ON_ENGINE:
        assert ends_in(situation.state, after_engine(situation, seen)) not in ON_ENGINE


@given(situations)
def test_what_the_engine_lost_does_not_hang(situation: Situation) -> None:
    """A handle that the engine has no trace of is started again, retried, failed or stopped."""
    seen = Observation(Phase.ABSENT)
    match situation.state:
        case JobState.STARTING:
            assert before_engine(situation) in {Action.SUBMIT, Action.ASK_STOP}
        case JobState.RUNNING | JobState.STOPPING:
            assert after_engine(situation, seen) is not Action.NOTHING


@pytest.mark.parametrize("state", sorted(set(JobState) - TERMINAL))
def test_every_state_has_a_way_out(state: JobState) -> None:
    """From each state that is not terminal a terminal one is reached, and from a terminal one none."""
    reached, edge = set[JobState](), {state}
    while edge:
        reached |= edge
        edge = {to for (of, _), to in TRANSITIONS.items() if of in edge} - reached
    assert reached & TERMINAL
    assert not {of for of, _ in TRANSITIONS} & TERMINAL


@given(situations.filter(lambda each: each.state not in TERMINAL))
def test_a_stop_always_leads_to_an_end(situation: Situation) -> None:
    """On an engine that obeys, a job whose owner stops it has ended after a few passes."""
    state = situation.state
    for _ in range(5):
        if state in TERMINAL:
            return
        now = Situation(state, True, situation.capacity_held, situation.attempt, situation.retry)
        seen = Observation(Phase.ENDED, ended_at=NOON, exit=Exit(ExitCause.STOPPED))
        action = before_engine(now)
        if state in ON_ENGINE:
            action = after_engine(now, seen)
        state = ends_in(state, action)
    assert state in TERMINAL
