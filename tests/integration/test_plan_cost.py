"""The benchmark of plans on a finished run: it asks of a planner what the run's agent asks."""

import pytest
import torch

from agent.run.cli import main
from benchmarks.planners.plan_cost import Lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uncertain") / "run"
    futures = ["latent=discrete", "configurator.futures.num_futures=3", "predictor=gru"]
    brief = ["training.num_steps=2", "evaluate.num_episodes=1", "evaluate.videos=0", "planner.num_iterations=1"]
    assert main(["run", "env=reach", "experiment=smoke", *futures, *brief, f"output={folder}"]) == 0
    return Lab(folder)


def test_plans_are_priced_under_as_many_futures_as_the_agents(lab):
    here = lab.situation(1000, 1)
    there = lab.after(here, torch.zeros(3))
    lucks = [lab.objective(situation).futures.latents for situation in (here, here, there)]
    assert lucks[0].shape == (1, 3, lab.horizon, 1)
    assert torch.equal(lucks[0], lucks[1]) and not torch.equal(lucks[0], lucks[2])
