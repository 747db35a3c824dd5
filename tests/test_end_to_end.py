"""The whole way, on real input: at (nearly) one energy, where the incident energy explains little."""

from pathlib import Path

import numpy as np
import pytest

from caloforge import datasets
from caloforge.files import ShowerFile
from caloforge.metrics import CorrelationRatio, Separation
from caloforge.models import FlowMatching
from caloforge.quickstart import quickstart
from caloforge.report import validate
from caloforge.showers import Showers
from caloforge.surrogate import Surrogate
from caloforge.training import Training
from caloforge.transforms import Fractions, Log, Standardize

ENERGIES = (30e3, 75e3)


def in_window(showers: Showers) -> Showers:
    low, high = ENERGIES
    return showers[(showers.incident >= low) & (showers.incident < high)].above_threshold()


def test_a_flow_learns_showers_of_one_energy() -> None:
    with ShowerFile(datasets.path("atlas_lar_training")) as file:
        training = file[:]
    with ShowerFile(datasets.path("atlas_lar_reference")) as file:
        reference = file[:]
    transforms = [Fractions(), Log(), Standardize()]
    surrogate = Surrogate(training.geometry, FlowMatching(width=128, blocks=2), transforms, threshold=False)
    samples = {}
    for name, steps in {"untrained": 1, "trained": 1500}.items():
        surrogate.fit(training, Training(steps=steps, ema=0, schedule="cosine", threads=1, progress=False))
        samples[name] = surrogate.sample(reference.conditions, seed=1)

    generated, true = in_window(samples["trained"]), in_window(reference)
    for layer in ("strip", "middle"):
        ours, theirs = (each.layer(layer).sum(1, dtype=np.float64) for each in (generated, true))
        assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05), layer
        assert ours.std() == pytest.approx(theirs.std(), rel=0.15), layer

    metrics = [CorrelationRatio(), Separation("energy/strip"), Separation("width_phi/middle")]
    report = validate(reference, samples, floor=training, metrics=metrics, energies=[ENERGIES])
    for metric in metrics:
        bad, good = (report.rows(metric.name, name, "30–75 GeV")[0] for name in ("untrained", "trained"))
        assert good["value"] < 0.5 * bad["value"], metric.name
        assert good["value"] < good["floor"] + 0.5, metric.name


def test_quickstart_leaves_a_report_of_both_models(tmp_path: Path) -> None:
    report = quickstart(tmp_path / "quickstart", seconds=2)
    assert report.samples == ("wgan_gp", "flow_matching")
    assert "correlation_mse/ratio" in report.summary()
    assert {each.name for each in (tmp_path / "quickstart").iterdir()} == {
        *report.samples,
        *(f"{name}.h5" for name in report.samples),
        "report.json",
        "report.html",
    }
    with (
        ShowerFile(tmp_path / "quickstart" / "wgan_gp.h5") as file,
        ShowerFile(datasets.path("atlas_lar_reference")) as reference,
    ):
        assert np.array_equal(file.conditions["energy"], reference.conditions["energy"])
