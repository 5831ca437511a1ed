"""What a finished run is surprised by."""

import json

import pytest

from agent import api
from agent.run.cli import main
from jepa_mpc.errors import UserError


def test_a_run_tells_what_it_is_surprised_by(smoke_push_run, tmp_path, capsys):
    command = ["surprise", f"run={smoke_push_run}", "num_episodes=80", f"output={tmp_path}/out"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "AUC" in printed and "vanish" in printed
    found = json.loads((tmp_path / "out" / "surprise.json").read_text())
    assert "recolor" not in found["tricks"], "numbers tell no colour"
    assert (found["split"], found["num_episodes"], found["num_possible"]) == ("validation", 80, 80 * 25)
    vanished = found["tricks"]["vanish"]
    assert vanished["num_pairs"] == len(vanished["impossible"]) == len(vanished["possible"]) >= 20
    assert vanished["area"]["rate"] > 0.9, "even a model that has learned next to nothing knows where things are"
    assert (tmp_path / "out" / "surprise.png").is_file() and (tmp_path / "out" / "strangest.png").is_file()
    assert main(command) == 0
    assert json.loads((tmp_path / "out" / "surprise.json").read_text()) == found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": "REACH"}, "surprise is measured where a thing can be made to do what nothing does, as env=push"),
        ({"num_episodes": 19}, "surprise.num_episodes must be"),
        ({"split": "test"}, "surprise.split must be one of"),
        ({"run": None}, "surprise needs the folder of a finished run"),
    ],
)
def test_a_mistake_is_one_sentence(smoke_run, smoke_push_run, tmp_path, changes, message):
    runs = {"REACH": smoke_run, None: None}
    run = runs.get(changes.pop("run", "PUSH"), smoke_push_run)
    asked = {"run": run} if run is not None else {}
    with pytest.raises(UserError, match=message.replace("(", r"\(").replace(")", r"\)")):
        api.surprise(**asked, **changes, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
