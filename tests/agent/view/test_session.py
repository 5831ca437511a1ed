from contextlib import nullcontext
from queue import SimpleQueue

import mujoco
import numpy as np
import pytest
import torch

import envs  # noqa: F401
from agent.actor import Actor
from agent.evaluation.scenarios.types import StagedTask
from agent.evaluation.view.keys import KEYS, Switches
from agent.evaluation.view.session import Session
from agent.evaluation.view.window import _texts, _turn
from envs.arm.task import make_task
from envs.types import Frame, Verdict
from jepa_mpc.errors import UserError
from world_model.types import LatentContext, LatentGoal, LatentTrajectory

CODES = {key.name: code for code, key in KEYS.items()}
MAX_DISPLACEMENT = 0.03
SWITCHES = Switches(
    planners=("cem", "broken", "other"),
    modes=("planning", "hybrid", "reactive"),
    planner="cem",
    mode="planning",
    episode=0,
)


class TipModel:
    """Knows how the tip of reach moves: the embedding is where it is."""

    embed_dim = 3
    least_context = 1
    latent_dim = 0
    blocks = {"tip": slice(0, 3)}

    def encode(self, observation):
        return observation["tip"]

    def encode_goal(self, goal):
        wished = goal.observation["tip"]
        return LatentGoal(embedding=wished, mask=torch.ones_like(wished, dtype=torch.bool))

    def follow(self, context, action, embedding):
        return LatentContext(embeddings=embedding[:, None], actions=context.actions, previous_action=action)

    def rollout(self, context, actions):
        moves = MAX_DISPLACEMENT * actions.cumsum(dim=2)
        return LatentTrajectory(
            embeddings=context.embeddings[:, -1, None, None] + moves,
            actions=actions,
            previous_action=context.previous_action,
            start=context.embeddings[:, -1],
        )


def straight(embeddings, goal):
    """Goes to the goal as fast as it can."""
    return ((goal.embedding - embeddings) / MAX_DISPLACEMENT).clamp(-1.0, 1.0)


@pytest.fixture
def task():
    return make_task(env_id="jepa-mpc/Reach-v0", vision=None, film_size=None)


@pytest.fixture
def make_session(task, make_actor):
    """Makes a session whose agent knows its world; the planner "broken" refuses it."""

    def actor(planner, mode):
        if planner == "broken":
            raise UserError("it is broken")
        return make_actor(
            spec=task.spec,
            world_model=TipModel(),
            policy=straight,
            mode=mode,
            workspace=None,
            attention={"driven": ["tip"]},
        )

    return lambda switches=SWITCHES: Session(task, actor, switches)


@pytest.fixture
def scene(task):
    made = mujoco.MjData(task.scene())
    task.reset(2_000_000_000)
    task.show(made)
    return made


class Viewer:
    """Does in `sync` what MuJoCo's viewer does while somebody drags the goal to a place."""

    def __init__(self, scene):
        self._scene, self.dragged_to, self.texts = scene, None, []

    def lock(self):
        return nullcontext()

    def sync(self):
        if self.dragged_to is not None:
            self._scene.mocap_pos[:] = self.dragged_to

    def set_texts(self, texts):
        self.texts = texts


def go_on(session, task, viewer, scene, *, num_steps, pressed=()):
    keys = SimpleQueue()
    for name in pressed:
        keys.put(CODES[name])
    for _ in range(num_steps):
        _turn(session, task, viewer, scene, keys)


def test_the_agent_pursues_a_goal_that_is_dragged_and_reaches_it(make_session, task, scene):
    session, viewer = make_session(), Viewer(scene)
    go_on(session, task, viewer, scene, num_steps=3)
    first, step = session.frame.goal["tip"], session.actor.state.step
    torch.testing.assert_close(session.actor.state.goal.embedding[0], torch.from_numpy(first))

    elsewhere = np.array([0.4, 0.2, 0.1]) if first[1] < 0 else np.array([0.6, -0.2, 0.25])
    viewer.dragged_to = elsewhere
    go_on(session, task, viewer, scene, num_steps=2)
    np.testing.assert_allclose(session.actor.state.goal.embedding[0], elsewhere, atol=1e-6)
    assert session.actor.state.step == step + 2  # the episode goes on: what was perceived is remembered
    assert session.actor.state.memory.moments[0].time == 0

    viewer.dragged_to = None
    go_on(session, task, viewer, scene, num_steps=40)
    assert session.frame.verdict.success
    assert np.linalg.norm(session.frame.readings["tip"] - elsewhere) < 0.02
    assert np.linalg.norm(elsewhere - first) > 0.1


def test_the_agent_is_told_no_more_than_the_goal(make_session, task, scene):
    session, told = make_session(), []
    pursue = session.actor.pursue
    session.actor.pursue = lambda goal: (told.append(goal), pursue(goal))
    scene.mocap_pos[0] = [0.5, 0.0, 0.2]
    session.reach_in(scene)
    session.reach_in(scene)
    assert [set(goal) for goal in told] == [set(task.spec.asked)]


def test_another_planner_and_another_mode_go_on_with_the_same_episode(make_session, task, scene):
    session, viewer = make_session(), Viewer(scene)
    go_on(session, task, viewer, scene, num_steps=3)
    assert session.actor.state.choices[-1].mode == "planning"
    before = session.actor
    go_on(session, task, viewer, scene, num_steps=1, pressed=["9"])
    state = session.actor.state
    assert (session.switches.mode, state.choices[-1].mode, state.step) == ("reactive", "reactive", 4)
    assert session.actor is not before and state.choices[0].mode == "planning"
    go_on(session, task, viewer, scene, num_steps=1, pressed=["Left", "8"])
    assert (session.switches.planner, session.actor.state.choices[-1].mode) == ("other", "hybrid")


def test_a_planner_that_cannot_plan_here_is_told_and_left_out(make_session, task, scene):
    session, viewer = make_session(), Viewer(scene)
    actor = session.actor
    go_on(session, task, viewer, scene, num_steps=2, pressed=["Right"])
    assert session.actor is actor
    assert (session.switches.planner, session.switches.planners) == ("cem", ("cem", "other"))
    assert "broken cannot do that here: it is broken" in viewer.texts[0][3]
    go_on(session, task, viewer, scene, num_steps=2, pressed=["Right"])
    assert session.switches.planner == "other"


def test_a_fault_of_ours_is_no_planner_that_cannot_plan(make_session, monkeypatch):
    session = make_session()
    monkeypatch.setattr(Actor, "act", lambda *_: int("x"))
    with pytest.raises(ValueError, match="invalid literal"):
        session.press(CODES["9"])


def test_the_next_episode_is_the_next_of_the_validation_split(make_session, task, scene):
    session, viewer = make_session(), Viewer(scene)
    go_on(session, task, viewer, scene, num_steps=4)
    session.press(CODES["Enter"])
    other = make_task(env_id="jepa-mpc/Reach-v0", vision=None, film_size=None).reset(2_000_000_001)
    np.testing.assert_array_equal(session.frame.readings["tip"], other.readings["tip"])
    np.testing.assert_array_equal(session.frame.goal["tip"], other.goal["tip"])
    assert session.actor.state.step == 0


def test_paused_nothing_moves_but_what_is_dragged(make_session, task, scene):
    session, viewer = make_session(), Viewer(scene)
    go_on(session, task, viewer, scene, num_steps=2, pressed=["Space"])
    tip = session.frame.readings["tip"].copy()
    viewer.dragged_to = [0.5, 0.0, 0.2]
    go_on(session, task, viewer, scene, num_steps=3)
    np.testing.assert_array_equal(session.frame.readings["tip"], tip)
    np.testing.assert_allclose(session.frame.goal["tip"], [0.5, 0.0, 0.2], atol=1e-6)
    go_on(session, task, viewer, scene, num_steps=3, pressed=["Space"])
    assert (session.frame.readings["tip"] != tip).any()


def test_the_window_says_what_is_on_and_when_asked_the_keys(make_session, task, scene):
    session, viewer = make_session(), Viewer(scene)
    go_on(session, task, viewer, scene, num_steps=2)
    (_, _, names, values), *_ = viewer.texts
    said = dict(zip(names.split("\n"), values.split("\n"), strict=True))
    assert (said["planner"], said["mode"]) == ("cem", "planning")
    assert said["episode"] == "0, 0.1 s" and said["goal"].startswith("not reached, ")
    assert "256 evaluations" in said["plan"]
    session.press(CODES["F8"])
    keys = _texts(session)[1]
    assert keys[2].split("\n")[: len(KEYS)] == [key.name for key in KEYS.values()]


class Ending(StagedTask):
    """Reach, which ends as its second step is over."""

    def scene(self):
        return self._task.scene()

    def show(self, scene):
        self._task.show(scene)

    def feel(self, scene):
        self._task.feel(scene)

    def drag(self, scene):
        return self._task.drag(scene)

    def reset(self, seed):
        self._left = 2
        return super().reset(seed)

    def step(self, action):
        self._left -= 1
        frame = super().step(action)
        ended = Verdict(frame.verdict.success, frame.verdict.distances, terminated=self._left == 0, truncated=False)
        return Frame(frame.readings, frame.goal, ended)


def test_an_episode_that_its_task_ends_waits_for_the_next(make_session, task, scene):
    ending = Ending(task)
    session = make_session()
    session = Session(ending, session._make_actor, SWITCHES)
    viewer = Viewer(scene)
    go_on(session, ending, viewer, scene, num_steps=5)
    assert session.is_over and session.actor.state.step == 2
    assert "over: Enter begins the next episode" in viewer.texts[0][3]
    go_on(session, ending, viewer, scene, num_steps=1, pressed=["Enter"])
    assert not session.is_over and session.actor.state.step == 1
