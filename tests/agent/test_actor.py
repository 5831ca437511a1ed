import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from agent.goal import GoalError
from agent.perception import ObservationError
from envs.spec import BoxActions, Sensor
from planners.cem import CEM


class Disobedient(CEM):
    """A planner that returns what it was not allowed to."""

    def plan(self, *arguments, **named):
        plan, state = super().plan(*arguments, **named)
        return replace(plan, actions=torch.full_like(plan.actions, 5.0)), state


def observe(position):
    return {"position": np.asarray(position, np.float32), "clock": np.zeros(2, np.float32)}


def run(actor, *, num_steps, seed=0):
    """Returns the positions of a point that does what the actor says, from the origin."""
    actor.reset({"position": [0.5, -0.3, 0.2]}, seed=seed)
    positions = [np.zeros(3, np.float32)]
    for _ in range(num_steps):
        positions.append(positions[-1] + np.float32(0.1) * actor.act(observe(positions[-1])))
    return np.array(positions)


def test_the_closed_loop_reaches_a_partial_goal_and_stays(make_actor):
    for seed in range(3):
        positions = run(make_actor(), num_steps=12, seed=seed)
        distances = np.linalg.norm(positions - [0.5, -0.3, 0.2], axis=1)
        assert (np.diff(distances[:5]) < 0).all()
        assert (distances[-4:] < 0.02).all()


def test_a_fresh_actor_repeats_the_actions_bit_for_bit_without_an_environment(make_actor):
    positions = run(make_actor(), num_steps=8)
    fresh = make_actor()
    fresh.reset({"position": [0.5, -0.3, 0.2]}, seed=0)
    actions = [fresh.act(observe(position)) for position in positions[:-1]]
    assert np.array_equal(positions[:-1] + np.float32(0.1) * np.array(actions), positions[1:])


def test_reset_forgets_and_the_seed_matters(make_actor):
    actor = make_actor()
    first = run(actor, num_steps=5, seed=1)
    assert np.array_equal(run(actor, num_steps=5, seed=1), first)
    assert not np.array_equal(run(actor, num_steps=5, seed=2), first)


def test_an_episode_pursues_its_own_goal_whatever_was_pursued_before(make_actor):
    actor = make_actor()
    for goal in ([0.5, -0.3, 0.2], [-0.4, 0.6, 0.0], [0.1, 0.1, -0.7]):
        actor.reset({"position": goal}, seed=0)
        position = np.zeros(3, np.float32)
        for _ in range(12):
            position = position + np.float32(0.1) * actor.act(observe(position))
        assert np.linalg.norm(position - goal) < 0.02


def test_an_action_is_held_for_a_model_step_and_planned_anew_after_it(make_actor):
    actor = make_actor(action_repeat=3)
    actor.reset({"position": [1.0, 1.0, 1.0]}, seed=0)
    position, actions = np.zeros(3, np.float32), []
    for _ in range(6):
        actions.append(actor.act(observe(position)))
        position = position + np.float32(0.1) * actions[-1]
    assert np.array_equal(actions[0], actions[1]) and np.array_equal(actions[1], actions[2])
    assert not np.array_equal(actions[2], actions[3])
    assert len(actor.state.memory.moments) == 2
    assert actor.state.memory.moments[1].surprise < 1e-10


def test_of_choices_the_newest_are_kept(make_actor):
    actor = make_actor(memory_capacity=4)
    run(actor, num_steps=9)
    assert [choice.step for choice in actor.state.choices] == [5, 6, 7, 8]
    assert len(actor.state.memory.moments) == 4


def test_surprise_is_the_error_of_what_was_foreseen(make_actor):
    actor = make_actor()
    actor.reset({"position": [0.0, 0.0, 0.5]}, seed=0)
    action = actor.act(observe([0.0, 0.0, 0.0]))
    shove = np.array([0.5, 0.0, 0.0], np.float32)
    actor.act(observe(np.float32(0.1) * action + shove))
    assert actor.state.memory.moments[-1].surprise == pytest.approx(0.5**2 / 5, rel=1e-4)


def test_the_guardrails_have_the_last_word(make_actor):
    actor = make_actor(planner=Disobedient, max_acceleration=4.0)
    actor.reset({"position": [1.0, 1.0, 1.0]}, seed=0)
    assert actor.act(observe([-1.0, -1.0, -1.0])).tolist() == pytest.approx([0.1 / math.sqrt(3.0)] * 3)
    assert actor.state.guarded.interventions == ("bounds", "acceleration")


def test_the_guardrails_see_a_tip_that_the_world_model_does_not(make_actor, spec):
    actor = make_actor(
        spec=replace(spec, sensors={**spec.sensors, "tip": Sensor((3,), "numbers", "m")}), tip_sensor="tip"
    )
    actor.reset({"position": [1.0, 1.0, 1.0]}, seed=0)
    assert actor.act({**observe([0.0, 0.0, 0.0]), "tip": np.zeros(3, np.float32)}).min() > 0.5
    assert actor.state.guarded.interventions == ()
    assert actor.act(observe([0.1, 0.1, 0.1])).tolist() == [0.0, 0.0, 0.0]
    assert actor.state.guarded.interventions == ("blind",)


def test_a_tip_that_freezes_under_a_policy_that_presses_outward_stays_inside(make_actor, policy):
    actor = make_actor(policy=policy, mode="reactive", workspace=0.62, tip_frozen_after=2, action_repeat=4)
    actor.reset({"position": [1.0, 0.0, 0.0]}, seed=0)
    position, shown = np.zeros(3, np.float32), None
    for step in range(40):
        shown = position if step <= 5 else shown
        position = position + np.float32(0.1) * actor.act(observe(shown))
        assert position[0] <= 0.62 + 1e-5
        assert ("blind" in actor.state.guarded.interventions) == (step >= 7)


@pytest.mark.parametrize("action_repeat", [1, 3])
def test_what_is_planned_is_what_the_guardrails_let_through(make_actor, action_repeat):
    actor = make_actor(action_repeat=action_repeat, max_acceleration=4.0)
    actor.reset({"position": [1.0, 1.0, 1.0]}, seed=0)
    position, actions = np.full(3, -1.0, np.float32), [np.zeros(3, np.float32)]
    for _ in range(9):
        actions.append(actor.act(observe(position)))
        position = position + np.float32(0.1) * actions[-1]
        assert np.array_equal(actions[-1], actor.state.plan.actions[0, 0])
        assert actor.state.guarded.interventions == ()
    changes = np.diff(np.concatenate([actions, actor.state.plan.actions[0, 1:]]), axis=0)
    assert (np.linalg.norm(changes, axis=1) <= 0.1 + 1e-6).all()
    num_plans = 9 // action_repeat
    assert np.abs(actions[-1]).max() > 0.9 * num_plans * 0.1 / math.sqrt(3.0)  # as fast as it may


def test_a_world_model_that_imagines_nan_leaves_the_robot_still(make_actor, integrator):
    rollout = integrator.rollout
    integrator.rollout = lambda context, actions: replace(
        rollout(context, actions), embeddings=torch.full((*actions.shape[:3], 5), torch.nan)
    )
    actor = make_actor()
    actor.reset({"position": [1.0, 1.0, 1.0]}, seed=0)
    assert actor.act(observe([0.0, 0.0, 0.0])).tolist() == [0.0, 0.0, 0.0]
    assert not actor.state.plan.found.any()


def test_acting_without_a_goal_says_what_to_do(make_actor):
    with pytest.raises(RuntimeError, match="call reset"):
        make_actor().act(observe([0.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        ({"position": np.zeros(3, np.float32)}, "lacks the sensor 'clock'"),
        ({"position": np.zeros(2, np.float32), "clock": np.zeros(2, np.float32)}, r"'position' must have shape \(3,\)"),
        (observe([0.0, np.nan, 0.0]), "'position' must be finite"),
        ({**observe([0.0, 0.0, 0.0]), "clock": None}, r"lacks the sensor 'clock'; it has \['position'\]"),
        (None, "an observation must map sensors to readings, got None"),
        ([np.zeros((3, 3))], r"must map sensors to readings, got \[array\(.*\]$"),
    ],
)
def test_an_observation_that_cannot_be_perceived_is_refused(make_actor, observation, message):
    actor = make_actor()
    actor.reset({"position": [0.0, 0.0, 0.0]}, seed=0)
    with pytest.raises(ObservationError, match=message):
        actor.act(observation)


@pytest.mark.parametrize("seed", [-1, 1.5, True, "0", None])
def test_a_seed_that_is_none_is_refused_at_once(make_actor, seed):
    with pytest.raises(ValueError, match=f"seed must be a whole number of at least 0, got {seed!r}"):
        make_actor().reset({"position": [0.0, 0.0, 0.0]}, seed=seed)


def test_a_seed_that_was_drawn_is_the_seed(make_actor):
    actor = make_actor()
    actions = []
    for seed in (5, np.int64(5)):
        actor.reset({"position": [0.5, 0.0, 0.0]}, seed=seed)
        actions.append(actor.act(observe([0.0, 0.0, 0.0])).tolist())
    assert actions[0] == actions[1]


def test_a_goal_outside_the_workspace_is_refused(make_actor):
    with pytest.raises(GoalError, match="must lie between"):
        make_actor().reset({"position": [2.0, 0.0, 0.0]}, seed=0)


def test_a_caller_that_scales_its_action_in_place_changes_nothing(make_actor):
    actors = [make_actor(max_acceleration=10.0) for _ in range(2)]
    for actor in actors:
        actor.reset({"position": [1.0, 1.0, 1.0]}, seed=0)
    first = actors[0].act(observe([0.0, 0.0, 0.0]))
    first *= 100.0
    actors[1].act(observe([0.0, 0.0, 0.0]))
    position = observe([0.02, 0.02, 0.02])
    assert np.array_equal(actors[0].act(position), actors[1].act(position))


def test_a_plan_starts_warm_from_what_is_left_of_the_last_one(make_actor, monkeypatch):
    given, returned, plan = [], [], CEM.plan

    def watched(self, objective, state, **arguments):
        given.append(state)
        outcome = plan(self, objective, state, **arguments)
        returned.append(outcome[1])
        return outcome

    monkeypatch.setattr(CEM, "plan", watched)
    run(make_actor(), num_steps=2)
    assert torch.equal(given[1].plan[:, :-1], returned[0].plan[:, 1:])
    assert torch.equal(given[1].mean[:, :-1], returned[0].mean[:, 1:])
    assert not torch.equal(given[1].mean[:, :-1], returned[0].mean[:, :-1])


@pytest.mark.parametrize(
    ("actions", "still"),
    [
        (BoxActions(low=(100.0,) * 3, high=(300.0,) * 3, idle=(250.0,) * 3), [250.0] * 3),
        (BoxActions(low=(100.0,) * 3, high=(300.0,) * 3, idle=None), [200.0] * 3),
    ],
)
def test_what_led_to_the_beginning_is_the_still_action_and_nothing_that_the_robot_lacks(
    make_actor, spec, integrator, actions, still
):
    integrator.least_context = 3
    actor = make_actor(spec=replace(spec, actions=actions), action_repeat=2, workspace=None)
    actor.reset({"position": [0.5, -0.3, 0.2]}, seed=0)
    actor.act(observe([0.0, 0.0, 0.0]))
    context = actor.state.context
    assert context.previous_action.tolist() == [still * 2]
    assert context.actions.tolist() == [[still * 2] * 2]
