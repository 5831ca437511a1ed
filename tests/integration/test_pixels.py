"""An agent that sees nothing but pictures: what reaches it, and that its records are its own."""

import json
import random
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import envs  # noqa: F401
from agent import load_agent
from agent.evaluation.evaluate import EpisodeRunner, EpisodeTask, evaluate
from agent.evaluation.oracle import OracleModel
from agent.run.cli import main
from agent.run.config.composing import compose_config
from agent.run.config.saved import read_config
from agent.run.stages.evaluate import PolicyFactory, fingerprint
from agent.run.stages.loading import build_actor
from agent.run.stages.modules import build_modules, model_configs
from agent.run.stages.vision import configured_task
from envs.arm.task import make_task
from envs.episodes.rollout import policy_seed, rollout
from envs.rendering import available_backends
from envs.vision import Vision
from world_model.types import LatentContext

SMALL = ["renderer=raycast", "observation.image_size=16"]
REACH = partial(make_task, env_id="jepa-mpc/Reach-v0")
VISION = Vision(cameras=("fixed",), image_size=16, proprioception=False, backends=("raycast",))
SEEDS = [2_000_000_000 + index for index in range(4)]
TASKS = [EpisodeTask(agent, seed) for seed in SEEDS for agent in ("actor", "zero")]


@pytest.fixture(scope="module")
def factory(smoke_pixels_run):
    return PolicyFactory(run_folder=smoke_pixels_run, config=read_config(smoke_pixels_run))


@pytest.fixture
def env():
    made = REACH(vision=VISION, film_size=None)
    yield made
    made.close()


def test_a_run_from_pictures_leaves_what_a_run_leaves(smoke_pixels_run):
    results = json.loads((smoke_pixels_run / "results.json").read_text())
    assert (results["observation"], results["renderer"]) == ("pixels", ["raycast"])
    assert results["agents"]["expert"]["success_at_end"]["rate"] == 1.0
    manifest = json.loads((smoke_pixels_run / "data" / "manifest.json").read_text())
    assert manifest["env"]["perceived"] == manifest["env"]["asked"] == ["fixed_camera"]
    log = [json.loads(line) for line in (smoke_pixels_run / "training" / "log.jsonl").read_text().splitlines()]
    assert {"validation/probe/tip", "validation/probe/joint_position"} <= log[-1].keys()


def test_records_are_identical_at_any_parallelism_and_in_any_order(factory, tmp_path):
    def run(tasks, num_workers):
        output = tmp_path / f"{num_workers}_{tasks[0].agent}_{tasks[0].seed}"
        output.mkdir()
        episodes = evaluate(
            tasks,
            make_task=REACH,
            vision=VISION,
            make_policy=factory,
            num_workers=num_workers,
            fingerprint="",
            output=output,
        )
        return {task: episode.record for task, episode in episodes}

    reference = run(TASKS, 1)
    assert len({record.final_distances["tip"] for record in reference.values()}) == len(TASKS)
    shuffled = random.Random(0).sample(TASKS, len(TASKS))
    assert shuffled[0] != TASKS[0] and run(shuffled, 2) == reference


def test_recorded_frames_and_the_tip_alone_give_a_fresh_actor_the_same_actions(smoke_pixels_run, factory, env):
    actor = factory("actor", env)
    episode = rollout(env, actor, seed=SEEDS[0], num_steps=30)
    goal = env.reset(SEEDS[0]).goal
    assert goal.keys() == {"fixed_camera"}

    fresh = load_agent(smoke_pixels_run)
    fresh.reset(goal, seed=policy_seed(SEEDS[0]))
    for time, action in enumerate(episode.actions):
        seen = {name: episode.observations[name][time] for name in ("fixed_camera", "tip")}
        assert np.array_equal(fresh.act(seen), action)
    assert len(np.unique(episode.actions, axis=0)) > 20


def test_the_tip_reaches_the_guardrails_and_not_the_planner(smoke_pixels_run, env):
    frame = env.reset(SEEDS[1])
    goal, readings = frame.goal, frame.readings
    commands, actions = [], []
    for tip in (readings["tip"], readings["tip"] + np.float32(0.05), None):
        agent = load_agent(smoke_pixels_run)
        agent.reset(goal, seed=3)
        agent.act({name: readings[name] for name in ("fixed_camera", "tip")})
        actions.append(agent.act({"fixed_camera": readings["fixed_camera"], "tip": tip}))
        commands.append(agent.state.command)
        assert ("blind" in agent.state.guarded.interventions) == (tip is None)
    assert np.array_equal(commands[0], commands[1]) and np.array_equal(commands[0], commands[2])
    assert commands[0].any() and not actions[2].any()


def test_a_goal_that_is_what_is_seen_now_is_reached_already(smoke_pixels_run, env):
    readings = env.reset(SEEDS[2]).readings
    agent = load_agent(smoke_pixels_run)
    agent.reset({"fixed_camera": readings["fixed_camera"]}, seed=0)
    agent.act(readings)
    assert agent.state.memory.moments[0].intrinsic_cost == 0.0


def test_baselines_draw_nothing(factory, monkeypatch):
    monkeypatch.setattr("envs.arm.mujoco_env.make_renderer", lambda *_, **__: pytest.fail("a renderer was made"))
    runner = EpisodeRunner(REACH, VISION, factory)
    for agent in ("zero", "random", "expert"):
        runner(EpisodeTask(agent, SEEDS[0]))


@pytest.mark.parametrize("backends", [("raycast",), ("egl", "raycast")], ids="+".join)
def test_the_oracle_model_embeds_what_the_camera_will_see(factory, backends):
    if not set(backends) <= set(available_backends()):
        pytest.skip("EGL does not render on this machine")
    env = REACH(vision=replace(VISION, backends=backends), film_size=None)
    model = factory("actor", env).world_model
    oracle = OracleModel(world_model=model, task=env, action_repeat=1)
    context = LatentContext(
        embeddings=torch.zeros(1, 1, model.embed_dim), actions=torch.zeros(1, 0, 3), previous_action=torch.zeros(1, 3)
    )
    actions = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 1, 3, 3)).astype(np.float32))
    for seed in SEEDS[:2]:  # one episode for each of two renderers
        env.reset(seed)
        foreseen = oracle.rollout(context, actions).embeddings[0, 0]
        steps = [env.step(action).readings["fixed_camera"].copy() for action in actions[0, 0].numpy()]
        seen = model.encode({"fixed_camera": torch.from_numpy(np.stack(steps))[None]})[0]
        torch.testing.assert_close(foreseen, seen)
    env.close()


def test_the_oracle_model_draws_what_it_embeds_and_no_more(factory, env, monkeypatch):
    model, simulator = factory("actor", env).world_model, env.another()
    env.reset(SEEDS[0])
    drawn, draw = [], simulator.env.frames
    monkeypatch.setattr(simulator.env, "frames", lambda: drawn.append(None) or draw())
    monkeypatch.setattr(env, "another", lambda: simulator)
    oracle = OracleModel(world_model=model, task=env, action_repeat=4)
    context = LatentContext(
        embeddings=torch.zeros(1, 1, model.embed_dim), actions=torch.zeros(1, 0, 12), previous_action=torch.zeros(1, 12)
    )
    oracle.rollout(context, torch.zeros(1, 2, 3, 12))
    assert len(drawn) == 2 * 3


def test_records_of_what_another_renderer_drew_are_others(smoke_pixels_run, monkeypatch):
    config = compose_config(["renderer=auto"], base=read_config(smoke_pixels_run))

    def found(backend):
        monkeypatch.setattr("agent.run.stages.vision.choose_backend", lambda asked: backend)
        return fingerprint(config, "")

    assert found("egl") == found("egl") != found("raycast")


def test_with_proprioception_the_body_is_embedded_beside_the_picture_and_goals_stay_pictures():
    config = compose_config(["observation=pixels+proprio", "renderer=raycast", "observation.image_size=16"])
    env = configured_task(config)
    agent = build_actor(config, build_modules(config, model_configs(config), env.spec))
    assert set(agent.world_model.blocks) == {"fixed_camera", "tip"}
    goal = env.reset(0).goal
    agent.world_model.eval()
    agent.reset(goal, seed=0)
    asked = {name for name, block in agent.world_model.blocks.items() if agent.state.goal.mask[0, block].any()}
    assert asked == set(goal) == {"fixed_camera"}


def complaint(capsys, arguments):
    """Returns the one sentence that a user's mistake gets."""
    capsys.readouterr()
    assert main(arguments) == 2
    sentence = capsys.readouterr().err.strip().splitlines()[-1]  # before it may stand what draws
    assert sentence.startswith("jepa-mpc")
    return sentence


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ([], "with observation=state it sees tip [3], joint_position [7], joint_velocity [7]"),
        (["observation=pixels", *SMALL, "observation.image_size=32"], "it sees fixed_camera [32, 32, 3]"),
        (["observation=pixels", *SMALL, "observation.cameras=[wrist]"], "it sees wrist_camera [16, 16, 3]"),
        (
            ["observation=pixels+proprio", *SMALL],
            "it sees fixed_camera [16, 16, 3], tip [3], joint_position [7], joint",
        ),
    ],
)
def test_episodes_of_another_observation_are_not_trained_on(capsys, smoke_pixels_run, tmp_path, changes, seen):
    data = smoke_pixels_run / "data"
    sentence = complaint(capsys, ["train", f"data={data}", f"output={tmp_path}/model", *changes])
    assert f"the episodes in '{data}' were recorded for an agent that sees fixed_camera [16, 16, 3]" in sentence
    assert seen in sentence
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("change", ["observation=state", "observation.image_size=32", "image_encoder=strided_conv"])
def test_a_finished_run_sees_as_it_was_trained_to(capsys, smoke_pixels_run, tmp_path, change):
    command = ["evaluate", f"run={smoke_pixels_run}", f"output={tmp_path}/out", "videos=0", "num_episodes=1", change]
    assert "the run was made with" in complaint(capsys, command)


def test_a_sound_dataset_of_pictures_passes_its_check_and_a_changed_frame_is_found(capsys, smoke_pixels_run, tmp_path):
    assert main(["check-data", str(smoke_pixels_run / "data")]) == 0
    assert "10 of them equal bit for bit" in capsys.readouterr().out
    folder = tmp_path / "data"
    shutil.copytree(smoke_pixels_run / "data", folder)
    path = folder / "observations" / "fixed_camera.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)
    assert main(["check-data", str(folder)]) == 1
    assert "fixed_camera.npy was changed" in capsys.readouterr().out


def test_an_oracle_acts_by_pictures_too(smoke_pixels_run, tmp_path):
    command = ["evaluate", f"run={smoke_pixels_run}", "oracle=1", "num_episodes=1", "videos=0", "num_workers=1"]
    spare = ["configurator.num_evaluations=4", "configurator.horizon=1"]
    assert main([*command, *spare, f"output={tmp_path}/out"]) == 0
    assert "oracle" in json.loads((tmp_path / "out" / "results.json").read_text())["agents"]
