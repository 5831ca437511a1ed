"""The report as people see it: in a headless Chromium, driven by its DevTools protocol over two pipes."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.evaluation.pictures.files import write_film
from agent.evaluation.report.bars import bars
from agent.evaluation.report.document import Fact, Film, Report, Section, Table, write_report
from agent.evaluation.report.drawing import BLUE, draw
from agent.evaluation.report.media import embed

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

LONG = "a_name_without_an_end_" * 12
FINDINGS = """
(async () => {
  const seconds = performance.timing.loadEventEnd - performance.timing.navigationStart;
  for (const it of document.images) await it.decode().catch(() => {});
  for (const it of document.querySelectorAll("video"))
    if (it.readyState < 1) await new Promise(done => { it.onloadedmetadata = it.onerror = done; });
  const context = document.createElement("canvas").getContext("2d", {willReadFrequently: true}), known = {};
  const pixels = text => {
    if (text in known) return known[text];
    context.clearRect(0, 0, 1, 1); context.fillStyle = text; context.fillRect(0, 0, 1, 1);
    return known[text] = [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = rgb => rgb.slice(0, 3).map(it => it / 255)
    .map(it => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4)
    .reduce((sum, it, index) => sum + it * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = element => {
    for (let it = element; it; it = it.parentElement) {
      const colour = getComputedStyle(it).backgroundColor;
      if (pixels(colour)[3] === 255) return colour;
    }
    throw "nothing is behind";
  };
  const contrasts = {};
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["title", "desc"].includes(element.tagName)) continue;
    const style = getComputedStyle(element), drawn = element.closest("svg");
    const [one, other] = [drawn ? style.fill : style.color, behind(element)].map(it => luminance(pixels(it)));
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    contrasts[element.tagName] = Math.min(contrasts[element.tagName] ?? 99, contrast);
  }
  return JSON.stringify({
    seconds: seconds / 1000,
    width: document.documentElement.scrollWidth,
    background: getComputedStyle(document.body).backgroundColor,
    wide: [...document.querySelectorAll("body *")].filter(it => !it.closest(".scroll") && !it.closest("svg > *"))
      .filter(it => it.getBoundingClientRect().right > innerWidth + 0.5).map(it => it.tagName),
    sizes: [...document.images].map(it => it.naturalWidth),
    videos: [...document.querySelectorAll("video")].map(it => it.videoWidth),
    nameless: document.querySelectorAll("img:not([alt]), video:not([aria-label]), svg:not([aria-labelledby])").length,
    drawings: [...document.querySelectorAll("svg")].map(it => it.getBoundingClientRect().height),
    contrasts,
  });
})()
"""


class Browser:
    """One page of one browser; it needs no driver and no port.

    Attributes:
        complaints: What the page wrote to the console, and what it asked of a network.
    """

    def __init__(self, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
        script = f'exec "$@" 3<&{to_read} 4>&{to_write}'  # where Chromium expects its pipes
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", CHROMIUM, *flags, f"--user-data-dir={profile}"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self.complaints = []
        self._num_calls, self._rest, self._session = 0, b"", {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """Returns what the browser answers."""
        self._num_calls += 1
        message = {"id": self._num_calls, "method": method, "params": parameters, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._wait(lambda answer: answer.get("id") == self._num_calls)["result"]

    def show(self, page: Path, *, width, scheme):
        """Loads a page in a window of that width, in the light or the dark colour scheme."""
        phone = {"deviceScaleFactor": 2, "mobile": True} if width < 500 else {"deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, **phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=page.as_uri())
        self._wait(lambda event: event.get("method") == "Page.loadEventFired")

    def findings(self):
        """Returns what there is to say of the page that is shown."""
        answer = self.call("Runtime.evaluate", expression=FINDINGS, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return json.loads(answer["result"]["value"])

    def close(self):
        """Ends the browser."""
        self._session = {}
        self.call("Browser.close")
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def _wait(self, is_it):
        while True:
            message = self._next()
            parameters = message.get("params", {})
            url = parameters.get("request", {}).get("url", "data:")
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled") or (
                not url.startswith(("data:", "file:"))
            ):
                self.complaints.append(message)
            if is_it(message):
                return message

    def _next(self):
        while b"\0" not in self._rest:
            content = os.read(self._read, 2**16)
            assert content, "the browser has ended"
            self._rest += content
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report with all that there can be in one: long names, a wide table, a film of each format, drawings."""
    folder = tmp_path_factory.mktemp("report")
    frames = [np.full((320, 320, 3), shade, np.uint8) for shade in (0, 200)]
    films = [write_film(frames, folder / f"film.{kind}", frame_dt=0.1) for kind in ("gif", "webp", "mp4")]
    Image.new("RGB", (900, 800)).save(folder / "film.png")
    pictures = tuple(embed(path, f"A film as {path.suffix}") for path in (*films, folder / "film.png"))
    wide = Table("A wide table", tuple(map(str, range(20))), (("100.0 % (98.2 to 100.0)",) * 20,) * 3, "A note", 1)
    drawings = (
        bars(f"Bars of {LONG}", {LONG: 1.0, "b": 2.0}, [BLUE] * 2, label="episodes"),
        draw("Lines", "It rises", lambda axes: axes.plot([1, 10], [1, 10], label=LONG), caption="A caption"),
    )
    section = Section(
        title=f"A section {LONG}",
        text=LONG,
        figures=drawings,
        tables=(wide, Table("Pairs", ("what", "which"), (("checkpoint", "f" * 64),))),
        films=(Film("A film", LONG, pictures),),
        commands=(f"jepa-mpc run output={LONG}",),
        parts=(Section(title="A part", text="Of it."),),
    )
    facts = (Fact("100.0 %", "success", "of all"), Fact("1 ms", LONG, LONG))
    return write_report(Report(f"A run {LONG}", "What it comes to.", facts, (section, section)), folder / "report.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_a_report_is_readable(browser, page, width, scheme, record_property):
    browser.show(page, width=width, scheme=scheme)
    found = browser.findings()
    record_property("seconds to load", found["seconds"])
    assert browser.complaints == []
    assert found["width"] <= width and found["wide"] == []
    assert len(found["sizes"]) == 6 and min(found["sizes"]) >= 320
    assert found["videos"] == [320, 320]
    assert found["nameless"] == 0
    assert min(found["drawings"]) > 60
    assert found["background"] == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]
    assert {tag: it for tag, it in found["contrasts"].items() if it < 4.5} == {}
    assert {"H1", "TD", "TH", "text", "FIGCAPTION", "A", "CODE"} <= found["contrasts"].keys()
