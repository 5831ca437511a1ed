import numpy as np
import pytest
import torch

from world_model.encoders.mlp import MLPEncoder
from world_model.encoders.strided_conv import StridedConvEncoder
from world_model.image_decoder import ImageDecoder
from world_model.objectives.base import LatentBatch
from world_model.objectives.none import NoRegularizer
from world_model.objectives.prediction import imagine
from world_model.objectives.reconstruction import Reconstruction
from world_model.training.task import WorldModelTask
from world_model.training.tensor_file import read_tensors
from world_model.training.train import train_world_model


def reconstruction(**changes):
    return Reconstruction(**{"weight": 1.0, "num_frames": 1, "channels": [8, 8], "hidden_dim": 8} | changes)


def attached(model, **changes):
    """Returns a regulariser that is ready for a model, with first weights that are always the same."""
    regularizer = reconstruction(**changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        regularizer.attach(model)
    return regularizer


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def encoder(*, input_shape, embed_dim):
    if len(input_shape) == 3:
        return StridedConvEncoder(input_shape=input_shape, embed_dim=embed_dim, channels=[4], hidden_dim=8)
    return MLPEncoder(input_shape=input_shape, embed_dim=embed_dim, hidden_dim=8, num_layers=1)


SEEING = {"sensors": {"camera": (8, 8, 3), "tip": (2,)}, "embed_dims": {"camera": 3, "tip": 2}, "encoder": encoder}


@pytest.fixture
def seeing(build_model):
    """A model of a camera and a tip, and windows of what it sees."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (6, 4, 8, 8, 3), generator=generator, dtype=torch.uint8)
    return build_model(**SEEING), {"camera": frames, "tip": normal(6, 4, 2)}


def batch_of(model, observation, embeddings, predictions=None):
    """Returns a batch whose predictions are right, where none are given."""
    return LatentBatch(
        observation=observation,
        embeddings=embeddings,
        predictions=embeddings[:, 1:] if predictions is None else predictions,
        targets=embeddings[:, 1:].detach(),
        blocks=model.blocks,
    )


def minimise(parameters, loss_at, *, lr, num_steps):
    """Returns what is left of a loss."""
    optimizer = torch.optim.Adam(parameters, lr=lr)
    for step in range(num_steps):
        loss = loss_at(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float(loss.detach())


def test_what_one_linear_layer_can_invert_is_reconstructed(build_model):
    model = build_model()
    regularizer = attached(model, hidden_dim=1)
    observation = {name: 3 * normal(64, 4, 2) + 1 for name in model.sensors}
    with torch.no_grad():
        batch = batch_of(model, observation, model.encode(observation))  # by first weights, which are rotations
    generator = torch.Generator().manual_seed(0)
    loss = minimise([*regularizer.parameters()], lambda _: regularizer.loss(batch, generator), lr=0.1, num_steps=300)
    assert loss < 1e-3  # of a variance of 9


def test_a_decoder_that_draws_nothing_errs_by_what_there_is(seeing):
    """Black pixels are -1, and a reading of 1 is 2 of its standard deviations: the weighted mean of 1 and 4."""
    model, observation = seeing
    model.normalizers["tip"].std.fill_(0.5)
    regularizer = attached(model, weight=3.0)
    with torch.no_grad():
        for parameter in regularizer.parameters():
            parameter.zero_()
    seen = {"camera": torch.zeros_like(observation["camera"]), "tip": torch.ones_like(observation["tip"])}
    loss = regularizer.loss(batch_of(model, seen, model.encode(seen)), torch.Generator())
    torch.testing.assert_close(loss, torch.tensor(3.0 * (1 + 4) / 2))


def test_each_frame_is_decoded_from_its_own_embedding(seeing):
    """Decoders that know one window only err where the embeddings of frames are exchanged."""
    model, observation = seeing
    regularizer = attached(model, channels=[16, 16], num_frames=3)
    embeddings = torch.cat([normal(6, 4, 3), observation["tip"]], dim=2)
    batch = batch_of(model, observation, embeddings)
    learned = minimise(
        [*regularizer.parameters()],
        lambda _: regularizer.loss(batch, torch.Generator()),
        lr=1e-2,
        num_steps=150,
    )
    exchanged = {
        "window": batch_of(model, observation, embeddings.roll(1, dims=0)),
        "time": batch_of(model, observation, embeddings.roll(1, dims=1)),
        "prediction": batch_of(model, observation, embeddings, embeddings[:, 1:].roll(1, dims=1)),
    }
    for loss in (regularizer.loss(batch, torch.Generator()) for batch in exchanged.values()):
        assert loss > 1.5 * learned


def test_embeddings_and_predictions_count_alike(seeing):
    model, observation = seeing
    regularizer = attached(model, num_frames=3)
    right, wrong = (normal(12, 4, 5)[half] for half in (slice(0, 6), slice(6, 12)))

    def error(embeddings, predictions):
        return regularizer.loss(batch_of(model, observation, embeddings, predictions[:, 1:]), torch.Generator())

    torch.testing.assert_close(2 * error(right, wrong), error(right, right) + error(wrong, wrong))
    torch.testing.assert_close(error(right, wrong), error(wrong, right))
    assert not torch.isclose(error(right, right), error(wrong, wrong), rtol=1e-4)


def test_a_frame_drawn_at_a_time_is_all_of_them_in_the_mean(seeing):
    model, observation = seeing
    batch = batch_of(model, observation, normal(6, 4, 5))
    one, whole = attached(model), attached(model, num_frames=9)
    draws = torch.stack([one.loss(batch, torch.Generator().manual_seed(seed)) for seed in range(60)]).unique()
    assert len(draws) == 3  # windows of 4 frames have 3 that are predicted
    torch.testing.assert_close(draws.mean(), whole.loss(batch, torch.Generator()))


@pytest.mark.parametrize("way", ["embeddings", "predictions"])
def test_the_encoder_learns_from_pixels_both_ways(seeing, way):
    model, observation = seeing
    regularizer = attached(model)
    embeddings = model.encode(observation)
    predictions = imagine(model, embeddings, torch.zeros(6, 3, 2))
    batch = (
        batch_of(model, observation, embeddings, predictions.detach())
        if way == "embeddings"
        else batch_of(model, observation, embeddings.detach(), predictions)
    )
    regularizer.loss(batch, torch.Generator()).backward()
    gradient = model.encoders["camera"].convolutions[0].weight.grad
    assert torch.isfinite(gradient).all() and gradient.abs().max() > 0


def test_the_best_prediction_does_not_shrink_what_is_reconstructed():
    """Of x' = x / 2 + noise the best prediction is x / 2: without a gradient through x', it gains nothing by scale."""
    x, noise = normal(2, 100_000).double()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    pulls = []
    for regularizer in (reconstruction(), NoRegularizer()):
        targets = regularizer.targets(None, {}, scale * (x / 2 + noise))
        (pull,) = torch.autograd.grad((scale * x / 2 - targets).square().mean(), scale)
        pulls.append(float(pull))
    assert pulls == [pytest.approx(0, abs=2e-2), pytest.approx(2, abs=2e-2)]


def test_where_no_camera_is_nothing_is_drawn(build_model, seeing):
    drawing = [module for module in attached(build_model()).modules() if isinstance(module, ImageDecoder)]
    assert drawing == []
    assert isinstance(attached(seeing[0]).decoders["camera"], ImageDecoder)


@pytest.mark.parametrize("size", [(8, 8), (10, 7), (1, 1)])
def test_a_decoder_draws_images_of_any_size(size):
    decoder = ImageDecoder(embed_dim=5, output_shape=(*size, 3), channels=[4, 4, 4])
    assert decoder(normal(2, 5)).shape == (2, *size, 3)


def test_a_decoder_learns_to_draw_what_lies_on_no_line():
    """Three pictures along one number; what is linear in it would draw the middle one as a mean of the others."""
    pictures = 2 * torch.rand(3, 12, 8, 3, generator=torch.Generator().manual_seed(0)) - 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        decoder = ImageDecoder(embed_dim=1, output_shape=(12, 8, 3), channels=[16, 16])
    places = torch.tensor([[-1.0], [0.0], [1.0]])
    loss = minimise(
        [*decoder.parameters()], lambda _: (decoder(places) - pictures).square().mean(), lr=1e-2, num_steps=300
    )
    assert loss < 0.02 * pictures.var()


@pytest.fixture(scope="session")
def watched(record, tmp_path_factory):
    """A bright square that a mass in the plane carries along, and the mass's place."""
    rng = np.random.default_rng(0)
    readings, actions = [], []
    for _ in range(40):
        done = rng.uniform(-1, 1, (12, 2))
        places = np.clip(rng.uniform(0, 6, 2) + np.concatenate([np.zeros((1, 2)), done.cumsum(axis=0)]), 0, 6)
        frames = np.zeros((13, 8, 8, 3))
        for frame, (row, column) in zip(frames, places.round().astype(int), strict=True):
            frame[row : row + 2, column : column + 2] = 255
        readings.append({"camera": frames, "tip": places})
        actions.append(done)
    return record(tmp_path_factory.mktemp("watched"), readings, actions)


@pytest.fixture
def train(build_model, settings, dynamics_settings, watched):
    """Trains a model that sees, beside the decoders of a regulariser."""

    def run(output, regularizer):
        return train_world_model(
            build_model=lambda: build_model(**SEEING),
            regularizer=regularizer,
            dataset=watched,
            settings=settings(num_steps=20),
            dynamics_settings=dynamics_settings(num_steps=0),
            configs={},
            seed=0,
            output=output,
            cache=None,
        )

    return run


class Remembering(Reconstruction):
    """Remembers its first weights."""

    def attach(self, model):
        super().attach(model)
        self.first = {name: parameter.detach().clone() for name, parameter in self.named_parameters()}


def test_decoders_are_trained_with_the_model_and_saved_beside_it_alone(train, tmp_path):
    regularizer = Remembering(weight=1.0, num_frames=1, channels=[8, 8], hidden_dim=8)
    path = train(tmp_path, regularizer)
    saved, _ = read_tensors(tmp_path / "training_state.safetensors")
    assert {name.split(".")[1] for name in regularizer.first} == {"camera", "tip"}
    for name, first in regularizer.first.items():
        assert not torch.equal(saved[f"module.regularizer.{name}"], first), name
    assert not [name for name in read_tensors(path)[0] if "decoder" in name]


@pytest.mark.parametrize("step", [7, 10, 13])
def test_an_interrupted_training_goes_on_to_the_same_bytes_decoders_included(train, tmp_path, monkeypatch, step):
    train(tmp_path / "whole", reconstruction())
    finish, count = WorldModelTask.finish_step, iter(range(1, 100))

    def stop(task):
        finish(task)
        if next(count) == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(WorldModelTask, "finish_step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", reconstruction())
    monkeypatch.undo()
    train(tmp_path / "parts", reconstruction())
    for file in ("training_state.safetensors", "last.safetensors", "log.jsonl"):
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": -1.0}, "weight must be above 0 and finite, got -1.0"),
        ({"num_frames": 0}, "num_frames must be at least 1, got 0"),
        ({"channels": []}, "channels must name the size of at least one image, got none"),
        ({"channels": [8, 0]}, "channels must be at least 1, got 0"),
        ({"hidden_dim": 0}, "hidden_dim must be at least 1, got 0"),
    ],
)
def test_values_without_meaning_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        reconstruction(**changes)
