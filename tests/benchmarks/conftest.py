import pytest

from agent.evaluation.episodes import EpisodeRecord, EvaluatedEpisode


@pytest.fixture
def make_episode():
    """Returns what makes an evaluated episode."""

    def make(seed, *, at_end=True, spent=(), modes=None):
        """Returns an episode of two control steps a model step."""
        return EvaluatedEpisode(
            record=EpisodeRecord(
                seed=seed,
                success_once=True,
                success_at_end=at_end,
                steps_to_success=1,
                final_distances={"tip": 0.0},
                num_steps=2 * len(spent),
                terminated=False,
                solved_at_start=False,
                measures={},
            ),
            units={"tip": "m"},
            redrawn=0,
            latencies_ms=tuple(latency for number in spent for latency in (10.0 + number, 0.1)),
            num_evaluations=tuple(it for number in spent for it in (number, 0)),
            modes=tuple(it for mode in modes or ["planning"] * len(spent) for it in (mode, None)),
            limits=((),) * (2 * len(spent)),
            distances={"tip": (0.2,) * (2 * len(spent)) + (0.0,)},
            convergence=(),
        )

    return make
