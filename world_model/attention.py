"""Multi-head self-attention (Vaswani et al. 2017)."""

from torch import Tensor, nn
from torch.nn import functional

from world_model.ranges import check_count


class SelfAttention(nn.Module):
    """Lets every token gather from all tokens, or from itself and those before it.

    Args:
        width: Size of a token.
        num_heads: Into which a token is divided.
        is_causal: Whether a token is blind to those behind it.

    Raises:
        ValueError: The heads do not divide the width.
    """

    def __init__(self, *, width: int, num_heads: int, is_causal: bool) -> None:
        super().__init__()
        check_count("num_heads", num_heads, least=1)
        check_count("width", width, least=1)
        if width % num_heads:
            raise ValueError(f"width must be a multiple of num_heads={num_heads}, got {width}")
        self._num_heads = num_heads
        self._is_causal = is_causal
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns what each token gathers: `[rows, tokens, width]` to the same."""
        queries, keys, values = self._split(tokens)
        gathered = functional.scaled_dot_product_attention(queries, keys, values, is_causal=self._is_causal)
        output: Tensor = self.output(gathered.transpose(1, 2).flatten(2))
        return output

    def weights(self, tokens: Tensor) -> Tensor:
        """Returns how much each token (second last) gathers from each (last): `[rows, num_heads, tokens, tokens]`."""
        queries, keys, _ = self._split(tokens)
        scores = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5
        if self._is_causal:
            behind = scores.new_ones(scores.shape[2:]).triu(diagonal=1).bool()
            scores = scores.masked_fill(behind, float("-inf"))
        weights: Tensor = scores.softmax(dim=3)
        return weights

    def _split(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns queries, keys and values, each `[rows, num_heads, tokens, width / num_heads]`."""
        heads = self.inputs(tokens).unflatten(2, (3, self._num_heads, -1)).permute(2, 0, 3, 1, 4)
        return heads[0], heads[1], heads[2]
