"""The figures of a report: what they hold, and the HTML page, opened in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.detectors import atlas_lar
from caloforge.geometry import Geometry, Layer, regular
from caloforge.metrics import (
    PRDC,
    CellSpectrum,
    CorrelationMSE,
    CorrelationRatio,
    IndependentCells,
    Pixels,
    Separation,
    ShowerShape,
    Wasserstein,
)
from caloforge.plots import embeddings, pictures, shapes, write_html
from caloforge.plots.histograms import group
from caloforge.plots.style import Picture
from caloforge.plots.trends import draw_trend, ratio_range
from caloforge.plots.views import log_norm, view, view_labels
from caloforge.report import Report, validate
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
def report() -> Report:
    metrics = [
        CorrelationRatio(),
        CorrelationMSE(),
        IndependentCells(),
        Separation("energy_total"),
        Separation("hit_fraction"),
        Wasserstein("energy_total"),
        Wasserstein("hit_fraction"),
    ]
    samples = {"one": showers(500, 2), "two": showers(500, 3)}
    return validate(
        showers(500, 1),
        samples,
        floor=showers(500, 4),
        training=showers(500, 5),
        metrics=metrics,
        imposed={"two": ["energy_total"]},
    )


@pytest.fixture(scope="module")
def drawn(report: Report) -> dict[str, Picture]:
    return {picture.name: picture for picture in pictures(report)}


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
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


def test_the_comparisons_of_a_study_of_cells_are_all_there(drawn: dict[str, Picture]) -> None:
    layers = ("presampler", "strip", "middle", "back")
    kinds = ("energy", "fraction", "mean_eta", "mean_phi", "width_eta", "width_phi")
    wanted = {f"histogram/{kind}/{layer}" for kind in kinds for layer in layers}
    wanted |= {"image/mean", "image/variance", "correlation/cells", "histogram/ratio_3x3_3x7", "trend/width"}
    wanted |= {"neighbours/generated/one", "neighbours/generated/two", "response/difference", "response/resolution"}
    assert wanted <= set(drawn)
    assert {name for name, each in drawn.items() if each.group == "Width in φ per layer"} == {
        f"histogram/width_phi/{layer}" for layer in layers
    }
    assert [name for name in drawn if name.startswith("histogram/energy/")] == [
        f"histogram/energy/{layer}" for layer in layers
    ]


def scales(picture: Picture) -> list[list[tuple[float, float]]]:
    """Ends of the colour scales of Geant4 and both samples, for each of the four layers."""
    meshes: list[Any] = [axes.collections[0] for axes in picture.figure.axes[: 4 * 5]]
    ends = [(float(each.norm.vmin), float(each.norm.vmax)) for each in meshes]
    return [ends[start : start + 3] for start in range(0, 4 * 5, 5)]


def test_averages_share_a_colour_scale_and_variances_one_a_layer(drawn: dict[str, Picture], report: Report) -> None:
    mean, variance = (scales(drawn[f"image/{kind}"]) for kind in ("mean", "variance"))
    images = report.figures["images"].values()
    assert {each for row in mean for each in row} == {mean[0][0]}
    assert mean[0][0][1] == pytest.approx(max(np.max(each["mean"]) for each in images))
    assert [len(set(row)) for row in variance] == [1, 1, 1, 1]
    assert len({row[0] for row in variance}) == 4
    strip = report.geometry.cells("strip")
    assert variance[1][0][1] == pytest.approx(max(np.max(each["variance"][strip]) for each in images))


def test_a_colour_scale_ends_at_the_largest_value_and_spans_few_decades() -> None:
    norm = log_norm(np.array([0.0, 1e-9, 3.0]), np.array([200.0]), decades=6)
    assert (norm.vmin, norm.vmax) == (pytest.approx(2e-4), 200.0)


def test_the_neighbours_of_a_shower_carry_energy_and_distance(drawn: dict[str, Picture], report: Report) -> None:
    entry = report.figures["neighbours"]["generated_nearest"]["one"]
    titles = [axes.get_title() for axes in drawn["neighbours/generated/one"].figure.axes if axes.get_title()]
    assert titles == [f"Geant4, {entry['shower']['incident'] / 1e3:.3g} GeV"] + [
        f"{each['shower']['incident'] / 1e3:.3g} GeV, d = {each['distance']:.2g}" for each in entry["neighbours"]
    ]
    assert len(titles) == 6


def test_captions_say_which_total_was_imposed(drawn: dict[str, Picture]) -> None:
    for name in ("response/difference", "response/resolution"):
        assert drawn[name].caption.endswith("The total energy of two was imposed, not learned.")


def test_the_panel_below_a_trend_is_the_ratio_to_geant4() -> None:
    from matplotlib.figure import Figure

    main, ratio = Figure().subplots(2, 1, sharex=True)
    missing = [2.0, 4.0, np.nan]
    lines = {name: (np.array(y), np.full(3, 0.2)) for name, y in {"Geant4": [1.0, 2.0, 4.0], "one": missing}.items()}
    draw_trend(main, ratio, [1e3, 50e3, None], lines, ["one"])
    np.testing.assert_allclose(main.lines[1].get_xydata(), [[1, 2], [50, 4], [np.nan, np.nan]])
    np.testing.assert_allclose(ratio.lines[1].get_ydata(), [2, 2, np.nan])
    np.testing.assert_allclose(ratio.containers[0].lines[2][0].get_segments()[0], [[1, 1.8], [1, 2.2]])
    assert ratio.get_xscale() == "log"


def test_ratios_are_all_visible() -> None:
    assert ratio_range(np.array([1.0, 1.0])) == pytest.approx((0.98, 1.02))
    low, high = ratio_range(np.array([0.7, 2.0, np.nan]))
    assert 0.3 < low < 0.7
    assert 2.0 < high < 3.0
    assert ratio_range(np.array([50.0]))[1] == 4.0
    assert ratio_range(np.full(3, np.nan)) == pytest.approx((0.98, 1.02))


def test_a_dozen_showers_make_a_report_too() -> None:
    few = [showers(12, seed) for seed in (6, 7, 8)]
    drawn = [each.name for each in pictures(validate(few[0], few[1], floor=few[2], metrics=[Separation("response")]))]
    assert "response/resolution" in drawn


def test_histograms_stand_under_what_they_measure() -> None:
    assert group({"observable": "width_phi/middle", "label": "Width in φ, middle", "layer": "middle"}) == (
        "Width in φ per layer"
    )
    assert group({"observable": "energy_total", "label": "Total energy", "layer": None}) == "Whole shower"
    assert group({"observable": "ratio", "label": "Ratio, middle", "layer": "middle"}) == "Ratio"


def test_deep_calorimeters_show_every_layer(tmp_path: Path) -> None:
    edges = regular(3, 0, 30)
    block = Geometry("block", tuple(Layer(f"l{i}", "xy", edges, edges, 10.0 * i) for i in range(12)))
    rng = np.random.default_rng(3)
    made = [Showers(rng.gamma(1, size=(200, 108)), {"energy": np.full(200, 1e4)}, block) for _ in range(2)]
    drawn = {each.name: each for each in pictures(validate(*made, metrics=[CorrelationRatio()]))}
    titles = [axes.get_title() for axes in drawn["image/variance/layers"].figure.axes]
    assert [title.split("\n")[0] for title in titles if title] == [f"l{i}" for i in range(12)]
    assert all(title.endswith("MeV²") for title in titles if title)


def deep(n: int, seed: int) -> Showers:
    """Eleven layers of 11 × 11 cells at 250 GeV."""
    edges = regular(11, -55, 55)
    geometry = Geometry("deep", tuple(Layer(f"l{i}", "xy", edges, edges, 10.0 * i) for i in range(11)))
    energies = np.random.default_rng(seed).gamma(0.5, 10, size=(n, 11**3))
    return Showers(energies, {"energy": np.random.default_rng(seed).uniform(249e3, 251e3, n)}, geometry)


def test_what_the_3dgan_line_looks_at_is_drawn(drawn: dict[str, Picture]) -> None:
    wanted = [Pixels("mean"), ShowerShape(), ShowerShape(edges=True), CellSpectrum(), PRDC("recall")]
    report = validate(deep(60, 1), {"a": deep(40, 2), "b": deep(40, 3)}, deep(40, 4), metrics=wanted, embedded=35)
    pages = (shapes.shapes, shapes.sampling_fraction, shapes.cell_spectrum, embeddings.principal_components)
    pages += (embeddings.tsne, embeddings.structural_similarity)
    found = {picture.name: picture for draw in pages for picture in draw(report)}
    assert {"shape", "sampling_fraction", "cell_spectrum", "pca", "tsne", "ssim"} <= set(found)
    assert {"shape/eta", "shape/phi", "shape/z"} <= set(drawn)
    assert "tsne" not in drawn
    shape = found["shape"].figure.axes
    assert [axes.get_yscale() for axes in shape[:9]] == ["linear"] * 3 + ["log"] * 3 + ["linear"] * 3
    assert [axes.get_xlabel() for axes in shape[6:9]] == ["x [mm]", "y [mm]", "Layer"]
    titles = [axes.get_title() for axes in found["tsne"].figure.axes]
    assert all("purity" in title and "AUC" in title for title in (titles[0], titles[2], titles[3]))
    assert "343 central" in found["cell_spectrum"].figure.axes[1].get_title()
    assert "Ratio of the means of the central cells: a" in found["cell_spectrum"].caption


def test_the_ratio_of_sampling_fractions_is_geant4_over_the_sample(drawn: dict[str, Picture], report: Report) -> None:
    main, ratio = drawn["sampling_fraction"].figure.axes
    ours, theirs = (report.figures["sampling_fraction"]["samples"][name]["mean"] for name in ("Geant4", "one"))
    assert ratio.get_ylabel() == "Geant4 / sample"
    np.testing.assert_allclose(ratio.containers[0].lines[0].get_ydata(), ours / theirs)
    np.testing.assert_allclose(main.containers[1].lines[0].get_ydata(), theirs)


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
