"""What is measured is the command that was named."""

import sys
from pathlib import Path

import pytest

from benchmarks.memory import program
from jepa_mpc.errors import UserError


def test_a_program_that_is_installed_beside_this_python_needs_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert Path(program(["jepa-mpc", "doctor"])) == Path(sys.executable).with_name("jepa-mpc")


@pytest.mark.parametrize("command", [["no_such_program"], []])
def test_a_command_that_is_none_is_refused(command: list[str]) -> None:
    with pytest.raises(UserError, match="there is no"):
        program(command)
