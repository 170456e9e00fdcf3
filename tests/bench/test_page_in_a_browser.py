"""The page in headless Chromium, opened as a person does: from a file, without a network.

The browser is spoken to over two pipes in its own protocol (Chrome DevTools Protocol), so nothing need be installed but
the browser itself (Debian: ``apt-get install chromium-headless-shell``).
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketrec.bench.comparison import front
from pocketrec.bench.comparison_tables import differences
from pocketrec.bench.grouping import scenes
from pocketrec.bench.report import write_report

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_S = 60  # on a machine where others compute

pytestmark = pytest.mark.slow


class Browser:
    """One browser with one tab.

    Attributes:
        events: what the browser told without being asked, since the last page was opened.
    """

    def __init__(self, program: str, profile: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        # The browser reads descriptor 3 and writes 4. High numbers first, so that no two of them clash on the way.
        read, write = (fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (ours[0], theirs[1]))
        become = f"import os, sys; os.dup2({read}, 3); os.dup2({write}, 4); os.execv(sys.argv[1], sys.argv[1:])"
        flags = ["--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--window-size=1400,1000",
                 f"--user-data-dir={profile}"]  # fmt: skip
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # root has none to give
        self._process = subprocess.Popen(
            [sys.executable, "-c", become, program, *flags], pass_fds=(read, write), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for fd in (ours[0], theirs[1], read, write):
            os.close(fd)
        self._to, self._from = ours[1], theirs[0]
        self._buffer, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What the browser answers."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        found: dict[str, Any] = answer["result"]
        return found

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], PATIENCE_S)
            assert ready, f"the browser said nothing for {PATIENCE_S} s"
            more = os.read(self._from, 1 << 20)
            assert more, "the browser ended"
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found

    def open(self, path: Path) -> None:
        """Show a file, and wait until it is there."""
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        until = time.monotonic() + PATIENCE_S
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            assert time.monotonic() < until, "the page did not load"
            self.call("Runtime.evaluate", expression="0")

    def ask(self, expression: str) -> Any:
        """The value of an expression of JavaScript, as JSON."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Ask until the answer is true."""
        until = time.monotonic() + PATIENCE_S
        while not (found := self.ask(expression)):
            assert time.monotonic() < until, f"never came true: {expression}"
            time.sleep(0.05)
        return found

    def complaints(self) -> list[Any]:
        """Exceptions, and warnings and errors of the console; what the policy of the page forbade is among them."""
        kinds = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}
        return [
            e["params"]
            for e in self.events
            if e.get("method") in kinds and e["params"].get("type") not in {"log", "info", "debug"}
        ]

    def fetched(self) -> list[str]:
        """Addresses that were asked for."""
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]

    def close(self) -> None:
        os.close(self._to)
        os.close(self._from)
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no Chromium on the PATH (looked for {', '.join(NAMES)})")
    found = Browser(program, tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture
def page(browser: Browser, study, make_run, tmp_path: Path) -> Browser:
    """The study, and a run of another data set."""
    runs = [*study, make_run(data="other", method="lma", ns_per_lookup=12.0)]
    browser.open(write_report(runs, tmp_path / "report.html", "A study"))
    browser.wait_for("document.querySelectorAll('#auc-1 .points path').length > 0")
    return browser


# A chart is drawn when it comes into view.
SEE_ALL = """(async () => { for (const plot of document.querySelectorAll('.plot')) {
  plot.scrollIntoView({behavior: 'instant'}); await new Promise(done => setTimeout(done, 100)); } })()"""
POINTS = "document.querySelectorAll('#auc-1 .scatterlayer .trace .points path').length"
COUNT = "document.getElementById('count').textContent"
ROWS = "[...document.querySelectorAll('#standings-0 tr[data-groups]')].filter(r => r.offsetParent).map(r => r.id)"
FRONT = """(() => { const t = document.getElementById('auc-1').data.find(t => t.name === 'Pareto front');
  return t.x.map((x, k) => [x, t.y[k]]); })()"""


def choose(browser: Browser, name: str, of: str = "Method") -> None:
    """Click a box of the filter."""
    browser.ask(
        f"""[...document.querySelectorAll('fieldset')].find(f => f.querySelector('legend').textContent === '{of}')
        .querySelectorAll('label').forEach(l => {{ if (l.textContent.trim() === '{name}') l.click(); }})"""
    )


def test_it_opens_from_a_file_without_a_complaint_or_a_request(page: Browser) -> None:
    page.ask(SEE_ALL)
    page.wait_for("document.querySelectorAll('.plot:not(.js-plotly-plot)').length === 0")
    assert page.complaints() == []
    (address,) = [url for url in page.fetched() if not url.startswith(("data:", "blob:"))]
    assert address.startswith("file://")
    assert page.ask(POINTS) == 6 + 18  # means and seeds
    assert page.ask(COUNT) == "7 of 7 points shown"
    assert not page.ask(
        "[...document.querySelectorAll('.modebar-btn')].some(b => /share|cloud/i.test(b.dataset.title))"
    )


def test_a_box_changes_points_rows_and_sections(page: Browser) -> None:
    choose(page, "min_count")
    assert page.ask(COUNT) == "4 of 7 points shown"
    page.wait_for(f"{POINTS} === 3 + 9")
    assert page.ask(ROWS) == ["group-0", "group-3", "group-5"]
    choose(page, "sample", "Data set")
    assert page.ask("document.getElementById('scene-1').hidden")
    assert not page.ask("document.getElementById('scene-2').hidden")
    page.ask("document.getElementById('reset').click()")
    page.wait_for(f"{POINTS} === 6 + 18")
    assert page.ask(COUNT) == "7 of 7 points shown"
    assert page.complaints() == []


def test_a_range_of_budgets(page: Browser) -> None:
    page.ask("(s => { s.value = '40000'; s.dispatchEvent(new Event('change')); })(document.getElementById('to'))")
    assert page.ask(COUNT) == "6 of 7 points shown"
    assert "group-0" not in page.ask(ROWS)
    page.ask("(s => { s.value = '40000'; s.dispatchEvent(new Event('change')); })(document.getElementById('from'))")
    assert page.ask(ROWS) == ["group-1", "group-2", "group-3"]
    page.wait_for(f"{POINTS} === 3 + 9")


def test_nothing_left_is_said_and_no_error(page: Browser) -> None:
    page.ask("document.querySelector('button[data-all=no][aria-label^=Method]').click()")
    assert page.ask(COUNT) == "0 of 7 points shown"
    assert page.ask("document.getElementById('scene-1').hidden")
    page.ask("document.querySelector('button[data-all=yes][aria-label^=Method]').click()")
    page.wait_for(f"{POINTS} === 6 + 18")
    assert page.complaints() == []


def test_a_key_chooses_too(page: Browser) -> None:
    page.ask("document.querySelector('input[data-set=\"2\"]').focus()")
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=" ", code="Space", windowsVirtualKeyCode=32, text=" ")
    assert page.ask(COUNT) == "6 of 7 points shown"


def test_resting_on_a_point_tells_its_figures_and_a_click_goes_to_its_row(page: Browser) -> None:
    page.ask("document.getElementById('auc-1').scrollIntoView({block: 'center', behavior: 'instant'})")
    place = page.ask(
        """(() => { const plot = document.getElementById('auc-1');
        const robe = plot.data.findIndex(t => t.name === 'robe' && t.hovertext);
        const axes = plot._fullLayout, box = plot.querySelector('.nsewdrag').getBoundingClientRect();
        const at = plot.data[robe].customdata.indexOf(3);
        return [box.x + axes.xaxis.d2p(plot.data[robe].x[at]), box.y + axes.yaxis.d2p(plot.data[robe].y[at])]; })()"""
    )
    for nudge in (2, 0):
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0] + nudge, y=place[1])
    said = page.wait_for("document.querySelector('#auc-1 .hoverlayer .hovertext')?.textContent")
    for expected in (
        "robe", "sample, dlrm", "budget 10x: 40,000 bytes", "promised 39,996, held 39,996, file 39,996 bytes",
        "training 80,000, vocabulary 1,200, nets 43,110 bytes", "AUC 0.7560", "seeds 0, 1, 2", "41.5 s", "3f1c2ab",
    ):  # fmt: skip
        assert expected in said, expected
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)
    page.wait_for("document.activeElement.id === 'group-3'")


def test_the_front_is_that_of_what_is_shown(page: Browser, study) -> None:
    (scene,) = scenes(study)
    best = [[g.bytes, pytest.approx(g.metric("auc").mean)] for g in front(scene.groups)]
    assert page.ask(FRONT) == best
    choose(page, "min_count")
    left = [g for g in scene.groups if g.series.method != "min_count"]
    page.wait_for(f"{FRONT}.length === {len(front(left))}")
    assert page.ask(FRONT) == [[g.bytes, pytest.approx(g.metric("auc").mean)] for g in front(left)]


def test_the_axis_counts_other_bytes(page: Browser) -> None:
    page.ask("(s => { s.value = 'all'; s.dispatchEvent(new Event('change')); })(document.getElementById('counted'))")
    least = 3_996 + 1_200 + 43_110
    page.wait_for(f"document.getElementById('auc-1').data.some(t => t.name === 'robe' && t.x[0] === {least})")


def test_another_reference(page: Browser, study) -> None:
    (scene,) = scenes(study)
    row = "[...document.getElementById('group-4').cells].slice(-2).map(c => c.textContent)"
    assert page.ask(row) == ["the reference", ""]
    names = page.ask("[...document.querySelector('select[data-scene]').options].map(o => o.textContent)")
    assert names == ["the best of each budget", "min_count", "min_count, int8", "robe", "full at 1x"]
    for choice, other in ((3, 5), (4, 0)):
        page.ask(f"(s => {{ s.selectedIndex = {choice}; s.dispatchEvent(new Event('change')); }})"
                 "(document.querySelector('select[data-scene]'))")  # fmt: skip
        assert page.ask(row) == list(differences(scene)[4][other][:2])
    page.ask("(s => { s.selectedIndex = 0; s.dispatchEvent(new Event('change')); })"
             "(document.querySelector('select[data-scene]'))")  # fmt: skip
    assert page.ask(row) == ["the reference", ""]


def test_columns_are_sorted_within_their_budget(page: Browser) -> None:
    click = "[...document.querySelectorAll('#standings-0 th button')].find(b => b.textContent === 'AUC').click()"
    page.ask(click)
    assert page.ask(ROWS) == ["group-0", "group-3", "group-2", "group-1", "group-5", "group-4"]
    assert page.ask("document.querySelector('#standings-0 th[aria-sort]').getAttribute('aria-sort')") == "ascending"
    page.ask(click)
    assert page.ask(ROWS) == ["group-0", "group-1", "group-2", "group-3", "group-4", "group-5"]


def test_without_scripts_the_tables_are_there(page: Browser) -> None:
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.call("Page.reload")
        time.sleep(1)
        text = page.ask("document.body.innerText")
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert "Every number is in the tables." in text
    assert "Show all again" not in text
    assert "0.7560 \N{PLUS-MINUS SIGN} 0.0010" in text


def test_dark_rooms_and_paper(page: Browser) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('#auc-1 .xtick text')).fill"
    light = page.ask(f"[{paper}, {ink}]")
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    try:
        page.wait_for(f"{paper} !== {json.dumps(light[0])} && {ink} !== {json.dumps(light[1])}")
    finally:
        page.call("Emulation.setEmulatedMedia", features=[])
    page.wait_for(f"{ink} === {json.dumps(light[1])}")
    assert len(page.call("Page.printToPDF")["data"]) > 20_000
    assert page.ask("document.querySelectorAll('.plot:not(.js-plotly-plot)').length") == 0  # all were drawn for it
    assert page.complaints() == []


def test_a_narrow_window_has_room_for_the_chart(page: Browser) -> None:
    size = "(r => [r.width, r.height])(document.querySelector('#auc-1 .main-svg').getBoundingClientRect())"
    wide, height = page.ask(size)
    page.call("Emulation.setDeviceMetricsOverride", width=480, height=900, deviceScaleFactor=1, mobile=True)
    try:
        page.wait_for(f"{size}[0] < 480")
        assert page.ask(size)[1] == height
        assert page.ask("document.documentElement.scrollWidth") == 480
        assert not page.ask("document.querySelector('#auc-1 .legend')")
    finally:
        page.call("Emulation.clearDeviceMetricsOverride")
    page.wait_for(f"{size}[0] === {wide}")


def test_hostile_names_run_nothing_and_lead_nowhere(browser: Browser, make_run, tmp_path: Path) -> None:
    evil = (
        "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 2'><a href='https://x.example/'>a</a>"
    )
    also = "%{x}<b onmouseover='window.ran = 3'>$x$ &lt;img src=x onerror=alert(1)&gt;"
    runs = [
        make_run(
            data=text, model=text, method=text, storage=text, budget=text, commit=text, command=text, notes=(text,),
            options={text: text}, table_bytes={text: 20_232}, seed=seed, skipped=None,
        )
        for text in (evil, also)
        for seed in (0, 1)
    ]  # fmt: skip
    browser.open(write_report([*runs, make_run(method=evil, auc=None, skipped=evil)], tmp_path / "e.html", evil))
    browser.wait_for("document.querySelectorAll('#auc-1 .points path').length > 0")
    browser.ask(SEE_ALL)
    browser.wait_for("document.querySelectorAll('.plot:not(.js-plotly-plot)').length === 0")
    for place, wanted in (("auc-1", "t.hovertext"), ("bytes-1-0", "true")):
        browser.ask(
            f"(p => Plotly.Fx.hover(p, [{{curveNumber: p.data.findIndex(t => {wanted}), pointNumber: 0}}]))"
            f"(document.getElementById('{place}'))"
        )
        assert evil[:30] in browser.wait_for(f"document.querySelector('#{place} .hoverlayer .hovertext')?.textContent")
    assert browser.ask("window.ran ?? null") is None
    assert browser.ask("document.querySelectorAll('img, [onerror], [onmouseover], .plot a[href*=example]').length") == 0
    assert browser.ask("[...document.querySelectorAll('a')].every(a => (a.getAttribute('href') ?? '#')[0] === '#')")
    assert browser.ask("document.querySelector('h1').textContent") == evil
    assert browser.complaints() == []
