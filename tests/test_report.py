"""Validation: floors, refusals, and a report that is data."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caloforge import datasets
from caloforge.cli import main
from caloforge.detectors import atlas_lar, clic_ecal
from caloforge.errors import InputError
from caloforge.files import write
from caloforge.judge import judge
from caloforge.metrics import (
    AUC,
    CellMoment,
    CorrelationMSE,
    KernelTest,
    NearestGenerated,
    NearestTraining,
    Separation,
    TrainingSet,
    Wasserstein,
    default_metrics,
)
from caloforge.metrics.events import without_thresholds
from caloforge.report import HEADLINE, Report, excess, validate
from caloforge.showers import Showers

METRICS = [CorrelationMSE(), Separation("energy_total"), Separation("mean_eta/strip")]


def showers(n: int, seed: int, scale: float = 1.0) -> Showers:
    rng = np.random.default_rng(seed)
    incident = rng.uniform(20e3, 100e3, n)
    share = rng.dirichlet(np.full(89, 0.3), n)
    return Showers(scale * incident[:, None] * share, {"energy": incident}, atlas_lar())


def made(seed: int, n: int = 600, first: int = 0) -> dict[str, object]:
    return {"simulator": "Geant4", "seed": seed, "first_event": first, "n_events": n}


@pytest.fixture(scope="module")
def report() -> Report:
    samples = {"good": showers(600, 2), "off": showers(600, 3, scale=0.5)}
    return validate(
        showers(600, 1), samples, floor=showers(600, 4), metrics=METRICS, imposed={"good": ["energy_total"]}
    )


def test_every_value_stands_beside_its_floor(report: Report) -> None:
    good, off = report.rows("separation/energy_total")
    assert good["floor"] == off["floor"] > 0
    assert good["value"] < 3 * good["floor"] < off["value"]
    assert (good["imposed"], off["imposed"]) == (True, False)
    assert good["n_reference"] == good["n_sample"] == 600
    fields = {"name", "observable", "layer", "energy", "value", "error", "floor", "floor_error", "definition"}
    assert fields <= set(good)


def test_layers_are_named(report: Report) -> None:
    assert report.rows("separation/mean_eta/strip")[0]["layer"] == "strip"


def test_the_report_is_strict_json(report: Report, tmp_path: Path) -> None:
    report.to_json(tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text()
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert data["metrics"][0]["name"]
    assert Report.from_json(tmp_path / "report.json").to_json() == text


def test_without_a_floor_sample_the_reference_is_split() -> None:
    alone = validate(showers(600, 1), showers(600, 2), metrics=METRICS)
    row = alone.rows("separation/energy_total")[0]
    assert row["n_reference"] == row["n_sample"] == 300
    assert row["floor"] > 0


def test_showers_are_compared_before_thresholds_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weak cells of the reference are empty, those of the sample nearly at threshold."""
    made = showers(400, 1)
    weak = made.energies < made.geometry.thresholds
    reference, sample = (
        Showers(np.where(weak, share * made.geometry.thresholds, made.energies), made.conditions, made.geometry)
        for share in (0.0, 0.9)
    )
    metrics = [Separation("hit_fraction"), Wasserstein("energy_total"), CellMoment("mean"), NearestGenerated()]
    above, before = (
        validate(reference, sample, reference, sample, metrics, thresholds=thresholds) for thresholds in (True, False)
    )
    assert [row["value"] for row in above.metrics if row["energy"] is None] == pytest.approx([0] * 6, abs=1e-4)
    assert all(row["value"] > 0.001 for row in before.metrics if row["energy"] is None)
    assert "were set to zero" in above.notes[-1]
    assert before.notes[-1].startswith("No threshold applied")
    assert "middle 200" in before.notes[-1]
    monkeypatch.setattr("caloforge.report.default_metrics", lambda *_: [])  # leaves the distance to the training set
    for thresholds, expected in ((True, pytest.approx(0, abs=1e-3)), (False, pytest.approx(0.06, abs=0.05))):
        (row,) = validate(reference, reference, reference, sample, thresholds=thresholds).rows("nearest/training")
        assert row["value"] == expected


def test_the_command_line_passes_thresholds_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given = []
    monkeypatch.setattr("caloforge.report.validate", lambda *_, **options: given.append(options) or 1 / 0)
    paths = [str(datasets.path(f"atlas_lar_{name}")) for name in ("reference", "training")]
    command = ["validate", "--reference", paths[0], "--sample", paths[1], "--output", str(tmp_path / "report")]
    for extra in (["--thresholds", "false"], ["--quick"]):
        with pytest.raises(ZeroDivisionError):
            main([*command, *extra])
    assert [each["thresholds"] for each in given] == [False, True]
    assert given[0]["classifier"] is given[0]["kernel"] is None
    assert given[1]["classifier"].max_events < AUC().max_events
    assert given[1]["kernel"].steps < KernelTest().steps
    assert given[0]["embedded"] > given[1]["embedded"] == 0


def test_showers_with_and_without_thresholds_are_not_compared_before_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    generated = {"weights_sha256": "1a"}
    stories = {"geant4": made(1), "cut": generated, "uncut": generated | {"thresholds": "not applied"}}
    for number, (name, story) in enumerate(stories.items()):
        write(tmp_path / f"{name}.h5", showers(50, number), story)
    monkeypatch.setattr("caloforge.report.validate", lambda *_, **options: 1 / 0)
    paths = {name: str(tmp_path / f"{name}.h5") for name in stories}
    with pytest.raises(InputError, match=r"cut.h5 was generated with thresholds, .*geant4.h5 made without"):
        judge(paths["geant4"], {"fast": paths["cut"]}, tmp_path / "report", thresholds=False)
    with pytest.raises(InputError, match="generated with thresholds"):
        judge(paths["uncut"], {"fast": paths["uncut"]}, tmp_path / "report", floor=paths["cut"], thresholds=False)
    for reference, sample, thresholds in (("geant4", "uncut", False), ("cut", "cut", False), ("geant4", "cut", True)):
        with pytest.raises(ZeroDivisionError):  # it is compared
            judge(paths[reference], {"fast": paths[sample]}, tmp_path / "report", thresholds=thresholds)
    for number, name in enumerate(("geant4", "cut")):  # thresholds of zero cut nothing
        each = showers(50, number)
        each = Showers(each.energies, each.conditions, without_thresholds(each.geometry))
        write(tmp_path / f"{name}.h5", each, stories[name])
    with pytest.raises(ZeroDivisionError):
        judge(paths["geant4"], {"fast": paths["cut"]}, tmp_path / "report", thresholds=False)


def test_the_default_metrics_are_set_by_classifier_and_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr("caloforge.report.default_metrics", lambda *settings: given.append(settings) or METRICS[:1])
    classifier, kernel = AUC(epochs=3), KernelTest(steps=9)
    validate(showers(100, 1), showers(100, 2), classifier=classifier, kernel=kernel)
    assert given == [(atlas_lar(), classifier, kernel)]


def test_the_headline_has_every_test_that_may_tell_the_samples_apart() -> None:
    assert {"auc/high", "auc/low", "mmd", "mmd/p_value"} <= set(HEADLINE) & {
        metric.name for metric in default_metrics(atlas_lar())
    }


def test_a_headline_that_is_nowhere_defined_is_left_out(report: Report) -> None:
    rows = [{**row, "name": name, "value": np.nan} for row in report.metrics[:2] for name in ("pixels/mean",)]
    assert "pixels/mean" not in dict(replace(report, metrics=[*report.metrics, *rows]).headline())
    rows[1]["value"] = 1.0
    assert "pixels/mean" in dict(replace(report, metrics=[*report.metrics, *rows]).headline())


def test_shares_may_miss_their_floor_either_way() -> None:
    row = {"name": "recall", "value": 0.25, "floor": 0.5}
    assert (excess(row), excess({**row, "value": 1.0})) == (2.0, 2.0)
    assert excess({**row, "name": "correlation_mse"}) == 0.5
    assert excess({**row, "floor": np.nan}) == 1.0


def test_gates(report: Report) -> None:
    assert not report.failures({"separation/energy_total": 1.0})
    assert [row["sample"] for row in report.failures({"separation/energy_total": 0.2})] == ["off"]
    with pytest.raises(InputError, match="no metric"):
        report.failures({"separation/nothing": 0.1})


def test_other_cells_are_refused() -> None:
    other = Showers(np.ones((10, clic_ecal().n_cells)), {"energy": np.full(10, 1e3)}, clic_ecal())
    with pytest.raises(InputError):
        validate(showers(600, 1), other, metrics=METRICS)


@pytest.mark.parametrize("story", [made(1, first=300), {"simulator": "a model", "training": made(1, first=599)}])
def test_shared_events_are_refused(story: dict[str, object]) -> None:
    with pytest.raises(InputError):
        validate(showers(600, 1), {"s": showers(600, 2)}, metrics=METRICS, provenance={"Geant4": made(1), "s": story})


def test_other_events_are_welcome() -> None:
    story = {"simulator": "a model", "training": made(1, first=600)}
    validate(showers(600, 1), {"s": showers(600, 2)}, metrics=METRICS, provenance={"Geant4": made(1), "s": story})


def test_cycled_energies_are_split_fairly() -> None:
    """Every second shower has the other energy: a split by parity would compare energies instead of showers."""
    cycled = showers(2000, 7)
    incident = np.tile([20e3, 80e3], 1000)
    energies = cycled.energies / cycled.incident[:, None] * incident[:, None]
    reference = Showers(energies, {"energy": incident}, cycled.geometry)
    report = validate(reference, reference[:500], metrics=[Separation("energy_total")])
    assert report.rows("separation/energy_total")[0]["floor"] < 0.1
    assert {row["energy"] for row in report.metrics} == {None, "20 GeV", "80 GeV"}
    assert [round(each) for each in report.figures["trends"]["energy"]] == [20000, 80000]


def test_windows_with_equal_labels_are_told_apart() -> None:
    made_at = showers(800, 8)
    incident = np.tile([100e3, 100.2e3], 400)
    near = Showers(made_at.energies, {"energy": incident}, made_at.geometry)
    report = validate(near, near, metrics=[Separation("hit_fraction")])
    assert {row["energy"] for row in report.metrics} == {None, "100 GeV", "100.2 GeV"}


def test_an_observable_without_floor_does_not_spoil_the_mean() -> None:
    flat = showers(400, 9)
    energies = flat.energies.copy()
    energies[:, flat.geometry.cells("back")] = 0  # never hit, so that nothing there is defined
    empty = Showers(energies, flat.conditions, flat.geometry)
    metrics = [Wasserstein("energy/back"), Wasserstein("mean_phi/back"), Wasserstein("energy/strip")]
    report = validate(empty, {"same": empty}, floor=empty, metrics=metrics)
    (mean,) = report.rows("wasserstein/mean")
    assert all(np.isfinite(mean[name]) for name in ("value", "error", "floor", "floor_error"))


def test_copies_of_the_training_set_are_found() -> None:
    training = showers(7000, 10)
    copies = training[6000:]
    metrics = [NearestTraining(TrainingSet(training, training.geometry))]
    report = validate(showers(600, 11), copies, floor=training, training=training, metrics=metrics)
    row = report.rows("nearest/training")[0]
    assert row["value"] == pytest.approx(0, abs=1e-3)
    assert row["floor"] > 0.05


def test_a_sample_of_which_all_was_imposed_has_no_mean():
    report = validate(showers(60, 1), showers(60, 2), metrics=[Separation("energy_total")], energies=[],
                      imposed={"sample": ["energy_total"]})  # fmt: skip
    assert not report.rows("separation/mean")
    assert report.rows("separation/energy_total")[0]["imposed"]
