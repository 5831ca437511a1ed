import json

from benchmarks.agent.ablation import TUNED_FILE, Row, Trial, tune

ROWS = [
    Row("one", ("add=one",), (Trial("x=1", ("x=1",)), Trial("x=3", ("x=3",)), Trial("x=9", ("x=9",)))),
    Row("two", ("add=two",), (Trial("y=1", ("y=1",)), Trial("y=3", ("y=3",)))),
    Row("apart", ("add=apart",), (), alone=True),
]


class PreparedRun:
    """A run whose episodes succeed where the overrides hold one of the given."""

    def __init__(self, output, make_episode, good):
        self.output, self._make_episode, self._good = output, make_episode, good
        self.asked = []

    def evaluate(self, variants, *, split):
        assert split == "validation"
        self.asked += [variant.overrides for variant in variants]
        return {
            variant.name: [
                self._make_episode(seed, at_end=self._good in variant.overrides, spent=(4,))
                for seed in range(variant.num_episodes)
            ]
            for variant in variants
        }

    def describe(self, **further):
        return further


def test_the_best_value_wins_and_the_next_row_stands_on_it(tmp_path, make_episode):
    run = PreparedRun(tmp_path, make_episode, good="x=3")
    tune(run, ROWS, num_episodes=2)
    won = json.loads((tmp_path / TUNED_FILE).read_text())["won"]
    assert won == {"one": "x=3", "two": "y=1"}  # of equals the first
    assert run.asked == [
        *(("add=one", value) for value in ("x=1", "x=3", "x=9")),
        *(("add=one", "x=3", "add=two", value) for value in ("y=1", "y=3")),
    ]
