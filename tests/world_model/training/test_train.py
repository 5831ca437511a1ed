import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from envs.episodes.episode import DatasetError
from envs.spec import TaskSpec
from world_model.dynamics.base import Dynamics
from world_model.encoders.keypoints import KeypointEncoder
from world_model.objectives.ema_target import EMATarget
from world_model.objectives.gaussian_kl import GaussianKL
from world_model.objectives.infonce import InfoNCE
from world_model.objectives.none import NoRegularizer
from world_model.objectives.prediction import imagine
from world_model.objectives.reconstruction import Reconstruction
from world_model.objectives.sigreg import SIGReg
from world_model.objectives.vicreg import VICReg
from world_model.training.checkpoint import CheckpointError, load_checkpoint
from world_model.training.data import WindowSampler
from world_model.training.fit import TrainingStopped
from world_model.training.monitors import Alarm, measure
from world_model.training.task import WorldModelTask, split_of_training
from world_model.training.train import train_world_model


def sigreg(weight=0.02):
    return SIGReg(weight=weight, num_projections=8)


@pytest.fixture(scope="session")
def train(build_model, settings, dynamics_settings, linear):
    """Trains a small model, of what a test changes in it."""

    def run(output, *, dataset=linear, regularizer=None, seed=0, build=build_model, alone=None, cache=None, **changes):
        return train_world_model(
            build_model=build,
            regularizer=sigreg() if regularizer is None else regularizer,
            dataset=dataset,
            settings=settings(**changes),
            dynamics_settings=dynamics_settings(**(alone or {"num_steps": 0})),
            configs={"encoder": {"name": "mlp", "values": {"hidden_dim": 16}}},
            seed=seed,
            output=output,
            cache=cache,
        )

    return run


def content(folder):
    """Returns the bytes of all files of a training but TensorBoard's, which hold the time of day."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def steps_of(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {kind: [line["step"] for line in lines if f"{kind}/loss" in line] for kind in ("train", "validation")}


def weights(path):
    return torch.cat([tensor.flatten() for tensor in load_checkpoint(path).sections["world_model"].values()])


def test_a_linear_system_is_learned_to_a_small_error_over_three_steps(train, build_model, linear, tmp_path):
    model = build_model()
    path = train(tmp_path, num_steps=800, batch_size=64, validation_every=400, checkpoint_every=400, keep_every=800)
    load_checkpoint(path).restore("world_model", model)
    windows = WindowSampler(
        linear, sensors=model.sensors, episodes=np.arange(linear.num_episodes), num_frames=4, action_repeat=1
    ).sample(500, np.random.default_rng(0))
    with torch.no_grad():
        embeddings = model.encode(windows.observation)
        error = (imagine(model, embeddings, windows.actions) - embeddings[:, 1:]).square().mean(dim=(0, 2))
        change = (embeddings[:, :1] - embeddings[:, 1:]).square().mean(dim=(0, 2))
    assert (error < 0.01 * change).all()


def test_a_training_leaves_what_it_promises(train, linear, tmp_path):
    path = train(tmp_path)
    assert path == tmp_path / "last.safetensors"
    kept = {f"step_{step:08d}.safetensors" for step in (20, 40)}
    assert content(tmp_path).keys() == {"last.safetensors", "training_state.safetensors", "log.jsonl", *kept}
    assert list((tmp_path / "tensorboard").iterdir())
    metadata = load_checkpoint(path).metadata
    assert metadata.training_step == 40
    assert TaskSpec.from_json(metadata.env) == linear.manifest.env
    assert metadata.data_fingerprint == linear.fingerprint
    assert load_checkpoint(tmp_path / "step_00000020.safetensors").metadata.training_step == 20
    assert steps_of(tmp_path) == {"train": [*range(5, 41, 5)], "validation": [10, 20, 30, 40]}


def test_the_last_step_is_logged_validated_and_saved_whatever_the_intervals(train, tmp_path):
    path = train(tmp_path, num_steps=13)
    assert load_checkpoint(path).metadata.training_step == 13
    assert steps_of(tmp_path) == {"train": [5, 10, 13], "validation": [10, 13]}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(train, tmp_path):
    train(tmp_path / "a")
    torch.manual_seed(123)
    np.random.default_rng()
    train(tmp_path / "b")
    train(tmp_path / "c", seed=1)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert content(tmp_path / "a")["last.safetensors"] != content(tmp_path / "c")["last.safetensors"]


def test_the_global_generator_is_left_as_it_was(train, tmp_path):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("step", [1, 17, 20, 21, 39])
@pytest.mark.parametrize(
    "make", [sigreg, lambda: EMATarget(decay=0.9)], ids=["sigreg with inverse dynamics", "ema_target"]
)
def test_a_training_interrupted_at_any_step_ends_with_the_same_bytes(train, tmp_path, monkeypatch, step, make):
    changes = {"inverse_dynamics_weight": 0.1}
    train(tmp_path / "whole", regularizer=make(), **changes)

    finish, count = WorldModelTask.finish_step, iter(range(1, 100))

    def stop(task):
        finish(task)
        if next(count) == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(WorldModelTask, "finish_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", regularizer=make(), **changes)
    monkeypatch.undo()
    train(tmp_path / "parts", regularizer=make(), **changes)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


KILLED = """
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from envs.episodes.episode import open_dataset
from world_model.action_encoders import BoxActionEncoder
from world_model.encoders.mlp import MLPEncoder
from world_model.jepa import JEPA
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.latent.none import no_latent
from world_model.objectives.sigreg import SIGReg
from world_model.training.dynamics_settings import DynamicsSettings
from world_model.training.settings import TrainingSettings
from world_model.training.train import train_world_model

train_world_model(
    build_model=partial(
        JEPA, sensors={"position": (2,), "velocity": (2,)}, embed_dims={"position": 2, "velocity": 2},
        encoder=partial(MLPEncoder, hidden_dim=16, num_layers=1),
        dynamics=partial(ResidualMLPDynamics, hidden_dim=32, num_layers=2), kinds=[], latent=no_latent,
        context_length=1, action_encoder=BoxActionEncoder, action_dim=2, action_repeat=1,
    ),
    regularizer=SIGReg(weight=0.02, num_projections=8),
    dataset=open_dataset(Path(sys.argv[1])),
    settings=TrainingSettings(**eval(sys.argv[3])),
    dynamics_settings=DynamicsSettings(**eval(sys.argv[4])),
    configs={"encoder": {"name": "mlp", "values": {"hidden_dim": 16}}},
    seed=0,
    output=Path(sys.argv[2]),
    cache=None,
)
"""


@pytest.mark.slow
def test_a_training_killed_in_its_midst_ends_with_the_same_bytes(train, settings, dynamics_settings, linear, tmp_path):
    changes = {"num_steps": 600, "keep_every": 200}
    train(tmp_path / "whole", **changes)
    parts = tmp_path / "parts"
    arguments = [sys.executable, "-c", KILLED, str(linear.folder), str(parts), repr(vars(settings(**changes)))]
    arguments.append(repr(vars(dynamics_settings(num_steps=0))))
    killed = subprocess.Popen(arguments)
    while not (parts / "training_state.safetensors").exists() and killed.poll() is None:
        time.sleep(0.001)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert load_checkpoint(parts / "last.safetensors").metadata.training_step < 600
    train(parts, **changes)
    assert content(parts) == content(tmp_path / "whole")


def test_a_finished_training_is_left_as_it_is(train, tmp_path):
    def files():
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}

    train(tmp_path)
    before = files()
    train(tmp_path)
    assert files() == before


def test_a_lost_checkpoint_of_a_finished_training_is_written_again(train, tmp_path):
    path = train(tmp_path)
    before = path.read_bytes()
    path.unlink()
    assert train(tmp_path) == path
    assert path.read_bytes() == before


def test_another_training_is_not_continued(train, tmp_path):
    train(tmp_path)
    for changes, message in (
        ({"seed": 1}, "holds a training with seed=0, this one has seed=1"),
        ({"batch_size": 64}, "with training="),
        ({"regularizer": sigreg(weight=0.5)}, r"regularizer=SIGReg\(weight=0.02, num_projections=8\)"),
    ):
        with pytest.raises(CheckpointError, match=message):
            train(tmp_path, **changes)
    (tmp_path / "training_state.safetensors").write_bytes(b"\x80\x04")
    with pytest.raises(CheckpointError, match="a pickle is never read"):
        train(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_steps": 41},
        {"batch_size": 16},
        {"rollout_length": 4},
        {"learning_rate": 2e-3},
        {"final_learning_rate": 1e-3},
        {"warmup_steps": 6},
        {"weight_decay": 0.1},
        {"clip_norm": 0.01},
        {"inverse_dynamics_weight": 0.1},
        {"straightening_weight": 0.1},
        {"validation_fraction": 0.2},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_setting_changes_what_is_learned(train, tmp_path, changes):
    ordinary = weights(train(tmp_path / "ordinary"))
    assert not torch.equal(weights(train(tmp_path / "changed", **changes)), ordinary)


def test_intervals_and_monitors_do_not_change_what_is_learned(train, tmp_path):
    ordinary = weights(train(tmp_path / "ordinary"))
    changes = {
        "validation_every": 7,
        "checkpoint_every": 9,
        "keep_every": 18,
        "log_every": 1,
        "num_validation_windows": 128,
        "num_probe_frames": 16,
        "proprioception_weight": 0.5,  # beside no camera
        "augmentation": {"max_shift": 3, "max_brightness": 0.5, "max_contrast": 0.5},  # of what is no camera
    }
    assert torch.equal(weights(train(tmp_path / "changed", **changes)), ordinary)


def test_an_interrupted_training_goes_on_under_other_intervals(train, tmp_path, monkeypatch):
    ordinary = weights(train(tmp_path / "whole"))
    interrupt(monkeypatch, 17)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts")
    monkeypatch.undo()
    others = {"log_every": 1, "validation_every": 3, "checkpoint_every": 7, "keep_every": 14}
    assert torch.equal(weights(train(tmp_path / "parts", **others)), ordinary)
    logged = steps_of(tmp_path / "parts")
    assert logged["train"] == [5, 10, *range(11, 41)]
    assert logged["validation"] == [10, *range(12, 40, 3), 40]


def test_the_learning_rate_rises_falls_as_a_cosine_and_may_stay(settings):
    falling = settings(num_steps=1000, warmup_steps=10, learning_rate=1.0, final_learning_rate=0.2)
    rates = [falling.learning_rate_at(step) for step in range(1, 1001)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0, abs=1e-3)
    assert rates[500] == pytest.approx(0.6, abs=1e-2)
    assert rates[-1] == pytest.approx(0.2, abs=1e-3)
    staying = settings(num_steps=1000, warmup_steps=0, learning_rate=1.0, final_learning_rate=1.0)
    assert {staying.learning_rate_at(step) for step in range(1, 1001)} == {1.0}


ALARM = {
    "grace_steps": 200,
    "min_std": 0.1,
    "min_rank_share": 0.6,
    "min_action_sensitivity": 0.1,
    "max_unexplained_error": 0.5,
    "max_unexplained_drift": 0.1,
}
LONGER = {"num_steps": 500, "validation_every": 100, "checkpoint_every": 500, "keep_every": 500, "alarm": ALARM}


def test_without_a_regularizer_the_alarm_trips(train, windy, tmp_path):
    with pytest.raises(
        TrainingStopped, match=r"the embedding of '.*' has collapsed at step \d+: its standard deviation"
    ):
        train(tmp_path, dataset=windy, regularizer=NoRegularizer(), **LONGER)


@pytest.mark.parametrize(
    "regularizer",
    [sigreg(), VICReg(variance_weight=1.0, covariance_weight=0.1), EMATarget(decay=0.99)],
    ids=["sigreg", "vicreg", "ema_target"],
)
def test_with_a_regularizer_the_alarm_stays_silent(train, windy, tmp_path, regularizer):
    train(tmp_path, dataset=windy, regularizer=regularizer, **LONGER)


def test_a_model_of_what_no_action_moves_is_deaf(train, build_model, unheard, tmp_path):
    def build():
        return build_model(sensors={"position": (2,)}, embed_dims={"position": 2})

    with pytest.raises(TrainingStopped, match=r"deaf to actions at step \d+: .* rises by -?\d"):
        train(tmp_path, dataset=unheard, build=build, **LONGER)


def diverge(monkeypatch, at):
    """Lets a gradient grow beyond all bounds at one step."""
    losses = WorldModelTask.losses

    def grow(task, step):
        parts = losses(task, step)
        return parts | {"loss": parts["loss"] * (float("inf") if step == at else 1)}

    monkeypatch.setattr(WorldModelTask, "losses", grow)


@pytest.mark.parametrize("log_every", [1, 4, 100])
@pytest.mark.parametrize("checkpoint_every", [1, 4, 100])
@pytest.mark.parametrize("validation_every", [1, 4, 100])
@pytest.mark.parametrize("at", [6])
def test_a_training_that_diverges_says_so_and_at_which_step(
    train, tmp_path, monkeypatch, log_every, checkpoint_every, validation_every, at
):
    diverge(monkeypatch, at)
    intervals = {
        "log_every": log_every,
        "checkpoint_every": checkpoint_every,
        "keep_every": checkpoint_every,
        "validation_every": validation_every,
    }
    message = f"^the training diverged at step {at}: .* a smaller training.learning_rate may help$"
    with pytest.raises(TrainingStopped, match=message):
        train(tmp_path, num_steps=10, **intervals)
    for path in tmp_path.glob("*.safetensors"):
        if path.name != "training_state.safetensors":
            assert load_checkpoint(path).metadata.training_step < at


def test_a_training_that_diverges_between_far_intervals_is_stopped_before_the_next(train, tmp_path, monkeypatch):
    diverge(monkeypatch, 7)
    finish, steps = WorldModelTask.finish_step, []
    monkeypatch.setattr(WorldModelTask, "finish_step", lambda task: steps.append(finish(task)))
    far = dict.fromkeys(("log_every", "checkpoint_every", "keep_every", "validation_every"), 1000)
    with pytest.raises(TrainingStopped, match="diverged at step 7"):
        train(tmp_path, num_steps=2000, **far)
    assert len(steps) <= 200


def test_weights_that_a_finite_gradient_leaves_without_number_are_never_saved(train, tmp_path, monkeypatch):
    def spoil(task):
        task.model.action_encoder.normalizer.mean.fill_(float("inf"))

    monkeypatch.setattr(WorldModelTask, "finish_step", spoil)
    message = r"diverged at step 1: the weights 'model.action_encoder.normalizer.mean' are not finite"
    with pytest.raises(TrainingStopped, match=message):
        train(tmp_path, checkpoint_every=1, keep_every=1)
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize("learning_rate", [1e8, 1e20, 1e36])
@pytest.mark.parametrize("every", [1, 2])
def test_steps_that_are_much_too_long_are_told_as_such(train, tmp_path, learning_rate, every):
    intervals = {"log_every": 10, "checkpoint_every": every, "keep_every": every, "validation_every": every}
    with pytest.raises(TrainingStopped, match=r"^the training diverged at step \d+: "):
        train(tmp_path, num_steps=30, warmup_steps=0, learning_rate=learning_rate, **intervals)


def test_the_log_holds_the_validation_that_condemns_a_training_and_is_json_to_everyone(
    train, windy, tmp_path, monkeypatch
):
    with pytest.raises(TrainingStopped, match=r"has collapsed at step (\d+)") as stopped:
        train(tmp_path / "collapsed", dataset=windy, regularizer=NoRegularizer(), **LONGER)
    last = json.loads((tmp_path / "collapsed" / "log.jsonl").read_text().splitlines()[-1])
    assert f"collapsed at step {last['step']}:" in str(stopped.value)
    assert min(last["validation/std/position"], last["validation/std/velocity"]) < ALARM["min_std"]

    validate = WorldModelTask.validate
    monkeypatch.setattr(WorldModelTask, "validate", lambda *step: validate(*step) | {"loss": float("nan")})
    with pytest.raises(TrainingStopped, match="diverged at step 10: its validation loss is nan"):
        train(tmp_path / "diverged")
    last = json.loads((tmp_path / "diverged" / "log.jsonl").read_text().splitlines()[-1], parse_constant=pytest.fail)
    assert last["step"] == 10 and last["validation/loss"] is None and last["validation/std/position"] > 0


@pytest.fixture
def stamped(record, tmp_path):
    """Episodes of other lengths, in which every reading and every action is the number of its episode."""

    def write(lengths):
        readings = [
            {name: np.full((length + 1, 2), episode) for name in ("position", "velocity")}
            for episode, length in enumerate(lengths)
        ]
        return record(
            tmp_path / "stamped", readings, [np.full((len(it["position"]) - 1, 2), e) for e, it in enumerate(readings)]
        )

    return write


def make_task(settings, dataset, model, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return WorldModelTask(
            model=model,
            regularizer=sigreg(),
            dataset=dataset,
            settings=settings(**changes),
            configs={},
            is_last_stage=True,
            seed=0,
        )


def episodes_seen(model, look, monkeypatch):
    """Returns the numbers of the episodes whose frames a model embeds in some work."""
    seen, encode = set(), type(model).encode

    def watch(model, observation):
        seen.update(observation["position"].unique().int().tolist())
        return encode(model, observation)

    with monkeypatch.context() as patched:
        patched.setattr(type(model), "encode", watch)
        look()
    return seen


def test_what_is_learned_validated_and_normalised_by_comes_from_the_right_side(
    build_model, settings, stamped, monkeypatch
):
    dataset, model = stamped([6] * 20), build_model()
    changes = {"validation_fraction": 0.3, "num_probe_frames": 500}
    learned, held_out = split_of_training(dataset, num_steps=3, validation_fraction=0.3, seed=0)
    task = make_task(settings, dataset, model, **changes)
    for normalizer in (model.normalizers["position"], model.normalizers["velocity"], model.action_encoder.normalizer):
        torch.testing.assert_close(normalizer.mean, torch.full((2,), float(learned.mean())))
        torch.testing.assert_close(normalizer.std, torch.full((2,), float(learned.std())))
    steps = range(1, 30)
    assert episodes_seen(model, lambda: [task.losses(step) for step in steps], monkeypatch) == set(learned.tolist())
    no_probes = SimpleNamespace(fit=lambda _: {}, judge=lambda *_: {})  # which are fitted on learned episodes
    monkeypatch.setattr(task, "_probes", no_probes)
    assert episodes_seen(model, lambda: task.validate(1), monkeypatch) == set(held_out.tolist())


def test_what_is_left_out_at_a_step_is_another_at_the_next_and_the_same_when_it_is_done_again(
    build_model, settings, linear
):
    class Leaky(nn.Linear):
        masks = []

        def forward(self, readings):
            self.masks.append(tuple(nn.functional.dropout(torch.ones(64), 0.5, self.training).tolist()))
            return super().forward(readings)

    model = build_model(encoder=lambda *, input_shape, embed_dim: Leaky(*input_shape, embed_dim))
    task = make_task(settings, linear, model)
    for step in (1, 2, 3, 2):
        task.losses(step)
    first, second, third, again = (Leaky.masks[index : index + 2] for index in range(0, 8, 2))
    assert len({*first, *second, *third}) == 6
    assert again == second


def test_episodes_that_are_too_short_are_left_out_and_counted(build_model, settings, stamped, caplog, monkeypatch):
    dataset, model = stamped([1, 2, 3, 7, 40, 1]), build_model()
    task = make_task(settings, dataset, model)
    assert "4 of 6 episodes are shorter than the 3 control steps of a window" not in caplog.text
    assert "3 of 6 episodes are shorter than the 3 control steps of a window" in caplog.text
    seen = episodes_seen(model, lambda: [task.losses(step) for step in range(1, 9)] + [task.validate(1)], monkeypatch)
    assert seen == {2, 3, 4}


@pytest.mark.parametrize("seed", range(5))
def test_too_few_long_episodes_are_told_as_they_are_whatever_the_seed(train, stamped, tmp_path, seed):
    dataset = stamped([1, 2, 3, 7, 40])
    with pytest.raises(
        DatasetError, match=r"2 episodes of 8 control steps or more.* 1 are so long, the longest has 40"
    ):
        train(tmp_path / "output", dataset=dataset, rollout_length=8, seed=seed)
    train(tmp_path / "output", dataset=dataset, rollout_length=7, seed=seed, num_steps=2)


@pytest.mark.parametrize("episode", range(3))
def test_one_reading_that_is_no_number_stops_the_training_before_it_starts(train, record, tmp_path, episode):
    rng = np.random.default_rng(0)
    readings = [{name: rng.normal(size=(21, 2)) for name in ("position", "velocity")} for _ in range(3)]
    readings[episode]["velocity"][7, 1] = float("nan")
    dataset = record(tmp_path / "data", readings, [rng.normal(size=(20, 2)) for _ in range(3)])
    with pytest.raises(DatasetError, match="the sensor 'velocity' of the dataset"):
        train(tmp_path / "output", dataset=dataset)
    assert not (tmp_path / "output").exists()


HEALTHY = {"std/tip": 1.0, "rank/tip": 2.9, "rank_possible/tip": 3.0, "action_sensitivity": 5.0}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"std/tip": 0.05}, "its standard deviation is 0.05"),
        ({"std/tip": float("nan")}, "its standard deviation is nan"),
        ({"rank/tip": 1.0}, "its effective rank is 1 of 3"),
        ({"action_sensitivity": 0.09}, "rises by 9.0%, at least 10% is expected"),
        ({"action_sensitivity": float("nan")}, "deaf to actions"),
    ],
)
def test_the_alarm_says_what_is_wrong(metrics, message):
    alarm = Alarm(**ALARM)
    alarm.check(201, HEALTHY)
    with pytest.raises(TrainingStopped, match=message):
        alarm.check(201, HEALTHY | metrics)


def test_a_model_is_judged_after_the_grace_and_at_the_end_of_all_but_the_shortest_trainings():
    alarm = Alarm(**ALARM)
    assert [alarm.is_due(step, 3000) for step in (100, 200, 201, 3000)] == [False, False, True, True]
    patient = Alarm(**ALARM | {"grace_steps": 1000})
    assert [patient.is_due(step, 501) for step in (500, 501)] == [False, True]
    assert not patient.is_due(500, 500) and not patient.is_due(60, 60)


def test_a_training_shorter_than_its_grace_is_judged_at_its_end(train, unheard, build_model, tmp_path):
    def build():
        return build_model(sensors={"position": (2,)}, embed_dims={"position": 2})

    with pytest.raises(TrainingStopped, match="deaf to actions at step 501"):
        train(tmp_path, dataset=unheard, build=build, num_steps=501, validation_every=100)


def test_the_monitors_of_a_perfect_model_are_known(build_model, linear):
    """With identities for encoders and the true dynamics, errors are 0 and sensitivity is boundless."""
    model = build_model(dynamics=lambda **sizes: TrueDynamics())
    with torch.no_grad():
        for encoder in model.encoders.values():
            encoder.linear.weight.copy_(torch.eye(2))
    windows = WindowSampler(
        linear, sensors=model.sensors, episodes=np.arange(linear.num_episodes), num_frames=4, action_repeat=1
    ).sample(300, np.random.default_rng(0))
    metrics = measure(model, windows)
    assert metrics["error_first"] < 1e-10 and metrics["error_last"] < 1e-10
    assert metrics["action_sensitivity"] > 1e6
    first, last = (windows.observation[name][:, index] for index in (0, -1) for name in ("position",))
    velocity = windows.observation["velocity"]
    copy_error = ((first - last).square().mean() + (velocity[:, 0] - velocity[:, -1]).square().mean()) / 2
    assert metrics["copy_error"] == pytest.approx(float(copy_error), rel=1e-5)
    assert metrics["std/position"] == pytest.approx(float(first.std(dim=0).mean()), rel=1e-5)
    assert metrics["rank/position"] == pytest.approx(metrics["rank_possible/position"], rel=1e-5)


class TrueDynamics(Dynamics):
    """The mass in the plane, in units of its sensors."""

    least_context = 1

    def begin(self, embeddings, actions):
        return (embeddings[:, -1],)

    def predict(self, state, action):
        position, velocity = state[0].chunk(2, dim=1)
        velocity = 0.7 * velocity + 0.3 * action
        return (), torch.cat([position + velocity, velocity], dim=1)

    def take_in(self, foretold, embedding):
        return (embedding,)

    def foresee(self, state, actions, embeddings):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": 0}, "training.num_steps must be at least 1, got 0"),
        ({"batch_size": 1}, "training.batch_size must be at least 2, got 1"),
        ({"num_validation_windows": 33}, "a multiple of batch_size=32, got 33"),
        ({"rollout_length": 0}, "training.rollout_length must be at least 1, got 0"),
        ({"validation_fraction": 1.0}, "must lie between 0 and 1, got 1.0"),
        ({"validation_fraction": 0.0}, "training.validation_fraction must be above 0 and finite, got 0.0"),
        ({"num_steps": 1.5}, "training.num_steps must be a whole number, at least 1, got 1.5"),
        ({"warmup_steps": -5}, "training.warmup_steps must be at least 0, got -5"),
        ({"weight_decay": -1}, "training.weight_decay must be at least 0 and finite, got -1"),
        ({"clip_norm": -1}, "training.clip_norm must be above 0 and finite, got -1"),
        ({"clip_norm": float("inf")}, "training.clip_norm must be above 0 and finite, got inf"),
        ({"learning_rate": float("nan")}, "training.learning_rate must be above 0 and finite, got nan"),
        ({"learning_rate": "fast"}, "training.learning_rate must be above 0 and finite, got 'fast'"),
        ({"inverse_dynamics_weight": -0.1}, "training.inverse_dynamics_weight must be at least 0"),
        ({"inverse_dynamics_dim": 0}, "training.inverse_dynamics_dim must be at least 1, got 0"),
        ({"alarm": None}, r"training.alarm must have the keys \['grace_steps', .*\], got None"),
        ({"alarm": ALARM | {"min_stdd": 1}}, r"training.alarm must have the keys \[.*'min_std', .*'min_stdd': 1"),
        ({"alarm": ALARM | {"grace_steps": "x"}}, "training.alarm.grace_steps must be a whole number, .* got 'x'"),
        ({"alarm": ALARM | {"min_action_sensitivity": float("nan")}}, "min_action_sensitivity must be finite, got nan"),
        ({"alarm": ALARM | {"min_rank_share": 2}}, "min_rank_share must be at least 0 and at most 1 and finite, got"),
        ({"learning_rate": 0.0}, "must be above 0"),
        ({"final_learning_rate": 1.0}, "at least final_learning_rate, got 0.003 and 1.0"),
        ({"wandb": "yes"}, "training.wandb must be true or false, got 'yes'"),
        ({"keep_every": 15}, "a multiple of checkpoint_every=10, got 15"),
    ],
)
def test_settings_without_meaning_are_refused(settings, changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_a_log_for_wandb_needs_the_package_before_anything_else(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match=r"got true: pip install 'jepa-mpc\[wandb\]' or training.wandb=false"):
        settings(wandb=True)


def test_wandb_gets_what_the_log_gets_under_one_name_a_folder(train, tmp_path, monkeypatch):
    started, logged = [], []

    class Run:
        def log(self, numbers, *, step):
            logged.append({"step": step, **numbers})

        def finish(self):
            logged.append("finished")

    stand_in = SimpleNamespace(init=lambda **values: started.append(values["id"]) or Run())
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    train(tmp_path, wandb=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == [*lines, "finished"]
    (tmp_path / "training_state.safetensors").unlink()
    train(tmp_path, wandb=True)
    assert len(started) == 2 and len(set(started)) == 1


def test_no_file_of_a_training_lies_elsewhere(train, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    train(tmp_path / "output")
    assert not list(Path.cwd().iterdir())


@pytest.fixture(scope="session")
def build_seeing(build_model):
    """Builds a model that sees pictures of 16 pixels and nothing else."""
    encoder = partial(KeypointEncoder, channels=4, num_keypoints=4, temperature=0.1, hidden_dim=16)
    return partial(build_model, sensors={"camera": (16, 16, 3)}, embed_dims={"camera": 2}, encoder=encoder)


AUGMENTED = {"augmentation": {"max_shift": 2, "max_brightness": 0.1, "max_contrast": 0.1}}


def interrupt(monkeypatch, step):
    """Stops the next training behind a step of the optimiser."""
    finish, count = WorldModelTask.finish_step, iter(range(1, 100))

    def stop(task):
        finish(task)
        if next(count) == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(WorldModelTask, "finish_step", stop)


@pytest.mark.parametrize("step", [1, 17, 20])
def test_a_training_from_pictures_interrupted_at_any_step_ends_with_the_same_bytes(
    train, filmed, build_seeing, tmp_path, monkeypatch, step
):
    changes = {"dataset": filmed, "build": build_seeing, "num_steps": 30, "straightening_weight": 0.1, **AUGMENTED}
    train(tmp_path / "whole", **changes)
    interrupt(monkeypatch, step)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", **changes)
    monkeypatch.undo()
    train(tmp_path / "parts", **changes)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


@pytest.mark.parametrize("name", ["max_shift", "max_brightness", "max_contrast"])
def test_every_change_of_pictures_changes_what_is_learned(train, filmed, build_seeing, settings, tmp_path, name):
    ordinary = {"max_shift": 0, "max_brightness": 0.0, "max_contrast": 0.0}
    changes = {"dataset": filmed, "build": build_seeing, "num_steps": 10}
    plain = weights(train(tmp_path / "plain", augmentation=ordinary, **changes))
    augmented = train(tmp_path / "augmented", augmentation=ordinary | {name: 1}, **changes)
    assert not torch.equal(weights(augmented), plain)


def test_beside_a_camera_the_weight_of_what_is_felt_changes_what_is_learned(train, filmed, build_model, tmp_path):
    def encoder(*, input_shape, embed_dim):
        if len(input_shape) == 1:
            return nn.Linear(input_shape[0], embed_dim)
        sizes = {"channels": 4, "num_keypoints": 4, "temperature": 0.1, "hidden_dim": 16}
        return KeypointEncoder(input_shape=input_shape, embed_dim=embed_dim, **sizes)

    def build():
        sensors = {"camera": (16, 16, 3), "place": filmed.observations["place"].shape[1:]}
        return build_model(sensors=sensors, embed_dims={"camera": 2, "place": 2}, encoder=encoder)

    changes = {"dataset": filmed, "build": build, "num_steps": 10}
    ordinary = weights(train(tmp_path / "ordinary", **changes))
    assert not torch.equal(weights(train(tmp_path / "changed", proprioception_weight=0.5, **changes)), ordinary)


def test_pictures_that_are_validated_on_are_as_they_were_recorded(filmed, build_seeing, settings):
    def validate(**changes):
        torch.manual_seed(0)
        task = WorldModelTask(
            model=build_seeing(),
            regularizer=sigreg(),
            dataset=filmed,
            settings=settings(**changes),
            configs={},
            is_last_stage=True,
            seed=0,
        )
        return task.validate(0)

    assert validate(**AUGMENTED) == validate()


def test_where_things_are_is_learned_from_pictures_and_told_at_every_validation(train, filmed, build_seeing, tmp_path):
    changes = {"num_steps": 300, "batch_size": 64, "inverse_dynamics_weight": 1.0, "learning_rate": 1e-2}
    train(
        tmp_path,
        dataset=filmed,
        build=build_seeing,
        validation_every=150,
        checkpoint_every=300,
        keep_every=300,
        **changes,
    )
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    told = [line["validation/probe/place"] for line in lines if "validation/loss" in line]
    assert len(told) == 2
    assert told[-1] > 0.9
    assert not any("probe/camera" in key for line in lines for key in line)


def test_a_camera_that_sees_nothing_that_moves_stops_the_training_before_it_starts(
    train, record, build_seeing, tmp_path
):
    readings = [{"camera": np.full((21, 16, 16, 3), 9, np.uint8)} for _ in range(3)]
    dataset = record(tmp_path / "data", readings, [np.ones((20, 2)) for _ in range(3)])
    with pytest.raises(DatasetError, match=r"the camera 'camera' of the dataset .* shows the same picture"):
        train(tmp_path / "output", dataset=dataset, build=build_seeing)
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    "regularizer",
    [
        sigreg(),
        GaussianKL(weight=0.1, least_variance=1e-3),
        VICReg(variance_weight=1.0, covariance_weight=0.1),
        EMATarget(decay=0.9),
        InfoNCE(weight=0.1, temperature=0.1),
        Reconstruction(weight=1.0, num_frames=1, channels=[4, 4], hidden_dim=8),
    ],
    ids=lambda regularizer: type(regularizer).__name__,
)
def test_all_of_a_step_happens_on_the_device_of_the_training(monkeypatch, filmed, build_seeing, settings, regularizer):
    """The device "meta" has shapes without numbers, on every machine, and mixes with the CPU as little as a GPU."""
    monkeypatch.setattr("world_model.training.settings.DEVICES", ("meta",))
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # it does not know the device
    task = WorldModelTask(
        model=build_seeing(),
        regularizer=regularizer,
        dataset=filmed,
        settings=settings(device="meta", inverse_dynamics_weight=1.0, straightening_weight=0.0, **AUGMENTED),
        configs={},
        is_last_stage=True,
        seed=0,
    )
    losses = task.losses(1)
    losses["loss"].backward()
    task.finish_step()
    assert all(part.device.type == "meta" for part in losses.values())
    gradients = [parameter.grad for parameter in task.module.parameters() if parameter.requires_grad]
    assert gradients
    assert all(gradient is not None and gradient.device.type == "meta" for gradient in gradients)


def test_auto_is_the_cpu_in_full_precision_where_there_is_no_gpu_and_a_gpu_in_half_where_there_is(
    monkeypatch, settings
):
    auto = settings(device="auto", precision="auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    without = auto.on_this_machine()
    assert (without.device, without.precision) == ("cpu", "float32")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with_gpu = auto.on_this_machine()
    assert (with_gpu.device, with_gpu.precision) == ("cuda", "bfloat16")
    chosen = settings(device="cpu", precision="bfloat16").on_this_machine()
    assert (chosen.device, chosen.precision) == ("cpu", "bfloat16")


def test_a_gpu_that_is_not_there_is_told_at_once(monkeypatch, settings):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"training\.device=cuda, and torch finds no CUDA GPU here: choose cpu"):
        settings(device="cuda").on_this_machine()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")
def test_what_a_gpu_has_learned_is_saved_for_any_machine(train, filmed, build_seeing, tmp_path):
    changes = {"dataset": filmed, "build": build_seeing, "device": "cuda", "precision": "bfloat16"}
    path = train(tmp_path, num_steps=20, **changes)
    assert all(tensor.device.type == "cpu" for tensor in load_checkpoint(path).sections["world_model"].values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here")
def test_the_generator_of_a_gpu_is_left_as_it_was(train, filmed, build_seeing, tmp_path):
    torch.cuda.manual_seed(5)
    before = torch.cuda.get_rng_state()
    train(tmp_path, num_steps=20, dataset=filmed, build=build_seeing, device="cuda", precision="bfloat16")
    assert torch.equal(torch.cuda.get_rng_state(), before)
