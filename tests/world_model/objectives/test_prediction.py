import pytest
import torch

from world_model.objectives.prediction import imagine, prediction_loss


class Adding(torch.nn.Module):
    """Adds the newest action to the newest frame, and a hundredth of all that it sees before them."""

    def forward(self, frames, actions):
        return frames[:, -1] + actions[:, -1] + (frames[:, :-1] + actions[:, :-1]).sum(dim=1) / 100


@pytest.mark.parametrize("context_length", [1, 2, 3])
def test_imagination_starts_from_the_first_frames_and_sees_its_own_predictions(build_model, context_length):
    model = build_model(embed_dims={"position": 2}, context_length=context_length, predictor=lambda **sizes: Adding())
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(4, 6, 2, generator=generator)
    actions = torch.randn(4, 5, 2, generator=generator)
    frames = list(embeddings[:, :context_length].unbind(dim=1))
    for time in range(context_length - 1, 5):
        older = [frames[index] + actions[:, index] for index in range(time - context_length + 1, time)]
        frames.append(frames[time] + actions[:, time] + sum(older, torch.zeros(4, 2)) / 100)
    predictions = imagine(model, embeddings, actions)
    torch.testing.assert_close(predictions, torch.stack(frames[context_length:], dim=1))


def test_blocks_count_alike_whatever_their_size():
    predictions, targets = torch.zeros(2, 3, 5), torch.zeros(2, 3, 5)
    predictions[..., 0] = 2.0
    assert prediction_loss(predictions, targets, {"small": slice(0, 1), "large": slice(1, 5)}) == 2.0
    predictions[..., 1:] = 2.0
    assert prediction_loss(predictions, targets, {"small": slice(0, 1), "large": slice(1, 5)}) == 4.0


def test_blocks_count_by_their_weights():
    predictions, targets = torch.zeros(1, 1, 2), torch.tensor([[[1.0, 2.0]]])
    blocks = {"camera": slice(0, 1), "tip": slice(1, 2)}
    assert prediction_loss(predictions, targets, blocks, weights={"tip": 0.5}) == 2.0
    assert prediction_loss(predictions, targets, blocks, weights={"tip": 0.5, "camera": 0.5}) == 2.5
