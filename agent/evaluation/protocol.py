"""How success is measured, by the name under which docs/evaluation.md describes it.

The name changes with anything that makes rates under it no longer comparable: how starts and goals are drawn, what
success means, what the agent may see, how intervals are made.
"""

from agent.evaluation.episodes import NUM_END_STEPS

PROTOCOL = {
    "name": "jepa-mpc evaluation 1",
    "described_in": "docs/evaluation.md",
    "success": f"in each of the last {NUM_END_STEPS} control steps",
    "starts": "drawn by the task from the seed of the episode; one that is solved already counts in no rate",
    "intervals": "95 %, exact (Clopper and Pearson); over several trainings wider by how much these differ",
}
