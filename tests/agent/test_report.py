import base64
import json
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.evaluation.episodes import EpisodeRecord, EvaluatedEpisode
from agent.evaluation.outcomes import OUTCOMES
from agent.evaluation.pictures.files import write_film
from agent.evaluation.protocol import PROTOCOL
from agent.evaluation.report import outcomes as outcome_page
from agent.evaluation.report.card import card_section
from agent.evaluation.report.document import Report, render, write_report
from agent.evaluation.report.evaluation import evaluation_report
from agent.evaluation.report.training import read_curves, training_section
from agent.evaluation.report.ways import held
from agent.evaluation.results import make_results, percent

HOSTILE = "$x^1$\"'><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} #010203 &amp;"
VOID = {"img", "meta", "link", "br"}
CONTROL_DT = 0.05


@dataclass
class Element:
    tag: str
    attributes: dict
    text: str = ""
    children: list = field(default_factory=list)

    def all(self, *tags):
        for child in self.children:
            if child.tag in tags:
                yield child
            yield from child.all(*tags)

    @property
    def whole_text(self):
        return self.text + "".join(child.whole_text for child in self.children)


class Page(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.root = Element("root", {})
        self._open = [self.root]
        self.feed(html)
        assert self._open == [self.root]  # all is closed

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self._open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        self._open[-1].text += data


def parsed(report):
    return Page(render(report)).root


def staged(
    seed, path, *, at_end=False, limits=(), mode="planning", convergence=(1.0, 0.4, 0.0), name="block", spent=64
):
    """Returns an episode that went that way, decided at every second control step, and took 1, 2, 3 ... ms."""
    num_steps = len(path) - 1
    decides = [step % 2 == 0 for step in range(num_steps)]
    return EvaluatedEpisode(
        record=EpisodeRecord(
            seed, at_end, at_end, num_steps if at_end else None, {name: path[-1]}, num_steps, False, False, {}
        ),
        units={name: "m"},
        redrawn=0,
        latencies_ms=tuple(float(step + 1) for step in range(num_steps)),
        num_evaluations=tuple(spent * it for it in decides),
        modes=tuple(mode if it else None for it in decides),
        limits=(tuple(limits),) * num_steps,
        distances={name: tuple(path)},
        convergence=convergence if spent else (),
    )


@pytest.fixture(scope="module")
def make_report():
    """Returns a report of three episodes of an actor, one of each of three outcomes, and of the random agent's."""

    def make(*, name="a run", text="x", films=None, actor=None, further=(), distance="block"):
        actor = actor or [
            staged(1, np.linspace(0.4, 0.0, 21), at_end=True, name=distance),
            staged(2, [0.4] * 31, limits=(text,), name=distance, mode="hybrid"),
            staged(3, np.linspace(0.4, 0.2, 31), name=distance),
        ]
        beside = [replace(it, modes=(None,) * it.record.num_steps) for it in actor]
        description = {
            "env": text,
            "observation": text,
            "renderer": [text],
            "planner": text,
            "mode": "planning",
            "configurator": text,
            "scenario": text,
            "note": text,
            "seed": 0,
            "split": "validation",
            "first_entry": 0,
            "evaluation_looks": 1,
            "protocol": PROTOCOL,
            "reproducible": False,
            "not_reproducible": [text],
            "checkpoint": {"sha256": "0" * 64},
        }
        episodes = {"actor": actor, "random": beside}
        results = make_results(description, episodes, criterion=text, control_dt=CONTROL_DT, versions={text: "1"})
        card = card_section(results, num_cores=2, commands=[f"jepa-mpc {text}"])
        report = evaluation_report(
            results, episodes, name=name, control_dt=CONTROL_DT, films=films or {}, further=[*further, card]
        )
        return report, results

    return make


@pytest.fixture(scope="module")
def plain_report(make_report):
    return make_report()


@pytest.fixture
def films(tmp_path):
    """Films of the three episodes, each of its own colour; beside the second the picture of what was chosen."""
    paths = {}
    for seed in (1, 2, 3):
        frames = [np.full((16, 16, 3), 60 * seed + shade, np.uint8) for shade in (0, 30)]
        paths[seed] = write_film(frames, tmp_path / "videos" / f"actor_{seed}.webp", frame_dt=0.1)
    Image.new("RGB", (8, 8)).save(paths[2].with_suffix(".png"))
    return paths


def test_no_name_becomes_an_element_or_an_attribute(make_report, films):
    hostile, plain = (
        parsed(make_report(name=text, text=text, distance=text, films=films)[0]) for text in (HOSTILE, "harmless")
    )

    def shapes(page):
        return {(it.tag, *sorted(it.attributes)) for it in page.all(*{it.tag for it in everything(page)})}

    assert shapes(hostile) == shapes(plain)
    assert not list(hostile.all("script"))
    for tag in ("title", "h1", "svg", "desc", "td"):
        assert any(HOSTILE in it.whole_text for it in hostile.all(tag)), tag
    assert any(
        it.whole_text.strip().startswith(HOSTILE[:20]) for it in hostile.all("text")
    )  # of an axis, where room is short


def everything(element):
    for child in element.children:
        yield child
        yield from everything(child)


def test_every_drawing_picture_and_film_says_what_is_seen_in_it(make_report, films, tmp_path):
    write_film([np.zeros((16, 16, 3), np.uint8)] * 2, tmp_path / "actor_3.mp4", frame_dt=0.1)
    page = parsed(make_report(films=films | {3: tmp_path / "actor_3.mp4"})[0])
    drawings, pictures, videos = (list(page.all(tag)) for tag in ("svg", "img", "video"))
    assert len(drawings) >= 7 and len(pictures) == 3 and len(videos) == 1
    ids = [it.attributes["id"] for it in everything(page) if "id" in it.attributes]
    assert len(ids) == len(set(ids))
    for drawing in drawings:
        assert drawing.attributes["role"] == "img"
        named = dict.fromkeys(drawing.attributes["aria-labelledby"].split(), "")
        for it in drawing.all("title", "desc"):
            named[it.attributes["id"]] = it.text
        assert all(len(text) > 3 for text in named.values())
        for it in everything(drawing):
            for reference in (it.attributes.get("href"), it.attributes.get("clip-path")):
                assert reference is None or reference.removeprefix("url(").strip("#)") in ids
    assert all(len(it.attributes["alt"]) > 10 for it in pictures)
    assert all(len(it.attributes["aria-label"]) > 10 for it in videos)


def test_a_film_is_of_the_episode_that_it_names(make_report, films):
    report, _ = make_report(films=films)
    shown = {}
    for figure in parsed(report).all("figure"):
        if figure.attributes.get("class") == "film":
            film, *beside = figure.all("img")
            shown[figure.whole_text.split("Seed ")[1].split(":")[0]] = (film, len(beside), figure.whole_text)
    assert list(shown) == ["1", "2", "3"]  # successes first
    for seed, path in films.items():
        film, num_beside, text = shown[str(seed)]
        assert base64.b64decode(film.attributes["src"].partition("base64,")[2]) == path.read_bytes()
        assert f"seed {seed}:" in film.attributes["alt"]
        assert num_beside == (seed == 2)
        assert OUTCOMES[{1: "success", 2: "never_touched", 3: "still_on_its_way"}[seed]] in text
        assert {1: "0.0 cm", 2: "40.0 cm", 3: "20.0 cm"}[seed] in text


def test_films_beyond_the_room_of_a_page_are_named_and_not_shown(make_report, films, monkeypatch):
    monkeypatch.setattr(outcome_page, "MAX_FILM_BYTES", films[1].stat().st_size)
    page = parsed(make_report(films=films)[0])
    assert len(list(page.all("img"))) == 1
    assert "it lies in videos/actor_3.webp" in page.whole_text


def test_the_table_holds_the_numbers_of_the_results(plain_report):
    report, results = plain_report
    rows = [[it.text for it in row.all("th", "td")] for row in parsed(report).all("tr")]
    for name, agent in results["agents"].items():
        (row,) = (row for row in rows if row[0] == name)
        assert row == [name, percent(agent["success_at_end"]), percent(agent["success_once"]), "20.0 cm", "20", "3"]
    assert "33.3\u00a0%" in [it.text for it in parsed(report).all("dd")]


def test_the_share_of_each_outcome_is_that_of_the_episodes(plain_report):
    report, _ = plain_report
    titles = [it.text for it in parsed(report).all("h3")]
    assert [it for it in titles if "episode" in it] == [
        "Success: 1 episode",
        "Never touched: 1 episode",
        "Still on its way: 1 episode",
    ]


def test_latencies_are_those_of_the_steps_that_decide(plain_report):
    page = parsed(plain_report[0])
    (told,) = (it.text for it in page.all("desc") if it.text.startswith("Share of the control steps at which"))
    assert "p50 13.0 ms" in told  # of 1, 3 ... 19 and twice 1, 3 ... 29: the 20th and the 21st of 40


def test_what_is_missing_is_said(make_report):
    actor = [staged(1, [0.4] * 21, mode="reactive", spent=0)]
    text = parsed(make_report(actor=actor)[0]).whole_text
    assert "There are no films of this evaluation." in text
    assert "It never planned" in text
    assert "The guardrails changed nothing." in text
    assert "convergence" not in text


def test_a_plan_that_gains_nothing_has_no_convergence(make_report):
    page = parsed(make_report(actor=[staged(1, [0.4] * 21, convergence=())])[0])
    assert "No plan gained anything" in page.whole_text


def test_episodes_that_were_over_as_they_began_make_a_report_too(make_report):
    over = staged(1, [0.0])
    over = replace(over, record=replace(over.record, solved_at_start=True))
    text = parsed(make_report(actor=[over])[0]).whole_text
    assert "had nothing to decide" in text
    assert "each was solved before anything was done" in text


def test_what_is_over_stays_as_it_ended():
    assert held([[3.0, 2.0], [5.0, 4.0, 1.0]]).tolist() == [[3.0, 2.0, 2.0], [5.0, 4.0, 1.0]]


def test_the_page_needs_nothing_beside_it(make_report, films):
    for it in everything(parsed(make_report(films=films)[0])):
        for name in ("src", "href", "data", "poster", "srcset", "action"):
            assert it.attributes.get(name, "#").startswith(("#", "data:"))


def test_the_same_report_is_the_same_file(make_report, plain_report, tmp_path):
    reports = plain_report[0], make_report()[0]
    first, second = (write_report(it, tmp_path / name).read_bytes() for it, name in zip(reports, "ab", strict=True))
    assert first == second


def test_a_report_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = write_report(Report("first", "", (), ()), tmp_path / "report.html")
    first = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_report(Report("second", "", (), ()), path)
    assert path.read_bytes() == first and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def run_folder(tmp_path):
    """A run folder with a training that broke off in the middle of a line, a critic, and two pictures."""
    lines = [{"step": step, "train/loss": (1 + step % 7) / step} for step in range(1, 3001)]
    lines += [
        {
            "step": 3000,
            "validation/loss": None,
            "validation/error_first": 0.1,
            "validation/rank/tip": 1.5,
            "validation/rank_possible/tip": 3.0,
            "validation/std/tip": 0.7,
            "validation/probe/tip": 0.25,
        }
    ]
    folder = tmp_path / "run"
    for name in ("training", "critic/cost_to_go"):
        (folder / name).mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / name / "log.jsonl").write_text(text + '{"step": 3001, "train')
    (folder / "pictures").mkdir()
    for name in ("contact.png", "imagined_3.png"):
        Image.new("RGB", (8, 8)).save(folder / "pictures" / name)
    return folder


def test_a_training_is_drawn_from_its_log(run_folder):
    page = parsed(Report("", "", (), (training_section(run_folder),)))
    told = [it.text for it in page.all("desc")]
    assert "loss by step of the optimiser; in the end training 0.00" in told[0]
    assert "share of the possible rank by step of the optimiser; in the end tip 0.5" in told
    assert "R² of a linear probe: tip 0.25" in told
    assert "critic/cost_to_go: loss" in [it.text for it in page.all("h4")]
    assert len(list(page.all("img"))) == 2


def test_a_long_curve_is_a_short_path(run_folder):
    section = training_section(run_folder)
    assert len(read_curves(run_folder / "training" / "log.jsonl")["train/loss"].steps) == 3000
    assert max(len(figure.svg) for part in section.parts for figure in part.figures) < 20_000


def test_a_run_without_a_log_says_so(tmp_path):
    assert "neither a log of its training nor a picture" in training_section(tmp_path).text
