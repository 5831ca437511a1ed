"""From a config to what happens in an episode beside the agent's own doing, and where its goals come from."""

from functools import partial

from agent.evaluation.scenarios.episode_goals import EpisodeGoals
from agent.evaluation.scenarios.types import ScenarioMaker
from agent.run.config.building import build
from agent.run.config.composing import Config

EPISODES = "episodes"
"""Goals that are moments of episodes."""


def scenario_maker(config: Config) -> ScenarioMaker:
    """Returns what makes the scenario that a config asks for, here or in another process."""
    values = config.values
    scenario: ScenarioMaker = build(values.scenario)
    if values.evaluate.goals != EPISODES:
        return scenario
    return partial(EpisodeGoals, within=scenario, explore=build(values.exploration), offset=values.evaluate.offset)
