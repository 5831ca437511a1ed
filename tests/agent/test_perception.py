"""Gates on the sensors, in a world that the model knows: the position moves by a tenth of the action."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agent.perception import ObservationError

GOAL = {"position": [0.9, 0.0, 0.0]}


def observe(position, **others):
    return {"position": np.asarray(position, np.float32), "clock": np.zeros(2, np.float32), **others}


def run(actor, show, *, num_steps, goal=GOAL):
    """Lets a point do what the actor says, while the actor sees `show(step, observation)`; returns true positions."""
    actor.reset(goal, seed=0)
    positions = [np.zeros(3, np.float32)]
    for step in range(num_steps):
        action = actor.act(show(step, observe(positions[-1])))
        positions.append(positions[-1] + np.float32(0.1) * action)
    return np.array(positions)


def filled(actor):
    return [choice.situation.filled_sensors for choice in actor.state.choices]


def without_clock(step, observation):
    return {"position": observation["position"]} if step else observation


def with_nan(step, observation):
    return observation if step == 0 else {**observation, "clock": np.array([np.nan, 0.0], np.float32)}


def with_none(step, observation):
    return observation if step == 0 else {**observation, "clock": None}


@pytest.mark.parametrize("show", [without_clock, with_nan, with_none])
def test_a_missing_sensor_is_filled_in_and_counts_as_no_surprise(make_actor, show):
    complete, gated = make_actor(), make_actor()
    undisturbed = run(complete, lambda step, observation: observation, num_steps=5)
    assert np.array_equal(run(gated, show, num_steps=5), undisturbed)
    assert filled(gated) == [(), *[("clock",)] * 4]
    assert [moment.seen for moment in gated.state.memory.moments[1:]] == [frozenset({"position"})] * 4
    for ours, theirs in zip(gated.state.memory.moments, complete.state.memory.moments, strict=True):
        assert ours.embedding.tolist() == theirs.embedding.tolist()


def test_while_the_position_is_hidden_it_is_reckoned_from_what_was_executed(make_actor):
    def hide_position(step, observation):
        return {"clock": observation["clock"]} if 2 <= step < 5 else observation

    actor = make_actor()
    positions = run(actor, hide_position, num_steps=14)
    assert filled(actor)[2:6] == [("position",)] * 3 + [()]
    assert np.abs(positions[-1] - GOAL["position"]).max() < 0.02
    assert all(moment.surprise < 1e-10 for moment in actor.state.memory.moments)


def test_surprise_counts_only_what_was_seen(make_actor):
    actor = make_actor()
    actor.reset({"position": [0.0, 0.0, 0.0]}, seed=0)
    position = np.float32(0.1) * actor.act(observe([0.0, 0.0, 0.0]))
    actor.act({"position": position + np.array([0.5, 0.0, 0.0], np.float32)})
    moment = actor.state.memory.moments[-1]
    assert moment.surprise == pytest.approx(0.5**2 / 3, rel=1e-4)
    assert moment.block_surprises == {"position": pytest.approx(0.5**2 / 3, rel=1e-4)}


def test_surprise_is_told_by_block_and_in_total(make_actor):
    actor = make_actor()
    actor.reset({"position": [0.0, 0.0, 0.0]}, seed=0)
    position = np.float32(0.1) * actor.act(observe([0.0, 0.0, 0.0]))
    actor.act(observe(position, clock=np.array([0.0, 2.0], np.float32)))
    moment = actor.state.memory.moments[-1]
    assert moment.surprise == pytest.approx(2.0**2 / 5)
    assert moment.block_surprises == {"position": pytest.approx(0.0, abs=1e-12), "clock": pytest.approx(2.0**2 / 2)}


def test_a_sensor_that_is_switched_off_is_looked_at_once(make_actor):
    def jump(step, observation):
        return {**observation, "clock": np.full(2, 1.0 if step == 0 else 9.0, np.float32)}

    actor = make_actor(attention={"switched_off": ["clock"]})
    run(actor, jump, num_steps=4)
    assert filled(actor) == [(), *[("clock",)] * 3]
    assert [moment.embedding[3:].tolist() for moment in actor.state.memory.moments] == [[1.0, 1.0]] * 4
    assert actor.state.percept.filled == {"clock": "switched off"}


def test_a_rule_switches_a_sensor_off_for_the_next_model_step(make_actor):
    rules = [
        {
            "name": "calm",
            "when": {"steps_on_goal_above": 1, "steps_on_goal_below": 4},
            "then": {"switched_off": ["clock"]},
        },
        {"name": "else", "when": {}, "then": {}},
    ]
    actor = make_actor(rules=rules)
    run(actor, lambda step, observation: {**observation, "clock": np.full(2, step, np.float32)}, num_steps=6)
    assert [choice.rule for choice in actor.state.choices] == ["else", "calm", "calm", "else", "else", "else"]
    assert filled(actor) == [(), (), ("clock",), ("clock",), (), ()]
    assert [moment.embedding[3].item() for moment in actor.state.memory.moments] == [0.0, 1.0, 1.0, 1.0, 4.0, 5.0]


def test_a_rule_that_switches_off_an_unknown_sensor_is_refused(make_actor):
    rules = [{"name": "else", "when": {}, "then": {"switched_off": ["nose"]}}]
    with pytest.raises(ValueError, match=r"switched_off must name sensors among \['clock', 'position'\], got 'nose'"):
        make_actor(rules=rules)


def frozen_from(start):
    held = []

    def show(step, observation):
        if step < start:
            return observation
        held.append(observation["position"].copy())
        return {**observation, "position": held[0]}

    return show


@pytest.mark.parametrize("frozen_after", [1, 2, 4])
def test_a_sensor_that_stands_still_against_what_is_foreseen_is_frozen(make_actor, frozen_after):
    actor = make_actor(attention={"frozen_after": frozen_after, "frozen_motion": 0.01})
    run(actor, frozen_from(2), num_steps=9, goal={"position": [0.9, 0.9, 0.9]})
    assert filled(actor) == [()] * (2 + frozen_after) + [("position",)] * (7 - frozen_after)
    assert actor.state.percept.filled == {"position": "frozen"}


def test_a_frozen_sensor_thaws_when_it_changes(make_actor):
    def show(step, observation):
        return frozen(step, observation) if step < 5 else observation

    frozen = frozen_from(1)
    actor = make_actor(attention={"frozen_after": 2, "frozen_motion": 0.01})
    run(actor, show, num_steps=7, goal={"position": [0.9, 0.9, 0.9]})
    assert filled(actor) == [(), (), (), ("position",), ("position",), (), ()]


def test_a_sensor_that_is_foreseen_to_rest_is_not_frozen(make_actor, policy):
    actor = make_actor(policy=policy, mode="reactive", attention={"frozen_after": 1, "frozen_motion": 1e-6})
    positions = run(actor, lambda step, observation: observation, num_steps=20, goal={"position": [0.2, 0.0, 0.0]})
    assert np.array_equal(positions[5], positions[20])
    assert filled(actor) == [()] * 20


def test_a_thing_that_rests_is_believed_however_often_the_world_model_foresees_that_it_moves(make_actor, integrator):
    class Fearful(type(integrator)):
        """Foresees that the clock jumps at every other step, as a block that is nearly touched."""

        num_calls = 0

        def rollout(self, context, actions):
            trajectory = super().rollout(context, actions)
            self.num_calls += trajectory.actions.shape[1] == 1
            jump = torch.zeros(5).index_fill(0, torch.tensor([3, 4]), float(self.num_calls % 2))
            return replace(trajectory, embeddings=trajectory.embeddings + jump)

    actor = make_actor(world_model=Fearful(), attention={"frozen_after": 2})
    run(actor, lambda step, observation: observation, num_steps=20, goal={"position": [0.9, 0.9, 0.9]})
    assert max(moment.block_surprises["clock"] for moment in actor.state.memory.moments) == pytest.approx(1.0)
    assert filled(actor) == [()] * 20
    assert {tuple(moment.embedding[3:].tolist()) for moment in actor.state.memory.moments} == {(0.0, 0.0)}


def test_a_robot_that_is_told_to_hold_still_is_not_found_frozen_by_a_wrong_forecast(make_actor, policy, integrator):
    class Drifting(type(integrator)):
        """Foresees that everything drifts."""

        def rollout(self, context, actions):
            trajectory = super().rollout(context, actions)
            return replace(trajectory, embeddings=trajectory.embeddings + 0.5)

    actor = make_actor(world_model=Drifting(), policy=policy, mode="reactive", attention={"frozen_after": 1})
    run(actor, lambda step, observation: observation, num_steps=12, goal={"position": [0.0, 0.0, 0.0]})
    assert filled(actor) == [()] * 12


def test_the_sensors_that_are_driven_can_be_named(make_actor):
    frozen = {"position": "frozen"}
    for driven, expected in ((["position"], frozen), ([], {}), (["clock"], {}), (None, frozen)):
        actor = make_actor(attention={"frozen_after": 2, "driven": driven})
        actor.reset({"position": [0.9, 0.9, 0.9]}, seed=0)
        for _ in range(6):
            actor.act(observe([0.0, 0.0, 0.0]))
        assert actor.state.percept.filled == expected


def test_where_nothing_is_ever_frozen_a_frozen_sensor_is_believed(make_actor):
    actor = make_actor(attention={"frozen_after": None})
    run(actor, frozen_from(2), num_steps=9, goal={"position": [0.9, 0.9, 0.9]})
    assert filled(actor) == [()] * 9


def test_between_two_model_steps_a_missing_sensor_is_not_missed(make_actor):
    actor = make_actor(action_repeat=2)
    actor.reset(GOAL, seed=0)
    first = actor.act(observe([0.0, 0.0, 0.0]))
    second = actor.act({"position": np.zeros(3, np.float32)})
    assert np.array_equal(first, second)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("clock", "message"),
    [
        (np.zeros(3, np.float32), r"'clock' must have shape \(2,\), got \(3,\)"),
        ("noon", r"'clock' must read numbers of shape \(2,\), got 'noon'"),
        ([[0.0], [0.0, 1.0]], r"'clock' must read numbers of shape \(2,\), got \[\["),
        ({}, r"'clock' must read numbers of shape \(2,\), got {}"),
    ],
)
def test_what_is_no_reading_of_the_sensor_is_always_an_error(make_actor, first, clock, message):
    actor = make_actor()
    actor.reset(GOAL, seed=0)
    if not first:
        actor.act(observe([0.0, 0.0, 0.0]))
    with pytest.raises(ObservationError, match=message):
        actor.act(observe([0.0, 0.0, 0.0], clock=clock))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"switched_off": ["nose"]}, r"switched_off must name sensors among \['clock', 'position'\], got 'nose'"),
        ({"switched_off": ["clock", "position"]}, "switched_off must leave at least one of the sensors"),
        ({"switched_off": "clock"}, "switched_off must be a list of sensors, got 'clock'"),
        ({"driven": ["nose"]}, r"driven must name sensors among \['clock', 'position'\], got 'nose'"),
        ({"driven": "clock"}, "driven must be a list of sensors, got 'clock'"),
        ({"frozen_after": 0}, "frozen_after must be at least 1, or null, got 0"),
        ({"frozen_motion": 0.0}, "frozen_motion must be above 0 and finite, got 0.0"),
    ],
)
def test_attention_that_makes_no_sense_is_refused(make_actor, change, message):
    with pytest.raises(ValueError, match=message):
        make_actor(attention=change)


def test_recorded_observations_with_gaps_give_the_same_actions_bit_for_bit(make_actor):
    observations = []

    def failing(step, observation):
        gaps = {3: ["clock"], 4: ["clock", "position"], 5: ["position"]}.get(step, [])
        observations.append({name: it.copy() for name, it in observation.items() if name not in gaps})
        return observations[-1]

    positions = run(make_actor(), failing, num_steps=9)
    fresh = make_actor()
    fresh.reset(GOAL, seed=0)
    actions = np.array([fresh.act(observation) for observation in observations])
    assert np.array_equal(positions[:-1] + np.float32(0.1) * actions, positions[1:])
