"""Self-attention to what came before, which keeps keys and values instead of computing them anew."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from world_model.attention import check_heads

Cache = tuple[Tensor, Tensor]
"""Keys and values of the tokens before, each `[rows, at most reach - 1, width]`, the newest last."""


class CausalAttention(nn.Module):
    """Lets every token gather from itself and a few before it; where they are is told by how far back they lie.

    A learned bias of each head for each distance (T5, Raffel et al. 2020) says it, so that keys do not depend on the
    place from which they are seen and can be kept.

    Args:
        width: Size of a token.
        num_heads: Into which a token is divided.
        reach: Tokens that one gathers from, itself among them.

    Raises:
        ValueError: The heads do not divide the width.
    """

    def __init__(self, *, width: int, num_heads: int, reach: int) -> None:
        super().__init__()
        check_heads(width=width, num_heads=num_heads)
        self._num_heads, self._reach = num_heads, reach
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.distance_bias = nn.Parameter(torch.zeros(num_heads, reach))

    def forward(self, tokens: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Returns what each of the next tokens gathers, `[rows, time, width]`, and the cache after them."""
        queries, keys, values = self.inputs(tokens).chunk(3, dim=2)
        keys, values = (torch.cat([before, new], dim=1) for before, new in zip(cache, (keys, values), strict=True))
        heads = [part.unflatten(2, (self._num_heads, -1)).transpose(1, 2) for part in (queries, keys, values)]
        bias = self._bias(tokens.shape[1], keys.shape[1])
        gathered = functional.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=bias)
        kept = max(keys.shape[1] - self._reach + 1, 0)
        output: Tensor = self.output(gathered.transpose(1, 2).flatten(2))
        return output, (keys[:, kept:], values[:, kept:])

    def _bias(self, num_queries: int, num_keys: int) -> Tensor:
        """Returns what is added to the scores, `[num_heads, num_queries, num_keys]`: -inf beyond the reach."""
        device = self.distance_bias.device
        queries = torch.arange(num_keys - num_queries, num_keys, device=device)
        distance = queries[:, None] - torch.arange(num_keys, device=device)
        beyond = (distance < 0) | (distance >= self._reach)
        return self.distance_bias[:, distance.clamp(0, self._reach - 1)].masked_fill(beyond, float("-inf"))
