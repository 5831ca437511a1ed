"""Multi-head self-attention (Vaswani et al. 2017)."""

from torch import Tensor, nn
from torch.nn import functional

from jepa_mpc.ranges import check_count


class SelfAttention(nn.Module):
    """Lets every token gather from all tokens.

    Args:
        width: Size of a token.
        num_heads: Into which a token is divided.

    Raises:
        ValueError: The heads do not divide the width.
    """

    def __init__(self, *, width: int, num_heads: int) -> None:
        super().__init__()
        check_heads(width=width, num_heads=num_heads)
        self._num_heads = num_heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns what each token gathers: `[rows, tokens, width]` to the same."""
        queries, keys, values = self._split(tokens)
        gathered = functional.scaled_dot_product_attention(queries, keys, values)
        output: Tensor = self.output(gathered.transpose(1, 2).flatten(2))
        return output

    def weights(self, tokens: Tensor) -> Tensor:
        """Returns how much each token (second last) gathers from each (last): `[rows, num_heads, tokens, tokens]`."""
        queries, keys, _ = self._split(tokens)
        scores = queries @ keys.transpose(2, 3) / queries.shape[3] ** 0.5
        weights: Tensor = scores.softmax(dim=3)
        return weights

    def _split(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns queries, keys and values, each `[rows, num_heads, tokens, width / num_heads]`."""
        heads = self.inputs(tokens).unflatten(2, (3, self._num_heads, -1)).permute(2, 0, 3, 1, 4)
        return heads[0], heads[1], heads[2]


def check_heads(*, width: int, num_heads: int) -> None:
    """Raises `ValueError` unless both are counts and the heads divide the width."""
    check_count("num_heads", num_heads, least=1)
    check_count("width", width, least=1)
    if width % num_heads:
        raise ValueError(f"width must be a multiple of num_heads={num_heads}, got {width}")
