import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from envs.episodes.episode import Episode, open_dataset
from envs.episodes.recording import write_dataset
from envs.spec import BoxActions, Sensor, TaskSpec
from world_model.action_encoders import BoxActionEncoder
from world_model.decoder import Decoder, as_pictures
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.interpreter import SECTION, Interpreter, InterpreterTask, PictureSettings
from world_model.jepa import JEPA
from world_model.latent.none import no_latent
from world_model.training.checkpoint import Metadata, load_checkpoint
from world_model.training.fit import fit

SQUARE = 12  # pixels
PLACES = 64 - SQUARE


class SquareFinder(nn.Module):
    """Embeds where the bright square is: its place as a share of the way, about 0."""

    def __init__(self, *, input_shape, embed_dim):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(embed_dim))
        self.norm = nn.BatchNorm1d(embed_dim, affine=False)

    def forward(self, images):
        light = (images[..., 0] > 0.5).float()
        total = light.sum(dim=(1, 2))
        places = torch.arange(64.0)
        x, y = (light.sum(dim=1) @ places / total, light.sum(dim=2) @ places / total)
        place = (torch.stack([x, y], dim=1) - (SQUARE - 1) / 2) / PLACES - 0.5
        return self.scale * self.norm(place)


def picture(place):
    """Returns a bright square, its corner at `place` (x, y), before a background that never changes."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :, 2] = np.linspace(40, 90, 64, dtype=np.uint8)[:, None]
    x, y = place
    image[y : y + SQUARE, x : x + SQUARE] = (255, 160, 0)
    return image


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    """Episodes of a square that is somewhere else in each frame; the tip tells where, in m."""
    rng = np.random.default_rng(0)
    env = TaskSpec(
        task_id="test/Squares-v0",
        fingerprint="",
        sensors={"tip": Sensor((3,), "numbers", ""), "eye_camera": Sensor((64, 64, 3), "image", "")},
        perceived=("eye_camera",),
        goal={},
        asked=(),
        actions=BoxActions.unit(1),
        control_dt=0.05,
        num_steps=4,
        effector=None,
    )
    episodes = []
    for seed in range(60):
        places = rng.integers(PLACES + 1, size=(5, 2))
        tips = np.float32(np.column_stack([places / 100, 0.3 - places.sum(axis=1) / 1000]))
        episodes.append(
            Episode(
                observations={"tip": tips, "eye_camera": np.stack([picture(place) for place in places])},
                actions=np.zeros((4, 1), np.float32),
                seed=seed,
                verdicts=(),
                num_redrawn=0,
            )
        )
    folder = tmp_path_factory.mktemp("squares")
    write_dataset(folder, episodes, env=env, policy_name="test", policy_values={}, report={})
    return open_dataset(folder)


@pytest.fixture
def model():
    return JEPA(
        sensors={"eye_camera": (64, 64, 3)},
        embed_dims={"eye_camera": 2},
        encoder=SquareFinder,
        action_encoder=BoxActionEncoder,
        goal_dim=None,
        kinds=[],
        dynamics=lambda **sizes: ResidualMLPDynamics(**sizes, hidden_dim=8, num_layers=1),
        latent=no_latent,
        context_length=1,
        action_dim=1,
        action_repeat=1,
    ).eval()


SETTINGS = PictureSettings(
    num_examples=1,
    num_frames=256,
    hidden_dim=64,
    channels=[16, 8],
    num_steps=200,
    batch_size=32,
    learning_rate=1e-2,
    final_learning_rate=0.0,
    warmup_steps=10,
    weight_decay=1e-4,
    clip_norm=1.0,
    validation_every=50,
    checkpoint_every=50,
    keep_every=10_000,
    log_every=50,
    num_threads=1,
    wandb=False,
)


def make_task(model, dataset, **changes):
    settings = replace(SETTINGS, **changes)
    torch.manual_seed(0)
    return InterpreterTask(
        interpreter=Interpreter.of(model, settings, num_coordinates=3),
        model=model,
        dataset=dataset,
        place_sensor="tip",
        learned=np.arange(50),
        held_out=np.arange(50, 60),
        settings=settings,
        metadata=Metadata(
            configs={}, env={}, action_repeat=1, versions={}, data_fingerprint="", training_step=0, bonds={}
        ),
        seed=0,
    ), settings


def train(task, settings, folder):
    return fit(task, settings=settings, identity={"test": "squares"}, output=folder, description="decoder")


def test_the_decoders_gradient_never_reaches_the_model(model, squares, tmp_path):
    before = copy.deepcopy(model.state_dict())
    task, settings = make_task(model, squares, num_steps=3)
    assert all(parameter.requires_grad for parameter in model.parameters())
    train(task, settings, tmp_path)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(bool(parameter.grad.any()) for parameter in task.module.parameters())


def test_a_decoder_learns_to_draw_what_the_embedding_tells(model, squares, tmp_path):
    task, settings = make_task(model, squares)
    last = load_checkpoint(train(task, settings, tmp_path))
    interpreter = Interpreter.of(model, settings, num_coordinates=3)
    last.restore(SECTION, interpreter)
    places = np.array([[5, 40], [26, 26], [45, 10], [20, 3]])
    frames = torch.from_numpy(np.stack([picture(place) for place in places]))
    embeddings = model.encode({"eye_camera": frames[None]})[0]
    light = interpreter.pictures(embeddings)[..., 0].astype(float) ** 2
    share = light / light.sum(axis=(1, 2), keepdims=True)
    centres = np.stack([share.sum(axis=1) @ np.arange(64), share.sum(axis=2) @ np.arange(64)], axis=1)
    np.testing.assert_allclose(centres, places + (SQUARE - 1) / 2, atol=2.0)
    error = np.abs(interpreter.pictures(embeddings)[:, :2, 60:].astype(int) - frames.numpy()[:, :2, 60:]).max()
    assert error <= 12  # grey levels, where nothing ever happens


def test_the_tip_is_read_off_the_embedding(model, squares):
    task, _ = make_task(model, squares)
    frames = torch.from_numpy(np.stack([picture((30, 12)), picture((4, 50))]))
    tips = task.module.places(model.encode({"eye_camera": frames[None]})[0].detach())
    np.testing.assert_allclose(tips, [[0.30, 0.12, 0.258], [0.04, 0.50, 0.246]], atol=1e-4)


def test_a_place_has_as_many_coordinates_as_its_sensor_reads(model):
    for num_coordinates in (2, 3):
        interpreter = Interpreter.of(model, SETTINGS, num_coordinates=num_coordinates)
        assert interpreter.places(torch.zeros(5, 2)).shape == (5, num_coordinates)


def test_an_interrupted_training_goes_on_to_the_same_bytes(model, squares, tmp_path):
    for folder, steps in (("whole", [6]), ("parts", [3, 6])):
        for num_steps in steps:
            task, settings = make_task(
                model, squares, num_steps=num_steps, learning_rate=1e-3, final_learning_rate=1e-3
            )
            train(task, replace(settings, checkpoint_every=3, keep_every=3), tmp_path / folder)
    assert (tmp_path / "whole/last.safetensors").read_bytes() == (tmp_path / "parts/last.safetensors").read_bytes()


def test_before_it_learns_a_decoder_draws_the_mean_picture():
    decoder = Decoder(embed_dim=2, hidden_dim=4, channels=[2])
    pictures = torch.from_numpy(np.stack([picture((0, 0)), picture((0, 0)), picture((30, 30))]))
    decoder.fit_scale(torch.randn(3, 2), pictures)
    nn.init.zeros_(decoder.layers[-1].convolutions[-1].weight)
    nn.init.zeros_(decoder.layers[-1].convolutions[-1].bias)
    drawn = decoder(torch.randn(1, 2))[0]
    torch.testing.assert_close(drawn, pictures.float().mean(dim=0) / 255)


@pytest.mark.parametrize("size", [16, 96])
def test_frames_of_any_size_become_pictures_of_one(size):
    frames = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    frames[:, :, : size // 2] = torch.tensor([200, 100, 50], dtype=torch.uint8)
    pictures = as_pictures(frames)
    assert pictures.shape == (2, 64, 64, 3)
    assert pictures.dtype == torch.uint8
    assert pictures[:, :, :24].unique(dim=2).squeeze().tolist() == [[[200, 100, 50]] * 64] * 2
    assert not pictures[:, :, 40:].any()


@pytest.mark.parametrize(
    ("key", "value"), [("channels", []), ("channels", [8] * 7), ("num_frames", 3), ("num_examples", -1)]
)
def test_a_value_that_does_not_fit_is_named(key, value):
    with pytest.raises(ValueError, match=f"pictures.{key} must"):
        replace(SETTINGS, **{key: value})
