"""What all latent variables in configs/latent promise."""

from functools import partial

import pytest
import torch
from omegaconf import OmegaConf
from torch import Generator

from agent.run.config.building import build
from agent.run.config.composing import compose_config, group_names
from world_model.action_encoders import BoxActionEncoder
from world_model.encoders.mlp import MLPEncoder
from world_model.jepa import JEPA
from world_model.latent.base import Transition
from world_model.latent.futures import draw_latents
from world_model.layout import Layout
from world_model.objectives.prediction import predictions
from world_model.types import LatentContext

BLOCKS = {"tip": slice(0, 2), "block": slice(2, 4), "bar": slice(4, 5), "camera": slice(5, 25)}
LAYOUT = Layout(BLOCKS)
EMBED_DIM, ACTION_DIM, ROWS = LAYOUT.embed_dim, 3, 6
OWN = torch.tensor([name in ("block", "bar") for name, it in BLOCKS.items() for _ in range(it.start, it.stop)])


@pytest.fixture(scope="module", params=sorted(set(group_names()["latent"]) - {"none"}))
def config(request):
    return compose_config([f"latent={request.param}"]).values.latent


def make(config, **changes):
    """Builds a latent variable that all of its inputs matter to."""
    merged = OmegaConf.merge(config, {"sensors": ["block", "bar"]}, changes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        latent = build(merged)(layout=LAYOUT, action_dim=ACTION_DIM)
    generator = Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in latent.parameters():
            parameter.copy_(2 * torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
    return latent.double()


def steps(rows=ROWS):
    generator = Generator().manual_seed(1)
    return Transition(
        *(torch.randn(rows, size, generator=generator).double() for size in (EMBED_DIM, ACTION_DIM, EMBED_DIM))
    )


def row(transition, index):
    return Transition(*(part[index, None] for part in vars(transition).values()))


def draws(latent, num_futures=200, rows=ROWS):
    drawn = draw_latents(
        [Generator().manual_seed(index) for index in range(rows)],
        num_futures=num_futures,
        horizon=1,
        latent_dim=latent.latent_dim,
    )
    return drawn[:, :, 0].double().unbind(dim=1)  # each [rows, latent_dim]


def observe(rows=ROWS):
    return torch.randn(rows, EMBED_DIM, generator=Generator().manual_seed(2)).double()


SEEN = torch.ones(ROWS, EMBED_DIM, dtype=torch.bool)


def test_blocks_without_a_z_are_as_the_dynamics_foresee_them(config):
    latent, transition = make(config), steps()
    embeddings = [
        latent.imagine(transition, None),
        *(latent.imagine(transition, quantiles) for quantiles in draws(latent, 5)),
        latent.explain(transition, observe(), SEEN).embedding,
        latent.learn(transition, observe(), Generator())[0],
    ]
    for embedding in embeddings:
        assert torch.equal(embedding[:, ~OWN], transition.prediction[:, ~OWN])
        assert (embedding[:, OWN] != transition.prediction[:, OWN]).all()


def test_the_same_quantiles_are_the_same_future_and_others_another(config):
    latent, transition = make(config), steps()
    first, last = (torch.full((ROWS, latent.latent_dim), quantile).double() for quantile in (0.0, 1.0))
    assert torch.equal(latent.imagine(transition, first), latent.imagine(transition, first))
    assert torch.isfinite(latent.imagine(transition, first)).all()
    assert (latent.imagine(transition, first) != latent.imagine(transition, last))[:, OWN].all()


def test_the_most_probable_future_is_no_surprise_at_all(config):
    latent, transition = make(config, weight=0.1), steps()
    likely = latent.imagine(transition, None)
    explanation = latent.explain(transition, likely, SEEN)
    torch.testing.assert_close(explanation.embedding, likely)
    torch.testing.assert_close(explanation.energy, torch.zeros(ROWS).double(), rtol=0, atol=1e-12)


def test_the_energy_is_at_most_that_of_the_most_probable_future(config):
    latent, transition, observed = make(config, weight=0.1), steps(), observe()
    likely = latent.imagine(transition, None)
    assert (latent.explain(transition, observed, SEEN).energy <= (likely - observed).square().mean(dim=1)).all()


def test_what_was_plausible_is_a_small_surprise(config):
    latent, transition = make(config, weight=1e-6), steps()
    came = [latent.imagine(transition, quantiles) for quantiles in draws(latent, 8)]
    energies = torch.stack([latent.explain(transition, it, SEEN).energy for it in came])
    surprises = torch.stack([(latent.imagine(transition, None) - it).square().mean(dim=1) for it in came])
    assert energies.mean() < 0.5 * surprises.mean()


def test_a_nat_is_worth_the_weight(config):
    latent, dearer = make(config, weight=0.0), make(config, weight=1e6)
    transition, observed = steps(), observe()
    cheap = latent.explain(transition, observed, SEEN)
    torch.testing.assert_close(cheap.energy, (cheap.embedding - observed).square().mean(dim=1))
    assert (dearer.explain(transition, observed, SEEN).energy >= cheap.energy).all()
    likely = latent.imagine(transition, None)
    torch.testing.assert_close(dearer.explain(transition, observed, SEEN).embedding, likely)


def test_what_was_not_seen_says_nothing(config):
    latent, transition, observed = make(config), steps(), observe()
    seen = SEEN.clone()
    seen[:, BLOCKS["block"]] = False
    other = torch.where(seen, observed, observed + 100)
    explanations = [latent.explain(transition, it, seen) for it in (observed, other)]
    assert torch.equal(explanations[0].energy, explanations[1].energy)
    assert torch.equal(explanations[0].embedding, explanations[1].embedding)
    blind = latent.explain(transition, observed, torch.zeros_like(seen))
    torch.testing.assert_close(blind.energy, torch.zeros(ROWS).double(), rtol=0, atol=1e-12)


def test_a_row_alone_is_explained_and_imagined_as_in_a_batch(config):
    latent, transition, observed = make(config), steps(), observe()
    together, quantiles = latent.explain(transition, observed, SEEN), draws(latent, 1)[0]
    imagined = latent.imagine(transition, quantiles)
    for index in range(ROWS):
        alone = latent.explain(row(transition, index), observed[index, None], SEEN[:1])
        torch.testing.assert_close(alone.embedding[0], together.embedding[index])
        torch.testing.assert_close(alone.energy[0], together.energy[index])
        torch.testing.assert_close(latent.imagine(row(transition, index), quantiles[index, None])[0], imagined[index])


def test_its_gradient_is_that_of_finite_differences(config):
    latent, transition, quantiles = make(config), steps(2), draws(make(config), 1, rows=2)[0]
    inputs = [part.requires_grad_() for part in vars(transition).values()]
    assert torch.autograd.gradcheck(lambda *parts: latent.imagine(Transition(*parts), quantiles), inputs)


def test_every_parameter_learns(config):
    latent, transition, observed = make(config), steps(64), observe(64)
    embedding, losses = latent.learn(transition, observed, Generator().manual_seed(0))
    assert losses.pop("information") > 0
    assert set(losses) and all(name.startswith("latent_") for name in losses)
    (torch.stack(list(losses.values())).sum() + (embedding - observed).square().mean()).backward()
    largest = {name: float(parameter.grad.abs().max()) for name, parameter in latent.named_parameters()}
    assert min(largest.values()) > 1e-9, largest


def test_inference_and_prior_shape_no_embedding(config):
    latent, transition = make(config), steps()
    parts = [part.requires_grad_() for part in vars(transition).values()]
    observed = observe().requires_grad_()
    _, losses = latent.learn(transition, observed, Generator())
    for name, loss in losses.items():
        if name in ("latent_prior", "latent_divergence"):
            gradients = torch.autograd.grad(loss, [*parts, observed], allow_unused=True)
            assert gradients == (None,) * 4


def test_every_value_of_the_yaml_matters(config):
    def outcome(**changes):
        latent, transition, observed = make(config, **changes), steps(64), observe(64)
        embedding, losses = latent.learn(transition, observed, Generator().manual_seed(0))
        explanation = latent.explain(transition, observed, torch.ones_like(observed, dtype=torch.bool))
        return [part.tolist() for part in (embedding, explanation.embedding, explanation.energy, *losses.values())]

    for key, value in config.items():
        if not str(key).startswith("_"):
            changed = ["bar"] if key == "sensors" else 2 * value
            assert outcome(**{key: changed}) != outcome(), key


@pytest.fixture(scope="module", params=[name for name in group_names()["predictor"] if not name.endswith("_base")])
def model(request, config):
    """A world model of any dynamics with that latent variable, of which all counts."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = JEPA(
            sensors={name: (block.stop - block.start,) for name, block in BLOCKS.items()},
            embed_dims={name: block.stop - block.start for name, block in BLOCKS.items()},
            goal_dim=None,
            kinds=[["tip", "block"]],
            encoder=partial(MLPEncoder, hidden_dim=8, num_layers=1),
            action_encoder=BoxActionEncoder,
            dynamics=build(compose_config([f"predictor={request.param}"]).values.predictor),
            latent=build(OmegaConf.merge(config, {"sensors": ["block", "bar"]})),
            context_length=2,
            action_dim=ACTION_DIM,
            action_repeat=1,
        )
    generator = Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter.shape[-1] ** 0.5)
    return built.double().eval()


def recorded(time=6):
    generator = Generator().manual_seed(3)
    frames = torch.randn(ROWS, time, EMBED_DIM, generator=generator).double()
    return frames, torch.randn(ROWS, time - 1, ACTION_DIM, generator=generator).double()


def begun(frames, actions):
    """Returns the context of the first two frames, and what is done after them by a single candidate."""
    context = LatentContext(frames[:, :2], actions[:, :1], previous_action=actions[:, 0])
    return context, actions[:, None, 1:]


def test_what_was_imagined_and_came_is_gone_on_from(model):
    context, actions = begun(*recorded())
    latents = torch.rand(*actions.shape[:3], model.latent_dim, generator=Generator().manual_seed(4)).double()
    imagined = model.rollout(context, actions, latents).embeddings
    torch.testing.assert_close(model.foresee(context, imagined, actions, latents), imagined)
    for step in range(3):
        context = model.follow(context, actions[:, 0, step], imagined[:, 0, step])
        later = [values[:, :, step + 1 :] for values in (imagined, actions, latents)]
        torch.testing.assert_close(model.rollout(context, later[1], later[2]).embeddings, later[0])
        torch.testing.assert_close(model.foresee(context, *later), later[0])


def test_the_most_probable_future_of_a_carried_context_is_no_surprise(model):
    frames, actions = recorded()
    context, later = begun(frames, actions)
    for step in range(2):
        context = model.follow(context, later[:, 0, step], frames[:, 2 + step])
    likely = model.rollout(context, later[:, :, 2:3]).embeddings[:, 0, 0]
    explanation = model.explain(context, later[:, 0, 2], likely, SEEN)
    torch.testing.assert_close(explanation.embedding, likely)
    torch.testing.assert_close(explanation.energy, torch.zeros(ROWS).double(), rtol=0, atol=1e-12)


def test_dynamics_and_latent_variable_learn_from_windows(model):
    frames, actions = recorded()
    predicted, losses = predictions(model, frames, actions, came=frames, generator=Generator().manual_seed(0))
    assert predicted.shape == (ROWS, 6 - model.least_context, EMBED_DIM)
    assert losses.pop("information") > 0
    error = (predicted - frames[:, -predicted.shape[1] :]).square().mean()
    parameters = dict([*model.dynamics.named_parameters(), *model.latent.named_parameters()])
    gradients = torch.autograd.grad(torch.stack([error, *losses.values()]).sum(), [*parameters.values()])
    for name, gradient in zip(parameters, gradients, strict=True):
        assert gradient.abs().max() > 1e-12, name
