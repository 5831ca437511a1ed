"""What every regulariser in configs/regularizer promises."""

from functools import partial

import pytest
import torch
from omegaconf import OmegaConf

from agent.run.config.building import build
from agent.run.config.composing import ConfigError, compose_config, group_names
from world_model.action_encoders import BoxActionEncoder
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.encoders.mlp import MLPEncoder
from world_model.encoders.strided_conv import StridedConvEncoder
from world_model.jepa import JEPA
from world_model.latent.none import no_latent
from world_model.objectives.base import LatentBatch
from world_model.objectives.prediction import imagine, prediction_loss
from world_model.types import is_image

SENSORS = {"tip": (3,), "joints": (7,), "camera": (8, 8, 3)}
EMBED_DIMS = {"tip": 3, "joints": 4, "camera": 5}
BLOCKS = {"tip": slice(0, 3), "joints": slice(3, 7), "camera": slice(7, 12)}
NUM_FRAMES = 5


@pytest.fixture(scope="module", params=group_names()["regularizer"])
def config(request):
    return compose_config([f"regularizer={request.param}"]).values.regularizer


def encoder(*, input_shape, embed_dim):
    if is_image(input_shape):
        return StridedConvEncoder(input_shape=input_shape, embed_dim=embed_dim, channels=[4], hidden_dim=8)
    return MLPEncoder(input_shape=input_shape, embed_dim=embed_dim, hidden_dim=8, num_layers=1)


@pytest.fixture
def model():
    return JEPA(
        sensors=SENSORS,
        embed_dims=EMBED_DIMS,
        encoder=encoder,
        action_encoder=BoxActionEncoder,
        dynamics=partial(ResidualMLPDynamics, hidden_dim=8, num_layers=1),
        goal_dim=None,
        kinds=[],
        latent=no_latent,
        context_length=1,
        action_dim=3,
        action_repeat=1,
    )


def attached(config, model, **changes):
    """Returns a regulariser that is ready for a model, with first weights that are always the same."""
    regularizer = build(OmegaConf.merge(config, changes))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        regularizer.attach(model)
    return regularizer


def observe(batch=64):
    generator = torch.Generator().manual_seed(2)
    numbers = {name: torch.randn(batch, NUM_FRAMES, *SENSORS[name], generator=generator) for name in ("tip", "joints")}
    frames = torch.randint(256, (batch, NUM_FRAMES, *SENSORS["camera"]), generator=generator, dtype=torch.uint8)
    return {**numbers, "camera": frames}


def scattered(batch=64):
    """Returns latents of which each block has another scale, and predictions that are a little off."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([1.0] * 3 + [0.5] * 4 + [2.0] * 5)
    embeddings = scale * torch.randn(batch, NUM_FRAMES, len(scale), generator=generator)
    return latents(embeddings, 0.1 * torch.randn(batch, NUM_FRAMES - 1, len(scale), generator=generator))


def latents(embeddings, error=0.0):
    return LatentBatch(
        observation=observe(len(embeddings)),
        embeddings=embeddings,
        predictions=embeddings[:, 1:] + error,
        targets=embeddings[:, 1:],
        blocks=BLOCKS,
    )


def loss(regularizer, batch, seed=1):
    return regularizer.loss(batch, torch.Generator().manual_seed(seed))


def nudge(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1


def outcome(config, model, **changes):
    """Returns the loss, and the targets after the model has moved by a step."""
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    regularizer = attached(config, model, **changes)
    nudge(model)
    regularizer.update(model)
    targets = regularizer.targets(model, observe(), model.encode(observe())).detach()
    model.load_state_dict(state)
    return torch.cat([loss(regularizer, scattered()).detach().reshape(1), targets.flatten()])


def test_its_loss_is_a_finite_number_that_is_never_negative(config, model):
    regularizer = attached(config, model)
    for batch in (scattered(), latents(torch.zeros(64, NUM_FRAMES, 12))):
        value = loss(regularizer, batch)
        assert value.shape == () and torch.isfinite(value) and value >= 0


def test_its_gradient_is_finite_even_at_a_point(config, model):
    regularizer = attached(config, model)
    embeddings = torch.zeros(64, NUM_FRAMES, 12, requires_grad=True)
    value = loss(regularizer, latents(embeddings))
    if value.requires_grad:
        value.backward()
        assert torch.isfinite(embeddings.grad).all()


def test_the_order_of_a_batch_does_not_matter(config, model):
    regularizer = attached(config, model)
    batch = scattered()
    turned = LatentBatch(
        observation={name: readings.flip(0) for name, readings in batch.observation.items()},
        embeddings=batch.embeddings.flip(0),
        predictions=batch.predictions.flip(0),
        targets=batch.targets.flip(0),
        blocks=BLOCKS,
    )
    torch.testing.assert_close(loss(regularizer, turned), loss(regularizer, batch))


def test_the_same_generator_gives_the_same_loss(config, model):
    regularizer = attached(config, model)
    assert torch.equal(loss(regularizer, scattered()), loss(regularizer, scattered()))


def test_at_the_start_the_targets_are_the_embeddings(config, model):
    regularizer = attached(config, model)
    embeddings = model.encode(observe())
    torch.testing.assert_close(regularizer.targets(model, observe(), embeddings), embeddings)


def test_it_leaves_the_model_as_it_was_and_shares_no_memory_with_it(config, model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    regularizer = attached(config, model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    own = {tensor.data_ptr() for tensor in regularizer.state_dict().values()}
    assert not own & {tensor.data_ptr() for tensor in model.state_dict().values()}


def test_its_first_weights_are_those_of_the_global_generator(config, model):
    first, second = attached(config, model).state_dict(), attached(config, model).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_all_that_it_trains_gets_a_gradient(config, model):
    regularizer = attached(config, model)
    nudge(regularizer)  # away from first weights that are 0
    trained = [parameter for parameter in regularizer.parameters() if parameter.requires_grad]
    if trained:
        loss(regularizer, scattered()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in trained)


def test_it_trains_a_model_from_windows(config, model):
    """The loss of one batch, prediction and all, falls by a fifth at least."""
    regularizer = attached(config, model)
    actions = torch.randn(64, NUM_FRAMES - 1, 3, generator=torch.Generator().manual_seed(3))
    parameters = [*model.parameters(), *(it for it in regularizer.parameters() if it.requires_grad)]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    losses = []
    for _ in range(30):
        embeddings = model.encode(observe())
        batch = LatentBatch(
            observation=observe(),
            embeddings=embeddings,
            predictions=imagine(model, embeddings, actions),
            targets=regularizer.targets(model, observe(), embeddings)[:, 1:],
            blocks=model.blocks,
        )
        value = prediction_loss(batch.predictions, batch.targets, model.blocks) + loss(regularizer, batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        regularizer.update(model)
        losses.append(float(value.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_what_it_keeps_is_restored_by_its_state(config, model):
    first = attached(config, model)
    nudge(model)
    second = build(config)
    second.attach(model)
    first.update(model)
    second.load_state_dict(first.state_dict())
    embeddings = model.encode(observe())
    torch.testing.assert_close(
        second.targets(model, observe(), embeddings), first.targets(model, observe(), embeddings)
    )
    assert torch.equal(loss(second, scattered()), loss(first, scattered()))


def test_it_says_its_values(config):
    text = repr(build(config))
    for key, value in config.items():
        if not str(key).startswith("_"):
            assert f"{key}={value}" in text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, "much"])
def test_a_number_without_meaning_is_refused_by_name(config, value):
    for key, ordinary in config.items():
        if isinstance(ordinary, int | float):
            with pytest.raises(ConfigError, match=rf"{key} must be .*, got {value!r}"):
                build(OmegaConf.merge(config, {key: value}))


def test_every_value_of_the_yaml_matters(config, model):
    ordinary = outcome(config, model)
    for key, value in config.items():
        if not str(key).startswith("_"):
            assert not torch.equal(outcome(config, model, **{key: changed(value)}), ordinary), key


def changed(value):
    if isinstance(value, int):
        return value + 1
    return value / 2 if isinstance(value, float) else [2 * size for size in value]
