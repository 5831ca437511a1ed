import random
from functools import partial

import numpy as np
import pytest

from agent import load_agent
from agent.evaluation.evaluate import EpisodeRunner, EpisodeTask, evaluate
from agent.run.cli import main
from agent.run.config.saved import read_config
from agent.run.stages.evaluate import PolicyFactory
from envs.arm.task import make_task
from envs.episodes.rollout import policy_seed, rollout

TASKS = [EpisodeTask("actor", 2_000_000_000 + index) for index in range(4)]

REACH = partial(make_task, env_id="jepa-mpc/Reach-v0")


@pytest.fixture(scope="module")
def factory(smoke_run):
    return PolicyFactory(run_folder=smoke_run, config=read_config(smoke_run))


@pytest.fixture(scope="module")
def run(factory, tmp_path_factory):
    def records(tasks, num_workers):
        folder = tmp_path_factory.mktemp("records")
        episodes = evaluate(
            tasks,
            make_task=REACH,
            make_policy=factory,
            num_workers=num_workers,
            fingerprint="",
            output=folder,
        )
        return {task: episode.record for task, episode in episodes}

    return records


def test_records_are_identical_at_any_parallelism_in_any_order_and_alone(run):
    reference = run(TASKS, 1)
    assert len({tuple(record.final_distances.values()) for record in reference.values()}) == len(TASKS)
    assert run(TASKS, 3) == reference
    shuffled = random.Random(0).sample(TASKS, len(TASKS))
    assert shuffled[0] != TASKS[0] and run(shuffled, 2) == reference
    assert run(TASKS[3:4], 1) == {TASKS[3]: reference[TASKS[3]]}


@pytest.mark.slow
def test_records_under_several_futures_are_identical_at_any_parallelism(tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    common = ["env=reach", "experiment=smoke"]
    assert main(["collect", *common, "num_episodes=12", f"output={data}"]) == 0
    several = ["latent=discrete", "configurator.futures.num_futures=4", "configurator.futures.count=worst_share"]
    brief = ["training.num_steps=20", "planner.num_samples=32", "pictures.num_examples=0"]
    assert main(["train", *common, *several, *brief, f"data={data}", f"output={run}"]) == 0
    factory = PolicyFactory(run_folder=run, config=read_config(run))
    assert factory("actor", make_task(env_id="jepa-mpc/Reach-v0", vision=None, film_size=None)).world_model.latent_dim
    records = []
    for num_workers in (1, 2):
        output = tmp_path / f"{num_workers} workers"
        output.mkdir()
        arguments = {"make_task": REACH, "make_policy": factory, "num_workers": num_workers, "output": output}
        episodes = dict(evaluate(TASKS[:2], **arguments, fingerprint=""))
        records.append({task: episode.record for task, episode in episodes.items()})
    assert records[0] == records[1] and len(records[0]) == 2


@pytest.mark.parametrize(
    ("env_id", "run"), [("jepa-mpc/Reach-v0", "smoke_run"), ("jepa-mpc/Push-v0", "smoke_push_run")]
)
def test_recorded_observations_give_a_fresh_actor_without_an_environment_the_same_actions(request, env_id, run):
    folder = request.getfixturevalue(run)
    env = make_task(env_id=env_id, vision=None, film_size=None)
    actor = PolicyFactory(run_folder=folder, config=read_config(folder))("actor", env)
    seed = TASKS[0].seed
    episode = rollout(env, actor, seed=seed, num_steps=50)
    goal = env.reset(seed).goal

    fresh = load_agent(folder)
    fresh.reset(goal, seed=policy_seed(seed))
    for time, action in enumerate(episode.actions):
        observation = {name: readings[time] for name, readings in episode.observations.items()}
        assert np.array_equal(fresh.act(observation), action)


def test_an_interrupted_evaluation_goes_on_and_ends_with_the_same_records(factory, tmp_path):
    arguments = {"make_task": REACH, "make_policy": factory, "num_workers": 1, "fingerprint": "a"}
    whole = dict(evaluate(TASKS[:3], **arguments, output=tmp_path))
    path = tmp_path / "records.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]) + lines[2][:40])  # killed while the second record was written
    resumed = dict(evaluate(TASKS[:3], **arguments, output=tmp_path))
    assert {task: episode.record for task, episode in resumed.items()} == {
        task: episode.record for task, episode in whole.items()
    }
    assert resumed[TASKS[0]].latencies_ms == whole[TASKS[0]].latencies_ms  # read, not run again
    assert resumed[TASKS[1]].latencies_ms != whole[TASKS[1]].latencies_ms


def test_records_under_another_fingerprint_are_not_used(factory, tmp_path):
    arguments = {"make_task": REACH, "make_policy": factory, "num_workers": 1, "output": tmp_path}
    first = dict(evaluate(TASKS[:1], **arguments, fingerprint="a"))
    second = dict(evaluate(TASKS[:1], **arguments, fingerprint="b"))
    assert first[TASKS[0]].record == second[TASKS[0]].record
    assert first[TASKS[0]].latencies_ms != second[TASKS[0]].latencies_ms


def test_the_oracle_model_closes_the_loop(factory):
    runner = EpisodeRunner(REACH, None, factory)
    for task in TASKS[:2]:
        record = runner(EpisodeTask("oracle", task.seed)).record
        assert record.success_at_end
