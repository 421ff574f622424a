"""The page in a real browser, without a screen."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genesis.explore.model import model
from genesis.explore.page import page
from runtime.toolchain import find_compiler
from tests.genesis.explore.recorded import trained

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="no Chromium with chromedriver"),
    pytest.mark.skipif(find_compiler() is None, reason="needs a C compiler"),
]
VIEWS = ["overview", "follow", "stages", "graph", "precision", "memory", "time"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,900"):
        options.add_argument(argument)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explore") / "page.html"
    path.write_text(page(model("train.py", [trained(precision="bf16-mixed")], 1)), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Any, written: Path) -> Iterator[Any]:
    browser.get(written.as_uri())
    WebDriverWait(browser, 30).until(lambda b: b.find_elements(By.CSS_SELECTOR, ".facts"))
    yield browser
    assert browser.get_log("browser") == []


def texts(browser: Any, selector: str) -> list[str]:
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector)]


def press(browser: Any, *keys: str) -> None:
    browser.switch_to.active_element.send_keys(*keys)


def choose(browser: Any, pane: int, text: str) -> None:
    """Click the first row in view that has ``text``; a pane draws its rows again while it scrolls."""
    place = f".pane:nth-child({pane}) .row"

    def clicked(browser: Any) -> bool:
        row = next((row for row in browser.find_elements(By.CSS_SELECTOR, place) if text in row.text), None)
        if row is not None:
            row.click()
        return row is not None

    WebDriverWait(browser, 10, ignored_exceptions=[StaleElementReferenceException]).until(clicked)


def option(browser: Any, label: str, text: str) -> None:
    Select(browser.find_element(By.CSS_SELECTOR, f"select[aria-label={label}]")).select_by_visible_text(text)


def test_every_view_opens_by_its_key(opened: Any, tmp_path: Path) -> None:
    for number, name in enumerate(VIEWS, 1):
        press(opened, str(number))
        assert opened.find_element(By.ID, "main").get_attribute("data-view") == name
        assert opened.find_element(By.ID, f"tab-{name}").get_attribute("aria-selected") == "true"
        assert opened.find_element(By.ID, "main").text
    assert opened.save_screenshot(str(tmp_path / "page.png")) and (tmp_path / "page.png").stat().st_size > 10_000


def test_a_line_leads_to_its_ops_and_their_kernels_and_back(opened: Any) -> None:
    press(opened, "2")
    line = next(e for e in opened.find_elements(By.CSS_SELECTOR, ".pane:nth-child(1) .row") if "model(x)" in e.text)
    line.click()
    assert any("linear" in text for text in texts(opened, ".pane:nth-child(2) .row.hit"))
    assert any("KERNEL void k" in text for text in texts(opened, ".pane:nth-child(3) .row.hit"))
    press(opened, Keys.ESCAPE)
    assert not opened.find_elements(By.CSS_SELECTOR, ".row.hit, .row.focus")
    code = next(e for e in opened.find_elements(By.CSS_SELECTOR, ".pane:nth-child(3) .row") if "linear_relu(" in e.text)
    code.click()
    assert any("model(x)" in text for text in texts(opened, ".pane:nth-child(1) .row.hit"))
    assert any("= fused(" in text for text in texts(opened, ".pane:nth-child(2) .row.focus"))
    assert "linear_relu" in opened.find_element(By.ID, "inspector").text


def test_a_line_does_not_light_the_constants_that_other_kernels_share(opened: Any) -> None:
    press(opened, "2")
    choose(opened, 1, "cross_entropy(model(x)")
    lit = texts(opened, ".pane:nth-child(2) .row.hit")
    assert lit and not any("= constant(" in text for text in lit)


def test_the_line_of_backward_has_the_ops_of_the_gradients(opened: Any) -> None:
    press(opened, "2")
    choose(opened, 1, "loss.backward()")
    assert any("= backward " in text for text in texts(opened, ".pane:nth-child(2) .row.hit"))
    assert any("KERNEL void k" in text for text in texts(opened, ".pane:nth-child(3) .row.hit"))


def test_a_kernel_leads_back_to_the_recorded_ops(opened: Any) -> None:
    press(opened, "2")
    choose(opened, 1, "cross_entropy(model(x)")
    choose(opened, 3, "linear_relu(")
    option(opened, "Stage", "00 traced")
    assert any("= linear(" in text for text in texts(opened, ".pane:nth-child(2) .row.hit, .pane:nth-child(2) .focus"))


def test_a_kernel_of_the_backward_pass_leads_to_the_ops_whose_gradients_it_computes(opened: Any) -> None:
    press(opened, "2")
    option(opened, "Stage", "00 traced")
    press(opened, "/")
    press(opened, "linear_backward")
    next(e for e in opened.find_elements(By.CSS_SELECTOR, "#results li") if e.text.startswith("kernel")).click()
    assert any("= linear(" in text for text in texts(opened, ".pane:nth-child(2) .row.hit"))


def test_another_language_opens_at_the_selection(opened: Any) -> None:
    press(opened, "2")
    choose(opened, 1, "cross_entropy(model(x)")
    choose(opened, 3, "linear_relu(")
    triton = texts(opened, "select[aria-label=Language] option")[-1]
    option(opened, "Language", triton)
    assert any("@triton.jit" in text for text in texts(opened, ".pane:nth-child(3) .row.hit"))


def test_a_call_in_the_code_is_found_and_leads_to_its_kernel(opened: Any) -> None:
    press(opened, "/")
    press(opened, "step.c linear_relu(")
    found = opened.find_elements(By.CSS_SELECTOR, "#results li")
    next(e for e in found if e.text.startswith("code") and "KERNEL" not in e.text).click()
    call = opened.find_element(By.CSS_SELECTOR, ".pane:nth-child(3) .row.active")
    assert "linear_relu(" in call.text
    call.click()
    assert opened.find_element(By.ID, "inspector").text.startswith("Kernel")
    assert any("KERNEL void" in text for text in texts(opened, ".pane:nth-child(3) .row.hit"))


def test_a_line_without_ops_says_so(opened: Any) -> None:
    press(opened, "2")
    choose(opened, 1, "def step(")
    assert "No op comes from this line." in opened.find_element(By.ID, "inspector").text


def test_keys_work_after_a_search_and_a_choice(opened: Any) -> None:
    press(opened, "2")
    assert opened.switch_to.active_element.get_attribute("class") == "rows"
    press(opened, "/")
    press(opened, "linear", Keys.ESCAPE)
    assert not opened.find_element(By.ID, "search").is_displayed()
    stage = opened.find_element(By.CSS_SELECTOR, "select[aria-label=Stage]")
    before = int(stage.get_property("value"))
    stage.send_keys("[")
    stage = opened.find_element(By.CSS_SELECTOR, "select[aria-label=Stage]")
    assert int(stage.get_property("value")) == before - 1
    stage.send_keys("/")
    assert opened.find_element(By.ID, "search").is_displayed()


def test_steps_are_numbered_and_a_measured_time_is_not_above_a_limit(browser: Any, tmp_path: Path) -> None:
    data = model("train.py", [trained(), trained()], 1)
    first, second = data["programs"]
    first["measured"]["seconds"], second["measured"]["seconds"] = first["least"] / 2, second["least"] * 2
    path = tmp_path / "two.html"
    path.write_text(page(data), encoding="utf-8")
    browser.get(path.as_uri())
    WebDriverWait(browser, 30).until(lambda b: b.find_elements(By.CSS_SELECTOR, ".facts"))
    steps = texts(browser, "#program option")
    assert [step.partition(" ")[0] for step in steps] == ["1.", "2."]
    assert all(step.endswith("it was called for the first time") for step in steps)
    assert "busy machine" in browser.find_element(By.CSS_SELECTOR, ".facts").text
    Select(browser.find_element(By.ID, "program")).select_by_index(1)
    facts = browser.find_element(By.CSS_SELECTOR, ".facts").text
    assert "by the roofline" in facts and "busy machine" not in facts


def test_search_finds_an_op_and_selects_it(opened: Any) -> None:
    press(opened, "/")
    press(opened, "linear model.2 bf16")
    assert len(texts(opened, "#results li")) > 3
    press(opened, Keys.ARROW_DOWN, Keys.ENTER)
    assert opened.find_element(By.ID, "main").get_attribute("data-view") == "follow"
    assert opened.find_elements(By.CSS_SELECTOR, ".pane:nth-child(2) .row.focus")
    assert "model.2" in opened.find_element(By.ID, "inspector").text


def test_a_state_leads_to_the_kernels_that_read_it(opened: Any) -> None:
    press(opened, "/")
    press(opened, "state model.0.weight exp_avg[")
    press(opened, Keys.ENTER)
    assert "exp_avg_model_0_weight" in texts(opened, ".pane:nth-child(2) .row.focus")[0]
    panel = opened.find_element(By.ID, "inspector").text
    assert panel.startswith("Value") and "adam" in panel.partition("Kernels")[2]


def test_the_graph_opens_and_closes_modules(opened: Any) -> None:
    press(opened, "4")
    before = len(opened.find_elements(By.CSS_SELECTOR, ".graph .item"))
    assert before > 5
    next(b for b in opened.find_elements(By.CSS_SELECTOR, ".graph button") if b.text == "Close modules").click()
    closed = opened.find_elements(By.CSS_SELECTOR, ".graph .item.closed")
    few = len(opened.find_elements(By.CSS_SELECTOR, ".graph .item"))
    assert closed and few < before
    closed[0].click()
    assert len(opened.find_elements(By.CSS_SELECTOR, ".graph .item")) > few
    canvas = opened.find_element(By.CSS_SELECTOR, ".graph svg")
    canvas.send_keys(Keys.ARROW_DOWN)
    assert opened.find_elements(By.CSS_SELECTOR, ".graph .item.active")


def test_a_pass_shows_what_it_changed(opened: Any) -> None:
    row = next(e for e in opened.find_elements(By.CSS_SELECTOR, "tbody tr") if "autocast" in e.text)
    row.click()
    assert opened.find_element(By.ID, "main").get_attribute("data-view") == "stages"
    assert any("cast(" in text for text in texts(opened, ".pane:nth-child(2) .row.added"))
    assert opened.find_elements(By.CSS_SELECTOR, ".row.changed mark")


def test_light_and_dark(opened: Any) -> None:
    def paper() -> Any:
        return opened.execute_script("return getComputedStyle(document.body).backgroundColor")

    first = paper()
    opened.find_element(By.ID, "theme").click()
    assert paper() != first
    opened.find_element(By.ID, "theme").click()
    assert paper() == first
