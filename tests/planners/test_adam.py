import pytest
import torch

from planners.adam import Adam


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_it_steps_as_torch_does_whatever_the_scale_of_the_gradient(scale):
    gradients = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    ours, moments = torch.zeros(5), Adam(learning_rate=0.1, beta1=0.7, beta2=0.9).init(torch.zeros(5))
    theirs = torch.zeros(5, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], lr=0.1, betas=(0.7, 0.9), eps=1e-12)
    for gradient in gradients:
        change, moments = Adam(learning_rate=0.1, beta1=0.7, beta2=0.9).step(scale * gradient, moments)
        ours = ours + change
        theirs.grad = gradient
        optimizer.step()
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-3, atol=1e-4)


def test_no_gradient_is_no_step():
    adam = Adam(learning_rate=0.1, beta1=0.7, beta2=0.9)
    change, _ = adam.step(torch.zeros(3), adam.init(torch.zeros(3)))
    assert torch.equal(change, torch.zeros(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and finite, got 0.0"),
        ({"beta1": 1.0}, r"beta1 must be in \[0, 1\), got 1.0"),
        ({"beta2": -0.1}, r"beta2 must be in \[0, 1\), got -0.1"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        Adam(**{"learning_rate": 0.1, "beta1": 0.7, "beta2": 0.9, **change})
