"""The large size of the literature: ViT-B/16 on 224 pixels, and a transformer of six layers that predicts."""

import pytest
import torch

from agent.run.config.building import build
from agent.run.config.composing import compose_config
from world_model.action_encoders import BoxActionEncoder
from world_model.jepa import JEPA
from world_model.latent.none import no_latent
from world_model.objectives.base import LatentBatch
from world_model.objectives.prediction import imagine, prediction_loss
from world_model.objectives.sigreg import SIGReg
from world_model.types import LatentContext

SIZE, CONTEXT, EMBED_DIM = 224, 2, 192


def large_model():
    config = compose_config(["image_encoder=vit_base", "predictor=transformer_base"]).values
    return JEPA(
        sensors={"camera": (SIZE, SIZE, 3)},
        embed_dims={"camera": EMBED_DIM},
        encoder=build(config.image_encoder),
        action_encoder=BoxActionEncoder,
        dynamics=build(config.predictor),
        goal_dim=None,
        kinds=[],
        latent=no_latent,
        context_length=CONTEXT,
        action_dim=4,
        action_repeat=1,
    )


def num_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_it_has_as_many_parameters_as_published():
    with torch.device("meta"):
        model = large_model()
    encoder = model.encoders["camera"]
    final_bias = 768  # of the published last normalisation, which the projector's makes idle
    assert num_parameters(encoder) - num_parameters(encoder.projector) == 85_798_656 - final_bias
    assert len(model.dynamics.layers) == 6


def test_it_encodes_and_imagines_in_the_right_shapes():
    with torch.device("meta"):
        model = large_model().eval()
        embeddings = model.encode({"camera": torch.zeros(2, CONTEXT, SIZE, SIZE, 3)})
        context = LatentContext(embeddings, torch.zeros(2, CONTEXT - 1, 4), torch.zeros(2, 4))
        assert embeddings.shape == (2, CONTEXT, EMBED_DIM)
        assert model.rollout(context, torch.zeros(2, 5, 3, 4)).embeddings.shape == (2, 5, 3, EMBED_DIM)


@pytest.mark.slow
def test_it_takes_a_training_step_and_imagines_finite_futures():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = large_model()
        frames = 2 * torch.rand(2, CONTEXT + 1, SIZE, SIZE, 3) - 1
        actions = torch.randn(2, CONTEXT, 4)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        embeddings = model.encode({"camera": frames})
        predictions = imagine(model, embeddings, actions)
        batch = LatentBatch(
            observation={"camera": frames},
            embeddings=embeddings,
            predictions=predictions,
            targets=embeddings[:, CONTEXT:],
            blocks=model.blocks,
        )
        loss = prediction_loss(predictions, batch.targets, model.blocks)
        loss = loss + SIGReg(weight=0.1, num_projections=8).loss(batch, torch.Generator().manual_seed(0))
        loss.backward()
        assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
        before = model.encoders["camera"].patches.weight.clone()
        optimizer.step()
    assert not torch.equal(model.encoders["camera"].patches.weight, before)
    with torch.no_grad():
        embeddings = model.eval().encode({"camera": frames[:1, :CONTEXT]})
        context = LatentContext(embeddings, torch.zeros(1, CONTEXT - 1, 4), torch.zeros(1, 4))
        trajectory = model.rollout(context, torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)))
    assert torch.isfinite(trajectory.embeddings).all()
    assert trajectory.embeddings.shape == (1, 3, 4, EMBED_DIM)
