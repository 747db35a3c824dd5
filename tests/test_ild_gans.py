"""The GANs of the ILD line: published sizes, losses by hand, and what the energy constrainer and the totals do."""

import math
from pathlib import Path

import pytest
import torch

from caloforge.arguments import configured
from caloforge.detectors import ild_ecal
from caloforge.errors import InputError
from caloforge.models import ConvGAN, ConvWGAN
from caloforge.models.base import Batch
from caloforge.models.compact_gan import Grid
from caloforge.models.ild_gan import Cells, convolution, cross_entropy, growing, hit_rms, started
from caloforge.testing import check_configuration, check_forward, check_gradients, check_randomness

CUBE, SHEET = ((30, 30),) * 30, ((30, 30),)


def n_parameters(network):
    return sum(p.numel() for p in network.parameters())


def built(make, shapes=((4, 4),) * 2, names=("energy",), **options):
    torch.manual_seed(1)
    model = make(**({"width": 0.1, "n_latent": 5} | options))
    model.build(shapes, names)
    return model


def showers(n=6, n_cells=32, seed=1):
    rng = torch.Generator().manual_seed(seed)
    x = torch.rand(n, n_cells, generator=rng) * (torch.rand(n, n_cells, generator=rng) > 0.3) * 1e-3
    return Batch(x, 0.1 + 0.9 * torch.rand(n, 1, generator=rng), 0.5 + torch.rand(n, generator=rng))


def backward(loss, optimizer):
    optimizer.zero_grad()
    loss.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])


def stepped(model, batch, steps=1):
    """Losses of the last step."""
    optimizers, rng = model.optimizers(), torch.Generator().manual_seed(1)
    model.train()
    for _ in range(steps):
        losses = model.step(batch, optimizers, backward, rng, 0.0)
    return losses


# Published are rounded numbers; the exact ones are ours.


def test_numbers_of_parameters_of_the_gan():
    model = built(ConvGAN, CUBE, width=1.0, n_latent=100)
    generator, discriminator = n_parameters(model.generator), n_parameters(model.discriminator)
    assert (generator, discriminator) == (1_516_176, 1_970_081)
    assert (generator, discriminator) == (pytest.approx(1.5e6, rel=0.04), pytest.approx(2.0e6, rel=0.03))
    assert model.discriminator.dense[0].in_features == 257
    assert model.discriminator.dense[0].out_features == 128
    assert (model.latent.size, model.latent.distribution) == (100, "uniform")


def test_numbers_of_parameters_of_the_wgan():
    model = built(ConvWGAN, CUBE, width=1.0, n_latent=100)
    counts = [n_parameters(network) for network in (model.generator, model.critic, model.constrainer)]
    assert counts == [3_655_520, 253_918, 224_473]
    assert counts == [pytest.approx(n, rel=0.03) for n in (3.7e6, 250e3, 220e3)]
    dense = [layer for layer in model.critic.dense if isinstance(layer, torch.nn.Linear)]
    assert [layer.in_features for layer in dense] == [91, 100, 200, 100, 75]
    assert model.constrainer.dense[0].in_features == 2000
    assert (model.latent.size, model.latent.distribution) == (100, "normal")


def test_critic_has_the_published_kernels():
    convolutions = [m for m in built(ConvWGAN, CUBE).critic.image if isinstance(m, torch.nn.Conv3d)]
    assert [m.kernel_size for m in convolutions] == [(10, 2, 2), (6, 2, 2), (4, 2, 2), (4, 2, 2)]


def test_one_layer_is_two_dimensional():
    gan, wgan = (built(make, SHEET, width=1.0, n_latent=100) for make in (ConvGAN, ConvWGAN))
    assert (n_parameters(gan.generator), n_parameters(gan.discriminator)) == (379_248, 679_265)
    counts = [n_parameters(network) for network in (wgan.generator, wgan.critic, wgan.constrainer)]
    assert counts == [897_952, 104_030, 47_465]
    assert wgan.critic.dense[0].in_features == 91
    for model in (gan, wgan):
        kernels = [m.kernel_size[0] for m in model.modules() if isinstance(m, torch.nn.Conv3d)]
        assert set(kernels) == {1}


@pytest.mark.parametrize("make", [ConvGAN, ConvWGAN])
@pytest.mark.parametrize("shapes", [((4, 4),) * 2, ((7, 3),), ((1, 1),) * 9, ((31, 2),) * 3, ((1, 2), (3, 1))])
def test_any_volume(make, shapes):
    model = built(make, shapes)
    n_cells = sum(rows * columns for rows, columns in shapes)
    batch = showers(n_cells=n_cells)
    model.prepare(batch.x, batch.c)
    assert all(math.isfinite(loss) for loss in stepped(model, batch).values())
    x = model(torch.rand(6, 5), batch.c)
    assert x.shape == (6, n_cells)
    assert (x >= 0).all()


@pytest.mark.parametrize("make", [ConvGAN, ConvWGAN])
def test_steps_reach_every_network_and_the_energy_matters(make):
    options = {"width": 0.25, "n_latent": 6}
    check_forward(lambda: make(**options), None)
    check_gradients(lambda: make(**options), None)
    check_randomness(lambda: make(**options), None)
    check_configuration(lambda: make(**options), None)
    model = built(make).eval()
    z = torch.rand(4, 5)
    assert not torch.allclose(model(z, torch.full((4, 1), 0.1)), model(z, torch.full((4, 1), 1.0)))


def test_convolution_knows_what_it_makes():
    for sizes in ((30, 30, 30), (2, 4, 1), (9, 1, 5)):
        layer, after = convolution(1, 2, sizes, (10, 2, 2), (1, 2, 2), (0, 1, 1))
        assert layer(torch.zeros(1, 1, *sizes)).shape[2:] == after
        assert layer.bias is None


def test_generators_keep_the_middle():
    cells = Cells(Grid(((2, 1), (2, 1)))).eval()
    image = torch.arange(64.0).reshape(1, 1, 4, 4, 4) - 30
    # layers 1 and 2, rows 1 and 2, column 1 (of a margin of three, one is cut before)
    assert cells(image).flatten().tolist() == [0, 0, 37 - 30, 41 - 30]
    cells.unit.fill_(2.0)
    assert cells(image).max().item() == 22.0


def test_below_zero_a_part_of_the_gradient_passes_in_training_alone():
    cells, image = Cells(Grid(((1, 2),))), torch.tensor([-1.0, 3.0]).reshape(1, 1, 1, 1, 2).requires_grad_()
    x = cells.train()(image)
    assert x.tolist() == [[0.0, 3.0]]
    x.sum().backward()
    assert image.grad.flatten().tolist() == [pytest.approx(0.1), 1.0]
    image.grad = None
    cells.eval()(image).sum().backward()
    assert image.grad.flatten().tolist() == [0.0, 1.0]


def test_growing_begins_with_an_eighth():
    seen = []
    growing([4, 3, 2], (30, 30, 1), lambda n, sizes: (seen.append((n, sizes)), torch.nn.Identity())[1])
    assert seen == [(3, (8, 8, 1)), (2, (16, 16, 1))]


def test_unit_is_the_root_mean_square_of_hits():
    assert hit_rms(torch.tensor([[3.0, 0.0], [4.0, 0.0]])) == pytest.approx(12.5**0.5)
    assert hit_rms(torch.zeros(2, 2)) == 1.0
    with pytest.raises(InputError, match="negative"):
        hit_rms(torch.tensor([[-1.0]]))


@pytest.mark.parametrize("make", [ConvGAN, ConvWGAN])
def test_the_unit_of_the_showers_changes_nothing_but_the_unit(make):
    small, large = built(make), built(make)
    batch = showers()
    small.prepare(batch.x, batch.c)
    large.prepare(1000 * batch.x, batch.c)
    torch.testing.assert_close(large.verdict(1000 * batch.x, batch.c), small.verdict(batch.x, batch.c))
    z = torch.rand(6, 5)
    small.eval(), large.eval()
    torch.testing.assert_close(large(z, batch.c), 1000 * small(z, batch.c))


# Losses


def test_cross_entropy_by_hand():
    w = torch.tensor([1.5, 0.5])
    logits = torch.tensor([0.0, 2.0])
    real = (1.5 * math.log(2) + 0.5 * math.log(1 + math.exp(-2))) / 2
    fake = (1.5 * math.log(2) + 0.5 * math.log(1 + math.exp(2))) / 2
    assert cross_entropy(logits, 1.0, w).item() == pytest.approx(real)
    assert cross_entropy(logits, 0.0, w).item() == pytest.approx(fake)


def test_losses_of_the_gan_are_non_saturating():
    model = built(ConvGAN)
    batch = showers()._replace(w=torch.tensor([3.0, 0.0, 0.0, 0.0, 0.0, 3.0]))
    of_real, of_fake = torch.linspace(-2, 3, 6), torch.linspace(1, -4, 6)
    zero = lambda network: 0 * next(network.parameters()).sum()  # noqa: E731
    model.judge = lambda x, c: torch.cat([of_real, of_fake]) + zero(model.discriminator) + zero(model.generator)
    model.optimizers = lambda: {
        "discriminator": torch.optim.SGD(model.discriminator.parameters(), lr=1.0),
        "generator": torch.optim.SGD(model.generator.parameters(), lr=1.0),
    }

    def tolerant(loss, optimizer):
        losses.append(loss.item())

    losses = []
    logged = model.step(batch, model.optimizers(), tolerant, torch.Generator(), 0.0)
    softplus = lambda values: sum(math.log(1 + math.exp(v)) for v in values) / 2  # noqa: E731
    assert logged["real"].item() == pytest.approx(softplus([2, -3]))
    assert logged["fake"].item() == pytest.approx(softplus([1, -4]))
    assert logged["generator"].item() == pytest.approx(softplus([-1, 4]))
    assert losses == [pytest.approx(softplus([2, -3, 1, -4])), pytest.approx(softplus([-1, 4]))]


def test_one_shower_is_no_batch():
    with pytest.raises(InputError, match="at least 2"):
        stepped(built(ConvGAN), showers(1))


def with_estimates(real, fake, **options):
    """A WGAN on two showers whose constrainer says `real` of them and `fake` of generated ones, critic 1 and 3."""
    model = built(ConvWGAN, **options)
    batch = Batch(torch.full((2, 32), 2.0), torch.tensor([[0.2], [0.6]]), torch.tensor([1.5, 0.5]))
    model.estimate = lambda x, c: torch.tensor(real if x is batch.x else fake)
    model.criticize = lambda cells, c: torch.tensor([1.0, 3.0])
    return model, batch


def test_constraint_by_hand():
    model, batch = with_estimates([0.3, 0.6], [0.1, 1.0], constraint=5.0)
    losses = model.generator_losses(batch, torch.Generator())
    assert losses["generator"].item() == pytest.approx(-(1.5 * 1 + 0.5 * 3) / 2)
    # errors squared: real 0.01 and 0, generated 0.01 and 0.16
    assert losses["constraint"].item() == pytest.approx(5 * 0.5 * 0.16 / 2, rel=1e-4)
    assert "constraint" not in built(ConvWGAN, constraint=0.0).generator_losses(batch, torch.Generator())


def test_distance_is_weighted_and_real_minus_generated():
    model = built(ConvWGAN, penalty=0.0)
    batch = showers(2)._replace(w=torch.tensor([1.5, 0.5]))
    verdicts = iter([torch.tensor([4.0, 1.0]), torch.tensor([1.0, 3.0])])
    model.criticize = lambda cells, c: next(verdicts)
    distance, penalty = model.critic_losses(batch, torch.Generator())
    assert distance.item() == pytest.approx((1.5 * 3 - 0.5 * 2) / 2)
    assert penalty.item() == 0


def test_the_critic_raises_the_distance_and_lowers_the_penalty():
    model, losses = built(ConvWGAN, n_critic=1, constraint=0.0, penalty=10.0), {}
    weight = next(model.critic.parameters())
    model.critic_losses = lambda batch, rng: (weight.sum() * 0 + 3.0, weight.sum() * 0 + 0.5)
    optimizers = model.optimizers()

    def kept(loss, optimizer):
        losses[next(name for name in optimizers if optimizers[name] is optimizer)] = loss.item()
        backward(loss, optimizer)

    logged = model.step(showers(), optimizers, kept, torch.Generator().manual_seed(1), 0.0)
    assert losses["critic"] == pytest.approx(10 * 0.5 - 3)
    assert (logged["distance"].item(), logged["penalty"].item()) == (3.0, 0.5)


def test_penalty_is_of_each_shower_between_real_and_generated():
    model, batch = built(ConvWGAN), showers(2)
    model.prepare(batch.x, batch.c)
    seen = []
    model.criticize = lambda cells, c: (seen.append(cells.detach()), cells.square().sum(1) / 2)[1]
    _, penalty = model.critic_losses(batch, torch.Generator().manual_seed(1))
    real, fake, between = seen
    torch.testing.assert_close(penalty, (between.norm(dim=1) - 1).square().mean())
    share = (between - fake) / (real - fake)
    share = torch.where((real - fake).abs() > 1e-3, share, share.nanmedian(1, keepdim=True).values)
    torch.testing.assert_close(share, share[:, :1].expand_as(share), atol=1e-3, rtol=1e-2)
    assert ((share > 0) & (share < 1)).all()
    assert (share[0, 0] - share[1, 0]).abs() > 1e-3


def test_constrainer_learns_the_energy_from_real_showers_alone():
    rng = torch.Generator().manual_seed(1)
    c = torch.rand(100, 1, generator=rng)
    depth = torch.arange(4.0).repeat_interleave(16)
    x = torch.exp(-((depth - 3 * c) ** 2)) * (0.9 + 0.2 * torch.rand(100, 64, generator=rng))
    model = built(ConvWGAN, ((4, 4),) * 4, width=0.5, learning_rates=(1e-4, 1e-4, 2e-2), n_critic=2)
    model.prepare(x, c)
    nothing = lambda network: 0 * next(network.parameters()).sum()  # noqa: E731
    model.critic_losses = lambda batch, rng: (nothing(model.critic), nothing(model.critic))
    model.generator_losses = lambda batch, rng: {"generator": nothing(model.generator)}
    stepped(model, Batch(x, c, torch.ones(100)), 100)
    assert (model.estimate(x, c) - c[:, 0]).abs().mean() < 0.1  # guessing the mean gives 0.25


def test_constrainer_honours_weights():
    model = built(ConvWGAN, learning_rates=(1e-4, 1e-4, 1e-2), n_critic=1)
    batch = showers()._replace(w=torch.tensor([6.0, 0, 0, 0, 0, 0]))
    expected = (model.estimate(batch.x, batch.c) - batch.c[:, 0]).abs()[0]
    torch.testing.assert_close(stepped(model, batch)["constrainer"], expected.detach())


def test_clipping_leaves_gains_of_norms_alone():
    model = built(ConvWGAN, ((30, 30),), penalty=0.0, clip=0.01)
    stepped(model, showers(10, 900), 2)
    for layer in model.critic.modules():
        if isinstance(layer, torch.nn.Conv3d | torch.nn.Linear):
            assert layer.weight.abs().max() <= 0.01
            assert layer.bias is None or layer.bias.abs().max() <= 0.01
        elif isinstance(layer, torch.nn.LayerNorm):
            assert layer.weight.min() > 0.9
    assert max(p.abs().max() for p in model.generator.parameters()) > 0.1


def test_without_totals_the_judges_are_blind_to_the_scale():
    batch = showers(6, 900)
    for totals in (False, True):
        model = built(ConvWGAN, SHEET, totals=totals)
        model.prepare(batch.x, batch.c)
        for judge in (model.verdict, model.estimate):
            change = (judge(2 * batch.x, batch.c) - judge(batch.x, batch.c)).abs().max()
            assert (change > 1e-2) == totals


def test_total_is_of_energies_whatever_the_power():
    model = built(ConvWGAN, totals=True, power=0.5)
    x = torch.zeros(2, 32)
    x[0, :2], x[1, 0] = torch.tensor([1.0, 2.0]), 1.0  # energies 1 + 4 and 1, of mean 3
    model.prepare(x, torch.ones(2, 1))
    totals = model.total(x / model.generator.cells.unit)
    assert totals.flatten().tolist() == [pytest.approx(5 / 3), pytest.approx(1 / 3)]
    seen = []
    model.constrainer.forward = lambda cells, beside: seen.append(beside)
    model.estimate(x, torch.tensor([[0.5], [2.0]]))
    assert seen[0].flatten().tolist() == [pytest.approx(2.5 / 3), pytest.approx(2 / 3)]


def test_judges_begin_with_a_slope_near_one():
    network = torch.nn.Sequential(*(torch.nn.Linear(400, 400) for _ in range(3)))
    started(network)
    assert network[1].weight.std().item() == pytest.approx((2 / (1 + 0.2**2) / 400) ** 0.5, rel=0.01)
    assert not network[1].bias.any()
    model = built(ConvWGAN, ((4, 4),) * 2, width=0.5, constraint=0.0)
    x = showers().x / 1e-3
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(model.criticize(x, showers().c).sum(), x)
    assert 0.1 < gradient.norm(dim=1).mean() < 10


def test_options_that_cannot_be_are_refused():
    for options in ({"width": 0.0}, {"clip": -1.0}, {"constraint": -1.0}, {"learning_rates": (1e-4, 1e-4)}):
        with pytest.raises(InputError):
            ConvWGAN(**options)
    with pytest.raises(InputError, match="constrainer"):
        built(ConvWGAN, constraint=0.0).estimate(showers().x, showers().c)


CONFIGURATIONS = sorted(Path(__file__).parents[1].glob("experiments/ild/*gan*.yaml"))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_configurations_make_models(path):
    surrogate = configured(str(path), [], ild_ecal()).surrogate
    model = surrogate.model
    narrow = path.stem.endswith("_narrow")
    assert model.width == (0.25 if narrow else 1.0)
    assert type(model) is (ConvGAN if path.stem.startswith("gan") else ConvWGAN)
    if isinstance(model, ConvWGAN):
        assert (model.penalty, model.clip) == ((10.0, 0.0) if "_gp" in path.stem else (0.0, 0.01))
        assert model.power == getattr(surrogate.chain.transforms[-1], "power", 1.0)


def test_there_are_six_configurations():
    assert len(CONFIGURATIONS) == 6
