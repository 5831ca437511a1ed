"""Recorded frames that are embedded where they are asked for."""

import numpy as np
import pytest
import torch
from torch import nn

from world_model.training.embedded import FramesOnce, embed_rows


class Counting(nn.Module):
    """Counts the frames that it embeds as they are."""

    def __init__(self):
        super().__init__()
        self.num_frames = 0

    def forward(self, readings):
        self.num_frames += len(readings)
        return readings.flatten(1)


@pytest.fixture
def model(build_model, linear):
    """Embeds one sensor by an encoder that counts."""
    name, shape = next((it, readings.shape[1:]) for it, readings in linear.observations.items())
    counting = Counting()
    model = build_model(
        sensors={name: shape}, embed_dims={name: int(np.prod(shape))}, encoder=lambda **_: counting
    ).eval()
    return model, counting


def test_a_frame_is_embedded_once_however_often_it_is_asked_for(model, linear):
    model, counting = model
    embed = FramesOnce(model, linear)
    rows = np.array([[3, 1, 3], [1, 0, 2]])
    assert torch.equal(embed(rows), embed_rows(model, linear, rows))
    counting.num_frames = 0
    embed(rows)
    embed(np.array([2, 4]))
    assert counting.num_frames == 1
