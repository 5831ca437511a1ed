"""The one executor: a function mapped over independent tasks, in this process or in worker processes.

One worker alone is this very process: nothing has to start, and a debugger sees all of it. One of several is a fresh
interpreter that shares nothing with its caller, not even the caller's main module: it starts fast and needs no
`if __name__ == "__main__"`. It has one thread for numerical libraries, does not hear the terminal's Ctrl-C, and ends at
once when its caller does, whatever ended the caller.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.reduction import ForkingPickler
from threading import Thread
from typing import Any, TypeVar

from tqdm import tqdm

Task = TypeVar("Task")
Result = TypeVar("Result")

_THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LP_NUM_THREADS",
)
_SECONDS_TO_END = 10
_SECONDS_BETWEEN_LOOKS = 0.1


class WorkerError(RuntimeError):
    """A worker process ended in the middle of its work."""


def parallel_map(
    make_function: Callable[[], Callable[[Task], Result]],
    tasks: Sequence[Task],
    *,
    num_workers: int,
    chunk_size: int,
    description: str,
    unit: str,
) -> Iterator[Result]:
    """Yields the result of every task, in the order of the tasks, and shows progress on stderr where it is a terminal.

    The results depend on neither `num_workers` nor `chunk_size`. When the iterator is closed, by an exception or by
    Ctrl-C, the workers are killed at once.

    Args:
        make_function: Called once in every worker, before its first task; what it returns is called with each task. It
            is pickled where there are several workers, so it is importable, or a partial of something importable. Where
            this process is the only worker and what it returns has a `close`, that is called at the end; else all ends
            with the worker.
        tasks: Each pickled on its own way.
        num_workers: Processes, at least 1; 1 is this one.
        chunk_size: Tasks that a worker gets at a time, at least 1: more of them cost less talk, fewer end more evenly.
        description: What is going on, for the progress bar and for errors.
        unit: What one task is called.

    Raises:
        WorkerError: A worker was killed, or crashed, or the function ended its process.
        Exception: Whatever the function raised; in a worker process, with the worker's traceback as a note.
    """
    if num_workers < 1 or chunk_size < 1:
        raise ValueError(f"num_workers and chunk_size must be at least 1, got {num_workers} and {chunk_size}")
    chunks = [tasks[start : start + chunk_size] for start in range(0, len(tasks), chunk_size)]
    with tqdm(total=len(tasks), desc=description, unit=unit, disable=None) as progress:
        if num_workers == 1:
            yield from _here(make_function, tasks, progress, description)
            return
        message = bytes(ForkingPickler.dumps(make_function))
        workers: list[_Worker] = []
        try:
            for _ in range(min(num_workers, len(chunks))):
                workers.append(_Worker(message, description))
            yield from _in_order(chunks, workers, progress)
        except BaseException:
            for worker in workers:
                worker.kill()
            raise
        for worker in workers:
            worker.end()


def _here(
    make_function: Callable[[], Callable[[Any], Any]], tasks: Sequence[Any], progress: "tqdm[Any]", description: str
) -> Iterator[Any]:
    """Does one task after the other in this process, each when its result is asked for."""
    if not tasks:
        return
    function: Callable[[Any], Any] | None = None
    try:
        function = make_function()
        for task in tasks:
            result = function(task)
            progress.update()
            yield result
    except SystemExit as exit_:
        raise WorkerError(f"{description}: what was at work ended itself with exit code {exit_.code}") from exit_
    finally:
        _close(function)


def _close(function: object) -> None:
    """Closes what can be closed. An error is of no more use: the work is done, or has ended by another one."""
    if hasattr(function, "close"):
        with suppress(Exception):
            function.close()


def _in_order(chunks: list[Sequence[Any]], workers: list["_Worker"], progress: "tqdm[Any]") -> Iterator[Any]:
    """Keeps every worker busy, and yields the results of a chunk when those of all chunks before it are out."""
    waiting = iter(enumerate(chunks))
    for worker in workers:
        worker.send(*next(waiting))
    finished: dict[int, list[Any]] = {}
    for index in range(len(chunks)):
        while index not in finished:
            for worker in _ready(workers):
                place, results = worker.receive()
                finished[place] = results
                progress.update(len(results))
                if (chunk := next(waiting, None)) is not None:
                    worker.send(*chunk)
        yield from finished.pop(index)


def _ready(workers: list["_Worker"]) -> list["_Worker"]:
    connections = wait([worker.connection for worker in workers])
    return [worker for worker in workers if worker.connection in connections]


class _Worker:
    """The caller's end of a worker process."""

    def __init__(self, make_function: bytes, description: str) -> None:
        self._description = description
        self.connection, far_end = Pipe()
        with far_end:
            self._process = subprocess.Popen(
                python_command(f"from envs.episodes.parallel import _serve; _serve({far_end.fileno()}, {os.getpid()})"),
                env={**os.environ, **dict.fromkeys(_THREAD_COUNTS, "1")},
                pass_fds=[far_end.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        self._guarded(self.connection.send_bytes, make_function)

    def send(self, place: int, tasks: Sequence[Any]) -> None:
        """Hands over a chunk of tasks."""
        self._guarded(self.connection.send, (place, tasks))

    def receive(self) -> tuple[int, list[Any]]:
        """Waits for a chunk's results, or raises what the function raised."""
        place, outcome = self._guarded(self.connection.recv)
        if isinstance(outcome, BaseException):
            raise outcome
        return place, outcome

    def kill(self) -> None:
        """Ends the process in the middle of whatever it does."""
        self._process.kill()
        self._process.wait()
        self.connection.close()

    def end(self) -> None:
        """Lets an idle process end by itself."""
        self.connection.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.kill()

    def _guarded(self, exchange: Callable[..., Any], *message: Any) -> Any:
        try:
            return exchange(*message)
        except (EOFError, ConnectionError):
            code = self._process.wait()
        if code < 0:
            cause = f"was ended by {signal.Signals(-code).name}; if memory ran out, choose a smaller num_workers"
        else:
            cause = f"ended with exit code {code}; what it said stands above"
        raise WorkerError(f"{self._description}: worker process {self._process.pid} {cause}")


def python_command(code: str, *arguments: str) -> list[str]:
    """Returns the command of another Python that runs `code` and finds what this one does, wherever it starts.

    Python itself passes over entries of `sys.path` that are no text, and `PYTHONPATH` has no way to say a colon.
    """
    paths = [path for path in sys.path if isinstance(path, str)]
    finds = f"import sys; sys.path[:] = {paths!a}; from jepa_mpc.packages import prefer_packages; prefer_packages()"
    return [sys.executable, "-P", "-c", f"{finds}; {code}", *arguments]


def _serve(file_descriptor: int, caller: int) -> None:
    """The worker's end: answers chunk after chunk until the caller, a process id, hangs up or is no more."""
    Thread(target=_end_with, args=(caller,), daemon=True).start()
    connection: Connection[Any, Any] = Connection(file_descriptor)
    function: Callable[[Any], Any] | None = None
    try:
        make_function = connection.recv_bytes()
        while True:
            place, tasks = connection.recv()
            try:
                function = function or ForkingPickler.loads(make_function)()
                outcome: list[Any] | Exception = [function(task) for task in tasks]
            except Exception as error:
                outcome = _portable(error)
            connection.send((place, outcome))
    except (EOFError, ConnectionError):
        return


def _end_with(caller: int) -> None:
    """Kills this process, and those that it started, soon after its caller's end, in the middle of whatever it does."""
    while os.getppid() == caller:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.killpg(os.getpid(), signal.SIGKILL)


def _portable(error: Exception) -> Exception:
    """Returns the error with its traceback as a note, or its text where the error itself cannot travel."""
    note = f"in a worker process:\n{traceback.format_exc()}"
    error.add_note(note)
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
        error.add_note(note)
    return error
