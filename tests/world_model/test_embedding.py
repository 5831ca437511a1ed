import pytest
import torch

from world_model import embedding
from world_model.embedding import embed


@pytest.mark.parametrize("num_frames", [1, 7, 14, 20])
def test_frames_are_embedded_in_parts_as_they_would_be_at_once(build_model, monkeypatch, num_frames):
    model, sizes = build_model().eval(), []
    frames = {name: torch.randn(num_frames, 2, generator=torch.Generator().manual_seed(0)) for name in model.sensors}
    at_once = model.encode({name: readings[None] for name, readings in frames.items()})[0]
    encode = model.encode
    monkeypatch.setattr(embedding, "MAX_FRAMES", 7)
    monkeypatch.setattr(model, "encode", lambda it: sizes.append(it["position"].shape[1]) or encode(it))
    torch.testing.assert_close(embed(model, {**frames, "unused": torch.zeros(3)}), at_once)
    assert max(sizes) <= 7
    assert sum(sizes) == num_frames


def test_no_gradient_is_kept(build_model):
    frames = {name: torch.randn(3, 2) for name in ("position", "velocity")}
    assert not embed(build_model().eval(), frames).requires_grad
