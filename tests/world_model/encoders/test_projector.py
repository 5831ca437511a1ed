import torch

from world_model.encoders.projector import Projector


def test_it_ends_in_a_linear_map_so_that_a_regularizer_can_shape_the_embedding():
    """A normalisation at the end would undo what the last weights do."""
    projector = Projector(input_dim=4, hidden_dim=8, embed_dim=3)
    features = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = projector(features)
        projector.layers[-1].weight *= 5
        projector.layers[-1].bias *= 5
        torch.testing.assert_close(projector(features), 5 * before)


def test_in_training_neither_scale_nor_shift_of_the_features_counts():
    """They may come small, as the keypoints of a fresh encoder do."""
    projector = Projector(input_dim=4, hidden_dim=8, embed_dim=3)
    features = 10 * torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(projector(7 * features + 3), projector(features), rtol=1e-3, atol=1e-4)
