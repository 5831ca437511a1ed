import json
import re
import shlex
import shutil

from agent.run.cli import main
from agent.run.config.composing import compose_config
from agent.run.config.saved import read_config
from agent.run.stages.run import run_stages


def text_of(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page.read_text()).split())


def test_a_run_leaves_a_report_of_what_it_learned_and_how_it_acts(smoke_push_run):
    text = text_of(smoke_push_run / "report.html")
    results = json.loads((smoke_push_run / "results.json").read_text())
    assert results["checkpoint"]["sha256"] in text
    for said in ("training: held-out prediction", "critic/cost_to_go: loss", "policy: loss", "contact.png"):
        assert said in text
    assert "There are no films of this evaluation." in text


def test_what_the_report_says_to_type_is_what_was_run(smoke_push_run):
    (command,) = re.findall("<code>(jepa-mpc run .*?)</code>", (smoke_push_run / "report.html").read_text())
    typed = shlex.split(command)[2:]
    saved = read_config(smoke_push_run)
    assert compose_config([*typed, f"output={smoke_push_run}"]).plain()["choices"] == saved["choices"]
    values = compose_config(typed).plain()["values"]
    differing = {key for key in values if values[key] != saved["values"][key]}
    assert differing == {"output"}


def test_an_evaluation_leaves_a_report_of_its_own(smoke_run, tmp_path, capsys):
    command = ["evaluate", f"run={smoke_run}", "videos=0", "num_workers=1", f"output={tmp_path}/x"]
    assert main([*command, "num_episodes=2", "planner.num_iterations=3"]) == 0
    assert f"report: {tmp_path}/x/report.html" in capsys.readouterr().out
    first = (tmp_path / "x" / "report.html").read_bytes()
    text = text_of(tmp_path / "x" / "report.html")
    assert "held-out prediction" not in text  # it trained nothing
    assert f"jepa-mpc evaluate run={smoke_run} num_episodes=2" in text
    assert f"output={smoke_run}" in text  # how the run was made
    assert main([*command, "num_episodes=1", "planner.num_iterations=3"]) == 0
    assert (tmp_path / "x" / "report_validation_1.html").is_file()
    assert (tmp_path / "x" / "report.html").read_bytes() == first


def test_from_python_the_report_is_at_hand(smoke_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(smoke_run, folder)
    saved = read_config(folder)["values"]
    run = run_stages(
        {
            "env": "reach",
            "experiment": "smoke",
            "evaluate.videos": 0,
            "planner.num_iterations": saved["planner"]["num_iterations"],
            "output": str(folder),
        }
    )
    assert run.report_file == run.evaluation.report_file == folder / "report.html"
    assert run.report_file.stat().st_mtime > (smoke_run / "report.html").stat().st_mtime
