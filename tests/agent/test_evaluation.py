import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from scipy.stats import binom

import agent.evaluation.evaluate
import benchmarks.agent.coverage
from agent.actor import Actor
from agent.evaluation.baselines import make_baseline
from agent.evaluation.episodes import convergence, evaluate_episode, succeeds_at_end
from agent.evaluation.evaluate import RECORDS_FILE, EpisodeTask, evaluate
from agent.evaluation.results import format_results, make_results
from agent.evaluation.seeds import FIRST_SEED, SPLIT_SIZE, episode_seeds
from agent.evaluation.statistics import episodes_to_decide, mcnemar, percentiles, pooled_rate, success_rate
from agent.run.stages.evaluate import _SOURCES
from benchmarks.agent.coverage import coverage_of_pooled, is_promised
from envs.arm.task import make_task
from envs.episodes.collection import MAX_EPISODES, MAX_SEED, episode_seed
from envs.episodes.exploration import Zero
from envs.spec import BoxActions, Sensor, TaskSpec
from envs.types import Frame, Verdict
from jepa_mpc.packages import PACKAGES


def test_a_record_depends_on_the_code_of_every_package_of_ours():
    assert {*_SOURCES, "configs"} == {*PACKAGES, "jepa_mpc"}  # of configs it depends on the values


def test_outside_of_the_interval_what_was_found_would_be_a_wonder():
    rate = success_rate([True] * 45 + [False] * 5)
    assert rate.rate == 0.9 and rate.n == 50
    assert binom.sf(44, 50, rate.low) == pytest.approx(0.025)  # 45 or more of 50
    assert binom.cdf(45, 50, rate.high) == pytest.approx(0.025)  # 45 or fewer
    assert success_rate([True] * 50).high == 1 and success_rate([False] * 50).low == 0


@pytest.mark.parametrize("true_rate", [0.5, 0.8, 0.9, 0.95, 0.98, 0.99])
@pytest.mark.parametrize("num_episodes", [100, 200, 300])
def test_at_least_95_percent_of_intervals_hold_the_true_rate(true_rate, num_episodes):
    counts = np.arange(num_episodes + 1)
    rates = [success_rate([True] * count + [False] * (num_episodes - count)) for count in counts.tolist()]
    held = np.array([rate.low <= true_rate <= rate.high for rate in rates])
    assert binom.pmf(counts, num_episodes, true_rate)[held].sum() >= 0.95


@pytest.mark.parametrize(("rate", "spread"), [(0.5, 0.05), (0.8, 0.02), (0.9, 0.05), (0.98, 0.0)])
def test_pooled_intervals_hold_the_mean_rate_of_trainings_that_differ(rate, spread):
    covered = coverage_of_pooled(
        rate, spread=spread, num_seeds=3, num_episodes=300, num_draws=400, rng=np.random.default_rng(1)
    )
    assert is_promised(rate, spread) and covered >= 0.93


def test_the_interval_of_all_episodes_together_would_not_hold_it(monkeypatch):
    monkeypatch.setattr(
        benchmarks.agent.coverage, "pooled_rate", lambda seeds: success_rate([it for seed in seeds for it in seed])
    )
    covered = coverage_of_pooled(
        0.8, spread=0.05, num_seeds=3, num_episodes=300, num_draws=400, rng=np.random.default_rng(1)
    )
    assert covered < 0.7


def test_a_single_training_is_pooled_as_it_is():
    run = [True] * 9 + [False]
    assert pooled_rate([run]) == success_rate(run)
    assert pooled_rate([run] * 3).rate == pytest.approx(0.9) and pooled_rate([run] * 3).n == 30


def test_trainings_that_differ_widen_the_interval():
    alike, apart = (
        pooled_rate([[True] * n + [False] * (100 - n) for n in counts]) for counts in ([90] * 3, [80, 90, 100])
    )
    assert alike == success_rate([True] * 270 + [False] * 30)
    assert apart.rate == alike.rate and apart.low < alike.low - 0.1 and apart.high > alike.high


@pytest.mark.parametrize("threshold", [0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999])
def test_the_fewest_episodes_that_decide_a_threshold(threshold):
    number = episodes_to_decide(threshold)
    assert success_rate([True] * number).low >= threshold
    assert number == 1 or success_rate([True] * (number - 1)).low < threshold
    assert episodes_to_decide(1.0) is None


def test_mcnemar_asks_those_pairs_that_differ():
    ours, theirs = [True] * 8 + [False] * 2 + [True] * 90, [False] * 8 + [True] * 2 + [True] * 90
    assert mcnemar(ours, theirs) == pytest.approx(2 * binom.cdf(2, 10, 0.5)) == mcnemar(ours[:10], theirs[:10])
    assert mcnemar(ours, ours) == 1.0


def test_percentiles_of_known_values():
    assert percentiles([float(value) for value in range(101)]) == {"p50": 50.0, "p90": 90.0, "p99": 99.0}


def test_no_seed_is_in_two_splits_or_in_a_collection():
    evaluation, validation = (set(episode_seeds(split, SPLIT_SIZE)) for split in FIRST_SEED)
    assert len(evaluation) == len(validation) == SPLIT_SIZE
    assert not evaluation & validation
    assert episode_seed(MAX_SEED, MAX_EPISODES - 1) < min(evaluation | validation)


def test_a_smaller_evaluation_is_the_start_of_a_larger_one():
    assert episode_seeds("evaluation", 20) == episode_seeds("evaluation", 300)[:20]


@pytest.mark.parametrize("env_id", ["envs:jepa-mpc/Reach-v0", "envs:jepa-mpc/Push-v0"])
def test_the_starts_and_goals_of_the_manifest_fill_the_workspace(env_id):
    env = gymnasium.make(env_id).unwrapped
    goals, starts = [], []
    for seed in episode_seeds("evaluation", SPLIT_SIZE):
        observation, info = env.reset(seed=seed)
        assert info["redrawn"] == 0
        goals.append(observation["desired_goal"])
        starts.append(observation["achieved_goal"])
    assert np.linalg.norm(np.subtract(goals, starts), axis=1).min() >= 0.1
    smallest = {"Reach": [0.30, 0.50, 0.25], "Push": [0.30, 0.50]}["Reach" if "Reach" in env_id else "Push"]
    for points in (goals, starts):
        assert (np.ptp(points, axis=0) >= 0.98 * np.array(smallest)).all()


DESCRIPTION = {
    "env": "reach",
    "observation": "state",
    "planner": "cem",
    "scenario": "undisturbed",
    "note": None,
    "seed": 0,
    "split": "evaluation",
    "not_reproducible": [],
}
SUMMARY = {"criterion": "x within 1 of its goal", "control_dt": 0.05, "versions": {}}


class ScriptedTask:
    """Is solved in the control steps that it is told; its goal asks for a place, and for a turn where that is given."""

    def __init__(self, solved, angle=None):
        self._solved = solved
        self._distances = {"x": (0.25, "m")} | ({} if angle is None else {"turn": (angle, "rad")})
        self.spec = TaskSpec(
            task_id="test/Scripted-v0",
            fingerprint="",
            sensors={"x": Sensor((1,), "numbers", "")},
            perceived=("x",),
            asked=("x",),
            goal={},
            actions=BoxActions.unit(1),
            control_dt=1.0,
            num_steps=20,
            effector=None,
        )

    def reset(self, seed):
        self._time = 0
        return self._frame()

    def step(self, action):
        self._time += 1
        return self._frame()

    def _frame(self):
        return Frame(
            readings={"x": np.full(1, self._time, np.float32)},
            goal={"x": np.zeros(1, np.float32)},
            verdict=Verdict(
                success=self._time in self._solved, distances=self._distances, terminated=False, truncated=False
            ),
            num_redrawn=2 if self._time == 0 else 0,
        )


class Still:
    def reset(self, goal, *, seed):
        pass

    def act(self, observation):
        return np.zeros(1, np.float32)


class Deciding(Actor):
    """An actor that decides at every fourth control step, now to plan and now to react, and keeps the newest alone."""

    def __init__(self):
        """It needs no parts."""

    def reset(self, goal, *, seed):
        self._time, self._choices, self._guarded = 0, (), None

    @property
    def state(self):
        plan = SimpleNamespace(cost_history=torch.tensor([[9.0], [3.0], [1.0]]))
        return SimpleNamespace(choices=self._choices, guarded=self._guarded, plan=plan)

    def act(self, observation):
        if self._time % 4 == 0:
            mode, spent = ("planning", 64) if self._time % 8 == 0 else ("reactive", 0)
            self._choices = (SimpleNamespace(step=self._time, mode=mode, num_evaluations=spent),)
        interventions = ("speed", "workspace") if self._time in (3, 4) else ("blind",) * (self._time == 9)
        self._guarded = SimpleNamespace(interventions=interventions)
        self._time += 1
        return np.zeros(1, np.float32)


def test_decisions_are_kept_at_the_steps_at_which_they_are_made():
    actor = Deciding()
    for _ in range(2):  # a second episode starts anew
        episode = evaluate_episode(ScriptedTask(set()), actor, seed=0, num_steps=12)
        assert episode.num_evaluations == (64, *[0] * 7, 64, *[0] * 3)
        assert episode.modes == ("planning", *[None] * 3, "reactive", *[None] * 3, "planning", *[None] * 3)
        assert len(episode.planning_latencies_ms) == 2
        assert episode.convergence == (1.0, 0.25, 0.0)
    still = evaluate_episode(ScriptedTask(set()), Still(), seed=0, num_steps=12)
    assert still.modes == (None,) * 12 and still.convergence == ()


def test_convergence_is_the_mean_of_the_plans_that_gained_anything():
    histories = [np.array(costs) for costs in ([4.0, 2.0, 0.0], [3.0, 1.0], [1.0, 1.0, 1.0], [np.inf, 2.0, 1.0])]
    assert convergence(histories) == [1.0, 0.25, 0.0]
    assert convergence(histories[2:]) == convergence([]) == []


def test_the_distances_of_an_episode_begin_before_its_first_step():
    episode = evaluate_episode(ScriptedTask(set()), Still(), seed=0, num_steps=12)
    assert {len(path) for path in episode.distances.values()} == {13}
    assert {name: path[-1] for name, path in episode.distances.items()} == dict(episode.record.final_distances)


def test_what_the_guardrails_changed_is_counted_and_summed_over_episodes():
    episodes = [evaluate_episode(ScriptedTask(set()), Deciding(), seed=seed, num_steps=12) for seed in range(2)]
    assert episodes[0].interventions == {"speed": 2, "workspace": 2, "blind": 1}
    still = evaluate_episode(ScriptedTask(set()), Still(), seed=0, num_steps=12)
    results = make_results({}, {"actor": episodes, "zero": [still]}, **SUMMARY)
    assert results["agents"]["actor"]["interventions"] == {"speed": 4, "workspace": 4, "blind": 2}
    assert results["agents"]["zero"]["interventions"] == {}


def test_records_are_read_back_as_they_were_written(tmp_path, monkeypatch):
    episode = evaluate_episode(ScriptedTask(set()), Deciding(), seed=7, num_steps=12)
    monkeypatch.setattr(agent.evaluation.evaluate, "parallel_map", lambda *_, **__: iter([episode]))
    list(evaluate_zero(tmp_path))
    monkeypatch.setattr(agent.evaluation.evaluate, "parallel_map", lambda *_, **__: iter([]))
    assert list(evaluate_zero(tmp_path)) == [(EpisodeTask("zero", 7), episode)]


@pytest.mark.parametrize(
    ("solved", "once", "at_end", "steps"),
    [
        (set(), False, False, None),
        ({7}, True, False, 7),
        ({16, 17, 18, 19, 20}, True, True, 16),
        ({3, 17, 18, 19, 20}, True, False, 3),
        (set(range(1, 21)) - {18}, True, False, 1),
    ],
)
def test_success_at_the_end_is_success_in_each_of_the_last_five_steps(solved, once, at_end, steps):
    episode = evaluate_episode(ScriptedTask(solved), Still(), seed=1, num_steps=20)
    assert (episode.record.success_once, episode.record.success_at_end) == (once, at_end)
    assert episode.record.steps_to_success == steps
    assert (episode.record.final_distances, episode.units) == ({"x": 0.25}, {"x": "m"})
    assert (episode.redrawn, len(episode.latencies_ms)) == (2, 20)


@pytest.mark.parametrize(
    ("successes", "terminated", "expected"),
    [
        ([False, False, True], True, True),  # it ended as the goal was reached
        ([True, True, True, True, True, False], True, False),  # and here as something else went wrong
        ([False, False, True], False, False),
        ([True, True, True], False, True),  # shorter than the end is long
        ([False, True, True, True, True, True], False, True),
        ([True, False, True, True, True, True], False, False),
    ],
)
def test_an_episode_that_the_environment_ended_is_judged_by_its_last_step(successes, terminated, expected):
    assert succeeds_at_end(np.array(successes), terminated=terminated) == expected


def test_what_is_solved_before_anything_is_done_is_counted_told_and_in_no_rate():
    episodes = [
        evaluate_episode(ScriptedTask(solved), Deciding(), seed=0, num_steps=20) for solved in ({0, 7}, {9}, {})
    ]
    assert [episode.record.solved_at_start for episode in episodes] == [True, False, False]
    results = make_results(DESCRIPTION, {"actor": episodes, "zero": episodes[:1]}, **SUMMARY)
    actor, zero = results["agents"].values()
    assert (actor["solved_at_start"], actor["success_once"]["rate"], actor["success_once"]["n"]) == (1, 0.5, 2)
    assert zero["success_once"] == {"rate": 0.0, "low": 0.0, "high": 1.0, "n": 0}
    assert len(actor["episodes"]) == 3
    lines = format_results(results).splitlines()
    assert "solved before anything was done, and so in no rate: actor 1, zero 1" in lines
    assert lines[2].split()[-2:] == ["9", "2"]  # not 8, the median with the first
    assert lines[3].split()[-3:] == ["-", "-", "0"]


def test_the_angle_is_that_of_the_last_step():
    task = make_task(env_id="jepa-mpc/PushOriented-v0", vision=None, film_size=None)
    push = task.env
    episode = evaluate_episode(task, Zero(task.spec), seed=3, num_steps=4)
    state, _ = push.reset(seed=3)  # nothing moves
    assert episode.units == {"block_position": "m", "block_orientation": "rad"}
    angle = episode.record.final_distances["block_orientation"]
    assert angle == pytest.approx(float(push.angle_to_goal(state["achieved_goal"], state["desired_goal"])))
    assert angle > 0.01


@pytest.mark.parametrize(("angle", "final", "shown"), [(None, 0.0, False), (0.5, 0.5, True)])
def test_distances_have_their_names_and_units_and_metres_and_radians_a_key_of_their_own(angle, final, shown):
    episodes = [evaluate_episode(ScriptedTask({1}, angle), Deciding(), seed=seed, num_steps=20) for seed in range(3)]
    results = make_results(DESCRIPTION, {"actor": episodes}, **SUMMARY)
    record = results["agents"]["actor"]["episodes"][0]
    assert results["units"] == {"x": "m"} | ({"turn": "rad"} if shown else {})
    assert record["final_distances"] == {"x": 0.25} | ({"turn": 0.5} if shown else {})
    assert (record["final_distance_m"], record["final_angle_rad"]) == (0.25, final)
    table = format_results(results)
    assert "25.0 cm" in table and ("29°" in table, " turn " in table) == (shown, shown)


def test_what_a_task_has_to_report_stands_in_records_and_means_and_leaves_no_key_where_it_has_nothing():
    task = make_task(env_id="jepa-mpc/ReachGate-v0", vision=None, film_size=None)
    episodes = [evaluate_episode(task, Zero(task.spec), seed=seed, num_steps=3) for seed in range(2)]
    report = {"bar_swung": 0.0, "collided": 0.0, "touching_steps": 0.0}
    for episode in episodes:
        assert report.items() <= episode.record.measures.items()
    other = replace(episodes[1], record=replace(episodes[1].record, measures={**report, "collided": 1.0, "way": 0.3}))
    results = make_results(DESCRIPTION, {"actor": [episodes[0], other]}, **SUMMARY)
    actor = results["agents"]["actor"]
    assert actor["measures"]["collided"] == 0.5
    assert actor["episodes"][1]["measures"]["way"] == 0.3
    assert "collided, mean of an episode: actor 0.5" in format_results(results)
    plain = evaluate_episode(ScriptedTask({1}), Deciding(), seed=0, num_steps=20)
    results = make_results(DESCRIPTION, {"actor": [plain]}, **SUMMARY)
    actor = results["agents"]["actor"]
    assert "measures" not in actor and "measures" not in actor["episodes"][0]
    assert "mean of an episode" not in format_results(results)


def test_a_distance_that_is_neither_metres_nor_radians_is_told_in_its_own_unit():
    episode = evaluate_episode(ScriptedTask({1}), Deciding(), seed=0, num_steps=20)
    record = replace(episode.record, final_distances={"force": 12.345, "score": 2.0})
    episode = replace(episode, record=record, units={"force": "N", "score": ""})
    results = make_results(DESCRIPTION, {"actor": [episode]}, **SUMMARY)
    assert not {"final_distance_m", "final_angle_rad"} & results["agents"]["actor"]["episodes"][0].keys()
    assert "12.3 N" in format_results(results) and " 2.0 " in format_results(results)


def test_what_success_is_and_what_the_end_is_stand_in_results_and_table():
    episodes = [evaluate_episode(ScriptedTask({1}), Deciding(), seed=seed, num_steps=20) for seed in range(3)]
    results = make_results(DESCRIPTION, {"actor": episodes}, **SUMMARY)
    assert results["success"] == {
        "criterion": "x within 1 of its goal",
        "at_end": {"control_steps": 5, "seconds": 0.25},
    }
    said = "success: x within 1 of its goal; at the end: in each of the last 5 control steps (0.25 s); once: in any"
    assert said in format_results(results)


@pytest.mark.parametrize(
    ("task", "criterion"),
    [
        ("Reach", "tip within 2 cm of its goal"),
        ("Push", "block position within 5 cm of its goal"),
        ("PushTwo", "each block that is asked for within 5 cm of its goal"),
        ("ReachGate", "tip within 2 cm of its goal"),
        ("PushOriented", "block position within 5 cm of its goal, turned to within 10 degrees of it"),
    ],
)
def test_a_task_says_when_a_goal_is_reached(task, criterion):
    assert gymnasium.make(f"jepa-mpc/{task}-v0").unwrapped.criterion == criterion


def test_a_reaction_is_no_planning_step():
    episode = evaluate_episode(ScriptedTask({1}), Deciding(), seed=0, num_steps=16)
    episode = replace(episode, latencies_ms=(8.0, 0, 0, 0, 1.0, 0, 0, 0) * 2)
    results = make_results(DESCRIPTION, {"actor": [episode]}, **SUMMARY)
    assert results["planning_latency_ms"] == {"p50": 8.0, "p90": 8.0, "p99": 8.0}
    assert results["latency_ms"]["p50"] == 4.5
    told = format_results(results)
    assert "planning step of the actor, ms: p50 8.0, p90 8.0, p99 8.0; any decision of the actor, ms: p50 4.5" in told
    reactive = replace(episode, num_evaluations=(0,) * 16)
    results = make_results(DESCRIPTION, {"actor": [reactive]}, **SUMMARY)
    told = format_results(results)
    assert results["planning_latency_ms"] is None
    assert "planning step" not in told and "planner" not in told and "decision of the actor, ms: p50 4.5" in told


def test_the_table_names_every_agent_with_its_interval():
    episodes = [evaluate_episode(ScriptedTask({1}), Deciding(), seed=seed, num_steps=20) for seed in range(4)]
    results = make_results(DESCRIPTION, {"actor": episodes, "zero": episodes}, **SUMMARY)
    assert results["solved_at_start_redrawn"] == 8
    table = format_results(results)
    assert "actor" in table and "zero" in table and "0.0 % (0.0 to 60.2)" in table
    assert "reproducible" not in table and "note" not in table
    assert format_results({**results, "note": "none can succeed"}).splitlines()[-1] == "note: none can succeed"
    assert "not reproducible: for a reason" in format_results({**results, "not_reproducible": ["for a reason"]})


def evaluate_zero(folder):
    return evaluate(
        [EpisodeTask("zero", 7)],
        make_task=partial(make_task, env_id="envs:jepa-mpc/Reach-v0"),
        make_policy=make_baseline,
        num_workers=1,
        fingerprint="f",
        output=folder,
    )


@pytest.mark.parametrize("left", [b"", b'{"fingerp', b"\n"])
def test_an_evaluation_that_was_killed_as_it_started_goes_on(tmp_path, left):
    (tmp_path / RECORDS_FILE).write_bytes(left)
    ((task, episode),) = evaluate_zero(tmp_path)
    header, record = map(json.loads, (tmp_path / RECORDS_FILE).read_text().splitlines())
    assert header == {"fingerprint": "f"}
    assert (task.seed, episode.record.seed, record["episode"]["record"]["seed"]) == (7, 7, 7)


def test_the_records_are_named_before_the_first_episode_is_run(tmp_path, monkeypatch):
    found = []

    def watched(*arguments, **named):
        found.append((tmp_path / RECORDS_FILE).read_text())
        yield evaluate_episode(ScriptedTask({1}), Still(), seed=7, num_steps=20)

    monkeypatch.setattr(agent.evaluation.evaluate, "parallel_map", watched)
    assert len(list(evaluate_zero(tmp_path))) == 1
    assert found == ['{"fingerprint": "f"}\n']
