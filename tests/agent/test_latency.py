"""A late world: what is decided now takes effect some control steps later."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agent.evaluation.latency import LatencyError, estimate_latency
from agent.evaluation.scenarios.latency import Latency, LateTask
from agent.latency import Timing
from envs.arm.task import make_task
from envs.episodes.exploration import UniformRandom, Zero
from envs.episodes.rollout import rollout

GOAL = {"position": [0.5, -0.3, 0.2]}
STEP = np.float32(0.1)
NUM_STEPS = 24
TIMINGS = [(repeat, latency) for repeat in (1, 2, 3, 4) for latency in range(9)]


def observe(position):
    return {"position": np.asarray(position, np.float32), "clock": np.zeros(2, np.float32)}


def run(actor, *, latency, num_steps=NUM_STEPS, goal=GOAL):
    """Returns the positions of a point that does what the actor says, so many control steps later, from the origin."""
    actor.reset(goal, seed=0)
    sent, positions = [np.zeros(3, np.float32)] * latency, [np.zeros(3, np.float32)]
    for step in range(num_steps):
        sent.append(actor.act(observe(positions[-1])))
        positions.append(positions[-1] + STEP * sent[step])
    return np.array(positions)


@pytest.mark.parametrize("mode", ["planning", "hybrid", "reactive"])
@pytest.mark.parametrize(("action_repeat", "latency"), [(1, 1), (1, 3), (2, 1), (2, 4), (4, 1), (4, 2), (4, 4), (4, 9)])
def test_with_a_perfect_model_a_late_world_sees_the_very_trajectory_shifted(
    make_actor, policy, mode, action_repeat, latency
):
    arguments = {"action_repeat": action_repeat, "mode": mode, "policy": policy, "max_acceleration": 300.0}
    in_time = run(make_actor(**arguments), latency=0)
    late = run(make_actor(**arguments, latency=latency), latency=latency, num_steps=NUM_STEPS + latency)
    # of several control steps at once the sum is rounded in another order, and at the goal a rounding may decide
    np.testing.assert_allclose(late[latency:], in_time, atol=0.0 if action_repeat == 1 else 0.02)
    unaware = run(make_actor(**arguments), latency=latency, num_steps=NUM_STEPS + latency)
    assert np.abs(unaware[latency:] - in_time).max() > 0.05


@pytest.mark.parametrize(("action_repeat", "latency"), TIMINGS)
def test_what_has_taken_effect_and_what_is_under_way_are_known(action_repeat, latency):
    timing = Timing(action_repeat=action_repeat, latency=latency)
    sent = np.full((timing.num_sent, 1), -1.0, np.float32)  # -1 is still; else the control step of its sending
    perceived, num_perceived = 0 - timing.ahead, 0
    for step in range(40):
        if timing.perceives(step):
            if step > 0:
                assert step - perceived == action_repeat
                effects = [max(it - latency, -1) for it in range(perceived, step)]
                assert timing.taken_effect(sent)[:, 0].tolist() == effects
                perceived = step
            assert timing.model_step(step) == num_perceived
            num_perceived += 1
        if timing.decides(step):
            effects = [max(it - latency, -1) for it in range(perceived, step + latency)]
            assert timing.under_way(sent).shape == (timing.lead, action_repeat)
            assert timing.under_way(sent).flatten().tolist() == effects
        sent = np.vstack([sent[1:], [[step]]]).astype(np.float32)


@pytest.mark.parametrize("action_repeat", [1, 2, 4])
def test_nobody_is_surprised_by_a_late_world_that_is_known_to_be_late(make_actor, action_repeat):
    aware, unaware = (make_actor(latency=it, action_repeat=action_repeat) for it in (3, 0))
    for actor in (aware, unaware):
        run(actor, latency=3)
    assert max(it.surprise for it in aware.state.memory.moments) < 1e-10
    assert max(it.surprise for it in unaware.state.memory.moments) > 1e-3
    times = [it.time for it in aware.state.memory.moments]
    assert times == list(range(-(-(NUM_STEPS + aware.timing.ahead) // action_repeat)))


def test_a_goal_that_is_given_between_perceiving_and_deciding_is_judged_by_its_own_distance(make_actor):
    actor = make_actor(latency=1, action_repeat=4)
    actor.reset({"position": [0.0, 0.0, 0.0]}, seed=0)
    for step in range(6):
        if step == 2:  # perceived at 1, decided at 4
            actor.pursue([{"position": [0.5, 0.0, 0.0]}, {"position": [-0.5, 0.0, 0.0]}])
        actor.act(observe([0.0, 0.0, 0.0]))
    assert [(it.step, it.event, it.situation.goal_index) for it in actor.state.choices[1:]] == [(4, None, 0)]
    assert actor.state.choices[-1].situation.goal_distance == pytest.approx(0.25 / 3)


def test_an_episode_goes_on_with_the_latency_that_it_began_with(make_actor):
    actor = make_actor(latency=1)
    actor.reset(GOAL, seed=0)
    actor.act(observe([0.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match="must go on with a latency of 3 control steps, got a state of 1"):
        make_actor(latency=3).go_on(actor.state)
    make_actor(latency=1).go_on(actor.state)


@pytest.mark.parametrize("latency", [1, 2, 3])
def test_the_effector_stays_in_its_workspace_in_a_late_world(make_actor, policy, latency):
    arguments = {"policy": policy, "mode": "reactive", "workspace": 0.25}
    ahead = {"position": [0.5, 0.0, 0.0]}
    aware, unaware = (run(make_actor(**arguments, latency=it), latency=latency, goal=ahead) for it in (latency, 0))
    assert np.abs(aware).max() <= 0.25 + 1e-6
    assert np.abs(unaware).max() > 0.3


def test_a_late_task_stays_still_until_the_first_action_arrives_and_executes_each_in_its_turn():
    task = make_task(env_id="jepa-mpc/Reach-v0", vision=None, film_size=None)
    executed = []
    step = task.step
    task.step = lambda action: executed.append(action.copy()) or step(action)
    late = LateTask(task, latency=3)
    for _ in range(2):  # nothing is under way from one episode to the next
        executed.clear()
        sent = rollout(late, UniformRandom(task.spec), seed=1, num_steps=8).actions
        assert not np.any(executed[:3])
        assert np.array_equal(executed[3:], sent[:-3])
    assert (late.spec, late.criterion) == (task.spec, task.criterion)


def test_without_latency_nothing_is_changed(spec):
    scenario = Latency(spec, num_steps=0)
    task, policy = make_task(env_id="jepa-mpc/Reach-v0", vision=None, film_size=None), Zero(spec)
    staged, acting = scenario.stage(task, policy, seed=0)
    assert acting is policy and scenario.note is None and scenario.latency == 0
    random = UniformRandom(task.spec)
    ours, theirs = (rollout(it, random, seed=2, num_steps=5).observations for it in (staged, task))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def test_what_makes_no_sense_is_refused(make_actor, spec):
    with pytest.raises(ValueError, match=r"num_steps must be below the 20 control steps of an episode, .* got 20"):
        Latency(spec, num_steps=20)
    with pytest.raises(ValueError, match=r"num_steps must be .* got -1"):
        Latency(spec, num_steps=-1)
    with pytest.raises(ValueError, match=r"latency must be at most the 6 control steps of a horizon of 3 .* got 7"):
        make_actor(action_repeat=2, latency=7)
    make_actor(action_repeat=2, latency=6)


def test_a_robot_that_cannot_do_nothing_is_late_too(make_actor, spec):
    actions = replace(spec.actions, idle=None)
    actor = make_actor(spec=replace(spec, actions=actions), latency=2, workspace=None)
    positions = run(actor, latency=2)
    assert np.abs(positions[-1] - GOAL["position"]).max() < 0.05


def record(remember, *, latency, num_episodes=4, length=24, repeat=2, seed=0, actions=None):
    """Returns episodes of a point that is moved so many control steps late, as they are sent and seen."""
    rng = np.random.default_rng(seed)
    episodes, sent = [], []
    for _ in range(num_episodes):
        told = rng.uniform(-1, 1, (length, 3)).astype(np.float32) if actions is None else np.array(actions, np.float32)
        done = np.vstack([np.zeros((latency, 3), np.float32), told])[:length]
        places = np.vstack([np.zeros((1, 3)), STEP * done.cumsum(axis=0)])
        episodes.append(np.hstack([places, np.zeros((length + 1, 2))]))
        sent.append(told)
    blocks = {"position": slice(0, 3), "clock": slice(3, 5)}
    return remember(episodes, actions=sent, blocks=blocks, action_repeat=repeat)


@pytest.mark.parametrize("repeat", [1, 2, 4])
@pytest.mark.parametrize("latency", range(6))
def test_recordings_tell_how_late_a_robot_is(integrator, remember, latency, repeat):
    estimate = estimate_latency(integrator, record(remember, latency=latency, repeat=repeat), max_latency=6)
    assert estimate.latency == latency
    assert estimate.num_agreeing == 4
    assert estimate.shares[latency] < 1e-9
    assert min(share for steps, share in enumerate(estimate.shares) if steps != latency) > 0.1


def test_an_episode_that_is_too_short_says_nothing_and_the_others_do(integrator, remember):
    long, short = record(remember, latency=3), record(remember, latency=0, length=7, num_episodes=1)
    both = replace(
        long,
        embeddings=torch.cat([short.embeddings, long.embeddings]),
        actions=torch.cat([short.actions, long.actions]),
        lengths=torch.cat([short.lengths, long.lengths]),
    )
    estimate = estimate_latency(integrator, both, max_latency=6)
    assert (estimate.latency, len(estimate.errors)) == (3, 4)
    assert estimate.shares == estimate_latency(integrator, long, max_latency=6).shares


def test_a_robot_that_is_later_than_all_that_is_tried_gets_no_answer(integrator, remember):
    with pytest.raises(LatencyError, match="no latency of at most max_latency=6 control steps explains what was seen"):
        estimate_latency(integrator, record(remember, latency=9, num_episodes=10), max_latency=6)


@pytest.mark.parametrize(
    ("recorded", "message"),
    [
        ({"length": 7}, r"max_latency=6 takes episodes of at least 8 control steps .* got 4 of at most 7"),
        ({"actions": np.zeros((24, 3))}, r"in which something moves, got 4 of at most 24"),
        ({"actions": np.full((24, 3), 0.5)}, r"the recordings do not tell the latency: .* now this way, now that"),
    ],
)
def test_recordings_that_do_not_tell_the_latency_are_refused(integrator, remember, recorded, message):
    with pytest.raises(LatencyError, match=message):
        estimate_latency(integrator, record(remember, latency=0, **recorded), max_latency=6)
