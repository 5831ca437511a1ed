import numpy as np
import pytest

from benchmarks.world_model.coin_world import judge, moved, odds, outcomes, record, train

SMALL = [
    "encoder.hidden_dim=16",
    "predictor.hidden_dim=32",
    "predictor.num_layers=2",
    "latent.hidden_dim=32",
    "training.num_steps=500",
    "training.batch_size=128",
    "training.rollout_length=1",
    "training.num_probe_frames=64",
    "training.num_validation_windows=128",
    "training.checkpoint_every=500",
    "training.keep_every=500",
    "training.validation_every=500",
]


@pytest.fixture(scope="module")
def coin(tmp_path_factory):
    return record(tmp_path_factory.mktemp("coin"), num_episodes=1000, seed=0)


def learn(coin, folder, *changes):
    small = [change for change in SMALL if not change.startswith("latent.") or "latent=none" not in changes]
    model, information = train(coin, folder, [*small, *changes])
    return judge(model, num_throws=500, num_futures=100, seed=0), information


def test_the_recorded_odds_are_the_known_ones(coin):
    points, coins = (coin.observations[name].reshape(1000, -1) for name in ("point", "coin"))
    actions = coin.actions.reshape(1000, -1)
    before = points[:, :-1].astype(float)
    np.testing.assert_allclose(points[:, 1:], moved(before, actions), atol=1e-6)
    fallen = outcomes(before, actions)
    distance = np.abs(coins[:, 1:] - fallen)
    assert distance.min(axis=0).max() < 1e-5
    right, likely = distance[1] < distance[0], odds(before, actions)
    for low in (0.1, 0.3, 0.5, 0.7):
        rows = (likely >= low) & (likely < low + 0.2)
        assert right[rows].mean() == pytest.approx(likely[rows].mean(), abs=4 * 0.5 / rows.sum() ** 0.5)


def test_a_latent_variable_finds_both_outcomes_their_odds_and_what_is_impossible(coin, tmp_path):
    judgement, information = learn(coin, tmp_path, "latent=discrete", "latent.num_values=2")
    assert judgement.both_found > 0.99 and judgement.plausible > 0.99
    assert judgement.odds_error < 0.03
    assert judgement.below_impossible == 1.0 and judgement.below_mean > 0.99
    assert 0.5 < information < np.log(2)


def test_one_future_is_the_mean_of_both_which_never_comes(coin, tmp_path):
    judgement, information = learn(coin, tmp_path, "latent=none", "training.num_steps=300")
    assert judgement.mean_error < 0.1
    assert judgement.both_found == 0.0 and judgement.below_mean < 0.1
    assert information == 0.0
