import pytest
import torch

from world_model.dynamics.causal_attention import CausalAttention

WIDTH, HEADS, TIME = 12, 3, 7


def attention(reach):
    module = CausalAttention(width=WIDTH, num_heads=HEADS, reach=reach).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def tokens(rows=2):
    return torch.randn(rows, TIME, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def no_cache(rows=2):
    return torch.zeros(rows, 0, WIDTH).double(), torch.zeros(rows, 0, WIDTH).double()


@pytest.mark.parametrize("reach", [1, 3, TIME])
def test_a_token_gathers_by_content_and_distance_from_those_within_reach(reach):
    module = attention(reach)
    queries, keys, values = (
        part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in module.inputs(tokens()).chunk(3, dim=2)
    )
    expected = torch.zeros(2, TIME, WIDTH).double()
    for now in range(TIME):
        seen = range(max(0, now - reach + 1), now + 1)
        scores = torch.stack(
            [
                (queries[:, :, now] * keys[:, :, then]).sum(dim=2) / (WIDTH / HEADS) ** 0.5
                + module.distance_bias[:, now - then]
                for then in seen
            ]
        )
        gathered = sum(
            share[..., None] * values[:, :, then] for share, then in zip(scores.softmax(dim=0), seen, strict=True)
        )
        expected[:, now] = gathered.flatten(1)
    torch.testing.assert_close(module(tokens(), no_cache())[0], module.output(expected))


@pytest.mark.parametrize("reach", [1, 3, TIME])
@pytest.mark.parametrize("part", [1, 2, 5])
def test_in_parts_of_any_length_it_gathers_as_at_once(reach, part):
    module, cache, gathered = attention(reach), no_cache(), []
    for some in tokens().split(part, dim=1):
        output, cache = module(some, cache)
        gathered.append(output)
        assert cache[0].shape[1] <= max(reach - 1, 0)
    torch.testing.assert_close(torch.cat(gathered, dim=1), module(tokens(), no_cache())[0])
