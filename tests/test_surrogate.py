"""The surrogate: physical units, reproducible showers, the response, and the folder of a run."""

import itertools
import json

import numpy as np
import pytest
import torch
import yaml

from caloforge.errors import InputError
from caloforge.files import write
from caloforge.models import WGANGP, FlowMatching
from caloforge.models.blocks import TILE
from caloforge.models.response import Response
from caloforge.production import condition_source, is_cut, surrogate_identity
from caloforge.showers import Showers
from caloforge.surrogate import Surrogate
from caloforge.testing import check_simulator, toy_geometry, toy_showers
from caloforge.training import Training
from caloforge.transforms import Fractions, Log, Standardize

SHORT = Training(steps=60, batch_size=200, ema=0.9, progress=False, threads=1)
FLOW_CHAIN = {"transforms": [Fractions(), Log(1e-4), Standardize()]}
MAKE = {
    "wgan": lambda **options: Surrogate(toy_geometry(), WGANGP(n_latent=5, width=24), [Fractions()], **options),
    "flow": lambda **options: Surrogate(
        toy_geometry(), FlowMatching(width=24, blocks=1, n_steps=4), [Fractions(), Log(1e-4), Standardize()], **options
    ),
    "energies": lambda **options: Surrogate(
        toy_geometry(), FlowMatching(width=24, blocks=1, n_steps=4), [Log(1.0), Standardize()], **options
    ),
}


@pytest.fixture(scope="module", params=MAKE)
def trained(request):
    return MAKE[request.param]().fit(toy_showers(2000, 1), SHORT)


@pytest.fixture(scope="module")
def wgan():
    return MAKE["wgan"]().fit(toy_showers(2000, 1), SHORT)


def energies(n, seed=1):
    return {"energy": np.exp(np.random.default_rng(seed).uniform(np.log(2e3), np.log(5e4), n))}


def test_simulator_contract(trained):
    check_simulator(trained, energies(300))


def test_chunks_across_blocks_and_single_events_equal_one_call(trained):
    conditions = energies(2500)
    whole = trained.sample(conditions, 3, 500).energies
    edges = [0, 1, 2, 9, 523, 524, 525, 540, 1548, 1549, 2400, 2500]
    parts = [
        trained.sample({"energy": conditions["energy"][a:b]}, 3, 500 + a).energies for a, b in itertools.pairwise(edges)
    ]
    assert np.array_equal(np.concatenate(parts), whole)


def test_large_tiles_alone_give_the_same_showers(wgan, monkeypatch):
    conditions = {"energy": energies(30)["energy"]}
    small = wgan.sample(conditions, 1, 1010).energies
    monkeypatch.setattr(wgan._blocks, "_small_network", lambda *arguments: None)
    assert np.array_equal(wgan.sample(conditions, 1, 1010).energies, small)


def test_small_tiles_are_refused_where_they_change_a_bit(wgan):
    def depends_on_height(z, c):
        return wgan(z, c) * (1 + 1e-6 * len(z))

    event = (depends_on_height, wgan.latent, np.full((1, 1), 5e3, np.float32), 1, 0, torch.device("cpu"))
    wgan._blocks.forget()
    assert wgan._blocks._small_network(*event) is None
    wgan._blocks.forget()
    assert wgan._blocks._small_network(wgan, *event[1:]) is not None
    assert TILE < 1024


def test_a_network_that_cannot_be_traced_runs_as_it_is(wgan, monkeypatch):
    def refuse(*arguments, **options):
        raise RuntimeError

    expected = wgan.sample(energies(3), 1).energies
    wgan._blocks.forget()
    monkeypatch.setattr(torch.jit, "trace", refuse)
    assert np.array_equal(wgan.sample(energies(3), 1).energies, expected)
    wgan._blocks.forget()


def test_forward_is_what_sample_does(trained):
    conditions = energies(1024)
    z = torch.from_numpy(trained.latent.block(7, 0))
    with torch.inference_mode():
        x = trained(z, torch.from_numpy(conditions["energy"].astype(np.float32))[:, None])
    assert np.array_equal(x.numpy(), trained.sample(conditions, 7).energies)


def test_the_graph_exports_for_any_number_of_showers(trained):
    rows = torch.export.Dim("rows", min=2, max=4096)
    z, conditions = torch.randn(33, trained.latent.size), torch.full((33, 1), 2e4)
    program = torch.export.export(trained, (z[:16], conditions[:16]), dynamic_shapes=({0: rows}, {0: rows}))
    torch.testing.assert_close(program.module()(z, conditions), trained(z, conditions))


def test_sampling_leaves_the_global_generators_alone(wgan):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    wgan.sample(energies(10), 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_thresholds_are_applied(trained):
    cells = trained.sample(energies(500), 1).energies
    assert ((cells == 0) | (cells >= trained.geometry.thresholds)).all()


def test_showers_before_the_thresholds_are_what_the_thresholds_cut(trained):
    conditions = energies(40)
    cut = trained.sample(conditions, 2).energies
    trained.cuts = False
    uncut, uncut_again = trained.sample(conditions, 2).energies, trained.sample(conditions, 2).energies
    trained.cuts = True
    below = trained.geometry.thresholds
    assert ((uncut > 0) & (uncut < below)).any()
    assert np.array_equal(cut > 0, (uncut >= below) & (uncut > 0))
    assert np.array_equal(uncut, uncut_again)
    assert np.array_equal(trained.sample(conditions, 2).energies, cut)


def test_the_deposited_energy_is_imposed(wgan):
    deposited = np.linspace(100, 1000, 200)
    showers = wgan.sample({"energy": np.full(200, 2e4), "deposited": deposited}, 1)
    hit = showers.energies.sum(1) > 0
    assert hit.mean() > 0.9
    np.testing.assert_allclose(showers.energies.sum(1, dtype=float)[hit], deposited[hit], rtol=1e-5)
    assert wgan.imposed == ("energy_total",)


def test_a_deposited_energy_of_zero_is_an_empty_shower(wgan):
    assert not wgan.sample({"energy": np.full(3, 2e4), "deposited": np.zeros(3)}, 1).energies.any()


def test_what_is_deposited_is_counted_above_threshold_if_these_were_applied():
    showers = toy_showers(100, 1)
    np.testing.assert_allclose(MAKE["wgan"]().deposited(showers), showers.above_threshold().energies.sum(1), rtol=1e-5)
    np.testing.assert_allclose(MAKE["wgan"](threshold=False).deposited(showers), showers.energies.sum(1), rtol=1e-5)


def test_given_deposits_are_counted_as_the_model_was_trained(tmp_path):
    """Thresholds act once, and what they still change is not called imposed."""
    showers = toy_showers(400, 3)
    write(tmp_path / "a.h5", showers, {})
    for threshold in (True, False):
        surrogate = MAKE["wgan"](threshold=threshold)
        surrogate.fit(showers, Training(steps=2, progress=False))
        surrogate.save(tmp_path / f"run{threshold}")
        source, n = condition_source({}, str(tmp_path / "a.h5"), surrogate, deposited=True)
        expected = (showers.above_threshold() if threshold else showers).energies.sum(1, dtype=float)
        np.testing.assert_allclose(source.sample(1, 100, n - 100)["deposited"], expected[100:])
        imposed = surrogate_identity(surrogate, tmp_path / f"run{threshold}", deposited=True)["imposed"]
        assert imposed == (["energy_total", "response"] if threshold else [])


def test_a_generated_file_says_whether_it_got_the_thresholds(wgan, tmp_path):
    wgan.save(tmp_path)
    assert is_cut(surrogate_identity(wgan, tmp_path))
    wgan.cuts = False
    assert not is_cut(surrogate_identity(wgan, tmp_path))
    wgan.cuts = True
    assert not is_cut({"simulator": "Geant4"})


def test_total_energy_follows_the_response(wgan):
    reference = toy_showers(4000, 2)
    expected = reference.above_threshold().energies.sum(1, dtype=float) / reference.incident
    made = wgan.sample(reference.conditions, 1).energies.sum(1, dtype=float) / reference.incident
    assert np.mean(made) == pytest.approx(np.mean(expected), rel=0.03)
    assert np.std(made) == pytest.approx(np.std(expected), rel=0.1)


def test_empty_showers_come_back():
    showers = toy_showers(4000, 1)
    energies = np.where(np.arange(4000)[:, None] % 4 == 0, 0, showers.energies)
    some_empty = Showers(energies, showers.conditions, showers.geometry)
    made = MAKE["wgan"]().fit(some_empty, SHORT).sample({"energy": np.full(4000, 2e4)}, 1)
    assert (made.energies.sum(1) == 0).mean() == pytest.approx(0.25, abs=0.04)


def test_only_empty_showers_are_refused():
    showers = toy_showers(50, 1)
    with pytest.raises(InputError, match="empty"):
        MAKE["wgan"]().fit(Showers(0 * showers.energies, showers.conditions, showers.geometry), SHORT)


def test_weights_reach_the_generated_showers():
    showers = toy_showers(3000, 1)
    deep = showers.layer("back").sum((1, 2)) / showers.energies.sum(1) > 0.25
    share = lambda made: (made.layer("back").sum((1, 2)) / np.maximum(made.energies.sum(1), 1e-9)).mean()  # noqa: E731
    longer = Training(steps=300, batch_size=200, ema=0.98, progress=False, threads=1)
    made = [
        MAKE["flow"]().fit(showers, longer, weights=w).sample(energies(2000), 1)
        for w in (1 + 9.0 * deep, 10 - 9.0 * deep)
    ]
    assert share(made[0]) > share(made[1]) + 0.05


@pytest.mark.parametrize("weights", [np.ones(5), -np.ones(50), np.zeros(50), np.full(50, np.nan)])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(InputError, match="weights"):
        MAKE["wgan"]().fit(toy_showers(50, 1), SHORT, weights=weights)


def test_fit_is_reproducible_whatever_the_global_seed():
    cells = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        cells.append(
            MAKE["flow"]().fit(toy_showers(300, 1), Training(steps=5, progress=False)).sample(energies(5), 1).energies
        )
    assert np.array_equal(*cells)


def test_conditions_are_checked(wgan):
    low, high = wgan.trained["energy"]
    wgan.sample({"energy": np.array([low, high])}, 1)
    for wrong in (low / 2, 2 * high):
        with pytest.raises(InputError, match=f"energy goes from.*{wrong:g}.*trained on {low:g} to {high:g}"):
            wgan.sample({"energy": np.array([2e4, wrong])}, 1)
    with pytest.raises(InputError, match="theta"):
        wgan.sample({"energy": np.array([2e4]), "theta": np.array([1.0])}, 1)
    with pytest.raises(InputError, match="deposited"):
        wgan.sample({"energy": np.array([2e4]), "deposited": np.array([1e6])}, 1)
    with pytest.raises(InputError, match="not trained"):
        MAKE["wgan"]().sample(energies(1), 1)


def test_wrong_showers_and_conditions_are_refused():
    with pytest.raises(InputError, match="theta is missing"):
        MAKE["wgan"](conditions=("energy", "theta")).fit(toy_showers(50, 1), SHORT)
    with pytest.raises(InputError, match="'energy' must be there"):
        MAKE["wgan"](conditions=("theta",))
    other = Surrogate(toy_geometry(), FlowMatching(), []).geometry.__class__("other", toy_geometry().layers)
    with pytest.raises(InputError, match="other"):
        Surrogate(other, FlowMatching(), []).fit(toy_showers(50, 1), SHORT)


def test_more_conditions():
    showers = toy_showers(500, 1)
    tilted = Showers(showers.energies, {**showers.conditions, "theta": np.linspace(1, 2, 500)}, showers.geometry)
    surrogate = MAKE["flow"](conditions=("energy", "theta")).fit(tilted, Training(steps=5, progress=False))
    made = surrogate.sample({"energy": np.full(4, 2e4), "theta": np.array([1, 1.3, 1.6, 2])}, 1)
    assert set(made.conditions) == {"energy", "theta"}
    with pytest.raises(InputError, match="theta"):
        surrogate.sample({"energy": np.array([2e4]), "theta": np.array([2.1])}, 1)


def test_large_files_are_transformed_in_parts(monkeypatch):
    monkeypatch.setattr("caloforge.learning_set.PART", 7)
    whole, few = MAKE["flow"](), MAKE["flow"]()
    few_at_once = few.fit(toy_showers(100, 1), Training(steps=3, progress=False)).sample(energies(5), 1).energies
    monkeypatch.undo()
    at_once = whole.fit(toy_showers(100, 1), Training(steps=3, progress=False)).sample(energies(5), 1).energies
    np.testing.assert_allclose(few_at_once, at_once, rtol=1e-4)


# The folder of a run


def test_a_run_is_four_files_and_loads_to_the_same_showers(trained, tmp_path):
    trained.save(tmp_path)
    again = Surrogate.load(tmp_path)
    assert np.array_equal(again.sample(energies(50), 1).energies, trained.sample(energies(50), 1).energies)
    assert again.geometry == trained.geometry
    assert again.trained == trained.trained
    assert again.config() == trained.config()


def test_config_is_complete_and_what_jsonargparse_reads(tmp_path):
    surrogate = MAKE["flow"]().fit(
        toy_showers(100, 1), Training(steps=2, progress=False), folder=tmp_path, provenance={"seed": 1}
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.yaml",
        "log.csv",
        "provenance.json",
        "surrogate.safetensors",
    ]
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert config["model"]["class_path"] == "caloforge.models.flow_matching.FlowMatching"
    assert config["model"]["init_args"]["width"] == surrogate.model.width == 24
    assert config["transforms"][1] == {"class_path": "caloforge.transforms.Log", "init_args": {"floor": 1e-4}}
    assert config["training"]["steps"] == 2
    assert config["conditions"] == ["energy"]
    assert json.loads((tmp_path / "provenance.json").read_text())["data"] == {"seed": 1}


def test_a_finished_run_is_read_and_another_is_refused(tmp_path):
    first = MAKE["wgan"]().fit(toy_showers(100, 1), Training(steps=2, progress=False), folder=tmp_path)
    again = MAKE["wgan"]().fit(toy_showers(100, 1), Training(steps=2, progress=False), folder=tmp_path, resume=True)
    assert np.array_equal(again.sample(energies(5), 1).energies, first.sample(energies(5), 1).energies)
    with pytest.raises(InputError, match="already holds a run"):
        MAKE["wgan"]().fit(toy_showers(100, 1), Training(steps=2, progress=False), folder=tmp_path)
    with pytest.raises(InputError, match="another training"):
        MAKE["wgan"]().fit(toy_showers(100, 1), Training(steps=3, progress=False), folder=tmp_path, resume=True)


@pytest.fixture
def run(wgan, tmp_path):
    wgan.save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "path", ["os.system", "torch.nn.Linear", "caloforge.models.base.Model", "nowhere.Model", "Model"]
)
def test_only_models_are_made_from_a_configuration(run, path):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["class_path"] = path
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError):
        Surrogate.load(run)


def test_a_transform_is_no_model(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"] = config["transforms"][0]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="not a Model"):
        Surrogate.load(run)


@pytest.mark.parametrize("name", ["config.yaml", "surrogate.safetensors", "provenance.json"])
@pytest.mark.parametrize("content", [None, b"", b"garbage \x00\xff", b"[1, 2]"])
def test_broken_runs_are_refused(run, name, content):
    (run / name).unlink()
    if content is not None:
        (run / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        Surrogate.load(run)


def test_weights_of_another_model_are_refused(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["init_args"]["width"] = 99
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="do not fit"):
        Surrogate.load(run)


def test_an_unknown_argument_is_named(run):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"]["init_args"]["widht"] = 99
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="widht"):
        Surrogate.load(run)


# The response


def quantiles(response, energy, levels):
    n = len(levels)
    return response(torch.tensor(levels, dtype=torch.float32), torch.full((n,), energy)).numpy() / energy


def test_response_recovers_quantiles_between_its_nodes():
    # E_dep/E is normal with mean 0.9 + 0.02·log(E/GeV) and width 0.1/√(E/GeV).
    rng = np.random.default_rng(1)
    energy = np.exp(rng.uniform(np.log(1e3), np.log(3e5), 40_000))
    gev = energy / 1e3
    ratio = 0.9 + 0.02 * np.log(gev) + 0.1 / np.sqrt(gev) * rng.standard_normal(40_000)
    response = Response()
    response.fit(energy, energy * ratio, np.ones(40_000))
    for e in (2e3, 1.3e4, 1e5):
        mean, width = 0.9 + 0.02 * np.log(e / 1e3), 0.1 / np.sqrt(e / 1e3)
        expected = mean + width * np.array([-1.6449, 0, 1.6449])
        np.testing.assert_allclose(quantiles(response, e, [0.05, 0.5, 0.95]), expected, atol=0.2 * width)


def test_response_keeps_width_and_tails():
    rng = np.random.default_rng(2)
    energy = np.exp(rng.uniform(np.log(1e3), np.log(3e5), 40_000))
    ratio = 0.9 - rng.gamma(2.0, 0.02, 40_000)  # a tail on one side, as leakage makes it
    response = Response()
    response.fit(energy, energy * ratio, np.ones(40_000))
    made = quantiles(response, 5e4, (np.arange(100_000) + 0.5) / 100_000)
    assert made.mean() == pytest.approx(0.86, abs=2e-3)
    assert made.std() == pytest.approx(0.02 * 2**0.5, rel=0.04)
    assert np.quantile(made, 0.01) == pytest.approx(0.9 - 0.02 * 6.638, abs=8e-3)


def test_response_does_not_smear_rare_showers():
    """One shower in a thousand leaks badly: between equidistant quantiles that would spread over one in a hundred."""
    ratio = np.random.default_rng(3).normal(0.95, 0.01, 20_000)
    ratio[:20] = 0.5
    response = Response()
    response.fit(np.full(20_000, 5e4), 5e4 * ratio, np.ones(20_000))
    made = quantiles(response, 5e4, (np.arange(100_000) + 0.5) / 100_000)
    assert made.std() == pytest.approx(ratio.std(), rel=0.1)


def test_response_at_one_energy_is_the_sample():
    energy = np.full(1000, 5e4)
    response = Response()
    response.fit(energy, energy * np.linspace(0.5, 1, 1000), np.ones(1000))
    np.testing.assert_allclose(quantiles(response, 5e4, [0.0, 0.25, 0.5, 1.0]), [0.5, 0.625, 0.75, 1.0], atol=1e-3)


def test_response_has_its_empty_showers():
    energy = np.repeat([1e3, 1e4], 1000)
    deposited = energy * np.concatenate([np.where(np.arange(1000) < 300, 0, 0.5), np.full(1000, 0.8)])
    response = Response()
    response.fit(energy, deposited, np.ones(2000))
    np.testing.assert_allclose(quantiles(response, 1e3, [0.0, 0.29, 0.31, 1.0]), [0, 0, 0.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(quantiles(response, 1e4, [0.0, 0.5, 1.0]), 0.8, rtol=1e-6)
    # Half way in log E: p₀ = 0.15 and Q = 0.65.
    np.testing.assert_allclose(quantiles(response, 10**3.5, [0.14, 0.16, 1.0]), [0, 0.65, 0.65], rtol=1e-5)


def test_response_honours_weights():
    energy = np.full(2000, 1e4)
    response = Response()
    response.fit(energy, energy * np.repeat([0.2, 0.4], 1000), np.repeat([3.0, 1.0], 1000))
    assert quantiles(response, 1e4, [0.7, 0.8]).tolist() == pytest.approx([0.2, 0.4])


def test_response_of_a_rare_layer_of_few_showers():
    response = Response()
    response.fit(np.array([1e4, 2e4]), np.array([0.0, 1e4]), np.ones(2))
    assert torch.isfinite(response(torch.rand(10), torch.linspace(1e4, 2e4, 10))).all()


# Runs that were damaged or edited


@pytest.fixture
def trained_run(tmp_path):
    MAKE["wgan"]().fit(toy_showers(300, 1), Training(steps=2, progress=False), folder=tmp_path / "run")
    return tmp_path / "run"


def test_damaged_weights_are_refused(trained_run):
    path = trained_run / "surrogate.safetensors"
    content = path.read_bytes()
    for start in (len(content) // 2, len(content) - 4):
        path.write_bytes(
            content[:start] + bytes(each ^ 1 for each in content[start : start + 4]) + content[start + 4 :]
        )
        with pytest.raises(InputError, match="damaged"):
            Surrogate.load(trained_run)


@pytest.mark.parametrize(
    "change",
    [
        {"transforms": 3},
        {"transforms": None},
        {"conditions": 3},
        {"threshold": "no"},
        {"model": {"class_path": "caloforge.models.wgan_gp.WGANGP", "init_args": [1]}},
        {"model": {"class_path": "caloforge.models.wgan_gp.WGANGP", "init_args": {"n_latent": "x"}}},
        {"model": {"class_path": "caloforge.models.wgan_gp.WGANGP", "init_args": {"n_critic": 0}}},
    ],
)
def test_edited_configurations_are_refused(trained_run, change):
    config = yaml.safe_load((trained_run / "config.yaml").read_text()) | change
    (trained_run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError):
        Surrogate.load(trained_run)


def test_a_run_is_not_resumed_with_other_showers(trained_run):
    again = Training(steps=2, progress=False)
    assert MAKE["wgan"]().fit(toy_showers(300, 1), again, folder=trained_run, resume=True).trained
    with pytest.raises(InputError, match="other showers"):
        MAKE["wgan"]().fit(toy_showers(300, 2), again, folder=trained_run, resume=True)


def test_a_refused_or_failed_run_does_not_take_what_was_there(tmp_path):
    (tmp_path / "config.yaml").write_text("mine")
    with pytest.raises(InputError, match="would be lost"):
        MAKE["wgan"]().fit(toy_showers(300, 1), Training(steps=2, progress=False), folder=tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "mine"
