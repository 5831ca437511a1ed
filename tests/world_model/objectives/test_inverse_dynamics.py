import torch

from world_model.objectives.inverse_dynamics import InverseDynamics


def test_inverse_dynamics_finds_an_action_that_moves_the_embedding():
    torch.manual_seed(0)
    inverse = InverseDynamics(blocks={"tip": slice(0, 2)}, action_dim=2, hidden_dim=32)
    optimizer = torch.optim.Adam(inverse.parameters(), lr=1e-2)
    for _ in range(300):
        actions = torch.rand(64, 3, 2) - 0.5
        embeddings = torch.cat([torch.zeros(64, 1, 2), actions.cumsum(dim=1)], dim=1)
        loss = inverse(embeddings, actions)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02 * actions.var()


def test_every_block_must_tell_the_action_by_itself():
    inverse = InverseDynamics(blocks={"camera": slice(0, 2), "tip": slice(2, 3)}, action_dim=1, hidden_dim=8)
    embeddings = torch.randn(4, 3, 3, requires_grad=True)
    inverse(embeddings, torch.zeros(4, 2, 1)).backward()
    assert (embeddings.grad != 0).all()
    alone = InverseDynamics(blocks={"tip": slice(2, 3)}, action_dim=1, hidden_dim=8)
    embeddings.grad = None
    alone(embeddings, torch.zeros(4, 2, 1)).backward()
    assert (embeddings.grad[..., :2] == 0).all()
