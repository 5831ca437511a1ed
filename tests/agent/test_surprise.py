"""Violation of expectation: what is staged, how it is paired, and how surprise is measured."""

from functools import partial
from importlib.resources import files

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from agent.evaluation.statistics import roc_area, signed_rank
from agent.evaluation.surprise import (
    MOST_MISMATCH,
    POSSIBLE,
    PUSHED,
    RESTED,
    Foresight,
    Moment,
    SurpriseError,
    UsualError,
    changes,
    compare,
    judge_tricks,
    matched,
    staged_moments,
    strangest,
    surprises_of,
)
from agent.run.config.building import build
from envs.arm.task import make_task
from envs.vision import Vision
from world_model.action_encoders import BoxActionEncoder
from world_model.dynamics.gated_mlp import GatedMLPDynamics
from world_model.encoders.mlp import MLPEncoder
from world_model.jepa import JEPA
from world_model.latent.none import no_latent
from world_model.types import LatentContext

REPEAT = 4


@pytest.fixture(scope="module")
def task():
    vision = Vision(cameras=("fixed",), image_size=64, proprioception=False, backends=("raycast",))
    return make_task(env_id="jepa-mpc/Push-v0", vision=vision, film_size=None)


@pytest.fixture(scope="module")
def explorer(task):
    return build(OmegaConf.load(files("configs").joinpath("exploration", "contact_seeking.yaml")))(task.spec)


@pytest.fixture(scope="module")
def moments(task, explorer):
    return [
        it
        for seed in range(12)
        for it in staged_moments(task, explorer, seed=seed, context_length=2, action_repeat=REPEAT)
    ]


def of(moments, what):
    return [it for it in moments if it.what == what]


def block(it, *, after=False):
    return it.after["block_position"][:2] if after else it.context["block_position"][-1, :2]


def test_a_possible_moment_is_one_of_an_undisturbed_episode(task, explorer, moments):
    first = of(moments, POSSIBLE)[3]
    assert first.context["tip"].shape == (2, 3) and first.actions.shape == (2, REPEAT * 2)
    task.restore(first.states[0])
    for action in first.actions[-1].reshape(REPEAT, 2):
        task.advance(action)
    np.testing.assert_array_equal(task.save(), first.states[1])
    for name, reading in task.look().items():
        np.testing.assert_array_equal(reading, first.after[name])


@pytest.mark.parametrize(
    ("what", "distance"), [("teleport 3 cm", 0.03), ("teleport 5 cm", 0.05), ("teleport 10 cm", 0.1)]
)
def test_a_teleported_block_is_where_it_could_not_be(moments, what, distance):
    ways = [np.linalg.norm(block(it, after=True) - block(it)) for it in of(moments, what)]
    assert len(ways) >= 10 and np.median(ways) == pytest.approx(distance, abs=1e-3)


def test_a_block_that_moves_by_itself_comes_as_far_without_being_touched(moments):
    ways = [np.linalg.norm(block(it, after=True) - block(it)) for it in of(moments, "move by itself")]
    assert np.median(ways) == pytest.approx(0.05, abs=2e-3)


def test_a_block_that_is_gone_is_in_no_picture_and_one_that_lets_pass_stays(task, moments):
    gone, colored = of(moments, "vanish"), of(moments, "recolor")
    assert all(yellow(it.context["fixed_camera"][-1]) > 0 and yellow(it.after["fixed_camera"]) == 0 for it in gone)
    assert all(yellow(it.after["fixed_camera"]) == 0 for it in colored)
    passed = of(moments, "pass through")
    assert len(passed) >= 8 and all(np.linalg.norm(block(it, after=True) - block(it)) < PUSHED for it in passed)
    task.reset(0)  # and in the next episode all is natural again
    assert yellow(task.look()["fixed_camera"]) > 0


def yellow(picture):
    red, green, blue = np.moveaxis(picture.astype(int), -1, 0)
    return int(((red > 120) & (green > 90) & (blue < 60)).sum())


def test_all_but_passing_through_befalls_a_block_that_would_have_rested(moments):
    natural = {(it.seed, it.step): it for it in of(moments, POSSIBLE)}
    for it in moments:
        moved = natural[it.seed, it.step].moved
        if it.what == "pass through":
            assert moved >= 2 * PUSHED
        elif it.what != POSSIBLE:
            assert moved <= RESTED


def test_pairs_are_matched_each_with_one_of_its_own():
    generator = np.random.default_rng(0)
    impossible, possible = generator.uniform(1, 2, 40), generator.uniform(1, 2, 300)
    pairs = matched(impossible, possible)
    ratio = impossible[pairs[:, 0]] / possible[pairs[:, 1]]
    assert len(pairs) == 40 and (np.abs(np.log(ratio)) <= np.log1p(MOST_MISMATCH)).all()
    assert len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1])) == 40
    assert len(matched(np.array([5.0, 1.5]), np.array([1.5, 1.0]))) == 1  # in no possible step changes so much


def test_a_detector_of_change_tells_nothing_apart_and_one_of_physics_does(task, moments, monkeypatch):
    """Surprise is mere change, and then whether what befell the block could."""
    monkeypatch.setattr("agent.evaluation.surprise.LEAST_PAIRS", 8)
    change = changes(task.spec, moments)
    for it in judge_tricks(task.spec, moments, change, change).values():
        assert it is None or abs(it.area.rate - 0.5) < 0.2
        assert it is None or it.area == it.baseline
    knows = np.array([float(it.what != POSSIBLE) for it in moments])
    verdicts = [it for it in judge_tricks(task.spec, moments, knows, change).values() if it is not None]
    assert verdicts
    for it in verdicts:
        assert it.area.rate == it.paired.rate == it.effect == 1.0 and it.area.low < 1 and it.p_value < 0.01


def test_too_few_pushes_are_told(task, moments):
    still = [it for it in moments if it.moved < PUSHED]
    with pytest.raises(SurpriseError, match=r"there were 0, of at least 20: ask for more episodes"):
        judge_tricks(task.spec, still, np.ones(len(still)), np.ones(len(still)))


def test_the_strangest_are_one_of_each_trick_and_the_most_surprising_possible_ones(moments):
    surprises = np.arange(len(moments), dtype=float)
    chosen = strangest(moments, surprises, num_possible=2)
    names = [moments[index].what for index in chosen]
    assert names[-2:] == [POSSIBLE] * 2 and len(set(names[:-2])) == len(names) - 2
    assert moments[chosen[-2]] is of(moments, POSSIBLE)[-1]


@torch.no_grad()
def test_a_model_is_not_surprised_by_what_it_foresaw():
    torch.manual_seed(0)
    model = JEPA(
        sensors={"tip": (3,)},
        embed_dims={"tip": 3},
        encoder=partial(MLPEncoder, hidden_dim=8, num_layers=1),
        action_encoder=BoxActionEncoder,
        dynamics=partial(GatedMLPDynamics, hidden_dim=16, num_layers=1),
        goal_dim=None,
        kinds=[],
        latent=no_latent,
        context_length=1,
        action_dim=2,
        action_repeat=REPEAT,
    ).eval()
    for parameter in model.dynamics.parameters():
        parameter.normal_()
    embeddings, actions = torch.randn(5, 2, 3), torch.randn(5, 1, 2 * REPEAT)
    context = LatentContext(embeddings=embeddings[:, :1], actions=actions[:, :0], previous_action=actions[:, 0])
    embeddings[:, 1] = model.rollout(context, actions[:, None]).embeddings[:, 0, 0]
    foresight = compare(model, embeddings, actions)
    assert (foresight.energies == 0).all() and (foresight.errors == 0).all()
    torch.testing.assert_close(foresight.foreseen, embeddings.diff(dim=1)[:, 0].double().square())
    assert (surprises_of([moment(seed) for seed in range(5)], foresight) == 0).all()
    embeddings[:, 1] += 0.1
    energies = compare(model, embeddings, actions).energies
    torch.testing.assert_close(energies, torch.full_like(energies, 0.01))


def test_an_error_is_strange_where_rest_was_foreseen_and_usual_where_a_push_was():
    generator = torch.Generator().manual_seed(0)
    foreseen = torch.where(torch.rand(4000, 3, generator=generator) < 0.5, 0.0, 1.0).double()
    errors = (0.01 + 0.2 * foreseen) * torch.randn(4000, 3, generator=generator, dtype=torch.float64).square()
    usual = UsualError(Foresight(errors.mean(dim=1), errors, foreseen))
    strange = torch.full((1, 3), 0.2, dtype=torch.float64)
    resting, pushed = (
        float(usual.surprise(Foresight(strange[:, 0], strange, torch.full_like(strange, change)))) for change in (0, 1)
    )
    assert resting == pytest.approx(20, rel=0.15) and pushed == pytest.approx(1 / 1.05, rel=0.15)
    assert float(usual.surprise(Foresight(errors[:, 0], errors, foreseen)).mean()) == pytest.approx(1, rel=0.05)


def test_what_is_usual_is_found_in_other_episodes():
    """An episode in which everything goes wrong is strange, though it may be possible throughout."""
    errors = torch.full((40, 2), 0.01, dtype=torch.float64)
    errors[20:] = 1.0
    moments = [moment(seed) for seed in [0] * 20 + [1] * 20]
    surprises = surprises_of(moments, Foresight(errors[:, 0], errors, torch.zeros_like(errors)))
    assert surprises[:20].max() < 0.05 and surprises[20:].min() > 50


def moment(seed, what=POSSIBLE):
    nothing = np.zeros(0)
    return Moment(
        what=what, seed=seed, step=0, context={}, actions=nothing, after={}, states=(nothing, nothing), moved=0.0
    )


def test_areas_under_the_curve():
    assert roc_area([3.0, 4.0], [1.0, 2.0]).rate == 1.0 and roc_area([1.0], [1.0]).rate == 0.5
    assert roc_area([1.0, 2.0], [3.0, 4.0]).high < 1
    generator = np.random.default_rng(0)
    found = [roc_area(generator.normal(1, 1, 30), generator.normal(0, 1, 30)) for _ in range(200)]
    covered = np.mean([it.low <= 0.7602 <= it.high for it in found])  # of two normals, one std apart
    assert 0.92 <= covered <= 0.99


def test_signed_ranks():
    test = signed_rank([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0, 0.0, 0.0, 0.0, 0.0, 6.5])
    assert test.effect == pytest.approx((2 + 3 + 4 + 5 + 6 - 1) / 21) and 0.05 < test.p_value < 0.2
    assert signed_rank([1.0], [1.0]).p_value == 1.0
