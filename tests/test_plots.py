"""The HTML report, opened in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.detectors import atlas_lar
from caloforge.geometry import Geometry, Layer, regular
from caloforge.metrics import CorrelationMSE, CorrelationRatio, IndependentCells, Separation, Wasserstein
from caloforge.plots import write_html
from caloforge.plots.cells import view, view_labels
from caloforge.report import validate
from caloforge.showers import Showers

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--window-size=1300,900",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def showers(n: int, seed: int) -> Showers:
    rng = np.random.default_rng(seed)
    incident = np.exp(rng.uniform(np.log(1e3), np.log(3e5), n))
    share = rng.dirichlet(np.linspace(0.2, 2, 89), n)
    return Showers(incident[:, None] * share, {"energy": incident}, atlas_lar())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    metrics = [
        CorrelationRatio(),
        CorrelationMSE(),
        IndependentCells(),
        Separation("energy_total"),
        Wasserstein("energy_total"),
    ]
    samples = {"one": showers(500, 2), "two": showers(500, 3)}
    report = validate(showers(500, 1), samples, floor=showers(500, 4), training=showers(500, 5), metrics=metrics)
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(report, path)
    return path


def test_polar_cells_are_drawn_in_degrees(tmp_path: Path) -> None:
    alpha, r = regular(8, -np.pi, np.pi), regular(4, 0, 40)
    polar = Geometry("polar", tuple(Layer(f"l{i}", "r_alpha", alpha, r, 10.0 * i) for i in range(3)))
    made = [
        Showers(np.random.default_rng(seed).gamma(1, size=(200, 96)), {"energy": np.full(200, 1e4)}, polar)
        for seed in range(3)
    ]
    write_html(validate(made[0], made[1], floor=made[2], metrics=[CorrelationRatio()]), tmp_path / "report.html")
    horizontal, vertical, _ = view(polar, made[0].energies[0], "front")
    np.testing.assert_allclose(vertical[[0, -1]], [-180, 180])
    np.testing.assert_allclose(horizontal, [0, 10, 20, 30, 40])
    assert view_labels(polar, "front") == ("r [mm]", "α [°]")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(120)
    yield driver
    driver.quit()


def test_nothing_is_loaded_from_elsewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for marker in ('src="http', "src='http", '<link rel="stylesheet" href="http', "@import", "fetch("):
        assert marker not in text


@pytest.mark.browser
def test_every_figure_is_visible_and_the_console_is_silent(page: Path, browser: Any) -> None:
    browser.get(page.as_uri())
    images = browser.find_elements("css selector", "figure img")
    assert len(images) > 10
    for image in images:
        browser.execute_script(
            "for (let e = arguments[0]; e; e = e.parentElement) if (e.tagName == 'DETAILS') e.open = true;"
            "arguments[0].scrollIntoView();",
            image,
        )
        browser.execute_async_script("const done = arguments[1]; arguments[0].decode().then(done, done);", image)
        width, shown = browser.execute_script("return [arguments[0].naturalWidth, arguments[0].clientWidth]", image)
        assert width > 0
        assert shown > 0
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.mark.browser
def test_the_shower_turns(page: Path, browser: Any) -> None:
    from selenium.webdriver import ActionChains

    browser.get(page.as_uri())
    canvas = browser.find_element("tag name", "canvas")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'});", canvas)
    # The page draws in animation frames: the picture is taken after two of them.
    picture = (
        "const [canvas, done] = arguments;"
        "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(canvas.toDataURL()), 200)));"
    )
    seen = [browser.execute_async_script(picture, canvas)]
    ActionChains(browser).move_to_element(canvas).click_and_hold().move_by_offset(120, 40).release().perform()
    seen.append(browser.execute_async_script(picture, canvas))
    button = next(b for b in browser.find_elements("tag name", "button") if "front" in b.text.lower())
    browser.execute_script("arguments[0].click();", button)
    seen.append(browser.execute_async_script(picture, canvas))
    assert seen[0] != seen[1]
    assert seen[1] != seen[2]
    assert browser.get_log("browser") == []
