"""Dynamics that go on alone: nothing that sees is moved, and no byte depends on an interruption."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from envs.episodes.episode import DatasetError
from world_model.dynamics.gated_mlp import GatedMLPDynamics
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.encoders.keypoints import KeypointEncoder
from world_model.latent.discrete import DiscreteLatent
from world_model.latent.gaussian import GaussianLatent
from world_model.latent.none import no_latent
from world_model.objectives.sigreg import SIGReg
from world_model.training.checkpoint import CheckpointError, load_checkpoint
from world_model.training.embedded import embed_dataset
from world_model.training.embedded_windows import EmbeddedWindows
from world_model.training.fit import TrainingStopped, train_step
from world_model.training.places import AffineMap
from world_model.training.task import WorldModelTask
from world_model.training.train import train_world_model

WITH_Z = {"sensors": ["velocity"], "hidden_dim": 8, "weight": 0.01}
DISCRETE = partial(DiscreteLatent, **WITH_Z, num_values=3, prior_weight=0.1, balance_weight=0.1, balance_share=0.1)
GAUSSIAN = partial(GaussianLatent, **WITH_Z, num_dims=2, num_inference_steps=2, inference_rate=0.1)

LOSSES = ("loss", "prediction", "latent_prior", "latent_balance", "latent_divergence", "information")


@pytest.fixture(params=[no_latent, DISCRETE, GAUSSIAN], ids=["no z", "discrete", "gaussian"])
def build(request, build_model):
    return partial(build_model, latent=request.param)


@pytest.fixture
def train(build_model, settings, dynamics_settings, linear):
    def run(output, *, seed=0, dataset=linear, cache=None, build=build_model, alone=None, **changes):
        return train_world_model(
            build_model=build,
            regularizer=SIGReg(weight=0.02, num_projections=8),
            dataset=dataset,
            settings=settings(**changes),
            dynamics_settings=dynamics_settings(**(alone or {})),
            configs={},
            seed=seed,
            output=output,
            cache=cache,
        )

    return run


def weights(path):
    return load_checkpoint(path).sections["world_model"]


def content(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in (".jsonl", ".safetensors")
    }


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_encoders_stay_to_the_last_bit_and_what_predicts_does_not(train, tmp_path, build):
    after = weights(train(tmp_path, build=build))
    before = weights(tmp_path / "encoders" / "last.safetensors")
    assert after.keys() == before.keys()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved == {name for name in after if name.startswith(("dynamics.", "latent."))}


def test_they_imagine_farther_than_before(train, tmp_path):
    train(tmp_path, alone={"num_steps": 400, "rollout_length": 6})
    validated = [line for line in lines(tmp_path) if "validation/loss" in line]
    assert validated[-1]["validation/loss"] < 0.5 * validated[0]["validation/loss"]
    assert validated[-1]["validation/error_last"] < 0.5 * validated[0]["validation/error_last"]


def test_their_latent_variable_learns_by_the_losses_of_the_first_stage(train, tmp_path, build):
    train(tmp_path, build=build)

    def told(folder, side):
        (*_, last) = (line for line in lines(folder) if f"{side}/loss" in line)
        return {name: last[f"{side}/{name}"] for name in LOSSES if f"{side}/{name}" in last}

    for side in ("train", "validation"):
        first, second = told(tmp_path / "encoders", side), told(tmp_path, side)
        assert second.keys() == first.keys()
        assert ("information" in second) == (len(second) > 2)
        parts = sum(value for name, value in second.items() if name not in ("loss", "information"))
        assert second["loss"] == pytest.approx(parts, rel=1e-5)


def test_without_a_step_a_training_is_what_it_was(train, tmp_path):
    train(tmp_path, alone={"num_steps": 0})
    assert not (tmp_path / "encoders").exists()
    assert lines(tmp_path)[-1]["step"] == 40


def stop_after(monkeypatch, num_steps):
    """Interrupts the next training after so many steps of the optimiser, of all its stages."""
    steps = []

    def stop(*arguments):
        if len(steps) == num_steps:
            raise KeyboardInterrupt
        steps.append(arguments)
        return train_step(*arguments)

    monkeypatch.setattr("world_model.training.fit.train_step", stop)


@pytest.mark.parametrize(("latent", "stops_after"), [(no_latent, 25), (no_latent, 55), (GAUSSIAN, 55)])
def test_an_interrupted_training_ends_with_the_same_bytes(
    train, tmp_path, monkeypatch, build_model, latent, stops_after
):
    build = partial(build_model, latent=latent)
    train(tmp_path / "whole", build=build)
    stop_after(monkeypatch, stops_after)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", build=build)
    monkeypatch.undo()
    train(tmp_path / "parts", build=build)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


@pytest.fixture
def seeing(filmed, build_model):
    """What a training changes that sees a square which actions move, and in which something is to persist."""
    encoder = partial(KeypointEncoder, channels=4, num_keypoints=4, temperature=0.1, hidden_dim=16)
    build = partial(build_model, sensors={"camera": (16, 16, 3)}, embed_dims={"camera": 6}, encoder=encoder)
    return {"dataset": filmed, "build": build, "persistence_weight": 1.0, "persistent_dim": 3}


def test_the_last_numbers_of_what_is_seen_tell_where_the_robot_is(train, tmp_path, seeing):
    changes = {"num_steps": 200, "learning_rate": 1e-2, "inverse_dynamics_weight": 1.0}
    path = train(tmp_path, **seeing, **changes, checkpoint_every=200, keep_every=200, validation_every=200)
    model = seeing["build"]()
    load_checkpoint(path).restore("world_model", model)
    place = torch.from_numpy(np.array(seeing["dataset"].observations["place"])).double()
    found = embed_dataset(model.eval(), seeing["dataset"])[:, -2:].double()
    told = AffineMap.fit(found, place)
    off = (told(found) - place).square().sum() / (place - place.mean(dim=0)).square().sum()
    assert off < 0.1
    scale = told.weight.trace() / 2
    torch.testing.assert_close(told.weight / scale, torch.eye(2, dtype=torch.float64), atol=0.3, rtol=0)


@pytest.mark.parametrize("stops_after", [25, 55])
def test_a_training_that_tells_places_ends_with_the_same_bytes_when_it_is_interrupted(
    train, tmp_path, monkeypatch, seeing, stops_after
):
    train(tmp_path / "whole", **seeing)
    stop_after(monkeypatch, stops_after)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", **seeing)
    monkeypatch.undo()
    train(tmp_path / "parts", **seeing)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_what_was_embedded_is_kept_and_no_frame_is_embedded_again(train, tmp_path, monkeypatch, build_model, linear):
    cache = tmp_path / "embeddings.safetensors"
    build = partial(build_model, latent=DISCRETE)
    train(tmp_path / "run", cache=cache, build=build, alone={"num_steps": 10})
    model = build()
    model.load_state_dict(weights(tmp_path / "run" / "last.safetensors"))
    model.eval()
    fresh = embed_dataset(model, linear)
    monkeypatch.setattr(type(model), "encode", None)
    assert torch.equal(embed_dataset(model, linear, cache=cache), fresh)


def test_embeddings_of_other_encoders_are_not_taken_for_ones_own(tmp_path, build_model, linear):
    cache, models = tmp_path / "embeddings.safetensors", []
    for seed in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            models.append(build_model().eval())
    first, second = (embed_dataset(model, linear, cache=cache) for model in models)
    assert not torch.equal(first, second)
    assert torch.equal(second, embed_dataset(models[1], linear))
    cache.write_bytes(b"damaged")
    assert torch.equal(second, embed_dataset(models[1], linear, cache=cache))


def test_on_other_encoders_they_do_not_go_on(train, tmp_path):
    train(tmp_path)
    for path in (tmp_path / "encoders").iterdir():
        if path.is_file():
            path.unlink()
    with pytest.raises(CheckpointError, match="holds a training with world_model="):
        train(tmp_path, num_steps=41, validation_every=41, checkpoint_every=41, keep_every=41)


def test_contact_has_its_share(build_model, record, tmp_path):
    """A ball rests, but in the last of 20 episodes, where every step moves it."""
    rng = np.random.default_rng(0)
    done = [rng.uniform(-1, 1, (10, 2)) for _ in range(20)]
    hands = [np.concatenate([rng.normal(size=(1, 2)), it]).cumsum(axis=0) for it in done]
    balls = [np.zeros((11, 2)) + rng.normal(size=2) for _ in range(20)]
    balls[-1] += np.concatenate([np.zeros((1, 2)), rng.normal(size=(10, 2))]).cumsum(axis=0)
    readings = [{"position": hand, "velocity": ball} for hand, ball in zip(hands, balls, strict=True)]
    dataset = record(tmp_path, readings, done)
    model = build_model().eval()
    embeddings = torch.cat([torch.from_numpy(np.hstack(pair)) for pair in zip(hands, balls, strict=True)]).float()

    def share_of_last(contact_share):
        windows = EmbeddedWindows(
            embeddings,
            dataset=dataset,
            episodes=np.arange(20),
            model=model,
            num_frames=3,
            contact_share=contact_share,
            rng=np.random.default_rng(1),
        )
        drawn, actions = windows.sample(2000, np.random.default_rng(2))
        assert drawn.shape == (2000, 3, 4)
        assert actions.shape == (2000, 2, 2)
        return float((drawn[:, 0, 2:] != drawn[:, 1, 2:]).any(dim=1).float().mean())

    assert share_of_last(0.0) == pytest.approx(1 / 20, abs=0.02)
    assert share_of_last(0.5) == pytest.approx(0.5 * 1 / 20 + 0.5 * 1 / 4, abs=0.04)  # a fifth and more are of contact


@pytest.fixture
def make_task(build_model, settings, linear):
    def make(dynamics, *, is_last_stage):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return WorldModelTask(
                model=build_model(dynamics=partial(dynamics, hidden_dim=8, num_layers=1)),
                regularizer=SIGReg(weight=0.02, num_projections=8),
                dataset=linear,
                settings=settings(num_steps=2000),
                configs={},
                is_last_stage=is_last_stage,
                seed=0,
            )

    return make


HEALTHY = {"action_sensitivity": 1.0, "contact/unexplained_error": 0.4, "contact/unexplained_drift": 0.05}


def test_a_warning_tells_of_dynamics_with_which_one_should_not_plan(caplog, make_task):
    task = make_task(ResidualMLPDynamics, is_last_stage=True)
    task.judge(2000, HEALTHY)
    assert not caplog.records
    task.judge(1500, HEALTHY | {"contact/unexplained_error": 0.6})
    assert not caplog.records
    task.judge(2000, HEALTHY | {"contact/unexplained_error": 0.6})
    assert "0.6 of what contact changes, at most 0.5" in caplog.text
    task.judge(2000, HEALTHY | {"contact/unexplained_drift": 0.2})
    assert "where nothing is touched" in caplog.text


@pytest.mark.parametrize("dynamics", [ResidualMLPDynamics, GatedMLPDynamics])
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_warning_advises_what_was_not_done_yet(caplog, make_task, dynamics_settings, linear, dynamics, goes_on):
    task = make_task(dynamics, is_last_stage=not goes_on)
    far, advised = HEALTHY | {"contact/unexplained_error": 0.6}, "let the dynamics go on alone"
    task.judge(2000, far)
    if goes_on:
        assert not caplog.records
        alone = task.dynamics_task(embed_dataset(task.model.eval(), linear), dynamics_settings(num_steps=2000))
        alone.judge(2000, far)
        advised += " for longer"
    advised += " (dynamics_training.num_steps)"
    if dynamics is ResidualMLPDynamics:
        advised += ", or gate their changes (predictor=gated_mlp)"
    (record,) = caplog.records
    assert record.getMessage().endswith(f" is expected: {advised}")


@pytest.mark.parametrize(
    ("num_steps", "grace_steps", "stops_at"), [(501, 1000, 501), (501, 200, 300), (500, 1000, None)]
)
def test_dynamics_that_are_deaf_to_actions_are_stopped_as_the_first_stage_is(
    train, build_model, settings, unheard, tmp_path, num_steps, grace_steps, stops_at
):
    def run():
        train(
            tmp_path,
            dataset=unheard,
            build=partial(build_model, sensors={"position": (2,)}, embed_dims={"position": 2}),
            alone={"num_steps": num_steps, "validation_every": 100, "checkpoint_every": 500, "keep_every": 500},
            alarm={**settings().alarm, "grace_steps": grace_steps, "min_action_sensitivity": 0.5},
        )

    if stops_at is None:
        run()
    else:
        message = f"deaf to actions at step {stops_at}: .* a smaller dynamics_training.learning_rate may help, if they"
        with pytest.raises(TrainingStopped, match=message):
            run()


def test_dynamics_that_hear_actions_go_on_to_their_end(train, tmp_path):
    train(tmp_path, alone={"num_steps": 501, "checkpoint_every": 501, "keep_every": 501})
    assert lines(tmp_path)[-1]["validation/action_sensitivity"] > 1


def test_windows_that_no_episode_can_hold_are_refused_before_anything_is_learned(train, tmp_path):
    with pytest.raises(DatasetError, match=r"windows of 32 frames take 31 control steps, .* has 20"):
        train(tmp_path, alone={"rollout_length": 31})
    assert list(tmp_path.iterdir()) == []
