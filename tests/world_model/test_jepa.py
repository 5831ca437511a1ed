from collections import Counter
from functools import partial

import pytest
import torch

from world_model.action_encoders import DiscreteActionEncoder
from world_model.dynamics.gru import GRUDynamics
from world_model.dynamics.memory import MemoryDynamics
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.dynamics.transformer import TransformerDynamics
from world_model.encoders.keypoints import KeypointEncoder
from world_model.encoders.mlp import MLPEncoder
from world_model.latent.base import Transition
from world_model.latent.discrete import DiscreteLatent
from world_model.latent.none import no_latent
from world_model.normalizer import Moments, PixelScale
from world_model.types import Goal, LatentContext, is_image


@pytest.fixture
def model(build_model):
    return with_random_weights(build_model())


def with_random_weights(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def observe(batch=3, time=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(batch, time, 2, generator=generator, dtype=dtype) for name in ("velocity", "position")}


def context_of(model, batch=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(2)
    frames = torch.randn(batch, model.context_length, model.embed_dim, generator=generator, dtype=dtype)
    actions = torch.randn(batch, model.context_length, model.action_dim, generator=generator, dtype=dtype)
    return LatentContext(embeddings=frames, actions=actions[:, 1:], previous_action=actions[:, -1])


def candidates(model, batch=3, num_samples=5, horizon=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(batch, num_samples, horizon, model.action_dim, generator=generator, dtype=dtype)


def test_an_embedding_is_the_blocks_of_the_sensors_one_after_the_other(model):
    observation = observe()
    embeddings = model.encode(observation)
    assert embeddings.shape == (3, 4, model.embed_dim)
    assert list(model.blocks) == ["position", "velocity"]
    changed = model.encode(observation | {"velocity": observation["velocity"] + 1})
    torch.testing.assert_close(changed[..., model.blocks["position"]], embeddings[..., model.blocks["position"]])
    assert not torch.isclose(changed[..., model.blocks["velocity"]], embeddings[..., model.blocks["velocity"]]).all()


def test_a_sensor_that_is_not_named_is_not_used(build_model):
    model = build_model(embed_dims={"velocity": 3})
    assert model.embed_dim == 3
    assert model.encode({"velocity": torch.zeros(1, 1, 2)}).shape == (1, 1, 3)


def test_a_frame_alone_is_embedded_as_in_a_batch(model):
    observation = observe()
    together = model.encode(observation)
    for batch in range(3):
        for time in range(4):
            frame = {name: values[batch, time][None, None] for name, values in observation.items()}
            torch.testing.assert_close(model.encode(frame)[0, 0], together[batch, time], rtol=1e-5, atol=1e-5)


def test_a_goal_is_embedded_as_the_observation_that_it_wishes(model):
    observation = observe(time=1)
    goal = model.encode_goal(
        Goal(
            observation={name: values[:, 0] for name, values in observation.items()},
            asked={name: torch.ones(3, dtype=torch.bool) for name in observation},
        )
    )
    assert goal.mask.all()
    torch.testing.assert_close(goal.embedding, model.encode(observation)[:, 0])


def test_what_a_partial_goal_does_not_ask_for_is_masked_and_zero(model):
    asked = torch.tensor([True, False, True])
    goal = model.encode_goal(Goal(observation={"velocity": torch.randn(3, 2)}, asked={"velocity": asked}))
    expected = torch.zeros(3, model.embed_dim, dtype=torch.bool)
    expected[asked, model.blocks["velocity"]] = True
    assert torch.equal(goal.mask, expected)
    assert (goal.embedding[~goal.mask] == 0).all() and (goal.embedding[goal.mask] != 0).all()


DYNAMICS = {
    "residual_mlp": partial(ResidualMLPDynamics, hidden_dim=16, num_layers=2),
    "gru": partial(GRUDynamics, hidden_dim=16, num_layers=2),
    "memory": partial(MemoryDynamics, num_slots=3, key_dim=4, value_dim=5, hidden_dim=16, num_layers=2),
    "transformer": partial(TransformerDynamics, num_layers=2, width=8, num_heads=2, mlp_ratio=2, dropout=0.1),
}


@pytest.fixture(params=DYNAMICS)
def dynamics(request):
    return DYNAMICS[request.param]


@pytest.fixture(params=[1, 3])
def context_length(request, dynamics):
    return max(request.param, 2) if dynamics is DYNAMICS["memory"] else request.param


def test_a_rollout_is_the_dynamics_step_by_step(build_model, dynamics, context_length):
    model = with_random_weights(build_model(context_length=context_length, dynamics=dynamics))
    mean, std = torch.tensor([0.5, -0.5]), torch.tensor([2.0, 1.0])
    model.action_encoder.fit(Moments(mean=mean.numpy(), std=std.numpy()))
    context, actions = context_of(model), candidates(model)
    imagined = model.rollout(context, actions)
    for batch in range(3):
        for sample in range(5):
            frames = context.embeddings[batch, None]
            state = model.dynamics.begin(frames, (context.actions[batch, None] - mean) / std)
            for time in range(4):
                state, prediction = model.dynamics.step(state, (actions[batch, sample, time, None] - mean) / std)
                torch.testing.assert_close(
                    imagined.embeddings[batch, sample, time], prediction[0], rtol=1e-5, atol=1e-5
                )
    assert torch.equal(imagined.actions, actions)
    assert torch.equal(imagined.previous_action, context.previous_action)
    assert torch.equal(imagined.start, context.embeddings[:, -1])


def test_what_is_foreseen_of_a_rollout_is_that_rollout_and_looks_at_no_later_state(
    build_model, dynamics, context_length
):
    model = with_random_weights(build_model(context_length=context_length, dynamics=dynamics)).double()
    context, actions = context_of(model, dtype=torch.float64), candidates(model, dtype=torch.float64)
    states = model.rollout(context, actions).embeddings
    torch.testing.assert_close(model.foresee(context, states, actions), states)
    for step in range(4):
        moved = states.clone()
        moved[:, :, step] += 1
        differs = (model.foresee(context, moved, actions) - states).abs().amax(dim=(0, 1, 3)) > 1e-9
        assert not differs[: step + 1].any() and differs[step + 1 : step + 2].all()


def recorded(model, time=7):
    generator = torch.Generator().manual_seed(5)
    frames = torch.randn(3, time, model.embed_dim, generator=generator, dtype=torch.float64)
    return frames, torch.randn(3, time - 1, model.action_dim, generator=generator, dtype=torch.float64)


def followed(model, frames, actions):
    """Returns the context at the newest frame of an episode that the model has followed from its beginning."""
    first = model.least_context
    context = LatentContext(frames[:, :first], actions[:, : first - 1], previous_action=torch.zeros_like(actions[:, 0]))
    for time in range(first, frames.shape[1]):
        context = model.follow(context, actions[:, time - 1], frames[:, time])
    return context


def test_a_context_that_is_carried_is_the_whole_past(build_model, dynamics, context_length):
    model = with_random_weights(build_model(context_length=context_length, dynamics=dynamics)).double()
    frames, actions = recorded(model)
    carried, future = followed(model, frames, actions), candidates(model, dtype=torch.float64)
    imagined = model.rollout(carried, future)
    whole = model.rollout(LatentContext(frames, actions, previous_action=actions[:, -1]), future)
    torch.testing.assert_close(imagined.embeddings, whole.embeddings)
    assert torch.equal(imagined.start, frames[:, -1]) and torch.equal(imagined.previous_action, actions[:, -1])
    torch.testing.assert_close(model.foresee(carried, imagined.embeddings, future), imagined.embeddings)
    assert carried.embeddings.shape[1] == 1


@pytest.mark.parametrize(("kind", "remembers"), [("residual_mlp", False), ("gru", True), ("memory", True)])
def test_what_was_long_ago_counts_where_there_is_a_state_for_it(build_model, kind, remembers):
    model = with_random_weights(build_model(context_length=2, dynamics=DYNAMICS[kind])).double()
    (frames, actions), future = recorded(model), candidates(model, dtype=torch.float64)
    before = model.rollout(followed(model, frames, actions), future).embeddings
    frames[:, 0] += 1
    differs = (model.rollout(followed(model, frames, actions), future).embeddings - before).abs() > 1e-12
    assert bool(differs.any()) == remembers


def test_a_context_of_too_few_frames_is_refused(build_model):
    model = build_model(context_length=3)
    frames, actions = torch.zeros(3, 2, 4), torch.zeros(3, 1, 2)
    with pytest.raises(ValueError, match="context of at least 3 frames and actions of 2 numbers, got 2 and 2"):
        model.follow(LatentContext(frames, actions, actions[:, 0]), actions[:, 0], frames[:, 0])


DISCRETE = partial(
    DiscreteLatent,
    sensors=["velocity"],
    num_values=3,
    hidden_dim=8,
    weight=0.01,
    prior_weight=0.1,
    balance_weight=0.1,
    balance_share=0.1,
)


def test_without_a_latent_variable_the_model_is_the_deterministic_one_to_the_last_bit(
    build_model, dynamics, context_length
):
    models = []
    for latent in (no_latent, DISCRETE):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            models.append(build_model(context_length=context_length, dynamics=dynamics, latent=latent))
    plain, several = (model.state_dict() for model in models)
    assert all(torch.equal(plain[name], several[name]) for name in plain)
    assert all(name.startswith("latent.") for name in several.keys() - plain.keys())
    certain, uncertain = (with_random_weights(model) for model in models)
    context, actions = context_of(certain), candidates(certain)
    embeddings = certain.rollout(context, actions).embeddings
    assert not torch.equal(uncertain.rollout(context, actions).embeddings, embeddings)
    torch.nn.init.zeros_(uncertain.latent.term.change[-1].weight)
    torch.nn.init.zeros_(uncertain.latent.term.change[-1].bias)
    for latents in (None, torch.full((3, 5, 4, 1), 0.7)):
        assert torch.equal(uncertain.rollout(context, actions, latents).embeddings, embeddings)
    assert (certain.latent_dim, uncertain.latent_dim) == (0, 1)
    explanation = certain.explain(context, actions[:, 0, 0], embeddings[:, 1, 0], torch.ones(3, 4, dtype=torch.bool))
    assert torch.equal(explanation.embedding, certain.rollout(context, actions[:, :1, :1]).embeddings[:, 0, 0])
    error = (embeddings[:, 1, 0] - explanation.embedding).square().mean(dim=1)
    torch.testing.assert_close(explanation.energy, error)


def test_a_rollout_under_a_luck_is_the_dynamics_and_the_latent_variable_step_by_step(
    build_model, dynamics, context_length
):
    model = with_random_weights(build_model(context_length=context_length, dynamics=dynamics, latent=DISCRETE)).double()
    context, actions = context_of(model, dtype=torch.float64), candidates(model, dtype=torch.float64)
    latents = torch.rand(3, 5, 4, 1, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    states = model.rollout(context, actions, latents).embeddings
    torch.testing.assert_close(model.foresee(context, states, actions, latents), states)
    assert not torch.isclose(model.rollout(context, actions, 1 - latents).embeddings[:, :, 0], states[:, :, 0]).all()
    frames = torch.cat([context.embeddings[:, None].expand(-1, 5, -1, -1), states], dim=2)
    for step in range(4):
        before = frames[:, :, : context_length + step].flatten(0, 1)
        done = torch.cat([context.actions[:, None].expand(-1, 5, -1, -1), actions[:, :, :step]], dim=2).flatten(0, 1)
        action = actions[:, :, step].flatten(0, 1)
        _, prediction = model.dynamics.step(model.dynamics.begin(before, done), action)
        transition = Transition(before[:, -1], action, prediction)
        completed = model.latent.imagine(transition, latents[:, :, step].flatten(0, 1))
        torch.testing.assert_close(states[:, :, step].flatten(0, 1), completed)


def test_several_futures_ask_no_more_of_the_dynamics_than_one(build_model, dynamics):
    counts = []
    for latent, latents in ((no_latent, None), (DISCRETE, torch.rand(3, 5, 4, 1))):
        model, calls = with_random_weights(build_model(context_length=2, dynamics=dynamics, latent=latent)), Counter()
        context, actions = context_of(model), candidates(model)
        for name, module in model.dynamics.named_modules():
            module.register_forward_hook(lambda *_, name=name, calls=calls: calls.update([name]))
        model.rollout(context, actions, latents)
        counts.append(calls)
    assert counts[0] == counts[1] and counts[0].total() > 0


def test_latents_of_another_shape_are_refused(build_model):
    model = build_model(latent=DISCRETE)
    with pytest.raises(ValueError, match=r"latents must have shape \[3, 5, 4, 1\], got \[3, 5, 4, 2\]"):
        model.rollout(context_of(model), candidates(model), torch.rand(3, 5, 4, 2))


def test_a_context_is_taken_in_once_whatever_is_imagined(build_model, dynamics, monkeypatch):
    model = with_random_weights(build_model(context_length=3, dynamics=dynamics))
    begin, rows = model.dynamics.begin, []

    def count(embeddings, actions):
        rows.append(len(embeddings))
        return begin(embeddings, actions)

    monkeypatch.setattr(model.dynamics, "begin", count)
    model.rollout(context_of(model), candidates(model, horizon=9))
    assert rows == [3]


@pytest.mark.parametrize("mean", [[0.0, 0.0, 0.0], [0.9, 0.1, 0.0]])
def test_a_choice_among_a_few_reaches_the_dynamics_as_it_is(build_model, mean):
    model = build_model(action_dim=3, action_repeat=2, action_encoder=DiscreteActionEncoder)
    readings = Moments(mean=torch.zeros(2).numpy(), std=torch.ones(2).numpy())
    model.fit_normalizer(
        {"position": readings, "velocity": readings},
        Moments(mean=torch.tensor(mean).numpy(), std=torch.tensor([0.3, 0.1, 0.0]).numpy()),
    )
    choices = torch.eye(3)[torch.tensor([[0, 2], [1, 1]])].flatten(1)
    assert torch.equal(model.action_encoder(choices), choices)
    assert model.action_dim == 6


@pytest.mark.parametrize("context_length", [1, 2])
def test_a_problem_alone_is_imagined_as_in_a_batch(build_model, context_length):
    model = with_random_weights(build_model(context_length=context_length))
    context, actions = context_of(model), candidates(model)
    together = model.rollout(context, actions).embeddings
    for batch in range(3):
        own = LatentContext(
            context.embeddings[batch, None], context.actions[batch, None], context.previous_action[batch, None]
        )
        for sample in range(5):
            alone = model.rollout(own, actions[batch, None, sample, None]).embeddings
            torch.testing.assert_close(alone[0, 0], together[batch, sample], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("context_length", [1, 2])
def test_the_gradient_of_a_rollout_is_that_of_finite_differences(build_model, context_length):
    model = with_random_weights(build_model(context_length=context_length)).double()
    context = context_of(model, batch=2, dtype=torch.float64)
    actions = candidates(model, batch=2, num_samples=2, horizon=3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: model.rollout(context, a).embeddings, (actions,))


def test_an_action_changes_its_own_future_alone(model):
    context, actions = context_of(model), candidates(model)
    changed = actions.clone()
    changed[1, 2, 2] += 1
    same = model.rollout(context, actions).embeddings == model.rollout(context, changed).embeddings
    assert same[:, :, :2].all() and same[0].all() and same[2].all() and same[1, :2].all() and same[1, 3:].all()
    assert not same[1, 2, 2:].all(dim=1).any()


def test_the_action_of_a_model_step_is_the_concatenation_of_control_actions(build_model):
    model = build_model(action_repeat=3)
    assert model.action_dim == 6
    assert model.rollout(context_of(model), candidates(model)).embeddings.shape == (3, 5, 4, model.embed_dim)


def test_normalised_training_data_have_mean_0_and_std_1(build_model):
    model = build_model(action_repeat=2)
    generator = torch.Generator().manual_seed(0)
    readings = 5 + torch.tensor([2.0, 3.0]) * torch.randn(100_000, 2, generator=generator, dtype=torch.float64)
    moments = Moments(mean=readings.mean(dim=0).numpy(), std=readings.std(dim=0, correction=0).numpy())
    model.fit_normalizer({"position": moments, "velocity": moments}, moments)
    normalised = model.normalizers["position"](readings)
    torch.testing.assert_close(normalised.mean(dim=0), torch.zeros(2).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.std(dim=0), torch.ones(2).double(), atol=1e-4, rtol=0)
    assert torch.equal(model.action_encoder.normalizer.mean, torch.from_numpy(moments.mean).float().repeat(2))


def test_a_dimension_that_hardly_varies_is_not_blown_up(build_model):
    model = build_model()
    moments = Moments(mean=torch.zeros(2).numpy(), std=torch.tensor([2.0, 0.0]).double().numpy())
    still = Moments(mean=torch.zeros(2).numpy(), std=torch.zeros(2).double().numpy())
    model.fit_normalizer({"position": moments, "velocity": still}, moments)
    torch.testing.assert_close(model.normalizers["position"].std, torch.tensor([2.0, 0.2]))
    torch.testing.assert_close(model.normalizers["velocity"].std, torch.ones(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embed_dims": {}}, "at least one of the sensors"),
        ({"embed_dims": {"elbow": 3}}, "among .'position', 'velocity'., got 'elbow'"),
        ({"embed_dims": {"position": 0}}, "at least 1 dimension, got 0"),
        ({"context_length": 0}, "context_length must be at least 1, got 0"),
        ({"action_repeat": float("nan")}, "action_repeat must be a whole number, at least 1, got nan"),
    ],
)
def test_a_model_that_cannot_be_is_refused(build_model, changes, message):
    with pytest.raises(ValueError, match=message):
        build_model(**changes)


def test_wrong_observations_goals_and_rollouts_are_refused(model):
    asked = {"position": torch.ones(3, dtype=torch.bool)}
    with pytest.raises(ValueError, match="lacks the sensor 'velocity'"):
        model.encode({"position": torch.zeros(1, 1, 2)})
    with pytest.raises(ValueError, match=r"'position' must have shape \[batch, time, 2\], got \[1, 1, 3\]"):
        model.encode({"position": torch.zeros(1, 1, 3), "velocity": torch.zeros(1, 1, 2)})
    with pytest.raises(ValueError, match="must name sensors among"):
        model.encode_goal(Goal(observation={}, asked={}))
    with pytest.raises(ValueError, match="got 'elbow'"):
        model.encode_goal(Goal(observation={"elbow": torch.zeros(3, 2)}, asked={"elbow": asked["position"]}))
    with pytest.raises(ValueError, match=r"shape \[3, 2\], got \[3, 4\]"):
        model.encode_goal(Goal(observation={"position": torch.zeros(3, 4)}, asked=asked))
    with pytest.raises(ValueError, match="context of at least 1 frames and actions of 2 numbers, got 1 and 3"):
        model.rollout(context_of(model), torch.zeros(3, 5, 4, 3))


@pytest.fixture
def seeing(build_model):
    """A model of a camera and of numbers."""

    def encoder(*, input_shape, embed_dim):
        if not is_image(input_shape):
            return MLPEncoder(input_shape=input_shape, embed_dim=embed_dim, hidden_dim=8, num_layers=1)
        sizes = {"channels": 4, "num_keypoints": 3, "temperature": 0.1, "hidden_dim": 8}
        return KeypointEncoder(input_shape=input_shape, embed_dim=embed_dim, **sizes)

    return with_random_weights(
        build_model(
            sensors={"position": (2,), "camera": (8, 8, 3)}, embed_dims={"camera": 5, "position": 2}, encoder=encoder
        )
    )


def pictures(*shape):
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (*shape, 8, 8, 3), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("shape", "expected"), [((8, 8, 3), True), ((6, 9, 3), True), ((3,), False), ((8, 8), False), ((8, 8, 1), False)]
)
def test_a_camera_is_known_by_its_shape(shape, expected):
    assert is_image(shape) is expected


def test_pixels_are_scaled_to_minus_1_and_1_whatever_their_type():
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    for pixels in (levels, levels.float()):
        torch.testing.assert_close(PixelScale()(pixels), torch.tensor([-1.0, -0.6, 1.0]))


def test_a_camera_and_numbers_are_blocks_beside_each_other(seeing):
    observation = {"camera": pictures(2, 3), "position": torch.randn(2, 3, 2)}
    embeddings = seeing.encode(observation)
    assert embeddings.shape == (2, 3, 7) and list(seeing.blocks) == ["camera", "position"]
    assert torch.equal(seeing.encode({**observation, "camera": observation["camera"].float()}), embeddings)
    darker = seeing.encode({**observation, "camera": observation["camera"] // 2})
    assert torch.equal(darker[..., 5:], embeddings[..., 5:])
    assert not torch.isclose(darker[..., :5], embeddings[..., :5]).all(dim=2).any()


def test_of_a_camera_no_moments_are_needed(seeing):
    moments = Moments(mean=torch.ones(2).numpy(), std=torch.full((2,), 2.0).numpy())
    before = seeing.encode({"camera": pictures(1, 1), "position": torch.zeros(1, 1, 2)})[..., :5]
    seeing.fit_normalizer({"position": moments}, moments)
    assert torch.equal(seeing.normalizers["position"].mean, torch.ones(2))
    assert torch.equal(seeing.encode({"camera": pictures(1, 1), "position": torch.zeros(1, 1, 2)})[..., :5], before)


def test_a_goal_that_is_the_present_picture_is_no_distance_away(seeing):
    observation = {"camera": pictures(3, 1), "position": torch.randn(3, 1, 2)}
    asked = {"camera": torch.ones(3, dtype=torch.bool)}
    goal = seeing.encode_goal(Goal(observation={"camera": observation["camera"][:, 0].float()}, asked=asked))
    assert torch.equal(goal.mask, torch.arange(7).expand(3, 7) < 5)
    distances = (seeing.encode(observation)[:, 0] - goal.embedding)[:, :5].abs()
    assert torch.equal(distances, torch.zeros(3, 5))
    other = seeing.encode_goal(Goal(observation={"camera": pictures(4)[1:]}, asked=asked))
    assert ((other.embedding - goal.embedding)[:, :5].abs() > 0).any(dim=1).all()


@pytest.mark.parametrize("goal_dim", [1, 5])
def test_a_goal_asks_for_the_first_numbers_of_a_picture_and_for_all_of_what_is_no_picture(build_model, goal_dim):
    encoder = partial(KeypointEncoder, channels=4, num_keypoints=3, temperature=0.1, hidden_dim=8)
    seeing = with_random_weights(
        build_model(
            sensors={"camera": (8, 8, 3), "other": (8, 8, 3)},
            embed_dims={"camera": 5, "other": 6},
            encoder=encoder,
            goal_dim=goal_dim,
        )
    )
    shown = pictures(3)
    asked = {"camera": torch.tensor([True, True, False])}
    goal = seeing.encode_goal(Goal(observation={"camera": shown}, asked=asked))
    expected = (torch.arange(11) < goal_dim) & asked["camera"][:, None]
    assert torch.equal(goal.mask, expected) and (goal.embedding[~expected] == 0).all()
    whole = seeing.encode({"camera": shown[:, None], "other": shown[:, None]})[:, 0]
    torch.testing.assert_close(goal.embedding[expected], whole[expected])
    assert seeing.goal_parts == {"camera": slice(0, goal_dim), "other": slice(5, 5 + goal_dim)}


def test_no_goal_asks_for_more_numbers_than_a_picture_has(build_model):
    encoder = partial(KeypointEncoder, channels=4, num_keypoints=3, temperature=0.1, hidden_dim=8)
    with pytest.raises(ValueError, match="goal_dim must be at least 1 and at most the 5 numbers of 'camera', got 6"):
        build_model(sensors={"camera": (8, 8, 3)}, embed_dims={"camera": 5}, encoder=encoder, goal_dim=6)


def test_a_picture_of_another_size_is_refused(seeing):
    with pytest.raises(ValueError, match=r"'camera' must have shape \[batch, time, 8, 8, 3\], got \[1, 1, 8, 9, 3\]"):
        seeing.encode({"camera": torch.zeros(1, 1, 8, 9, 3), "position": torch.zeros(1, 1, 2)})
