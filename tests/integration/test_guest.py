"""An agent in other people's processes."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch

from agent import load_agent

OBSERVATION = {
    "tip": np.array([0.45, -0.1, 0.15], np.float32),
    "joint_position": np.array([-0.2, 0.1, 0.0, -2.3, 0.0, 2.4, 0.8], np.float32),
    "joint_velocity": np.zeros(7, np.float32),
}


def actions(agent):
    agent.reset({"tip": [0.5, 0.1, 0.2]}, seed=0)
    return np.stack([agent.act(OBSERVATION) for _ in range(3)])


@pytest.fixture(scope="module")
def alone(smoke_run):
    return actions(load_agent(smoke_run))


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "host",
    [
        lambda: default_dtype(torch.float64),
        lambda: torch.device("meta"),
        torch.inference_mode,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: np.errstate(all="raise"),
        torch.no_grad,
    ],
)
def test_an_agent_is_loaded_the_same_whatever_its_host_has_set(smoke_run, alone, host):
    random_state = torch.random.get_rng_state()
    with host():
        set_by_host = torch.get_default_dtype(), torch.get_default_device(), torch.is_inference_mode_enabled()
        agent = load_agent(smoke_run)
        assert (
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.is_inference_mode_enabled(),
        ) == set_by_host
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert np.array_equal(actions(agent), alone)


@pytest.mark.parametrize("loading", [torch.inference_mode, nullcontext])
def test_an_agent_that_plans_by_gradients_may_be_loaded_where_there_are_none(smoke_run, loading):
    overrides = ["planner=gradient", "configurator.num_evaluations=16"]
    with loading():
        agent = load_agent(smoke_run, overrides)
    assert np.isfinite(actions(agent)).all()


def test_threads_load_and_act_at_once(smoke_run, alone):
    with ThreadPoolExecutor(3) as threads:
        for found in threads.map(lambda _: actions(load_agent(smoke_run)), range(3)):
            assert np.array_equal(found, alone)


FORKING = """
import os, sys
sys.path[:] = {path!r}
import numpy as np, torch
from agent import load_agent
torch.set_num_threads(2)
(torch.randn(512, 512) @ torch.randn(512, 512)).tanh().sum()  # its threads are there now
torch.randn(1_000_000).tanh()
agent = load_agent({folder!r})
agent.reset({{"tip": [0.5, 0.1, 0.2]}}, seed=0)
child = os.fork()
if not child:
    agent.act({{"tip": np.full(3, 0.3, np.float32), "joint_position": np.zeros(7), "joint_velocity": np.zeros(7)}})
    torch.randn(1_000_000).tanh()
    load_agent({folder!r})
    os._exit(5)
print(os.waitpid(child, 0)[1] >> 8)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_acts(smoke_run):
    code = FORKING.format(path=sys.path, folder=str(smoke_run))
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, process_group=0, text=True
    )
    try:
        assert process.communicate(timeout=120)[0].strip() == "5"
    finally:
        if process.poll() is None:  # it hangs, and so does what it forked
            os.killpg(process.pid, 9)
