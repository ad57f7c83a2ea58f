"""The page in a real browser: `make test-browser`. It wants Debian's packages chromium and chromium-driver."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import batch, classifier
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from test_page import FEEDS, HOSTILE, HOSTILE_STEP, deep, hostile, scalar

import graphc as gc

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1500,950",
)

Open = Callable[..., "Shown"]


class Shown:
    """A page in the browser, and what one does with it."""

    def __init__(self, browser: Chrome) -> None:
        self.browser = browser
        self.wait = WebDriverWait(browser, 20)

    def all(self, css: str) -> list[Any]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, css)

    def box(self, title: str) -> Any:
        """The box with this title, spaces between its parts aside."""
        found = [each for each in self.all(".box") if title_of(each).split() == title.split()]
        assert len(found) == 1, [title_of(each) for each in self.all(".box")]
        return found[0]

    def click(self, title: str) -> None:
        self.press(self.box(title).find_element(By.TAG_NAME, "rect"))

    def press(self, element: Any) -> None:
        ActionChains(self.browser).move_to_element(element).click().perform()

    def open_tab(self, name: str) -> None:
        self.one(f"#tab-{name}").click()
        self.wait.until(lambda _: self.one("#sheet").get_attribute("aria-labelledby") == f"tab-{name}")
        self.wait.until(lambda _: self.all("#sheet .line") or self.all("#sheet table") or self.all("#sheet svg"))

    def keys(self, *keys: str) -> None:
        ActionChains(self.browser).send_keys(*keys).perform()

    @property
    def heading(self) -> str:
        return str(self.one("#details h2").text)

    def script(self, code: str) -> Any:
        return self.browser.execute_script(code)


def title_of(box: Any) -> str:
    return str(box.find_element(By.CSS_SELECTOR, ".title").get_property("textContent"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    missing = [str(each) for each in (CHROMIUM, DRIVER) if not each.exists()]
    if missing:
        pytest.fail(f"{' and '.join(missing)} missing: apt-get install chromium chromium-driver", pytrace=False)
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = Chrome(options=options, service=Service(executable_path=str(DRIVER)))
    yield made
    made.quit()


@pytest.fixture
def show(browser: Chrome, tmp_path: Path) -> Iterator[Open]:
    """Opens the page of a step. Afterwards: nothing was logged, and nothing but the page was asked for."""

    def opened(step: gc.Function, values: Any = None) -> Shown:
        step.to_html(tmp_path / "step.html", values)
        browser.get((tmp_path / "step.html").as_uri())
        return Shown(browser)

    browser.get("about:blank")  # leaves what the browser shows at its start
    browser.get_log("browser"), browser.get_log("performance")
    yield opened
    assert browser.get_log("browser") == []
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
    assert {url for url in asked if url != "data:,"} == {(tmp_path / "step.html").as_uri()}


def digits(values: bool = False) -> tuple[gc.Function, Any]:
    step = gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1), name="digits")
    images, labels = batch(np.random.default_rng(1), 8)
    return step, {"x": images, "y": labels} if values else None


# ---- what one sees --------------------------------------------------------------------------------------------------


def test_the_textbooks_picture(show: Open) -> None:
    """Each node with its value, opposite it its gradient, and what flows on each reversed edge."""
    page = show(scalar(), FEEDS)
    assert page.one('[role="radio"][aria-checked="true"]').text == "gradients"
    labels = sorted(each.text for each in page.all(".edge-label"))
    assert labels == sorted(["-1", "-1", "1", "1", "1", "2", "3"])
    texts = {
        title_of(each): [line.text for line in each.find_elements(By.TAG_NAME, "text")] for each in page.all(".box")
    }
    assert texts["%0  multiply"][-1] == "= 6"
    assert texts["\u2202loss/\u2202w"][-1] == "= 2"
    for forward, mirrored in (("w", "\u2202loss/\u2202w"), ("%1 add", "\u2202loss/\u2202%1")):
        one, other = page.box(forward).rect, page.box(mirrored).rect
        assert one["x"] + one["width"] < other["x"], "the backward half is on the right"
        assert abs(one["y"] + one["height"] / 2 - other["y"] - other["height"] / 2) < 2, "opposite"


def test_a_chosen_node_is_told_of_and_marked_in_every_text(show: Open) -> None:
    step, _ = digits()
    page = show(step)
    page.click("%1 dot")
    assert page.heading == "%1"
    details = page.one("#details").text
    for wanted in ("dot(x, W1)", "f32[batch,32]", "models.py:30", "return dot(g, transpose(b)), dot(transpose(a), g)"):
        assert wanted in details
    for stage in ("graph", "differentiate", "simplify", "fold", "fuse", "tile", "plan", "emit", "llvm", "asm"):
        page.open_tab(stage)
        marked = page.all(".line.exact, .line.related")
        assert marked, stage
        outer = page.one("#sheet").rect
        tops = [each.rect["y"] for each in marked[:40]]
        assert any(outer["y"] <= top <= outer["y"] + outer["height"] for top in tops), f"{stage} is scrolled to it"
    page.open_tab("graph")
    assert [each.text.split(" = ")[0].strip() for each in page.all(".line.exact")] == ["%1"]
    page.open_tab("differentiate")
    assert {each.text.split(" = ")[1].split("(")[0] for each in page.all(".line.related, .line.exact")} == {
        *("dot", "transpose")
    }


def test_a_line_of_a_text_chooses_its_node(show: Open) -> None:
    page = show(digits()[0])
    page.open_tab("fold")
    line = next(each for each in page.all(".line.marked") if "= relu(" in each.text)
    page.press(line)
    assert page.heading == "%3", "its name in the picture's stage"
    assert f"{line.text.split()[0]} in simplify, fold" in page.one("#details").text
    assert "relu" in page.one(".box.chosen .title").text


def test_stages_colours_and_layers(show: Open) -> None:
    page = show(digits()[0])
    assert page.one('[role="radio"][aria-checked="true"]').text == "differentiate"
    before = len(page.all(".box"))
    page.one('[data-stage="graph"]').click()
    assert 10 < len(page.all(".box")) < before
    assert not page.all(".box.backward")
    page.one('[data-stage="fold"]').click()
    assert page.all(".box.backward")
    assert page.all(".box.update") or page.all(".box.backward")
    for colour in ("kernel", "price"):
        page.one(f'#colour option[value="{colour}"]').click()
        assert any("in k1" in each.text for each in page.all(".box .more"))
        assert page.script('return document.querySelectorAll(".box[style]").length') > 10
    page.one("#layers").click()
    layers = [title_of(each) for each in page.all(".box.group")]
    assert "layer 1" in layers
    assert "layer 2" in layers
    page.click("layer 1")
    ActionChains(page.browser).double_click(page.box("layer 2").find_element(By.TAG_NAME, "rect")).perform()
    assert "W2" in [title_of(each) for each in page.all(".box")]


def test_search_and_walk_by_keyboard(show: Open) -> None:
    page = show(digits()[0])
    page.keys("/")
    page.keys("relu")
    assert page.one("#found").text.startswith("1 of ")
    assert "relu" in page.one("#details").text
    page.one('[data-stage="graph"]').click()
    page.keys("/")
    page.keys("dot")
    assert page.one("#found").text == "1 of 2"
    first = page.heading
    page.keys(Keys.ENTER)
    assert page.one("#found").text == "2 of 2"
    assert page.heading != first
    page.keys(Keys.ENTER)
    assert page.heading == first
    page.keys(Keys.ESCAPE)
    assert page.one("#search").get_property("value") == ""
    assert not page.all(".box.found")
    page.keys(Keys.ARROW_DOWN)
    assert page.heading == "%2", "the add that reads the product"
    page.keys(Keys.ARROW_UP)
    assert page.heading in ("%1", "b1"), "its operands"
    page.keys("/", "no such thing")
    assert page.one("#found").text == "none"


def test_tabs_kernels_memory_time(show: Open) -> None:
    page = show(digits()[0])
    page.open_tab("memory")
    lives = page.all("#sheet .life")
    assert len(lives) > 5
    product = next(each for each in lives if "%6: f32[batch,32]" in each.get_property("textContent"))
    page.press(product.find_element(By.TAG_NAME, "rect"))
    assert page.heading == "%1", "its name in the picture's stage"
    page.open_tab("kernels")
    assert len(page.all("#sheet tr")) == 15, "nine kernels, five products, a heading"
    assert page.all("#sheet tr.chosen")
    page.open_tab("compile")
    assert [each.text.split()[0] for each in page.all("#sheet tr")[1:4]] == ["graph", "differentiate", "simplify"]
    page.one("#tab-compile").send_keys(Keys.ARROW_LEFT)
    page.wait.until(lambda _: page.all("#sheet .life"))
    assert page.one("#tab-memory").get_attribute("aria-selected") == "true"


def test_light_and_dark(show: Open) -> None:
    page = show(digits()[0])
    colours = []
    for _ in range(2):
        colours.append(page.script("return getComputedStyle(document.body).backgroundColor"))
        page.one("#theme").click()
    assert len(set(colours)) == 2
    assert page.script("return getComputedStyle(document.body).backgroundColor") == colours[0]


# ---- what must not happen -------------------------------------------------------------------------------------------


def test_hostile_names_are_shown_as_text(show: Open) -> None:
    page = show(hostile(), {HOSTILE: np.ones((2, 3), "f")})
    shown = repr(HOSTILE)
    assert page.one("h1").text == HOSTILE_STEP
    assert page.browser.title == f"{HOSTILE_STEP}: graphc"
    assert any(title_of(each).lstrip("'\"").startswith("</script><script>") for each in page.all(".box"))
    for stage in ("graph", "emit"):
        page.open_tab(stage)
        assert shown in page.script('return document.getElementById("sheet").textContent')
    page.keys("/", "</script>")
    assert page.heading.startswith(shown)


def test_no_code_but_the_pages_own_runs(show: Open) -> None:
    page = show(scalar())
    made = 'const made = document.createElement("script"); made.textContent = "window.owned = 1";'
    page.script(f"{made} document.body.append(made)")
    assert page.script("return window.owned === undefined")
    refused = page.browser.get_log("browser")
    assert len(refused) == 1
    assert "Content Security Policy" in refused[0]["message"]


# ---- large graphs ---------------------------------------------------------------------------------------------------


def painted(page: Shown) -> float:
    """Seconds from the start of the load to the first paint with a picture."""
    return float(page.script('return performance.getEntriesByName("first-contentful-paint")[0].startTime')) / 1000


def test_a_net_of_30_layers(show: Open) -> None:
    page = show(deep())
    titles = [title_of(each) for each in page.all(".box.group")]
    assert {"layer0", "layer29", "out", "backward layer0", "update layer0"} <= set(titles)
    ActionChains(page.browser).double_click(page.box("layer1").find_element(By.TAG_NAME, "rect")).perform()
    assert "layer1.W" in [title_of(each) for each in page.all(".box")]
    page.open_tab("llvm")
    page.keys("/", "layer20.W")
    assert page.heading == "layer20.W"


def test_2000_nodes_stay_usable(show: Open, python_mode) -> None:
    """Four nodes a turn, 500 turns."""
    x = gc.input("x", ("n",))
    y = x
    for _ in range(500):
        y = gc.tanh(y * 0.5 + gc.sin(y))
    page = show(gc.compile(gc.sum(y)))
    assert int(page.one("#summary").text.split()[0]) >= 2000
    assert painted(page) < 2
    assert 0 < len(page.all(".box")) <= 120
    page.keys("/", "tanh")
    assert page.one("#found").text == "1 of 500"
    page.keys(Keys.ENTER)
    assert page.one("#found").text == "2 of 500"
    ActionChains(page.browser).double_click(page.all(".box.group rect")[3]).perform()
    assert len(page.all(".box")) > 100
