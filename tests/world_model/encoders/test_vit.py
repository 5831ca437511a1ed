import pytest
import torch

from world_model.encoders.vit import ViTEncoder


def make(**changes):
    values = {
        "input_shape": (16, 24, 3),
        "embed_dim": 3,
        "patch_size": 8,
        "num_layers": 2,
        "width": 12,
        "num_heads": 3,
        "mlp_ratio": 2,
        "pooling": "mean",
        "hidden_dim": 16,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ViTEncoder(**(values | changes)).eval()


def images(rows=4):
    return 2 * torch.rand(rows, 16, 24, 3, generator=torch.Generator().manual_seed(1)) - 1


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_attention_is_a_share_of_each_patch_and_sums_to_one(pooling, num_layers):
    attention = make(pooling=pooling, num_layers=num_layers).attention(images())
    assert attention.shape == (4, 2, 3)
    assert attention.min() > 0
    torch.testing.assert_close(attention.sum(dim=(1, 2)), torch.ones(4))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_attention_finds_the_patch_whose_key_all_queries_ask_for(pooling):
    """Each head's queries are set to ask for what only a white patch's keys have."""
    encoder, width = make(pooling=pooling, num_layers=1, num_heads=1), 12
    with torch.no_grad():
        encoder.patches.weight.zero_()
        encoder.patches.weight[0] = 1.0  # the first number of a token is the brightness
        encoder.patches.bias.zero_()
        inputs = encoder.layers[0].attention.inputs
        inputs.weight.zero_()
        inputs.bias.zero_()
        inputs.bias[0] = 100.0  # every query
        inputs.weight[width, 0] = 1.0  # the keys
        image = torch.full((1, 16, 24, 3), -0.5)
        image[0, 8:, 8:16] = 1.0
        attention = encoder.attention(image)
    expected = torch.zeros(1, 2, 3)
    expected[0, 1, 1] = 1.0
    torch.testing.assert_close(attention, expected)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_without_attention_the_class_token_is_blind_and_the_mean_of_patches_is_not(pooling):
    encoder = make(pooling=pooling)
    with torch.no_grad():
        for layer in encoder.layers:
            layer.attention.output.weight.zero_()
        spread = encoder(images()).std(dim=0).max()
    assert bool(spread == 0) == (pooling == "cls")


def test_patches_are_told_apart_by_their_places():
    encoder, frames = make(), images()
    swapped = torch.cat([frames[:, :, 8:16], frames[:, :, :8], frames[:, :, 16:]], dim=2)
    assert (encoder(frames) - encoder(swapped)).abs().max() > 1e-4
    with torch.no_grad():
        encoder.positions.zero_()
    torch.testing.assert_close(encoder(frames), encoder(swapped))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"patch_size": 5}, r"height and width must be multiples of 5 pixels, got 16 x 24"),
        ({"num_heads": 5}, r"width must be a multiple of num_heads=5, got 12"),
        ({"pooling": "max"}, r"pooling must be one of cls, mean, got 'max'"),
        ({"num_layers": 0}, r"num_layers must be at least 1, got 0"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_in_a_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(**changes)
