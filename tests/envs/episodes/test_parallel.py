import importlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from envs.episodes.parallel import WorkerError, parallel_map


class Square:
    """Squares, but takes its time for even numbers."""

    def __call__(self, number):
        time.sleep(0.01 * (number % 2 == 0))
        return number**2


class Note:
    """Leaves a file named after its process, then works for a while."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def __call__(self, seconds):
        (self.folder / str(os.getpid())).touch()
        time.sleep(seconds)


class Count:
    """Counts its own tasks, until it is closed."""

    def __init__(self):
        self.number, self.closed = 0, False

    def __call__(self, _):
        self.number += 1
        return self.number

    def close(self):
        self.closed = True


class PickyError(Exception):
    """An error that cannot be pickled."""

    def __init__(self, *, reason):
        super().__init__(reason)


def fail(number, *, error):
    if number == 3:
        raise error
    return number


def raise_picky(number):
    raise PickyError(reason="too sour")


def make_nothing():
    raise ValueError("there is no checkpoint")


def die(number, *, how):
    if number == 3:
        how()
    return number


def kill_myself():
    os.kill(os.getpid(), signal.SIGKILL)


def exit_quietly():
    os._exit(7)


def import_helper(_):
    """Imports a module that only the test's own `sys.path` leads to."""
    return importlib.import_module("only_here").NAME


def environment(name):
    return os.environ.get(name)


def process_id(_):
    return os.getpid()


def loaded(module):
    return module in sys.modules


def run(make_function, tasks, *, num_workers=2, chunk_size=1):
    return list(
        parallel_map(
            make_function, tasks, num_workers=num_workers, chunk_size=chunk_size, description="test", unit="task"
        )
    )


@pytest.mark.parametrize(("num_workers", "chunk_size"), [(1, 1), (2, 4), (3, 1)])
def test_results_come_in_order_at_any_parallelism(num_workers, chunk_size):
    results = run(Square, range(21), num_workers=num_workers, chunk_size=chunk_size)
    assert results == [number**2 for number in range(21)]


def test_nothing_to_do_is_done():
    assert run(Square, []) == []


def test_the_function_is_made_once_a_worker():
    numbers = run(Count, range(40), chunk_size=3)
    assert sorted(numbers).count(1) <= 2 and max(numbers) >= 20


def test_one_of_several_workers_is_another_process_and_one_alone_is_this_one():
    assert os.getpid() not in run(partial(partial, process_id), range(4))
    assert set(run(partial(partial, process_id), range(4), num_workers=1)) == {os.getpid()}


def test_one_worker_alone_does_what_is_asked_for_and_is_closed_at_the_end_whatever_ends_it():
    made = []

    def make():
        made.append(Count())
        return made[-1]

    results = parallel_map(make, range(3), num_workers=1, chunk_size=1, description="test", unit="task")
    assert not made
    assert next(results) == 1 and made[0].number == 1 and not made[0].closed
    results.close()
    assert made[0].number == 1 and made[0].closed
    assert run(make, range(3), num_workers=1) == [1, 2, 3] and made[1].closed
    assert run(make, [], num_workers=1) == [] and len(made) == 2


def test_one_worker_alone_that_exits_is_one_clear_error():
    with pytest.raises(WorkerError, match=r"^test: what was at work ended itself with exit code 7"):
        run(partial(partial, die, how=partial(sys.exit, 7)), range(10), num_workers=1)


def test_an_error_in_closing_hides_no_other_and_fails_no_finished_work():
    class Stuck:
        def __call__(self, number):
            return 6 // number

        def close(self):
            raise RuntimeError("cannot park")

    assert run(Stuck, [1, 2, 3], num_workers=1) == [6, 3, 2]
    with pytest.raises(ZeroDivisionError):
        run(Stuck, [1, 0], num_workers=1)


def test_a_worker_has_one_thread_and_no_torch():
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    assert run(partial(partial, environment), names) == ["1", "1", "1"]
    assert run(partial(partial, loaded), ["torch", "mujoco"]) == [False, False]


def test_a_worker_finds_what_its_caller_does_whatever_the_folder_is_called(tmp_path, monkeypatch):
    folder = tmp_path / "a: b, 'c' é"
    folder.mkdir()
    (folder / "only_here.py").write_text("NAME = 'found'")
    monkeypatch.setattr(sys, "path", [tmp_path, *sys.path, str(folder)])  # Python passes over what is no text
    assert run(partial(partial, import_helper), [1]) == ["found"]


def test_an_error_is_raised_as_it_was_with_the_workers_traceback():
    with pytest.raises(ZeroDivisionError) as error:
        run(partial(partial, fail, error=ZeroDivisionError("by nothing")), range(10))
    assert str(error.value) == "by nothing"
    assert "in fail" in error.value.__notes__[0]


def test_an_error_that_cannot_travel_sends_its_text():
    with pytest.raises(RuntimeError, match="PickyError: too sour"):
        run(partial(partial, raise_picky), [1])


def test_an_error_while_making_the_function_is_raised():
    with pytest.raises(ValueError, match="there is no checkpoint"):
        run(make_nothing, [1, 2, 3])


def test_a_killed_worker_is_one_clear_error():
    with pytest.raises(WorkerError, match=r"^test: worker process \d+ was ended by SIGKILL; if memory ran out"):
        run(partial(partial, die, how=kill_myself), range(10))


def test_a_worker_that_exits_is_one_clear_error():
    with pytest.raises(WorkerError, match=r"^test: worker process \d+ ended with exit code 7"):
        run(partial(partial, die, how=exit_quietly), range(10))


@pytest.mark.parametrize("values", [{"num_workers": 0}, {"chunk_size": 0}])
def test_no_workers_do_no_work(values):
    with pytest.raises(ValueError, match="must be at least 1"):
        run(Square, [1], **values)


def is_running(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def workers_in(folder):
    return [int(path.name) for path in folder.iterdir()]


def test_workers_end_when_the_iterator_is_left(tmp_path):
    results = parallel_map(
        partial(Note, tmp_path), [0.0] + [60.0] * 5, num_workers=2, chunk_size=1, description="test", unit="task"
    )
    next(results)
    results.close()
    assert not any(is_running(process) for process in workers_in(tmp_path))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_its_caller_by_the_rest_of_its_task(tmp_path, sent):
    script = (
        "from functools import partial; from envs.episodes.parallel import parallel_map; "
        f"from {__name__} import Note; "
        f"list(parallel_map(partial(Note, {str(tmp_path)!r}), [600] * 1000, "
        "num_workers=2, chunk_size=1, description='test', unit='task'))"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", script],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    wait_until(lambda: len(workers_in(tmp_path)) == 2)
    assert all(is_running(process) for process in workers_in(tmp_path))
    caller.send_signal(sent)
    _, said = caller.communicate(timeout=60)
    assert caller.returncode == -sent
    assert said.count("Traceback") <= 1
    wait_until(lambda: not any(is_running(process) for process in workers_in(tmp_path)))
