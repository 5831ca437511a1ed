import numpy as np
import pytest

from agent.evaluation.scenarios.undisturbed import Undisturbed
from agent.evaluation.view import rerun_export
from agent.evaluation.view.rerun_export import trace_episode, write_recording
from envs.rendering import NothingRenders
from envs.types import Frame, Verdict
from jepa_mpc.errors import UserError

NUM_STEPS, STEP = 5, 0.1


class PointTask:
    """The point of the integrator's world: it moves as its agent imagines."""

    criterion = "within 3 cm"

    def __init__(self, spec, *, draws=True):
        self.spec, self._draws = spec, draws

    def reset(self, seed):
        self._position = np.zeros(3, np.float32)
        return self._frame()

    def step(self, action):
        self._position = self._position + STEP * action
        return self._frame()

    def picture(self):
        if not self._draws:
            raise NothingRenders("no driver")
        return np.full((4, 4, 3), 100, np.uint8)

    def close(self):
        pass

    def _frame(self):
        goal = {"position": np.array([0.5, -0.3, 0.2], np.float32)}
        left = float(np.linalg.norm(goal["position"] - self._position))
        verdict = Verdict(left < 0.03, {"position": (left, "m")}, terminated=False, truncated=False)
        return Frame({"position": self._position, "clock": np.zeros(2, np.float32)}, goal, verdict)


class Brief(Undisturbed):
    def __init__(self, spec):
        super().__init__(spec)
        self.num_steps = NUM_STEPS


@pytest.fixture
def trace(make_actor, spec):
    return trace_episode(PointTask(spec), make_actor(), Brief(spec), seed=3)


def test_a_trace_tells_what_the_agent_saw_wanted_and_imagined(trace):
    assert len(trace.decisions) == len(trace.pictures) == NUM_STEPS
    np.testing.assert_allclose(trace.goal["position"], [0.5, -0.3, 0.2], atol=1e-6)
    for step, decision in enumerate(trace.decisions):
        position = trace.episode.observations["position"][step]
        np.testing.assert_array_equal(decision.embedding[:3], position)
        np.testing.assert_array_equal(decision.imagined[0], decision.embedding)
        imagined = position + STEP * np.cumsum(decision.plan_actions, axis=0)  # the world that it knows
        np.testing.assert_allclose(decision.imagined[1:, :3], imagined, atol=1e-5)
        assert decision.plan_cost > 0 and decision.choice.num_evaluations == 256


def test_an_agent_that_reacts_has_no_plan_to_tell(make_actor, spec, policy):
    trace = trace_episode(PointTask(spec), make_actor(policy=policy, mode="reactive"), Brief(spec), seed=3)
    for decision in trace.decisions:
        assert (decision.plan_cost, decision.plan_actions, decision.imagined) == (None, None, None)


def test_between_decisions_nothing_is_told_of_them(make_actor, spec):
    trace = trace_episode(PointTask(spec), make_actor(action_repeat=2), Brief(spec), seed=3)
    assert [decision is not None for decision in trace.decisions] == [True, False, True, False, True]


def test_where_nothing_renders_a_trace_has_no_pictures_and_says_so_once(make_actor, spec, capsys):
    trace = trace_episode(PointTask(spec, draws=False), make_actor(), Brief(spec), seed=3)
    assert not trace.pictures and len(trace.decisions) == NUM_STEPS
    assert capsys.readouterr().out == "no pictures: no driver\n"


def test_without_the_package_one_sentence_names_the_extra(trace, spec, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(rerun_export, "import_module", missing)
    with pytest.raises(UserError, match=r"the extra 'rerun', .*: `pip install 'jepa-mpc\[rerun\]'`"):
        write_recording(trace, tmp_path / "x.rrd", spec=spec)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def read():
    """Returns what reads a recording back: entity to its times in seconds and its values, as arrow has them."""
    chunk = pytest.importorskip("rerun.chunk", reason="rerun-sdk is missing, or too old to read back")

    def read(path):
        found = {}
        for part in chunk.RrdReader(str(path)).stream().to_chunks():
            batch = part.to_record_batch()
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            if "time" not in columns:
                continue
            times = columns.pop("time").cast("int64").to_numpy() / 1e9
            for name, column in columns.items():
                if name.startswith(("Scalars:", "TextLog:text", "Tensor:", "BarChart:values", "Image:buffer")):
                    values = found.setdefault(part.entity_path, {})
                    values |= {time: it for time, it in zip(times.round(6), column.to_pylist(), strict=True) if it}
        return found

    return read


def test_a_recording_can_be_read_back(trace, spec, tmp_path, read):
    path = write_recording(trace, tmp_path / "new" / "x.rrd", spec=spec)
    assert [entry.name for entry in path.parent.iterdir()] == ["x.rrd"]
    found = read(path)
    times = np.round(np.arange(NUM_STEPS + 1) * spec.control_dt, 6).tolist()
    assert sorted(found["/readings/position"]) == times  # the axis is in seconds
    for step, time in enumerate(times):
        np.testing.assert_allclose(
            found["/readings/position"][time], trace.episode.observations["position"][step], atol=1e-6
        )
        left, _ = trace.episode.verdicts[step].distances["position"]
        assert found["/distance/position"][time] == [pytest.approx(left)]
        assert found["/success"][time] == [float(trace.episode.verdicts[step].success)]
    for step, time in enumerate(times[:-1]):
        decision = trace.decisions[step]
        np.testing.assert_allclose(found["/action"][time], trace.episode.actions[step], atol=1e-6)
        assert found["/agent/mode"][time] == ["planning"]
        assert found["/agent/evaluations"][time] == [256]
        assert found["/agent/plan/cost"][time] == [pytest.approx(decision.plan_cost)]
        assert found["/agent/surprise"][time] == [pytest.approx(decision.choice.situation.surprise)]
    assert {"/picture", "/agent/embedding", "/agent/plan/imagined", "/agent/plan/actions"} <= set(found)
    assert sorted(found["/picture"]) == times[:-1]


def test_what_a_camera_sees_is_recorded_as_a_picture(trace, spec, tmp_path, read):
    seen = np.full((NUM_STEPS + 1, 4, 4, 3), 7, np.uint8)
    trace.episode.observations["camera"] = seen
    found = read(write_recording(trace, tmp_path / "x.rrd", spec=spec))
    assert len(found["/readings/camera"]) == NUM_STEPS + 1
