"""Several goals, one after the other, in a world where the straight policy is best."""

import numpy as np
import pytest

from agent.goal import GoalError
from planners.cem import CEM

BELIEVED = {"frozen_after": None}
"""A point that is held reads the very same at every step, and would count as a frozen sensor."""

GOALS = [{"position": [0.3, 0.0, 0.0]}, {"position": [0.3, 0.4, 0.0]}, {"position": [0.0, 0.0, 0.0]}]


def observe(position):
    return {"position": np.asarray(position, np.float32), "clock": np.zeros(2, np.float32)}


def run(actor, goals, *, num_steps, held=False):
    """Returns the positions of a point that does what the actor says, or is held at the origin."""
    actor.reset(goals, seed=0)
    positions = [np.zeros(3, np.float32)]
    for _ in range(num_steps):
        step = np.float32(0.1) * actor.act(observe(positions[-1]))
        positions.append(positions[-1] + (0.0 if held else step))
    return np.array(positions, np.float32)


def test_goals_are_reached_in_order_and_the_last_is_kept(make_actor, policy):
    actor = make_actor(policy=policy, mode="reactive")
    positions = run(actor, GOALS, num_steps=14)
    indices = [choice.situation.goal_index for choice in actor.state.choices]
    assert indices == [0] * 3 + [1] * 4 + [2] * 7  # 3 steps to the first, 4 to the second, 4 to the last
    for step, goal in ((3, GOALS[0]), (7, GOALS[1]), (11, GOALS[2]), (14, GOALS[2])):
        assert positions[step].tolist() == pytest.approx(goal["position"], abs=1e-6)
    assert [(it.step, it.event) for it in actor.state.choices if it.event] == [
        (3, "reached"),
        (7, "reached"),
        (11, "reached"),
    ]


@pytest.mark.parametrize(("hidden", "reached_at"), [("position", 5), ("clock", 3)])
def test_a_goal_is_reached_only_where_what_it_asks_for_is_seen(make_actor, policy, hidden, reached_at):
    actor = make_actor(policy=policy, mode="reactive")
    actor.reset(GOALS[:2], seed=0)
    position = np.zeros(3, np.float32)
    for step in range(6):
        seen = {name: value for name, value in observe(position).items() if step not in (3, 4) or name != hidden}
        position = position + np.float32(0.1) * actor.act(seen)
    assert [choice.step for choice in actor.state.choices if choice.situation.filled_sensors] == [3, 4]
    assert [choice.step for choice in actor.state.choices if choice.event] == [reached_at]


def test_planning_walks_through_the_goals_too(make_actor):
    actor = make_actor()
    positions = run(actor, GOALS, num_steps=30)
    assert [choice.event for choice in actor.state.choices if choice.event] == ["reached"] * 3
    assert np.abs(positions[-1]).max() < 0.03


def test_the_cost_of_a_moment_is_towards_the_goal_that_was_pursued_until_then(make_actor, policy):
    actor = make_actor(policy=policy, mode="reactive")
    positions = run(actor, GOALS, num_steps=12)
    times, embeddings, costs = actor.state.memory.triples()
    assert times.tolist() == list(range(12))
    assert np.array_equal(embeddings[:, :3], positions[:12])
    pursued = np.array([GOALS[index]["position"] for index in [0] * 4 + [1] * 4 + [2] * 4])
    assert costs.tolist() == pytest.approx(((positions[:12] - pursued) ** 2).mean(axis=1), abs=1e-6)
    assert np.allclose(actor.state.memory.goals().embedding[:, :3], pursued)


def test_a_new_goal_is_planned_for_from_scratch(make_actor, monkeypatch):
    actor, given, plan = make_actor(), [], CEM.plan

    def watched(self, objective, state, **arguments):
        given.append(state)
        return plan(self, objective, state, **arguments)

    monkeypatch.setattr(CEM, "plan", watched)
    run(actor, GOALS, num_steps=30)
    events = [choice.event for choice in actor.state.choices]
    untouched = [not state.mean.any() for state in given]
    assert untouched == [
        step == 0 or (event == "reached" and events[:step].count("reached") < 2) for step, event in enumerate(events)
    ]


def test_a_goal_that_is_stuck_is_left_for_the_next_with_the_reason(make_actor, policy):
    actor = make_actor(policy=policy, mode="reactive", sub_goals={"patience": 4}, attention=BELIEVED)
    run(actor, GOALS[:2], num_steps=12, held=True)
    stuck = [choice for choice in actor.state.choices if choice.event == "stuck"]
    assert [(choice.step, choice.situation.goal_index) for choice in stuck] == [(4, 1), (9, 1)]
    assert stuck[0].reason.startswith("goal 1 of 2 is stuck: neither its distance nor its cost-to-go improved for 4")
    assert stuck[0].reason.endswith("on to the next")
    assert stuck[1].reason.endswith("it is tried on, as the last")


def test_a_goal_that_is_stuck_can_end_the_episode(make_actor, policy):
    actor = make_actor(
        policy=policy, mode="reactive", sub_goals={"patience": 4, "when_stuck": "stop"}, attention=BELIEVED
    )
    actor.reset(GOALS[:2], seed=0)
    actions = np.array([actor.act(observe([0.0, 0.0, 0.0])) for _ in range(8)])
    assert (actions[:4, 0] == 1.0).all() and (actions[4:] == 0.0).all()
    assert [choice.mode for choice in actor.state.choices] == ["reactive"] * 4 + ["still"] * 4
    assert actor.state.choices[4].reason.endswith("the robot holds still")
    assert len(actor.state.memory.moments) == 8


def test_progress_that_only_the_critic_sees_is_progress(make_actor, policy, critic):
    told = iter(range(100, 0, -1))

    def improving(embeddings, goal):
        return critic(embeddings, goal) * 0.0 + next(told)

    for judge, events in ((critic, ["stuck"]), (improving, [])):
        actor = make_actor(
            policy=policy,
            critic=judge,
            mode="reactive",
            sub_goals={"patience": 4, "min_progress": 0.0},
            attention=BELIEVED,
        )
        run(actor, GOALS[:1], num_steps=8, held=True)
        assert [choice.event for choice in actor.state.choices if choice.event] == events


def test_a_critic_that_is_below_nothing_sees_no_progress_where_there_is_none(make_actor, policy, critic):
    def below(embeddings, goal):
        return critic(embeddings, goal) * 0.0 - 0.2

    actor = make_actor(
        policy=policy,
        critic=below,
        mode="reactive",
        sub_goals={"patience": 4, "min_progress": 0.01},
        attention=BELIEVED,
    )
    run(actor, GOALS[:1], num_steps=8, held=True)
    assert [choice.event for choice in actor.state.choices if choice.event] == ["stuck"]
    assert {choice.situation.cost_to_go for choice in actor.state.choices} == {0.0}


def test_a_single_goal_in_a_list_is_that_goal(make_actor):
    alone, listed = make_actor(), make_actor()
    assert np.array_equal(run(alone, GOALS[0], num_steps=6), run(listed, GOALS[:1], num_steps=6))


def test_an_empty_list_is_refused(make_actor):
    with pytest.raises(GoalError, match="must hold at least one goal"):
        make_actor().reset([], seed=0)


def test_recorded_observations_give_the_same_actions_bit_for_bit(make_actor):
    positions = run(make_actor(), GOALS, num_steps=20)
    fresh = make_actor()
    fresh.reset(GOALS, seed=0)
    actions = np.array([fresh.act(observe(position)) for position in positions[:-1]])
    assert np.array_equal(positions[:-1] + np.float32(0.1) * actions, positions[1:])
