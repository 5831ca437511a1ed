from types import SimpleNamespace

import numpy as np
import pytest
import torch

import envs  # noqa: F401
from agent.evaluation.pictures.contact_plot import PREFIX, plot_contact
from agent.evaluation.pictures.distance_map import map_distances, plot_distance_maps
from agent.evaluation.pictures.drawing import enlarged, with_attention, with_inset, with_keypoints, with_path
from agent.evaluation.pictures.imagined_episode import imagine_episode, plot_imagined_episode
from envs.arm.task import make_task
from envs.rendering import Marker, make_renderer
from envs.rendering.lens import Lens
from world_model.types import LatentGoal, LatentTrajectory

LENS = Lens(position=np.array([1.0, 2.0, 3.0]), axes=np.eye(3), fovy=90.0)  # looks down along z, up is y
ORANGE = (230, 159, 0)


def test_points_are_seen_where_the_pinhole_camera_maps_them():
    points = np.array([[1.0, 2.0, 0.0], [1.0, 5.0, 0.0], [4.0, 2.0, 0.0], [1.5, 2.0, 2.0], [1.0, 2.0, 4.0]])
    expected = [[0.0, 0.0], [0.0, -1.0], [1.0, 0.0], [0.5, 0.0], [np.nan, np.nan]]
    np.testing.assert_allclose(LENS.project(points), expected, atol=1e-12)


@pytest.fixture(scope="module")
def reach():
    task = make_task(env_id="jepa-mpc/Reach-v0", vision=None, film_size=None)
    task.reset(3)
    yield task
    task.close()


@pytest.mark.parametrize("place", [(0.40, -0.20, 0.25), (0.60, 0.15, 0.05)])
def test_a_point_is_projected_to_where_it_is_drawn(reach, place):
    renderer = make_renderer(reach.env.model, camera="fixed", width=96, height=96, backend="raycast")
    ball = Marker(position=np.array(place, np.float32), radius=0.02)
    with_ball, without = renderer.image(reach.env.data, markers=[ball]), renderer.image(reach.env.data)
    rows, columns = np.nonzero((with_ball != without).any(axis=2))
    found = np.array([columns.mean(), rows.mean()]) + 0.5
    (x, y) = (Lens.of(reach.env.model, reach.env.data, "fixed").project(np.array(place)) + 1) / 2 * 96
    np.testing.assert_allclose(found, [x, y], atol=1.0)


class TipModel:
    """Its embedding is the tip."""

    blocks = {"tip": slice(0, 3)}

    def encode(self, observation):
        return observation["tip"]

    def encode_goal(self, goal):
        return LatentGoal(embedding=goal.observation["tip"], mask=torch.ones(1, 3, dtype=torch.bool))


class SumCritic:
    """Two members that both say how far it is to the goal along the axes, and differ by 2."""

    def __call__(self, embeddings, goal):
        steps = (goal.embedding[:, None] - embeddings).abs().sum(dim=2)
        return torch.stack([steps - 1, steps + 1])


@pytest.fixture(scope="module")
def tip_map(reach):
    before = reach.save()
    drawn = map_distances(reach, reach.spec, TipModel(), SumCritic(), wish={"tip": np.float32([0.45, 0.10, 0.15])})
    np.testing.assert_array_equal(reach.save(), before)
    return drawn


def test_a_map_of_the_true_distance_is_the_true_distance(tip_map):
    along_x, along_y = np.meshgrid(np.abs(tip_map.x - 0.45), np.abs(tip_map.y - 0.10), indexing="ij")
    np.testing.assert_allclose(tip_map.distance, np.hypot(along_x, along_y) / 3**0.5, atol=1e-4)
    np.testing.assert_allclose(tip_map.cost_to_go, along_x + along_y, atol=1e-4)
    assert (tip_map.x[0], tip_map.x[-1], tip_map.y[0], tip_map.y[-1]) == (0.35, 0.65, -0.25, 0.25)
    assert tip_map.picture is None


def test_a_true_map_has_its_minimum_at_the_goal_and_is_ranked_perfectly(tip_map):
    at_x, at_y = np.unravel_index(tip_map.distance.argmin(), tip_map.distance.shape)
    np.testing.assert_allclose([tip_map.x[at_x], tip_map.y[at_y]], [0.45, 0.10], atol=0.0063)
    assert tip_map.rank_correlation(tip_map.distance) > 0.999
    assert tip_map.rank_correlation(-tip_map.distance) < -0.999


def test_where_a_map_is_brightest_the_cross_is_drawn(tip_map):
    axes = plot_distance_maps([tip_map]).axes[0]
    mesh = axes.collections[0]
    corners = mesh.get_coordinates()
    row, column = np.unravel_index(mesh.get_array().argmin(), mesh.get_array().shape)
    (low_y, low_x), (high_y, high_x) = corners[row, column], corners[row + 1, column + 1]
    (cross_y,), (cross_x,) = axes.lines[-1].get_data()
    assert low_y <= cross_y <= high_y
    assert low_x <= cross_x <= high_x
    assert mesh.cmap(0.0) > mesh.cmap(1.0)  # near is bright


class Rows:
    """Imagines that an action adds to the tip's x, times a factor; the camera shows the tip in its first pixel."""

    blocks = {"eye_camera": slice(0, 3)}
    sensors = {"eye_camera": (64, 64, 3)}
    embed_dim = 3

    def __init__(self, *, factor, context_length, action_repeat):
        self.factor, self.context_length, self.action_repeat = factor, context_length, action_repeat

    def encode(self, observation):
        return observation["eye_camera"][..., 0, 0, :].float() / 100

    def rollout(self, context, actions):
        moves = self.factor * actions.unflatten(3, (-1, 1)).sum(dim=3).cumsum(dim=2)
        moves = torch.cat([moves, torch.zeros(*moves.shape[:3], 2)], dim=3)
        return LatentTrajectory(
            embeddings=context.embeddings[:, -1, None, None] + moves,
            actions=actions,
            previous_action=context.previous_action,
            start=context.embeddings[:, -1],
        )


INTERPRETER = SimpleNamespace(
    pictures=lambda embeddings: (100 * embeddings[:, None, None]).round().byte().expand(-1, 64, 64, -1).numpy(),
    places=lambda embeddings: embeddings.double().numpy(),
)


def imagined(*, factor, context_length=1, action_repeat=1, num_steps=8):
    """An episode in which each action moves the tip's x by 0.1 m."""
    tips = np.stack([[0.1 * step, 0.5, 0.2] for step in range(num_steps + 1)])
    frames = np.zeros((num_steps + 1, 64, 64, 3), np.uint8)
    frames[:] = (100 * tips).round().astype(np.uint8)[:, None, None]
    return imagine_episode(
        Rows(factor=factor, context_length=context_length, action_repeat=action_repeat),
        INTERPRETER,
        observations={"tip": np.float32(tips), "eye_camera": frames},
        actions=np.full((num_steps, 1), 0.1, np.float32),
        place_sensor="tip",
        control_dt=0.05,
    )


@pytest.mark.parametrize(("context_length", "action_repeat"), [(1, 1), (3, 1), (1, 2), (2, 3)])
def test_a_perfect_imagination_is_never_surprised(context_length, action_repeat):
    episode = imagined(factor=1.0, context_length=context_length, action_repeat=action_repeat)
    num_frames = 8 // action_repeat + 1
    np.testing.assert_allclose(episode.times, 0.05 * action_repeat * np.arange(num_frames))
    np.testing.assert_allclose(episode.surprise, 0.0, atol=1e-10)
    np.testing.assert_allclose(episode.place_error, 0.0, atol=1e-6)
    np.testing.assert_array_equal(episode.imagined, episode.real)
    np.testing.assert_array_equal(episode.embedded, episode.real)


def test_surprise_is_the_squared_error_and_the_tip_is_off_in_metres():
    episode = imagined(factor=0.0, context_length=2)
    behind = 0.1 * np.maximum(np.arange(9) - 1, 0)  # stays where the second frame was
    np.testing.assert_allclose(episode.surprise, behind**2 / 3, atol=1e-8)
    np.testing.assert_allclose(episode.place_error, behind, atol=1e-6)
    assert episode.imagined[8, 0, 0, 0] == 10
    assert episode.embedded[8, 0, 0, 0] == 80


def test_each_frame_of_a_strip_is_above_its_step():
    episode = imagined(factor=0.5)
    figure = plot_imagined_episode(episode)
    pictures, (surprise, tip) = figure.axes[:-2], figure.axes[-2:]
    shown = np.stack([axes.images[0].get_array() for axes in pictures]).reshape(3, 9, 64, 64, 3)
    np.testing.assert_array_equal(shown, np.stack([episode.real, episode.embedded, episode.imagined]))
    boxes = [axes.get_position() for axes in pictures[:9]]
    middles = [figure.transFigure.transform([(box.x0 + box.x1) / 2, 0.0])[0] for box in boxes]
    steps = [surprise.transData.transform([time, 0.0])[0] for time in episode.times]
    np.testing.assert_allclose(steps, middles, atol=0.05 * (middles[1] - middles[0]))
    np.testing.assert_allclose(tip.lines[0].get_ydata(), 5 * np.arange(9), atol=1e-4)  # cm


GREY = np.full((320, 320, 3), 120, np.uint8)


def test_pixels_stay_pixels_where_the_size_is_a_multiple():
    picture = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(enlarged(picture, 40), np.kron(picture, np.ones((5, 5, 1), np.uint8)))


def test_a_path_runs_through_its_points_and_ends_before_what_is_nowhere():
    drawn = with_path(GREY, np.array([[-0.5, 0.0], [0.5, 0.0], [0.5, 0.8], [np.nan, np.nan], [-0.8, -0.8]]))
    for row, column in ((160, 240), (288, 240), (160, 160)):  # two dots, and between the first points
        assert tuple(drawn[row, column]) == ORANGE
    assert (drawn[:150] == 120).all()
    np.testing.assert_array_equal(with_path(GREY, np.array([[0.0, 0.0], [np.nan, 0.0]])), GREY)


def test_keypoints_are_ringed_where_they_are():
    drawn = with_keypoints(GREY, np.array([[0.5, -0.25]]))
    rows, columns = np.nonzero((drawn != 120).any(axis=2))
    assert [columns.mean() + 0.5, rows.mean() + 0.5] == pytest.approx([240, 120], abs=0.6)
    assert (drawn[120, 240] == 120).all()  # a ring shows what it is around


def test_attention_tints_what_is_looked_at_and_leaves_the_rest():
    weights = np.zeros((4, 4))
    weights[1, 2] = 1.0
    drawn = with_attention(GREY, weights)
    changed = (drawn != GREY).any(axis=2)
    assert changed[80:160, 160:240].all()
    assert changed.sum() == 6400


def test_an_inset_covers_the_upper_right_corner_alone():
    drawn = with_inset(GREY, np.zeros((96, 96, 3), np.uint8), caption="goal")
    rows, columns = np.nonzero((drawn != 120).any(axis=2))
    assert (rows.min(), rows.max()) == (4, 103)
    assert (columns.min(), columns.max()) == (216, 315)
    assert not drawn[60:100, 220:310].any()


def contact_lines(*errors):
    keys = ("moving_error", "moving_copy", "resting_drift")
    by_step = {f"{PREFIX}after_{after}/{key}": 0.01 * after for after in (1, 3, 5) for key in keys}
    last = {PREFIX + key: 0.05 for key in (*keys, "probe_error")}
    return [{"step": 100 * index, **by_step, **last, f"{PREFIX}moving_error": it} for index, it in enumerate(errors)]


def test_contact_is_drawn_over_the_training_and_over_what_is_imagined():
    figure = plot_contact({"together": contact_lines(0.09, 0.07), "alone": contact_lines(0.06, 0.04, 0.03)})
    together, alone, last = figure.axes
    assert list(together.lines[0].get_ydata()) == [0.09, 0.07]
    assert list(alone.lines[0].get_ydata()) == [0.06, 0.04, 0.03]
    assert list(last.lines[0].get_xdata()) == [1, 3, 5]
    assert list(last.lines[0].get_ydata()) == [0.01, 0.03, 0.05]
    assert figure.legends[0].texts[0].get_text() == "moved: off by"
