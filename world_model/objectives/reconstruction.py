"""Reconstruction: an embedding should tell what was read (Watter et al. 2015; Ha & Schmidhuber 2018)."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from jepa_mpc.ranges import check_count, check_number
from world_model.encoders.mlp import MLPEncoder
from world_model.image_decoder import ImageDecoder
from world_model.jepa import JEPA
from world_model.objectives.base import LatentBatch, Regularizer
from world_model.types import Observation, is_image


class Reconstruction(Regularizer):
    """Decodes readings from embeddings and from predictions: an autoencoder with latent dynamics.

    The generative baseline. As in E2C (Watter et al. 2015) a frame is decoded twice, from its own embedding and from
    the prediction of it, so that encoder and dynamics learn from pixels; a prediction is also compared with the
    embedding. That comparison alone would gain by shrinking all embeddings to a point. E2C forbids it by a prior; here
    no gradient flows through what a prediction is compared with, as there is none in world models whose encoder learns
    by reconstruction alone (Ha & Schmidhuber 2018). What is left of it has no pull on the scale: the error of the best
    prediction is uncorrelated with all that it is made from.

    Args:
        weight: Of the squared error beside the prediction loss; pixels count from -1 to 1, numbers are normalised.
        num_frames: Frames of a window that are decoded at a step, drawn anew each time, the same in all windows. Fewer
            are cheaper, and the mean is the same.
        channels: Of what each convolution of a camera's decoder takes, the smallest image first.
        hidden_dim: Width of the hidden layer of the other sensors' decoders.
    """

    def __init__(self, *, weight: float, num_frames: int, channels: Sequence[int], hidden_dim: int) -> None:
        super().__init__()
        check_number("weight", weight, above=0)
        check_count("num_frames", num_frames, least=1)
        if not channels:
            raise ValueError("channels must name the size of at least one image, got none")
        for size in channels:
            check_count("channels", size, least=1)
        check_count("hidden_dim", hidden_dim, least=1)
        self._weight = weight
        self._num_frames = num_frames
        self._channels = list(channels)
        self._hidden_dim = hidden_dim

    def extra_repr(self) -> str:
        """Returns the hyper-parameters."""
        return (
            f"weight={self._weight}, num_frames={self._num_frames}, channels={self._channels}, "
            f"hidden_dim={self._hidden_dim}"
        )

    def attach(self, model: JEPA) -> None:
        """Builds a decoder for each sensor, and copies the normalisers that say what it should give.

        Raises:
            ValueError: There are so many `channels` that more than twice a camera's image would be drawn.
        """
        self.normalizers = nn.ModuleDict({name: copy.deepcopy(model.normalizer(name)) for name in model.sensors})
        self.decoders = nn.ModuleDict(
            {name: self._decoder(model.blocks[name], shape) for name, shape in model.sensors.items()}
        )

    def targets(self, model: JEPA, observation: Observation, embeddings: Tensor) -> Tensor:  # noqa: ARG002
        """Returns the embeddings without a gradient, `[batch, time, embed_dim]`."""
        return embeddings.detach()

    def loss(self, batch: LatentBatch, generator: Generator) -> Tensor:
        """Returns the weighted squared error, its mean over everything but the sensors; they count alike."""
        horizon = batch.predictions.shape[1]
        frames = torch.randperm(horizon, generator=generator)[: self._num_frames].tolist()
        latents = torch.stack([batch.embeddings[:, -horizon:][:, frames], batch.predictions[:, frames]])
        errors = []
        for name, block in batch.blocks.items():
            readings = self.normalizers[name](batch.observation[name][:, -horizon:][:, frames])
            decoded = self.decoders[name](latents[..., block].flatten(0, 2))
            errors.append((decoded.view(2, *readings.shape) - readings).square().mean())
        return self._weight * torch.stack(errors).mean()

    def _decoder(self, block: slice, shape: tuple[int, ...]) -> nn.Module:
        embed_dim = block.stop - block.start
        if is_image(shape):
            most = max(shape[:2]).bit_length()  # from a single cell to twice the picture
            if len(self._channels) > most:
                raise ValueError(
                    f"channels must name the sizes of at most {most} images for a camera of {shape[1]} x {shape[0]} "
                    f"pixels, got {len(self._channels)}"
                )
            return ImageDecoder(embed_dim=embed_dim, output_shape=shape, channels=self._channels)
        numbers = MLPEncoder(
            input_shape=(embed_dim,), embed_dim=math.prod(shape), hidden_dim=self._hidden_dim, num_layers=1
        )
        return nn.Sequential(numbers, nn.Unflatten(1, shape))
