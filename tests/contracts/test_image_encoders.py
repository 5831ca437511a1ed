"""What every encoder in configs/image_encoder promises."""

import pytest
import torch
from omegaconf import OmegaConf

from agent.run.config.building import build
from agent.run.config.composing import compose_config, group_names

EMBED_DIM, ROWS = 4, 40
OTHER = {"cls": "mean", "mean": "cls"}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.slow if name.endswith("_base") else ())
        for name in group_names()["image_encoder"]
    ],
)
def config(request):
    return compose_config([f"image_encoder={request.param}"]).values.image_encoder


def make(config, size=64, **changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(OmegaConf.merge(config, changes))(input_shape=(size, size, 3), embed_dim=EMBED_DIM)


def images(size=64, rows=ROWS):
    """Returns squares of random colour at random places on a background that is a random colour too."""
    generator = torch.Generator().manual_seed(1)
    side = size // 4
    corners = torch.randint(size - side, (rows, 2), generator=generator)
    colours = 2 * torch.rand(rows, 2, 3, generator=generator) - 1
    pictures = colours[:, 0, None, None].repeat(1, size, size, 1)
    for picture, (top, left), colour in zip(pictures, corners.tolist(), colours[:, 1], strict=True):
        picture[top : top + side, left : left + side] = colour
    return pictures


@pytest.mark.parametrize("size", [64, 96, 128, 224])
def test_images_of_any_usual_size_get_finite_embeddings_that_spread_over_all_dimensions(config, size):
    encoder = make(config, size)
    with torch.no_grad():
        for mode in (encoder.train(), encoder.eval()):
            embeddings = mode(images(size))
            assert embeddings.shape == (ROWS, EMBED_DIM)
            assert torch.isfinite(embeddings).all()
            assert torch.linalg.matrix_rank(embeddings - embeddings.mean(dim=0), rtol=1e-3) == EMBED_DIM


def test_an_embedding_is_what_is_pooled_of_an_images_own_tokens(config):
    encoder, rows = make(config), images()
    with torch.no_grad():
        encoder(rows)
        tokens = encoder.eval().tokens(rows)
        assert tokens.ndim == 3 and len(tokens) == ROWS and tokens.shape[1] > 1
        assert torch.equal(encoder.pooled(tokens), encoder(rows))
        changed = rows.clone()
        changed[0] = changed[0].flip(0)
        differs = (encoder.tokens(changed) - tokens).abs().amax(dim=(1, 2)) > 1e-4
    assert differs[0] and not differs[1:].any()


def test_an_image_alone_is_embedded_as_in_a_batch(config):
    encoder, rows = make(config), images()
    with torch.no_grad():
        encoder(rows)
        together = encoder.eval()(rows)
        for index in (0, 1, ROWS - 1):
            torch.testing.assert_close(encoder(rows[index : index + 1])[0], together[index], rtol=1e-4, atol=1e-5)


def test_every_parameter_learns(config):
    encoder = make(config)
    targets = torch.randn(ROWS, EMBED_DIM, generator=torch.Generator().manual_seed(2))
    (encoder(images()) - targets).square().mean().backward()
    largest = {name: float(parameter.grad.abs().max()) for name, parameter in encoder.named_parameters()}
    assert min(largest.values()) > 1e-7, largest


def test_every_value_of_the_yaml_matters(config):
    def outcome(**changes):
        encoder = make(config, **changes)
        with torch.no_grad():
            return [*(tensor.shape for tensor in encoder.state_dict().values()), *encoder(images()).flatten().tolist()]

    def another(value):
        if isinstance(value, str):
            return OTHER[value]
        return [2 * part for part in value] if isinstance(value, list) else 2 * value

    for key, value in OmegaConf.to_container(config).items():
        if not key.startswith("_"):
            assert outcome(**{key: another(value)}) != outcome(), key


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 1), (3, 64, 64), (64, 50, 3), (0, 64, 3)], ids=str)
def test_a_sensor_that_is_no_image_of_a_fitting_size_is_refused_in_a_sentence(config, shape):
    with pytest.raises(ValueError, match=r"(image encoder needs|height and width must be multiples of) .*, got "):
        build(config)(input_shape=shape, embed_dim=EMBED_DIM)
