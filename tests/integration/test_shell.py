"""The command line in other people's shells, services and terminals."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.run.cli import main
from agent.run.cli.errors import attempt
from agent.run.cli.sweep import run_all
from agent.run.config.composing import ConfigError

COMMAND = f'"{sys.executable}" -m jepa_mpc.command'
SMALL = "num_episodes=2 num_steps=5 num_workers=1"


def shell(command, *, cwd=None, **environment):
    path = os.pathsep.join(filter(os.path.isabs, sys.path))
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **environment},
        check=False,
    )


@pytest.mark.parametrize("command", ["run --help | head -n 1", "--help | true", "collect --help | head -c 1"])
def test_a_reader_that_leaves_hears_no_complaint(command):
    done = shell(f"{COMMAND} {command}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_leaves_loses_no_work(tmp_path):
    done = shell(f"{COMMAND} collect {SMALL} output={tmp_path}/x | true")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "x" / "manifest.json").is_file()


def test_streams_may_be_closed(tmp_path):
    assert shell(f"{COMMAND} collect {SMALL} output={tmp_path}/x <&- >&- 2>&-").returncode == 0
    assert (tmp_path / "x" / "manifest.json").is_file()
    assert shell(f"{COMMAND} collect {SMALL} nonesuch=1 output={tmp_path}/y 2>&-").returncode == 2


def test_what_a_terminal_cannot_show_is_spelled_out(tmp_path):
    done = shell(f"{COMMAND} collect {SMALL} output={tmp_path}/été", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert r"\xe9t\xe9" in done.stdout


def test_without_utf_8_files_are_read_as_they_are_written(tmp_path):
    bare = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert shell(f"{COMMAND} collect {SMALL} output={tmp_path}/x", **bare).returncode == 0
    assert shell(f"{COMMAND} run --help", **bare).returncode == 0


@pytest.mark.parametrize("name", ["v1 (final)", "été", "a,b", "ev=1", "a:b", "[x]", "it's", "$x", "{a: 1}", "x/"])
def test_a_name_is_what_the_shell_hands_over_in_single_runs_and_in_sweeps(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    small = SMALL.split()
    assert main(["collect", *small, f"output={name}"]) == 0
    assert main(["check-data", name]) == 0
    assert main(["collect", "-m", "seed=0,1", *small, f"output=m {name}"]) == 0
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([Path(name).name, Path(f"m {name}").name])
    assert sorted(entry.name for entry in (tmp_path / f"m {name}").iterdir()) == ["0", "1"]


def test_a_tilde_is_home(tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["collect", *SMALL.split(), "output=~/x"]) == 0
    assert main(["check-data", "~/x"]) == 0
    assert (tmp_path / "x" / "manifest.json").is_file() and not list((tmp_path / "here").iterdir())
    assert main(["evaluate", "run=~nobody of that name/x"]) == 2
    assert "asks for the home of somebody unknown here" in capsys.readouterr().err


def test_the_runs_of_a_sweep_go_on_after_one_that_is_refused(tmp_path, capsys):
    command = ["collect", "-m", "seed=0,1000,1", *SMALL.split(), f"output={tmp_path}/x"]
    assert main(command) == 2
    said = capsys.readouterr()
    assert sorted(entry.name for entry in (tmp_path / "x").iterdir()) == ["0", "2"]
    assert "sweep: 2 of 3 runs succeeded" in said.out
    refused = next(line for line in said.out.splitlines() if line.startswith("  seed=1000"))
    assert "refused: seed must be a whole number in 0..999, got 1000" in refused
    assert "[2/3] seed must be a whole number in 0..999, got 1000" in said.err


def test_the_runs_of_a_sweep_go_on_after_a_fault(capsys):
    done = []

    def run(overrides):
        done.append(overrides)
        if overrides == ["seed=0"]:
            raise KeyError("bug")
        return 0

    assert run_all([["seed=0"], ["seed=1"]], run) == 3
    assert done == [["seed=0"], ["seed=1"]]
    assert "seed=0  failed: KeyError; this is a fault of jepa-mpc" in capsys.readouterr().out


def test_a_fault_of_ours_shows_its_traceback_and_asks_for_a_report(capsys, monkeypatch):
    def broken(*arguments, **values):
        raise ValueError("shapes do not fit")

    monkeypatch.setattr("agent.run.stages.collect.output_folder", broken)
    assert main(["collect"]) == 3
    told = capsys.readouterr().err
    assert "Traceback" in told and "in broken" in told and "shapes do not fit" in told
    assert "this is a fault of jepa-mpc and no mistake of yours: please report it" in told.splitlines()[-1]


def test_a_fault_while_something_is_built_is_not_taken_for_a_users(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("planners.cem.CEM.__post_init__", lambda self: int("x"), raising=False)
    assert main(["run", f"output={tmp_path}/x"]) == 3
    assert "invalid literal for int()" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("seed must\n be 0"), 2, "seed must be 0"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), 2, "Read-only file system: /x"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "the disk is full; free some space, and"),
    ],
)
def test_a_users_mistake_is_one_sentence(error, code, said):
    def work():
        raise error

    outcome = attempt(work)
    assert outcome.code == code and said in outcome.said and "None" not in outcome.said


def test_a_working_folder_that_is_gone_is_one_sentence(tmp_path):
    done = shell(f"mkdir gone; cd gone; rmdir ../gone; {COMMAND} collect {SMALL} output={tmp_path}/x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("the working folder is not there any more: change to one that is")


def test_a_refused_collection_leaves_nothing_behind(tmp_path, capsys):
    assert main(["collect", "num_episodes=0", f"output={tmp_path}/x"]) == 2
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK])
def test_a_disk_without_locks_is_said_and_worked_on(tmp_path, monkeypatch, caplog, code):
    def refuse(file, operation):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert main(["collect", *SMALL.split(), f"output={tmp_path}/x"]) == 0
    assert f"the disk of '{tmp_path}/x' has no locks" in caplog.text
