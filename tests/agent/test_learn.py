"""The whole pipeline, on a point that carries a block: a moment of training, in which little is learned."""

import copy
import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from agent.actions import free_bounds
from agent.cost.intrinsic import ControlEffort
from agent.cost.statistics import TrainingStatistics
from agent.cost.units import InUnits
from agent.learning import task
from agent.learning.critic import CriticTask
from agent.learning.experience import embed_episodes
from agent.learning.hindsight import HindsightSampler
from agent.learning.policy import PolicyTask
from agent.learning.refinement import RefinementTask
from agent.run.config.composing import ConfigError, compose_config
from agent.run.stages import learn as stages
from agent.run.stages import loading
from agent.run.stages.learn import learn
from agent.run.stages.loading import draw_split, load_modules, recorded_experience
from agent.run.stages.modules import bond, build_modules, model_configs
from agent.run.stages.validation import validate
from envs.episodes.episode import DatasetError, Episode, open_dataset
from envs.episodes.recording import write_dataset
from envs.spec import Box, BoxActions, DiscreteActions, Effector, Sensor, TaskSpec
from world_model import embedding
from world_model.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint, section_sha256
from world_model.training.task import WorldModelTask
from world_model.types import LatentTrajectory

SMALL = (
    "env=push",
    "exploration=held_random",
    "world_model.embed_dims={tip: 3, block_position: 3}",
    "world_model.action_repeat=2",
    "encoder.hidden_dim=8",
    "predictor.hidden_dim=8",
    "predictor.num_layers=1",
    "training.num_steps=6",
    "dynamics_training.num_steps=0",
    "training.batch_size=8",
    "training.rollout_length=2",
    "training.num_validation_windows=8",
    "training.validation_every=4",
    "training.checkpoint_every=4",
    "training.keep_every=4",
    "cost.control_effort.weight=0.0",  # or else so small an agent stands still
    "cost.novelty.fit.num_centers=4",
    "critic.cost_to_go.network.hidden_dim=8",
    "critic.delta_step.network.hidden_dim=8",
    "critic.delta_step.learning.num_ahead=2",
    "policy.network.hidden_dim=8",
    "planner.num_samples=8",
    "planner.num_iterations=1",
    "planner.num_elites=2",
    "configurator.horizon=2",
    "learning.num_steps=6",
    "learning.batch_size=8",
    "learning.num_validation_samples=8",
    "learning.validation_every=4",
    "learning.checkpoint_every=4",
    "learning.keep_every=4",
    "learning.num_plans=4",
    "learning.refinement_steps=6",
    "learning.refinement_batch_size=4",
    "learning.refinement_horizon=2",
)


@cache
def compose(*changes):
    return compose_config([*SMALL, *changes])


def configure(**changes):
    """Returns the small config with other values; a dot in a key is spelled as two underscores."""
    config = compose()
    values = copy.deepcopy(config.values)
    for key, value in changes.items():
        OmegaConf.update(values, key.replace("__", "."), value)
    return replace(config, values=values)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    box = Box(low=(-9.0,) * 3, high=(9.0,) * 3)
    env = TaskSpec(
        task_id="test/Carry-v0",
        fingerprint="",
        sensors={"tip": Sensor((3,), "numbers", ""), "block_position": Sensor((3,), "numbers", "")},
        perceived=("tip", "block_position"),
        goal={"block_position": box},
        asked=("block_position",),
        actions=BoxActions.unit(3),
        control_dt=0.05,
        num_steps=10,
        effector=Effector(sensor="tip", workspace=box, max_displacement=0.1),
    )
    rng = np.random.default_rng(0)
    episodes = []
    for seed in range(12):
        actions = rng.uniform(-1.0, 1.0, (10, 3))
        tip = rng.normal(size=3) + 0.1 * np.cumsum(np.vstack([np.zeros(3), actions]), axis=0)
        block = rng.normal(size=3) + 0.05 * (tip - tip[0])
        episodes.append(
            Episode(
                observations={"tip": np.float32(tip), "block_position": np.float32(block)},
                actions=np.float32(actions),
                seed=seed,
                verdicts=(),
                num_redrawn=0,
            )
        )
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, episodes, env=env, policy_name="test", policy_values={}, report={})
    return open_dataset(folder)


@pytest.fixture(scope="module")
def whole(dataset, tmp_path_factory):
    """The folder of a training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    learn(configure(), dataset, folder)
    return folder


def content(folder):
    """Returns the bytes of all files of a run but TensorBoard's, which hold the time of day."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "tensorboard" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def interrupt(monkeypatch, owner, name, call):
    """Lets a call raise, the first being 1."""
    function, count = getattr(owner, name), iter(range(1, 10_000))

    def interrupted(*arguments, **others):
        if next(count) == call:
            raise KeyboardInterrupt
        return function(*arguments, **others)

    monkeypatch.setattr(owner, name, interrupted)


INTERRUPTIONS = {
    "before the world model's first checkpoint": (WorldModelTask, "finish_step", 2),
    "after the world model's first checkpoint": (WorldModelTask, "finish_step", 5),
    "before the frames are embedded": (stages, "embed_episodes", 1),
    "before the cost terms are fitted": (stages, "TrainingStatistics", 1),
    "before the first critic": (stages, "CriticTask", 1),
    "in the first critic": (CriticTask, "finish_step", 5),
    "before the second critic": (stages, "CriticTask", 2),
    "in the second critic": (CriticTask, "finish_step", 11),
    "before mode 2 practises": (stages, "practise", 1),
    "before the policy": (stages, "PolicyTask", 1),
    "before the policy's first checkpoint": (PolicyTask, "finish_step", 2),
    "after the policy's first checkpoint": (PolicyTask, "finish_step", 5),
    "before the policy is refined": (stages, "RefinementTask", 1),
    "after the first checkpoint of its refinement": (RefinementTask, "finish_step", 5),
    "before all is put into one file": (stages, "save_checkpoint", 1),
}


@pytest.mark.parametrize("where", INTERRUPTIONS)
def test_a_pipeline_interrupted_anywhere_ends_with_the_same_bytes(dataset, whole, tmp_path, monkeypatch, where):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt(patch, *INTERRUPTIONS[where])
        learn(configure(), dataset, tmp_path)
    assert not (tmp_path / "agent.safetensors").exists()
    learn(configure(), dataset, tmp_path)
    assert content(tmp_path) == content(whole)


def test_a_pipeline_interrupted_at_every_stage_in_turn_ends_with_the_same_bytes(dataset, whole, tmp_path, monkeypatch):
    for owner, name, call in (
        (WorldModelTask, "finish_step", 5),
        (stages, "embed_episodes", 1),
        (CriticTask, "finish_step", 5),
        (stages, "practise", 1),
        (PolicyTask, "finish_step", 5),
        (RefinementTask, "finish_step", 5),
    ):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            interrupt(patch, owner, name, call)
            learn(configure(), dataset, tmp_path)
    learn(configure(), dataset, tmp_path)
    assert content(tmp_path) == content(whole)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (WorldModelTask, "losses"),
        (CriticTask, "losses"),
        (stages, "practise"),
        (PolicyTask, "losses"),
        (RefinementTask, "losses"),
    ],
    ids=["world model", "critics", "plans", "policy", "refinement"],
)
def test_no_finished_stage_is_done_again(dataset, whole, unfinished, monkeypatch, owner, name):
    interrupt(monkeypatch, owner, name, 1)
    learn(configure(), dataset, unfinished)
    assert content(unfinished) == content(whole)


def test_what_is_finished_is_left_as_it_is(dataset, whole, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    interrupt(monkeypatch, stages, "embed_episodes", 1)
    assert learn(configure(), dataset, whole) == whole / "agent.safetensors"
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_the_global_generator_is_left_as_it_was_and_does_not_matter(dataset, whole, tmp_path):
    torch.manual_seed(123)
    before = torch.get_rng_state()
    learn(configure(), dataset, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    assert content(tmp_path) == content(whole)


def test_mode_2_practises_within_the_limits_of_cost_terms(dataset, whole, unfinished):
    shutil.rmtree(unfinished / "policy")
    limit = 0.01  # of the mean square of a plan's two actions, summed
    learn(configure(cost__control_effort__limit=limit), dataset, unfinished)
    for folder, most in ((unfinished, limit * 1.001), (whole, 3.0)):
        actions = load_file(folder / "policy" / "plans.safetensors")["action"].view(-1, 2, 3)
        efforts = actions.square().mean(dim=2).sum(dim=1)
        assert efforts.max() <= most
    assert efforts.max() > limit


def test_what_is_held_out_is_the_same_for_all_and_nothing_is_learned_from_it(dataset, whole, unfinished, monkeypatch):
    chosen = []

    class Watching(HindsightSampler):
        def __init__(self, experience, *, episodes, **others):
            chosen.append(tuple(episodes.tolist()))
            super().__init__(experience, episodes=episodes, **others)

    shutil.rmtree(unfinished / "policy")
    for owner in (stages, task):
        monkeypatch.setattr(owner, "HindsightSampler", Watching)
    learn(configure(), dataset, unfinished)
    learned, held_out = chosen[:2]
    assert sorted(learned + held_out) == list(range(12))
    assert (
        chosen == [learned, held_out] * 2 + [learned] + [learned, held_out] * 2
    )  # critics, practice, the policy twice


def test_cost_terms_take_statistics_of_learned_episodes_alone(dataset, unfinished, monkeypatch):
    taken = []

    def watching(**values):
        taken.append(values)
        return TrainingStatistics(**values)

    monkeypatch.setattr(stages, "TrainingStatistics", watching)
    learn(configure(), dataset, unfinished)
    world_model = load_modules(configure(), unfinished / "agent.safetensors").world_model
    learned = embed_episodes(world_model, dataset).of(draw_split(configure(), dataset).learned)
    assert len(learned.lengths) == 11
    assert sorted(taken[0]["embeddings"].tolist()) == sorted(learned.embeddings.tolist())


def test_critics_that_go_on_learning_remember_learned_episodes_alone(dataset, whole):
    config = configure(actor__learn_online=True, train__data=str(dataset.folder))
    modules = load_modules(config, whole / "agent.safetensors")
    remembered = recorded_experience(config, modules, whole)
    everything, chosen = embed_episodes(modules.world_model, dataset), draw_split(config, dataset).learned.tolist()
    rows = [everything.first_frame[episode] + time for episode in chosen for time in range(11)]
    steps = [everything.first_action[episode] + time for episode in chosen for time in range(10)]
    assert remembered.lengths.tolist() == [10] * 11
    assert torch.equal(remembered.embeddings, everything.embeddings[rows])
    assert torch.equal(remembered.actions, everything.actions[steps])


def test_critics_stay_as_they_are_where_only_the_policy_is_to_learn_differently(dataset, whole, unfinished):
    shutil.rmtree(unfinished / "policy")
    numbers = {"num_plans": 6, "refinement_steps": 3, "refinement_batch_size": 5, "refinement_horizon": 4}
    changes = {**numbers, "refinement_learning_rate": 1e-3}
    learn(configure(**{f"learning__{name}": value for name, value in changes.items()}), dataset, unfinished)
    ours, others = (load_checkpoint(folder / "agent.safetensors").sections for folder in (unfinished, whole))
    assert section_sha256(ours["critic"]) == section_sha256(others["critic"])
    assert section_sha256(ours["policy"]) != section_sha256(others["policy"])


def test_a_policy_is_refined_over_a_horizon_of_its_own(dataset, unfinished, monkeypatch):
    shutil.rmtree(unfinished / "policy")
    horizons = []

    def refinement(*, horizon, **others):
        horizons.append(horizon)
        return RefinementTask(horizon=horizon, **others)

    monkeypatch.setattr("agent.run.stages.learn.RefinementTask", refinement)
    learn(configure(learning__refinement_horizon=4), dataset, unfinished)
    assert horizons == [4]


# What is kept


def test_one_file_holds_all_that_was_learned_and_what_each_part_stands_on(whole):
    checkpoint = load_checkpoint(whole / "agent.safetensors")
    assert checkpoint.sections.keys() == {"world_model", "intrinsic", "critic", "policy"}
    bound = ("intrinsic", "critic", "policy")
    assert checkpoint.metadata.bonds == {name: bond(checkpoint.sections, name) for name in bound}
    assert len(set(checkpoint.metadata.bonds.values())) == len(bound)
    parts = {
        "world_model": ("training", "world_model", ""),
        "critic": ("critic/cost_to_go", "critic", "cost_to_go."),
        "policy": ("policy/refined", "policy", ""),
    }
    for section, (folder, name, prefix) in parts.items():
        learned = load_checkpoint(whole / folder / "last.safetensors").sections[name]
        for key, tensor in learned.items():
            assert torch.equal(checkpoint.sections[section][prefix + key], tensor)


def test_what_is_loaded_is_frozen_and_what_the_run_learned(dataset, whole):
    modules = load_modules(configure(), whole / "agent.safetensors")
    for module in (modules.world_model, *modules.critics.values(), modules.policy):
        assert not module.training and not any(weight.requires_grad for weight in module.parameters())
    for section, module in modules.sections.items():
        tensors = load_checkpoint(whole / "agent.safetensors").sections[section]
        assert section_sha256(module.state_dict()) == section_sha256(tensors)


def test_another_seed_learns_other_weights_in_every_part(dataset, whole, tmp_path):
    learn(configure(seed=1), dataset, tmp_path)
    ours, other = (load_checkpoint(folder / "agent.safetensors").sections for folder in (whole, tmp_path))
    assert all(section_sha256(ours[name]) != section_sha256(other[name]) for name in ours)


def test_frames_are_embedded_as_the_world_model_sees_each_alone(dataset, whole, monkeypatch):
    world_model = load_modules(configure(), whole / "agent.safetensors").world_model
    monkeypatch.setattr(embedding, "MAX_FRAMES", 7)
    remembered = embed_episodes(world_model, dataset)
    assert remembered.action_repeat == 2 and remembered.lengths.tolist() == [10] * 12
    for index in range(dataset.num_episodes):
        readings, actions = dataset.episode(index)
        frames = {name: torch.from_numpy(np.array(values))[None] for name, values in readings.items()}
        row, step = remembered.first_frame[index], remembered.first_action[index]
        torch.testing.assert_close(remembered.embeddings[row : row + 11], world_model.encode(frames)[0])
        assert np.array_equal(remembered.actions[step : step + 10], actions)


def test_cost_terms_are_fitted_to_embeddings_and_readings_of_the_same_frames(dataset, whole):
    modules = load_modules(configure(), whole / "agent.safetensors")
    embeddings = embed_episodes(modules.world_model, dataset).embeddings
    tip = torch.from_numpy(np.array(dataset.observations["tip"]))
    error = modules.terms["workspace"].probe(embeddings) - tip
    assert error.square().mean() < 0.05 * tip.var()


# Without some of the parts


def test_the_first_weights_of_a_part_do_not_depend_on_which_others_there_are(dataset):
    def build(*changes):
        config = compose_config([text for text in SMALL if not text.startswith(("critic", "policy"))] + [*changes])
        return build_modules(config, model_configs(config), dataset.manifest.env)

    full = build("critic=[quasimetric,delta_step,cost_to_go]", "policy=mlp")
    bare = build("critic=[cost_to_go]", "policy=mlp")
    for ours, others in (
        (full.world_model, bare.world_model),
        (full.critics["cost_to_go"], bare.critics["cost_to_go"]),
        (full.policy, bare.policy),
    ):
        assert section_sha256(ours.state_dict()) == section_sha256(others.state_dict())
    other = build("critic=[cost_to_go]", "policy=mlp", "seed=1")
    assert section_sha256(other.policy.state_dict()) != section_sha256(bare.policy.state_dict())


def test_a_cost_of_a_position_that_nobody_tells_is_not_built_where_it_weighs_nothing(dataset):
    def built(*changes):
        config = compose(*changes)
        return build_modules(config, model_configs(config), replace(dataset.manifest.env, effector=None)).terms

    assert {"workspace", "speed"}.isdisjoint(built())
    assert "speed" in built("cost.speed.fit.sensor=block_position")
    rule = "configurator.rules=[{name: all, when: {}, then: {weights: {speed: 1.0}}}]"
    for changes in (["cost.speed.weight=1.0"], ["cost.speed.limit=0.1"], [rule]):
        with pytest.raises(ConfigError, match=r"the cost 'speed' needs the position of a point.*cost.speed.weight=0"):
            built(*changes)


def test_a_box_of_other_numbers_than_the_effectors_position_is_left_out_where_it_weighs_nothing(dataset):
    def built(*changes):
        config = compose(*changes)
        return build_modules(config, model_configs(config), dataset.manifest.env).terms

    planar = ["cost.workspace.term.low=[0.3,-0.3]", "cost.workspace.term.high=[0.7,0.3]"]
    assert "workspace" in built() and "workspace" not in built(*planar)
    spec, low = dataset.manifest.env, built()["workspace"].low
    np.testing.assert_allclose(low, spec.effector.workspace.low, rtol=1e-6)  # where the yaml leaves it to the task
    with pytest.raises(ConfigError, match=r"cost.workspace.term.low and high must have as many numbers"):
        built(*planar, "cost.workspace.weight=1.0")


def test_effort_is_counted_in_the_robots_own_range_from_what_does_nothing():
    actions = BoxActions(low=(0.0, -2.0), high=(300.0, 2.0), idle=(0.0, 0.0))
    trajectory = LatentTrajectory(
        embeddings=torch.zeros(1, 2, 1, 3),
        actions=torch.tensor([[[[0.0, 0.0, 0.0, 0.0]], [[150.0, 2.0, 300.0, 0.0]]]]),
        previous_action=torch.zeros(1, 4),
        start=torch.zeros(1, 3),
    )
    cost = InUnits(ControlEffort(), origin=torch.zeros(2), half_range=free_bounds(actions).half_range)(trajectory, None)
    assert cost.tolist() == [[0.0, (1.0 + 1.0 + 4.0 + 0.0) / 4]]


def test_without_critics_and_policy_a_world_model_and_its_cost_terms_are_learned(dataset, whole, tmp_path):
    changes = [text for text in SMALL if not text.startswith(("critic", "policy"))]
    learn(compose_config([*changes, "critic=[]", "policy=null", "actor.mode=planning"]), dataset, tmp_path)
    bare, full = (load_checkpoint(folder / "agent.safetensors").sections for folder in (tmp_path, whole))
    assert bare.keys() == {"world_model", "intrinsic"}
    assert all(section_sha256(bare[name]) == section_sha256(full[name]) for name in bare)


def test_an_episode_too_short_for_a_critic_is_one_sentence(dataset, tmp_path):
    with pytest.raises(
        DatasetError,
        match=r"looking 6 model steps ahead takes 12 .*, of the 11 episodes at hand here the longest has 10",
    ):
        learn(configure(critic__delta_step__learning__num_ahead=6), dataset, tmp_path)


def test_a_goal_that_the_world_model_does_not_perceive_is_one_sentence(dataset, tmp_path):
    with pytest.raises(DatasetError, match=r"at least one of the sensors that the world model perceives, \['tip'\]"):
        learn(compose("world_model.embed_dims={tip: 3}"), dataset, tmp_path)


def test_a_policy_of_discrete_actions_is_one_sentence(dataset):
    spec = replace(dataset.manifest.env, actions=DiscreteActions(num_actions=4, idle=None), effector=None)
    with pytest.raises(ConfigError, match=r"a choice among 4 discrete actions does not pass: .*policy=null"):
        validate(compose_config(SMALL), spec)


def test_a_policy_without_a_critic_of_steps_is_one_sentence(dataset):
    sentence = r"a policy learns from a critic of how far the goal is in steps: add one, as critic=\[cost_to_go\]"
    changes = [text for text in SMALL if not text.startswith("critic")]
    for critics in ("[]", "[delta_step]"):
        with pytest.raises(ConfigError, match=sentence):
            validate(compose_config([*changes, f"critic={critics}"]), dataset.manifest.env)


# What does not belong together


@pytest.fixture
def unfinished(whole, tmp_path):
    """A run of which all is done but the last file."""
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "agent.safetensors").unlink()
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning__batch_size": 9}, "cost_to_go holds a training with learning="),
        ({"critic__cost_to_go__learning__discount": 0.5}, "cost_to_go holds a training with critic="),
        ({"critic__cost_to_go__network__num_members": 1}, "cost_to_go holds a training with critic="),
        ({"training__batch_size": 4}, "training holds a training with training="),
        ({"seed": 1}, "training holds a training with seed="),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_folder_with_another_training_is_refused(dataset, unfinished, change, message):
    with pytest.raises(CheckpointError, match=message):
        learn(configure(**change), dataset, unfinished)


@pytest.mark.parametrize(
    "change",
    [
        {"planner__num_samples": 9},
        {"configurator__horizon": 3},
        {"cost__goal_distance__weight": 0.5},
        {"cost__goal_distance__limit": 0.5},
        {"constraints__init_penalty": 7.0},
        {"guardrails__max_acceleration": 20.0},
        {"policy__learning__num_imitated": 2},
        {"policy__learning__temperature": 2.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_policy_that_imitates_other_plans_is_another_policy(dataset, unfinished, change):
    with pytest.raises(CheckpointError, match="policy holds a training with "):
        learn(configure(**change), dataset, unfinished)


@pytest.fixture
def forged(whole, tmp_path):
    """Changes the checkpoint of the run, and returns where it lies."""

    def forge(*, sections=None, bonds=None):
        checkpoint = load_checkpoint(whole / "agent.safetensors")
        sections = {**checkpoint.sections, **(sections or {})}
        metadata = checkpoint.metadata.__class__(
            **{**vars(checkpoint.metadata), "bonds": {**checkpoint.metadata.bonds, **(bonds or {})}}
        )
        kept = {name: tensors for name, tensors in sections.items() if tensors is not None}
        save_checkpoint(tmp_path / "forged", checkpoint.__class__(sections=kept, metadata=metadata))
        return tmp_path / "forged"

    return forge


def test_another_world_model_under_the_same_critic_is_refused(whole, forged):
    checkpoint = load_checkpoint(whole / "agent.safetensors")
    other = {name: 1.5 * tensor for name, tensor in checkpoint.sections["world_model"].items()}
    with pytest.raises(CheckpointError, match=r"must have been trained on the world model beside it.*train it anew"):
        load_modules(configure(), forged(sections={"world_model": other}))


@pytest.mark.parametrize("section", ["intrinsic", "critic", "policy"])
def test_no_part_of_another_world_model_is_accepted(whole, forged, section):
    checkpoint = load_checkpoint(whole / "agent.safetensors")
    other = {name: tensor + 1 for name, tensor in checkpoint.sections[section].items()}
    with pytest.raises(CheckpointError, match=f"the section '{section}' must have been trained on the world model"):
        load_modules(configure(), forged(sections={section: other}))


@pytest.mark.parametrize(
    ("said", "expected"),
    [("Storage size calculation overflowed", CheckpointError), ("a bug of ours", RuntimeError)],
)
def test_sizes_that_no_memory_holds_are_one_sentence_and_a_bug_shows_itself(whole, monkeypatch, said, expected):
    def fail(*_):
        raise RuntimeError(said)

    monkeypatch.setattr(loading, "build_modules", fail)
    with pytest.raises(expected, match=said) as error:
        load_modules(configure(), whole / "agent.safetensors")
    assert error.type is expected


def test_the_header_cannot_be_bent_alone(forged):
    with pytest.raises(CheckpointError, match=r"the section .critic. must .* should be 0000 and is"):
        load_modules(configure(), forged(bonds={"critic": "0000"}))


@pytest.mark.parametrize("section", ["world_model", "intrinsic", "critic", "policy"])
def test_a_checkpoint_that_lacks_a_part_that_its_config_asks_for_is_refused(forged, section):
    with pytest.raises(CheckpointError, match=f"the checkpoint has no section '{section}', it has"):
        load_modules(configure(), forged(sections={section: None}))


def test_a_critic_that_was_never_trained_is_refused(whole):
    config = compose("critic=[cost_to_go,delta_step,quasimetric]")
    with pytest.raises(CheckpointError, match=r"lacks the tensor 'critic\.quasimetric\."):
        load_modules(config, whole / "agent.safetensors")


def test_what_an_agent_does_without_is_not_asked_of_a_checkpoint(whole):
    modules = load_modules(
        compose_config(
            [text for text in SMALL if not text.startswith("policy")] + ["policy=null", "actor.mode=planning"]
        ),
        whole / "agent.safetensors",
    )
    assert modules.policy is None and modules.critics.keys() == {"cost_to_go", "delta_step"}
