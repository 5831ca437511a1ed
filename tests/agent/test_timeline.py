from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from agent.configurator.types import Choice, Situation
from agent.evaluation.timeline import plot_timeline, write_timeline


@pytest.fixture
def choices():
    """Four model steps: two of planning, one reaction at the second goal, one without a sensor."""
    situation = Situation(
        surprise=0.01,
        goal_distance=0.25,
        cost_to_go=6.0,
        doubt=0.5,
        steps_on_goal=1,
        steps_without_progress=0,
        filled_sensors=(),
        goal_index=0,
        num_goals=2,
    )
    first = Choice(
        step=0,
        rule="far",
        mode="planning",
        horizon=5,
        num_evaluations=300,
        event=None,
        reason=None,
        situation=situation,
    )
    near = replace(situation, cost_to_go=1.0, doubt=0.1, goal_index=1)
    return [
        first,
        replace(first, step=4, num_evaluations=200),
        replace(first, step=8, mode="reactive", num_evaluations=0, event="reached", situation=near),
        replace(first, step=12, mode="still", num_evaluations=0, situation=replace(near, filled_sensors=("tip",))),
    ]


def plot(choices, interventions=((),) * 16):
    return plot_timeline(choices, interventions=interventions, control_dt=0.05, num_steps=16)


def drawn(axes):
    """Returns the values and edges of the steps that a panel shows, the last one drawn."""
    data = axes.patches[-1].get_data()
    return data.values.tolist(), data.edges.tolist()


def test_what_was_chosen_is_what_is_drawn(choices):
    surprise, cost_to_go, budget, goal = plot(choices).axes
    edges = pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert drawn(surprise) == ([0.01] * 4, edges)
    assert drawn(cost_to_go) == ([6.0, 6.0, 1.0, 1.0], edges)
    assert drawn(budget) == ([300, 200, 0, 0], edges)
    assert drawn(goal) == ([1, 1, 2, 2], edges)


def test_each_change_of_the_guardrails_has_its_mark(choices):
    changed = plot(choices, [("speed",), ("speed", "workspace"), *[()] * 13, ("workspace",)]).axes[4]
    assert [label.get_text() for label in changed.get_yticklabels()] == ["speed", "workspace"]
    marks = [line.get_xydata() for line in changed.lines if line.get_marker() == "|"]
    np.testing.assert_allclose(marks, [[[0.0, 0], [0.05, 0]], [[0.05, 1], [0.75, 1]]])


def test_the_modes_that_were_taken_are_in_the_legend(choices):
    legend = plot(choices).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["planning", "reactive", "still"]


def test_where_nothing_was_planned_the_budget_is_drawn_as_none(choices):
    reacted = [replace(it, mode="reactive", num_evaluations=0) for it in choices]
    figure = plot(reacted)
    assert drawn(figure.axes[2])[0] == [0] * 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["reactive"]


def test_without_a_critic_the_distance_is_drawn(choices):
    blind = [replace(it, situation=replace(it.situation, cost_to_go=None, doubt=None)) for it in choices]
    axes = plot(blind).axes[1]
    assert drawn(axes)[0] == [0.5] * 4


def test_the_picture_is_a_png_of_some_colours(choices, tmp_path):
    path = write_timeline(choices, tmp_path / "timeline.png", interventions=[()] * 16, control_dt=0.05, num_steps=16)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    assert [file.name for file in tmp_path.iterdir()] == ["timeline.png"]
