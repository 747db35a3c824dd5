"""The GANs of the CLIC line: published sizes and losses, and a compact generator that starts where showers are."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from caloforge.arguments import configured
from caloforge.detectors import clic_ecal, clic_ecal_51
from caloforge.errors import InputError
from caloforge.models import GAN2D, GAN3D, CompactGAN
from caloforge.models.auxiliary_gan import Verdict, measured_angle, percentage_error
from caloforge.models.base import Batch, Model
from caloforge.models.compact_gan import Grid, Table, censored, expected_numbers, mean_distance
from caloforge.models.configuration import construct, describe
from caloforge.models.gan2d import _branched
from caloforge.models.gan_settings import GANSettings
from caloforge.models.keras_layers import batch_norm, conv, conv_transpose, leaky_relu, n_parameters, pad
from caloforge.models.nn import ScaledConditions
from caloforge.models.trend import Trend

CUBE = ((25, 25),) * 25
WIDE = ((51, 51),) * 25
# version: model, layers, conditions, trainable and all parameters of generator and discriminator
PUBLISHED = {
    "fixed": (GAN3D, CUBE, ("energy",), (872_808, 872_948), (73_402, 73_450)),
    "rehm": (lambda **o: GAN3D("rehm", **o), CUBE, ("energy",), (629_449, 629_705), (270_818, 270_946)),
    "angle": (
        lambda **o: GAN3D("angle", **o),
        WIDE,
        ("energy", "theta"),
        (1_364_983, 1_365_047),
        (87_354, 87_402),
    ),
    "conv2d": (GAN2D, CUBE, ("energy",), (2_053_446, 2_055_324), (712_888, 714_114)),
}
SMALL = {"fixed": 0.02, "rehm": 0.05, "angle": 0.2, "conv2d": 0.05}


def built(name, **options):
    make, shapes, conditions, *_ = PUBLISHED[name]
    torch.manual_seed(1)
    model = make(width=SMALL[name], **options)
    model.build(shapes, conditions)
    return model


def showers(model, n=4):
    """Cells and conditions that a model of this line may be shown."""
    rng = torch.Generator().manual_seed(2)
    n_cells = len(model.shapes) * math.prod(model.shapes[0])
    energy = 0.5 + 4 * torch.rand(n, 1, generator=rng)
    x = energy * torch.rand(n, n_cells, generator=rng) ** 8 / n_cells
    return Batch(x, torch.cat([energy, 1.5 * torch.ones(n, model.n_conditions - 1)], 1), torch.ones(n))


def step(model, batch, progress=1.0, seed=1):
    """One step; returns its losses and how often each optimiser stepped."""
    optimizers = model.optimizers()
    counts = dict.fromkeys(optimizers, 0)

    def backward(loss, optimizer):
        counts[next(name for name in optimizers if optimizers[name] is optimizer)] += 1
        optimizer.zero_grad()
        loss.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])

    return model.step(batch, optimizers, backward, torch.Generator().manual_seed(seed), progress), counts


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_of_parameters(name):
    make, shapes, conditions, generator, discriminator = PUBLISHED[name]
    model = make()
    model.build(shapes, conditions)
    assert n_parameters(model.generator) == generator
    assert n_parameters(model.discriminator) == discriminator


@pytest.mark.parametrize("name", PUBLISHED)
def test_steps_reach_every_parameter_and_depend_on_their_generator_alone(name):
    states = []
    for seed in (1, 2):
        model = built(name)
        batch = showers(model)
        model.prepare(batch.x, batch.c)
        torch.manual_seed(seed)
        losses, counts = step(model, batch)
        assert all(p.grad is not None and p.grad.any() for p in model.parameters())
        assert counts == {"discriminator": 2, "generator": 1 if name == "conv2d" else 2}
        assert all(math.isfinite(loss) for loss in losses.values())
        assert ("angle" in losses) == (name == "angle")
        states.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*states)


@pytest.mark.parametrize("name", PUBLISHED)
def test_forward_has_no_randomness_but_its_noise(name):
    model = built(name)
    z, c = torch.from_numpy(model.latent.block(1, 0)[:3]), showers(model, 3).c
    x = model(z, c)
    assert x.shape == (3, 65_025 if name == "angle" else 15_625)
    assert torch.equal(model(z, c), x)
    assert (x < 0).any() == (name == "rehm")  # the only one that ends without ReLU
    assert model.latent.size == {"angle": 254}.get(name, 200)
    # In single precision, how far sums of another batch size are rounded otherwise depends on the processor.
    model, z, c = model.double(), z.double(), c.double()
    torch.testing.assert_close(model(z[1:2], c[1:2]), model(z, c)[1:2], atol=1e-12, rtol=1e-9)


def test_layers_are_the_last_axis_of_three_dimensional_images():
    model = built("fixed")
    image = torch.zeros(1, 1, 25, 25, 25)
    image[0, 0, 3, 4, 5] = 1.0  # row 3, column 4, layer 5
    model.generator.image.forward = lambda latent: image
    assert model.generator(torch.zeros(1, 200), None).flatten().nonzero().item() == (5 * 25 + 3) * 25 + 4
    seen = []
    features = torch.zeros(1, model.discriminator.real.in_features)
    model.discriminator.features.forward = lambda x: (seen.append(x), features)[1]
    model.discriminator(model.generator(torch.zeros(1, 200), None), None)
    assert torch.equal(seen[0], image)


def test_branches_see_turned_copies_and_turn_back():
    model = built("conv2d")
    cube = torch.randn(2, 5, 6, 7)
    seen = []
    branches = [lambda x: (seen.append(x.shape[1]), x)[1]] * 3
    assert torch.equal(_branched(branches, cube), torch.cat([cube] * 3, dim=1))
    assert seen == [5, 7, 6]
    assert len(model.generator.branches) == 3


def test_energy_multiplies_the_noise_or_stands_beside_it():
    z, c = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 0.5]])
    multiplied, beside = built("fixed"), built("angle")
    assert multiplied.mixed(z, c[:, :1]).tolist() == [[3.0, -6.0]]
    assert multiplied.mixed(z, c).tolist() == [[3.0, -6.0, 0.5]]
    assert beside.mixed(z, c).tolist() == [[3.0, 0.5, 1.0, -2.0]]


def test_conditions_are_in_units_of_100_gev():
    scaled = ScaledConditions(("theta", "energy"))
    assert scaled({"energy": torch.tensor([5e4]), "theta": torch.tensor([1.2])}).tolist() == [pytest.approx([1.2, 0.5])]


def test_activation_comes_after_a_tenth_of_the_training():
    model = built("conv2d")
    z, c = torch.randn(2, 200), torch.ones(2, 1)
    assert (model.generate(z, c, 0.09) < 0).any()
    assert (model.generate(z, c, 0.1) >= 0).all()
    assert (model(z, c) >= 0).all()
    assert (built("conv2d", linear_until=0.5).generate(z, c, 0.4) < 0).any()


def test_labels_are_smoothed_and_flipped():
    model, rng = built("conv2d", flip=0.05), torch.Generator().manual_seed(1)
    real, fake = model.labels(0.9, 20_000, rng, True), model.labels(0.0, 20_000, rng, True)
    assert sorted(set(real.tolist())) == [0.0, pytest.approx(0.9)]
    assert (real == 0).float().mean().item() == pytest.approx(0.05, abs=0.006)
    assert set(fake.tolist()) == {0.0, 1.0}
    assert fake.mean().item() == pytest.approx(0.05, abs=0.006)
    assert torch.equal(model.labels(0.9, 100, rng, False), torch.full((100,), 0.9))


def test_losses_by_hand():
    model = built("fixed")
    model.judge = lambda x, c: Verdict(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 3.0]))
    batch = Batch(torch.ones(2, 15_625), torch.tensor([[2.0], [4.0]]), torch.tensor([1.5, 0.5]))
    # cross entropy with label 1: log 2 and log(1 + e⁻²); errors of the energy: 50 % and 25 % of the target
    entropy = (1.5 * math.log(2) + 0.5 * math.log(1 + math.exp(-2))) / 2
    energy = (1.5 * 50 + 0.5 * 25) / 2
    assert model.discriminator_loss(batch, torch.ones(2)).item() == pytest.approx(6 * entropy + 0.2 * energy)
    model.generate = lambda z, c, progress: batch.x
    model.mean_total.forward = lambda c: torch.tensor([15_625 * 2.0, 15_625 * 0.8])  # sums are off by 50 % and 25 %
    losses = model.generator_losses(batch, torch.Generator(), 1.0)
    assert losses["generator"].item() == pytest.approx(6 * entropy)
    assert losses["energy"].item() == pytest.approx(0.2 * energy)
    assert losses["total"].item() == pytest.approx(0.1 * energy)


def test_percentage_error_is_of_the_target():
    assert percentage_error(torch.tensor([1.0, 30.0]), torch.tensor([2.0, 10.0])).tolist() == [50.0, 200.0]


def test_total_is_of_energies_whatever_the_power():
    model = built("fixed", power=0.5)
    assert model.total(torch.tensor([[2.0, -1.0, 3.0]])).item() == pytest.approx(13.0)
    assert built("rehm").total(torch.tensor([[2.0, -1.0, 3.0]])).item() == pytest.approx(4.0)


def test_trend_finds_a_power_law_and_the_mean():
    rng = np.random.default_rng(1)
    energy = torch.from_numpy(rng.uniform(0.02, 5, 20_000)).float()[:, None]
    values = 2.2 * energy[:, 0] ** 0.95
    noisy = values * torch.from_numpy(rng.lognormal(-0.125, 0.5, 20_000)).float()  # of mean 1; of median 0.88
    trend = Trend(1, 0)
    trend.fit(torch.where(torch.arange(20_000) % 10 == 0, 0.0, noisy), energy)
    torch.testing.assert_close(trend(energy), values, rtol=0.05, atol=0.0)
    assert (trend(energy) / values).mean().item() == pytest.approx(1, abs=0.015)


def test_trend_follows_other_conditions_as_they_are():
    c = torch.tensor([[1.0, -1.0], [2.0, 0.0], [4.0, 1.0], [0.5, 0.5]]).repeat(5, 1)
    trend = Trend(2, 0)
    trend.fit(torch.exp(0.3 * c[:, 1]) * c[:, 0], c)
    torch.testing.assert_close(trend(c), torch.exp(0.3 * c[:, 1]) * c[:, 0])


def test_measured_angle_of_lines():
    image = torch.zeros(4, 3, 5, 5)
    image[0, :, 2, 2] = 1.0  # straight: 90°
    image[1, [0, 1, 2], [1, 2, 3], 2] = 1.0  # one row per layer: 45°
    image[2, [0, 1, 2], 2, [1, 2, 3]] = 1.0  # along columns: 90°
    image[0, :, 0, 2] = image[0, :, 4, 2] = 3.0  # what is symmetric changes nothing
    angle = measured_angle(image)
    # Two of three layers have the slope 1; the middle one is at the mean, where there is none. Weights: 0.5, 1.5, 2.5.
    assert angle[0].item() == pytest.approx(math.pi / 2)
    assert angle[1].item() == pytest.approx(math.pi / 2 - math.pi / 4 * 3 / 4.5)
    assert angle[2].item() == pytest.approx(math.pi / 2)
    assert angle[3].item() == 100.0
    image.requires_grad_()
    measured_angle(image).sum().backward()
    assert torch.isfinite(image.grad).all()


def test_keras_layers():
    assert leaky_relu()(torch.tensor([-1.0])).item() == pytest.approx(-0.3)
    norm = batch_norm(1, 1)
    norm(torch.tensor([[10.0], [20.0]]))
    assert norm.running_mean.item() == pytest.approx(0.15)  # 0.99 · 0 + 0.01 · 15
    assert norm.eps == 1e-3
    assert pad([(0, 1), 2])(torch.zeros(1, 1, 3, 3)).shape == (1, 1, 4, 7)
    # "same" with an even kernel: one more behind, so the first output of a kernel of 2 sees the first two cells.
    same = conv(1, 1, (1, 2), same=True, bias=False)
    torch.nn.init.constant_(same[1].weight, 1.0)
    assert same(torch.tensor([[[[1.0, 2.0, 4.0]]]])).flatten().tolist() == [3.0, 6.0, 4.0]
    # A cell of three, transposed with kernel 5 and stride 2: what is cropped is 1 before and 2 behind.
    grown = conv_transpose(1, 1, 5, 2, 2)
    torch.nn.init.zeros_(grown[0].weight)
    grown[0].weight.data[0, 0, 2] = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    row = grown(torch.tensor([[[[1.0, 0.0, 0.0]]]]))[0, 0]
    assert row.shape == (2, 6)
    assert row[1].tolist() == [2.0, 3.0, 4.0, 5.0, 0.0, 0.0]


def test_width_scales_channels():
    narrow, full = built("conv2d"), GAN2D()
    full.build(CUBE, ("energy",))
    assert n_parameters(narrow.generator)[0] < 0.03 * n_parameters(full.generator)[0]


@pytest.mark.parametrize("name", ["fixed", "conv2d"])
def test_weights_multiply_each_showers_loss(name):
    model = built(name, flip=0.0)
    batch = showers(model)
    model.prepare(batch.x, batch.c)
    one = batch._replace(w=torch.tensor([4.0, 0.0, 0.0, 0.0]))
    loss = model.discriminator_loss(one, torch.ones(4))
    verdict = model.judge(batch.x, batch.c)
    w_real, w_energy = model.settings.weights[:2]
    entropy = torch.nn.functional.softplus(-verdict.real[0])
    error = percentage_error(verdict.energy[0], batch.c[0, 0])
    torch.testing.assert_close(loss, w_real * entropy + w_energy * error)


def test_half_precision_differs_a_little():
    z, c = torch.randn(2, 200), torch.ones(2, 1)
    full, half = built("conv2d")(z, c), built("conv2d", bf16=True)(z, c)
    assert half.dtype == torch.float32
    assert 0 < (full - half).abs().max() < 0.05 * full.max()


@pytest.mark.parametrize(
    ("make", "shapes", "names", "message"),
    [
        (GAN3D, ((25, 25),) * 24, ("energy",), "25 layers of 25 x 25"),
        (GAN2D, ((5, 5),) * 5, ("energy",), "25 layers of 25 x 25"),
        (lambda: GAN3D("angle"), WIDE, ("energy",), "theta"),
        (GAN2D, CUBE, ("theta",), "energy"),
    ],
)
def test_other_grids_and_conditions_are_refused(make, shapes, names, message):
    with pytest.raises(InputError, match=message):
        make().build(shapes, names)


@pytest.mark.parametrize("options", [{"flip": 0.6}, {"label": 0.4}, {"weights": (0, 1, 1, 1)}, {"generator_steps": 0}])
def test_recipes_that_cannot_be_are_refused(options):
    with pytest.raises(InputError):
        GAN2D(**options)


def test_one_shower_is_no_batch():
    model = built("fixed")
    with pytest.raises(InputError, match="at least 2"):
        step(model, showers(model, 1))


def test_published_recipes():
    assert replace(GAN3D().settings, weights=()) == replace(GAN3D("rehm").settings, weights=(), output="relu")
    assert GAN3D().settings == GANSettings((6.0, 0.2, 0.1, 0.0), 0.05, 1.0, False, 2, "rmsprop", (1e-3, 1e-3))
    assert GAN3D("angle").settings.weights == (3.0, 0.1, 0.1, 25.0)
    recipe = GAN2D().settings
    assert (recipe.label, recipe.generator_steps, recipe.learning_rates) == (0.9, 1, (5e-4, 1e-4))
    assert GAN2D(flip=0.0, weights=[1, 0, 0, 0]).settings.weights == (1.0, 0.0, 0.0, 0.0)


CONFIGURATIONS = sorted(Path(__file__).parents[1].glob("experiments/clic/*.yaml"))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_configurations_make_models_that_fit_in_20_mb(path):
    detector = clic_ecal_51() if "angle" in path.stem else clic_ecal()
    surrogate = configured(str(path), [], detector).surrogate
    model = construct(describe(surrogate.model), Model)
    assert model.settings == surrogate.model.settings
    model.build(detector.shapes, surrogate.conditions)
    assert sum(tensor.nbytes for tensor in model.state_dict().values()) < 20e6
    assert surrogate.chain.transforms[-1].power == model.power


# The compact one


def test_censored_numbers_have_their_mean_and_mean_square():
    rng = torch.Generator().manual_seed(1)
    h = torch.randn(1_000_000, generator=rng)
    for a, t in ((2.0, -8.0), (0.5, 0.0), (3.0, 1.5)):
        x = a * torch.relu(h - t)
        amplitude, threshold = censored(x.mean()[None], x.square().mean()[None])
        assert amplitude.item() == pytest.approx(a, rel=0.02)
        assert threshold.item() == pytest.approx(t, rel=0.02, abs=0.01)
    amplitude, threshold = censored(torch.zeros(1), torch.zeros(1))
    assert amplitude.item() == 0
    assert threshold.item() == 3.5


def test_expected_numbers():
    numbers = expected_numbers(torch.tensor([[3.0, 0.0]]), torch.tensor([[2.0, 2.0]]), torch.tensor([[1.0, 0.0]]))
    assert numbers.tolist() == [pytest.approx([2.5, -((2 / math.pi) ** 0.5)])]  # x/a + t; mean of h below 0


def test_grid_pads_layers_and_finds_cells_again():
    grid = Grid(((1, 2), (2, 1)))
    cells = torch.arange(1.0, 5.0)[None]
    assert grid.image(cells).tolist() == [[[[1, 2], [0, 0]], [[3, 0], [4, 0]]]]
    assert torch.equal(grid.cells(grid.image(cells))[:, 0], cells)
    assert Grid(CUBE).coarse(4) == (7, 7)


def test_table_is_linear_in_the_root_of_the_energy():
    table = Table(1, 1, 0, 0)
    c = torch.linspace(1, 49**0.5, 50).square()[:, None]
    table.place(c)
    table.values = table.nodes[:, None] * 3
    torch.testing.assert_close(table(c)[:, 0], 3 * c[:, 0].sqrt())
    assert table.hats(c).sum(1).allclose(torch.ones(50))
    assert table(torch.tensor([[100.0]])).item() == pytest.approx(21.0)  # beyond the last node it stays
    table.place(torch.full((3, 1), 4.0))
    assert torch.isfinite(table(c)).all()


def test_matching_is_blind_to_noise_and_sees_a_shift():
    rng = torch.Generator().manual_seed(1)
    distances = {0.0: [], 0.5: []}
    u, w = torch.zeros(20, 1), torch.ones(20)
    for shift, found in distances.items():
        for _ in range(2000):
            real, fake = torch.randn(2, 20, 3, generator=rng)
            found.append(mean_distance((real, real[:, :1], u), (fake + shift, fake[:, :1], u), w).item())
    assert np.mean(distances[0.0]) == pytest.approx(0.0, abs=0.005)
    assert np.mean(distances[0.5]) == pytest.approx(0.25 / 2, abs=0.01)  # half of the features are times u = 0


def compact(n=3000):
    """A compact GAN that has seen six correlated cells whose mean grows with the energy, and those showers."""
    rng = torch.Generator().manual_seed(1)
    c = 0.2 + 4 * torch.rand(n, 1, generator=rng)
    h = 0.8 * torch.randn(n, 1, generator=rng) + 0.6 * torch.randn(n, 6, generator=rng)
    x = torch.relu(h - torch.tensor([-3.0, -1.0, 0.0, 0.5, 1.0, 1.5])) * c.sqrt()
    torch.manual_seed(1)
    model = CompactGAN(width=4, critic_width=4, n_global=2, power=1.0)
    model.build(((1, 3), (3, 1)), ("energy",))
    model.prepare(x, c)
    return model, x, c


def test_compact_starts_with_means_hits_and_correlations():
    model, x, c = compact()
    with torch.no_grad():
        y = model(torch.randn(len(c), model.latent.size, generator=torch.Generator().manual_seed(2)), c)
    for low, high in ((0.2, 1.5), (3.0, 4.2)):
        chosen = (c[:, 0] > low) & (c[:, 0] < high)
        torch.testing.assert_close(y[chosen].mean(0), x[chosen].mean(0), rtol=0.15, atol=0.03)
        torch.testing.assert_close((y[chosen] > 0).float().mean(0), (x[chosen] > 0).float().mean(0), atol=0.06, rtol=0)
    assert (torch.corrcoef(y[:, :3].T)[0, 1] - torch.corrcoef(x[:, :3].T)[0, 1]).abs() < 0.1


def test_numbers_are_standard_normal_whatever_the_loadings():
    model, _, _ = compact(500)
    with torch.no_grad():
        model.generator.loadings.normal_(0, 3)
        z, own = torch.randn(50_000, 2), torch.randn(50_000, 6)
        numbers = model.generator.numbers(z, own, torch.full((50_000, 1), 0.7))
    torch.testing.assert_close(numbers.std(0), torch.ones(6), atol=0.02, rtol=0)


def test_compact_reports_its_losses_and_can_do_without_matching():
    model, x, c = compact(200)
    assert "matching" in step(model, Batch(x, c, torch.ones(200)))[0]
    model.matching = 0.0
    assert "matching" not in step(model, Batch(x, c, torch.ones(200)))[0]
    with pytest.raises(InputError, match="matching"):
        CompactGAN(matching=-1.0)
