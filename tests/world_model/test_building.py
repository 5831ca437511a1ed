"""In other people's processes: what a host sets for torch and NumPy changes nothing, and is left as it was."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import torch
from torch import Generator, nn

from world_model.building import building
from world_model.dynamics.gru import GRUDynamics
from world_model.dynamics.transformer import TransformerDynamics
from world_model.encoders.keypoints import KeypointEncoder
from world_model.encoders.mlp import MLPEncoder
from world_model.encoders.vit import ViTEncoder
from world_model.training.checkpoint import Checkpoint, Metadata, load_checkpoint, save_checkpoint
from world_model.types import Goal, LatentContext, is_image

SENSORS = {"camera": (16, 16, 3), "tip": (3,)}


@contextmanager
def restored(read, write, value):
    before = read()
    write(value)
    try:
        yield
        assert read() == value
    finally:
        write(before)


@contextmanager
def default_device(name):
    with torch.device(name):
        yield
        assert torch.get_default_device().type == name


@contextmanager
def numpy_raises():
    with np.errstate(all="raise"):
        yield
        assert np.geterr()["invalid"] == "raise"


HOSTS = {
    "double": lambda: restored(torch.get_default_dtype, torch.set_default_dtype, torch.float64),
    "half": lambda: restored(torch.get_default_dtype, torch.set_default_dtype, torch.bfloat16),
    "device": lambda: default_device("meta"),
    "inference": torch.inference_mode,
    "no gradients": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "numpy": numpy_raises,
}


@pytest.fixture(params=HOSTS)
def host(request):
    return HOSTS[request.param]


def encoder(*, of_images, input_shape, embed_dim):
    if is_image(input_shape):
        return of_images(input_shape=input_shape, embed_dim=embed_dim)
    return MLPEncoder(input_shape=input_shape, embed_dim=embed_dim, hidden_dim=8, num_layers=1)


VIT = partial(ViTEncoder, patch_size=8, num_layers=1, width=8, num_heads=2, mlp_ratio=2, pooling="cls", hidden_dim=8)
KEYPOINTS = partial(KeypointEncoder, channels=4, num_keypoints=4, temperature=0.1, hidden_dim=8)
TRANSFORMER = partial(TransformerDynamics, num_layers=1, width=8, num_heads=2, mlp_ratio=2, dropout=0.1)
KINDS = {
    "transformers": {"encoder": partial(encoder, of_images=VIT), "dynamics": TRANSFORMER},
    "keypoints and gru": {
        "encoder": partial(encoder, of_images=KEYPOINTS),
        "dynamics": partial(GRUDynamics, hidden_dim=8, num_layers=1),
    },
}


@pytest.fixture(params=KINDS)
def build(request, build_model):
    """Builds an untrained model in evaluation mode."""

    def build(seed=0):
        with building(Generator("cpu").manual_seed(seed)):
            return build_model(
                sensors=SENSORS, embed_dims={"camera": 4, "tip": 3}, context_length=2, **KINDS[request.param]
            ).eval()

    return build


def same(first, second):
    return first.keys() == second.keys() and all(
        (first[name].dtype, first[name].device) == (second[name].dtype, second[name].device)
        and torch.equal(first[name], second[name])
        for name in first
    )


@pytest.fixture
def saved(build, tmp_path):
    model = build(seed=3)
    generator = Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    metadata = Metadata(
        configs={}, env={}, action_repeat=1, versions={}, data_fingerprint="", training_step=1, bonds={}
    )
    save_checkpoint(tmp_path / "last", Checkpoint(sections={"world_model": model.state_dict()}, metadata=metadata))
    return tmp_path / "last"


def load(build, path):
    model = build()
    load_checkpoint(path).restore("world_model", model)
    return model


GENERATOR = Generator().manual_seed(1)
OBSERVATION = {
    "camera": torch.randint(256, (2, 2, 16, 16, 3), dtype=torch.uint8, generator=GENERATOR),
    "tip": torch.randn(2, 2, 3, generator=GENERATOR),
}
ACTIONS = torch.randn(2, 3, 4, 2, generator=GENERATOR)
ASKED = {"tip": torch.tensor([True, False])}
GOAL = Goal(observation={"tip": OBSERVATION["tip"][:, 0]}, asked=ASKED)
PAST = torch.zeros(2, 1, 2)


def imagine(model):
    """Returns all that a model says of a moment."""
    embeddings = model.encode(OBSERVATION)
    goal = model.encode_goal(GOAL)
    future = model.rollout(LatentContext(embeddings=embeddings, actions=PAST, previous_action=PAST[:, 0]), ACTIONS)
    return {"now": embeddings, "goal": goal.embedding, "asked": goal.mask, "future": future.embeddings}


def test_first_weights_are_those_of_the_generator_alone(build, host):
    expected = build().state_dict()
    before = torch.get_rng_state()
    with host():
        found = build().state_dict()
    assert same(found, expected)
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(build(seed=1).state_dict(), expected)


def test_they_are_those_that_torch_draws_after_the_same_seed(build_model):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = build_model().state_dict()
    with building(Generator("cpu").manual_seed(5)):
        assert same(build_model().state_dict(), expected)


def test_a_model_that_is_loaded_anywhere_says_the_same_everywhere(build, host, saved):
    with torch.no_grad():
        expected = imagine(load(build, saved))
    with host():
        model = load(build, saved)
        inside = imagine(model)
    assert same({name: it.detach() for name, it in inside.items()}, expected)
    assert same({name: it.detach() for name, it in imagine(model).items()}, expected)


def test_what_was_loaded_anywhere_can_be_differentiated(build, host, saved):
    with host():
        model = load(build, saved).requires_grad_(False)
    actions = ACTIONS.clone().requires_grad_()
    context = LatentContext(embeddings=model.encode(OBSERVATION), actions=PAST, previous_action=PAST[:, 0])
    (gradient,) = torch.autograd.grad(model.rollout(context, actions).embeddings.square().sum(), actions)
    assert gradient.abs().min() > 0


def test_threads_that_load_at_once_get_the_same_and_leave_the_global_generator_alone(build, saved):
    expected, before = load(build, saved).state_dict(), torch.get_rng_state()
    with ThreadPoolExecutor(8) as threads:
        models = list(threads.map(lambda _: load(build, saved), range(32)))
        seeds = list(threads.map(lambda _: build().state_dict(), range(32)))
    assert all(same(model.state_dict(), expected) for model in models)
    assert all(same(found, seeds[0]) for found in seeds)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_module_of_a_users_own_is_drawn_from_the_generator_whatever_initialises_it():
    initialisers = ("uniform_", "normal_", "trunc_normal_", "kaiming_normal_", "xavier_uniform_", "orthogonal_")

    def draw():
        with building(Generator("cpu").manual_seed(0)):
            return {name: getattr(nn.init, name)(torch.empty(4, 4)) for name in initialisers}

    before = torch.get_rng_state()
    assert same(draw(), draw())
    assert torch.equal(torch.get_rng_state(), before)


def test_tensors_that_are_read_anywhere_can_be_worked_with_everywhere(saved, host):
    with host():
        sections = load_checkpoint(saved).sections
    for tensor in sections["world_model"].values():
        assert tensor.device.type == "cpu" and not tensor.is_inference()
