"""AdaGAN: what a component is trained on, the run's folder, a restart."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from caloforge.cli import main
from caloforge.ensembles import AdaGAN, load
from caloforge.errors import InputError
from caloforge.files import ShowerFile, write
from caloforge.geometry import Geometry, Layer, regular
from caloforge.models import WGANGP, FlowMatching
from caloforge.showers import Showers
from caloforge.surrogate import Surrogate
from caloforge.testing import toy_geometry, toy_showers
from caloforge.training import Training
from caloforge.transforms import Fractions, Log, Standardize

SHORT = Training(steps=25, batch_size=100, ema=0, progress=False, threads=1, checkpoint_seconds=0, log_steps=5)
SHOWERS = toy_showers(300, 1)


def surrogate():
    return Surrogate(toy_geometry(), WGANGP(n_latent=4, width=8), [Fractions()])


def table(folder):
    return list(csv.DictReader((folder / "ensemble.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble") / "run"
    AdaGAN(3, [2, 1, 1], folds=2).fit(surrogate(), SHOWERS, SHORT, folder)
    return folder


def test_weights_and_table(run):
    assert load(run).weights == (0.5, 0.25, 0.25)
    rows = table(run)
    assert [float(row["beta"]) for row in rows] == [1, pytest.approx(1 / 3, rel=1e-4), 0.25]
    assert [row["component"] for row in rows] == ["0", "1", "2"]
    first, second, _ = (load_file(run / f"component-0{t}-weights.safetensors")["weights"] for t in range(3))
    np.testing.assert_allclose(first, 1 / 300)
    assert second.sum() == pytest.approx(1)
    assert second.std() > 0
    assert float(rows[1]["effective_showers"]) == pytest.approx(1 / np.square(second).sum(), abs=0.1)
    assert 0.5 < float(rows[1]["auc"]) <= 1  # of a network that was hardly trained


def test_components_differ_by_seed_and_weights(run):
    mixture = load(run)
    settings = [each.training_settings["seed"] for each in mixture.simulators]
    assert settings == [1, 2, 3]
    alone = surrogate().fit(SHOWERS, SHORT)
    conditions = {"energy": np.full(20, 1e4)}
    np.testing.assert_array_equal(
        mixture.simulators[0].sample(conditions, 1).energies, alone.sample(conditions, 1).energies
    )
    weights = load_file(run / "component-01-weights.safetensors")["weights"]
    with_weights, without = (surrogate().fit(SHOWERS, replace(SHORT, seed=2), each) for each in (weights, None))
    second = mixture.simulators[1].sample(conditions, 1).energies
    np.testing.assert_array_equal(second, with_weights.sample(conditions, 1).energies)
    assert not np.array_equal(second, without.sample(conditions, 1).energies)


def test_stopped_between_and_inside_components_it_goes_on(run, tmp_path, monkeypatch):
    folder, steps = tmp_path / "run", []
    step = WGANGP.step

    def interrupted(self, *arguments):
        steps.append(1)
        if len(steps) in (12, 40, 55):
            raise KeyboardInterrupt
        return step(self, *arguments)

    monkeypatch.setattr(WGANGP, "step", interrupted)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            AdaGAN(3, [2, 1, 1], folds=2).fit(surrogate(), SHOWERS, SHORT, folder, resume=True)
        with pytest.raises(InputError, match=r"component-00|ensemble|mixture|cannot read"):
            load(folder)
    mixture = AdaGAN(3, [2, 1, 1], folds=2).fit(surrogate(), SHOWERS, SHORT, folder, resume=True)
    assert len(steps) < 90, "components that were complete were trained anew"
    conditions = {"energy": np.linspace(2e3, 5e4, 100)}
    np.testing.assert_array_equal(mixture.sample(conditions, 1).energies, load(run).sample(conditions, 1).energies)
    assert table(folder) == table(run)


def test_a_folder_belongs_to_one_ensemble(run):
    with pytest.raises(InputError, match="already holds a run"):
        AdaGAN(3, [2, 1, 1], folds=2).fit(surrogate(), SHOWERS, SHORT, run)
    with pytest.raises(InputError, match="another ensemble"):
        AdaGAN(3, [1, 1, 1]).fit(surrogate(), SHOWERS, SHORT, run, resume=True)
    with pytest.raises(InputError, match="other showers"):
        AdaGAN(3, [2, 1, 1], folds=2).fit(surrogate(), toy_showers(300, 2), SHORT, run, resume=True)


@pytest.mark.parametrize("discriminator", ["mixture", "own"])
@pytest.mark.parametrize("rule", ["star", "top_k"])
def test_rules_and_discriminators(rule, discriminator, tmp_path):
    settings = AdaGAN(2, rule=rule, discriminator=discriminator, top=0.25, energy_bins=2, folds=2)
    settings.fit(surrogate(), SHOWERS, SHORT, tmp_path)
    weights = load_file(tmp_path / "component-01-weights.safetensors")["weights"]
    assert weights.sum() == pytest.approx(1)
    if rule == "top_k":
        assert (weights > 0).mean() == pytest.approx(0.25, abs=0.01)


def test_a_model_without_discriminator_cannot_judge_itself(tmp_path):
    flow = Surrogate(toy_geometry(), FlowMatching(width=8, blocks=1, n_steps=2), [Fractions(), Log(), Standardize()])
    with pytest.raises(InputError, match="FlowMatching has no discriminator"):
        AdaGAN(2, discriminator="own").fit(flow, SHOWERS, SHORT, tmp_path)


def two_modes(n, share, seed):
    """Two cells that share the energy 0.2 to 0.8, or, in `share` of the showers, 0.8 to 0.2."""
    rng = np.random.default_rng(seed)
    geometry = Geometry("pair", (Layer("only", "xy", regular(2, -1, 1), regular(1, -1, 1), 0.0),))
    first = np.where(rng.random(n) < share, 0.8, 0.2) + 0.02 * rng.standard_normal(n)
    total = rng.normal(1e3, 50, n)[:, None]
    return Showers((total * np.stack([first, 1 - first], 1)).astype(np.float32), {"energy": np.full(n, 1e4)}, geometry)


def test_the_mode_that_is_missed_gets_the_weight(tmp_path, monkeypatch):
    def blind(self, z, c):
        first = 0.2 + 0.02 * z[:, :1]
        return torch.cat([first, 1 - first], dim=1)

    monkeypatch.setattr(WGANGP, "forward", blind)
    showers = two_modes(2000, 0.2, 1)
    AdaGAN(2).fit(Surrogate(showers.geometry, WGANGP(n_latent=2, width=4), [Fractions()]), showers, SHORT, tmp_path)
    weights = load_file(tmp_path / "component-01-weights.safetensors")["weights"]
    missed = showers.energies[:, 0] > 500
    # β = ½; r is 0 where showers are missed and 1.25 elsewhere, so λ = 1, and the brackets are 1 and 0.375
    assert weights[missed].sum() == pytest.approx(2 * missed.mean(), abs=0.03)
    assert weights[~missed].mean() * 2000 == pytest.approx(0.75, abs=0.03)


def test_bad_settings(tmp_path):
    for options, words in (
        ({"members": 0}, "at least 1"),
        ({"folds": 1}, "folds at least 2"),
        ({"top": 0}, "top above 0"),
        ({"members": 2, "component_weights": [1]}, "expected 2"),
        ({"members": 2, "component_weights": [1, 0]}, "above zero"),
    ):
        with pytest.raises(InputError, match=words):
            AdaGAN(**options)
    with pytest.raises(InputError, match="one device"):
        AdaGAN(2).fit(surrogate(), SHOWERS, Training(steps=1, devices=2), tmp_path)


CONFIG = """
model: {class_path: WGANGP, init_args: {n_latent: 4, width: 8}}
transforms: [Fractions]
training: {steps: 20, batch_size: 100, progress: false}
ensemble: {members: 2, folds: 2}
"""


def run_command(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    write("data.h5", SHOWERS, {"simulator": "toy", "seed": 1, "first_event": 0, "n_events": 300})
    train = ["train", "--config", "config.yaml", "--data", "data.h5", "--output", "run", "--ensemble.energy_bins", "3"]
    run_command(*train)
    assert "component 2 of 2" in capsys.readouterr().err
    run_command(*train, "--resume")
    assert "nothing to do" in capsys.readouterr().err
    for name, more in (("all.h5", []), ("one.h5", ["--members", "1"])):
        run_command("generate", "--model", "run", "--energy", "10GeV", "--events", "50", "--output", name, *more)
    with ShowerFile("all.h5") as both, ShowerFile("one.h5") as one:
        assert both.provenance["simulator"].startswith("mixture of 2: surrogate caloforge.models.wgan_gp")
        assert not np.array_equal(both[:].energies, one[:].energies)
    capsys.readouterr()
    run_command("info", "run")
    told = capsys.readouterr().out
    assert "ensemble" in told
    assert "energy_bins: 3" in told
