import torch

from world_model.attention import SelfAttention


def test_attention_gathers_by_the_weights_that_it_reports():
    attention = SelfAttention(width=12, num_heads=3)
    tokens = torch.randn(3, 4, 12, generator=torch.Generator().manual_seed(0))
    values = attention.inputs(tokens).chunk(3, dim=2)[2].unflatten(2, (3, 4)).transpose(1, 2)
    gathered = (attention.weights(tokens) @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(attention(tokens), attention.output(gathered))
