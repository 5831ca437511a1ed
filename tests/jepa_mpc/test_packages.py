import os
import subprocess
import sys

import pytest

from jepa_mpc.packages import PACKAGES


def python(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([".", *filter(os.path.isabs, sys.path)])}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", [f"{package}.py" for package in PACKAGES[1:]] + ["envs/__init__.py"])
def test_a_file_with_the_name_of_one_of_our_packages_is_named(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    said = python(tmp_path, "-c", "from agent import load_agent").stderr.splitlines()[-1]
    assert f"'{tmp_path / name}' is in the way: Python takes it for jepa-mpc's package" in said


def test_the_command_line_opens_whatever_lies_in_the_working_folder(tmp_path):
    for package in PACKAGES:
        (tmp_path / f"{package}.py").write_text("")
    code = "import sys; from jepa_mpc.command import main; sys.argv[1:] = {}; sys.exit(main())"
    collect = ["collect", "num_episodes=2", "num_steps=5", "output=data"]
    assert python(tmp_path, "-c", code.format(["--help"])).returncode == 0
    assert python(tmp_path, "-c", code.format(collect)).returncode == 0  # workers too
    assert (tmp_path / "data" / "manifest.json").is_file()
