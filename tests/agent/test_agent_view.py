from types import SimpleNamespace

import numpy as np
import pytest
import torch

import envs  # noqa: F401
from agent.evaluation.pictures import agent_view
from agent.evaluation.pictures.agent_view import AgentView
from agent.evaluation.pictures.drawing import captioned, enlarged, with_attention, with_keypoints
from agent.latency import Timing
from agent.run.config.composing import compose_config
from agent.run.stages.modules import build_world_model, model_configs
from envs.arm.task import make_task
from envs.vision import Vision
from world_model.types import LatentContext, LatentTrajectory

VISION = Vision(cameras=("fixed",), image_size=32, proprioception=False, backends=("raycast",))
TOP, SIZE, GAP, TILE = 22, 320, 8, 156  # pixels
LEFT_PANEL = np.s_[TOP : TOP + SIZE, GAP : GAP + SIZE]
RIGHT_PANEL = np.s_[TOP : TOP + SIZE, 2 * GAP + SIZE : 2 * GAP + 2 * SIZE]
INSET = np.s_[4:104, 216:316]  # of the right panel
GREY = 236


@pytest.fixture(scope="module")
def env():
    made = make_task(env_id="jepa-mpc/Reach-v0", vision=VISION, film_size=SIZE)
    yield made
    made.close()


@pytest.fixture
def shown(env):
    """Returns what is filmed and what is observed at the start of an episode, and its goal."""
    frame = env.reset(2)
    return env.picture(), frame.readings, frame.goal


class Walk:
    """The embedding is the tip; each control action in a model action moves it."""

    blocks = {"fixed_camera": slice(0, 3)}

    def rollout(self, context, actions):
        moves = actions.unflatten(3, (-1, 3)).sum(dim=3).cumsum(dim=2)
        return LatentTrajectory(
            embeddings=context.embeddings[:, -1, None, None] + moves,
            actions=actions,
            previous_action=context.previous_action,
            start=context.embeddings[:, -1],
        )


INTERPRETER = SimpleNamespace(
    places=lambda embeddings: embeddings.double().numpy(),
    pictures=lambda embeddings: (
        (400 * embeddings[:, 2, None, None, None]).round().byte().expand(-1, 64, 64, 3).numpy()  # its height as a grey
    ),
)


def make_actor(env, tip, *, num_evaluations=8, filled=(), step=0, horizon=3, latency=0):
    """An actor that has just decided to rise by 2 cm in each of two control steps of a model step."""
    state = SimpleNamespace(
        step=step + 1,
        choices=[SimpleNamespace(step=0, num_evaluations=num_evaluations)],
        plan=SimpleNamespace(actions=torch.tensor([0.0, 0.0, 0.02]).expand(1, horizon, 3)),
        foreseen=LatentContext(
            embeddings=torch.tensor(tip, dtype=torch.float32)[None, None],
            actions=torch.zeros(1, 0, 6),
            previous_action=torch.zeros(1, 6),
        ),
        percept=SimpleNamespace(filled=dict.fromkeys(filled, "missing")),
    )
    timing = Timing(action_repeat=2, latency=latency)
    return SimpleNamespace(world_model=Walk(), spec=env.spec, state=state, timing=timing)


def compose(env, actor, shown, *, interpreter):
    film, observation, goal = shown
    view = AgentView(actor, env, interpreter=interpreter)
    view.begin(goal)
    return view, view.compose(film, observation)


def tiles(frame):
    """Returns the row below: now, and three imagined frames."""
    row = frame[TOP + SIZE + TOP :][:TILE]
    return [row[:, GAP + (TILE + GAP) * index :][:, :TILE] for index in range(4)]


def test_the_marker_is_for_people_alone(env, shown):
    _, frame = compose(env, make_actor(env, (0.5, 0.0, 0.2)), shown, interpreter=None)
    np.testing.assert_array_equal(frame[LEFT_PANEL], shown[0])
    seen, raw = frame[RIGHT_PANEL].copy(), enlarged(shown[1]["fixed_camera"], SIZE).copy()
    np.testing.assert_array_equal(seen[INSET][2:-2, 2:-2][40:], enlarged(shown[2]["fixed_camera"], 96)[40:])
    seen[INSET] = raw[INSET] = 0
    np.testing.assert_array_equal(seen, raw)

    green = (frame[..., 1].astype(int) - frame[..., [0, 2]].max(axis=2)) > 20
    goal = env.lens("fixed_camera").project(env.wish()["tip"].astype(float))
    rows, columns = np.nonzero(green[LEFT_PANEL])
    np.testing.assert_allclose([columns.mean(), rows.mean()], (goal + 1) / 2 * SIZE, atol=6)
    assert not green[RIGHT_PANEL].any()


def test_the_planned_path_is_drawn_where_the_tip_would_go(env, shown):
    tip = np.array([0.5, 0.0, 0.12])
    _, frame = compose(env, make_actor(env, tip), shown, interpreter=INTERPRETER)
    path = tip + np.array([[0.0, 0.0, 0.04 * step] for step in range(1, 4)])
    dots = ((env.lens("fixed_camera").project(path) + 1) / 2 * SIZE).astype(int)
    assert all(tuple(frame[RIGHT_PANEL][y, x]) == (230, 159, 0) for x, y in dots)


def test_imagined_frames_stand_beside_the_real_one(env, shown):
    _, frame = compose(env, make_actor(env, (0.5, 0.0, 0.12)), shown, interpreter=INTERPRETER)
    now, *imagined = tiles(frame)
    np.testing.assert_array_equal(now, enlarged(shown[1]["fixed_camera"], TILE))
    for step, tile in enumerate(imagined, 1):
        assert (tile == round(400 * (0.12 + 0.04 * step))).all()


def test_of_a_long_plan_the_first_the_middle_and_the_last_frame_are_shown(env, shown):
    _, frame = compose(env, make_actor(env, (0.5, 0.0, 0.12), horizon=5), shown, interpreter=INTERPRETER)
    assert [tile[0, 0, 0] for tile in tiles(frame)[1:]] == [round(400 * (0.12 + 0.04 * step)) for step in (1, 3, 5)]


def test_imagined_frames_are_captioned_by_when_they_will_come(env, shown, monkeypatch):
    captions = []
    monkeypatch.setattr(
        agent_view, "captioned", lambda picture, text: captions.append(text) or captioned(picture, text)
    )
    compose(env, make_actor(env, (0.5, 0.0, 0.12)), shown, interpreter=INTERPRETER)
    compose(env, make_actor(env, (0.5, 0.0, 0.12), latency=3), shown, interpreter=INTERPRETER)
    seconds = [text.removeprefix("imagined, ") for text in captions if text.startswith("imagined, ")]
    assert seconds == ["+0.10 s", "+0.20 s", "+0.30 s", "+0.25 s", "+0.35 s", "+0.45 s"]


def test_a_plan_stands_until_the_next_decision(env, shown):
    actor = make_actor(env, (0.5, 0.0, 0.12))
    view, first = compose(env, actor, shown, interpreter=INTERPRETER)
    actor.state.step, actor.state.plan = 2, None
    np.testing.assert_array_equal(view.compose(*shown[:2]), first)
    actor.state.choices[-1].step, actor.state.choices[-1].num_evaluations = 1, 0
    assert [tile[0, 0, 0] for tile in tiles(view.compose(*shown[:2]))[1:]] == [GREY] * 3
    view.begin(shown[2])
    actor.state.step = 9
    assert [tile[0, 0, 0] for tile in tiles(view.compose(*shown[:2]))[1:]] == [GREY] * 3


def test_what_is_hidden_from_the_agent_is_hidden_in_its_view(env, shown):
    actor = make_actor(env, (0.5, 0.0, 0.2), filled=["fixed_camera"], num_evaluations=0)
    _, frame = compose(env, actor, shown, interpreter=None)
    assert (frame[RIGHT_PANEL][-100:] == GREY).all()


@pytest.mark.parametrize(
    ("interpreter", "num_evaluations", "path"), [(INTERPRETER, 8, True), (INTERPRETER, 0, False), (None, 8, False)]
)
def test_a_path_is_spoken_of_where_one_is_drawn(env, shown, monkeypatch, interpreter, num_evaluations, path):
    said = []
    monkeypatch.setattr(agent_view, "captioned", lambda picture, text: said.append(text) or captioned(picture, text))
    actor = make_actor(env, (0.5, 0.0, 0.12), num_evaluations=num_evaluations)
    compose(env, actor, shown, interpreter=interpreter)
    assert said[1] == "what the agent sees" + ", and where it means to go" * path


@pytest.mark.parametrize("name", ["keypoints", "vit"])
def test_where_the_encoder_looks_is_drawn_on_what_the_agent_sees(env, shown, name):
    changes = ["observation=pixels", f"image_encoder={name}", "observation.image_size=32"]
    model = build_world_model(model_configs(compose_config(changes)), env.spec).eval()
    actor = make_actor(env, (0.5, 0.0, 0.2), num_evaluations=0)
    actor.world_model = model
    _, frame = compose(env, actor, (shown[0], shown[1], {}), interpreter=None)
    picture, encoder = enlarged(shown[1]["fixed_camera"], SIZE), model.encoders["fixed_camera"]
    images = model.normalizers["fixed_camera"](torch.from_numpy(shown[1]["fixed_camera"])[None])
    with torch.no_grad():
        if name == "keypoints":
            drawn = with_keypoints(picture, encoder.tokens(images)[0].double().numpy())
        else:
            drawn = with_attention(picture, encoder.attention(images)[0].double().numpy())
    assert (drawn != picture).any()
    np.testing.assert_array_equal(frame[RIGHT_PANEL], drawn)
