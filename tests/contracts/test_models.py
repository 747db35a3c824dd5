"""Every model honours the contract, and does what its paper says."""

import math
from dataclasses import replace

import pytest
import torch

from caloforge.errors import InputError
from caloforge.models import WGANGP, CompactGAN, ConvWGAN, FlowMatching
from caloforge.models.base import Batch, Latent
from caloforge.models.flow_matching import integrate
from caloforge.models.wgan_gp import gradient_penalty
from caloforge.testing import MODEL_CHECKS
from caloforge.training import Training


def tiny_gan(**options):
    return WGANGP(n_latent=6, width=32, depth=2, learning_rate=3e-3, betas=(0, 0.9), **options)


GAN = Training(steps=500, batch_size=320, ema=0.98, schedule="cosine", progress=False, threads=1)
COMPACT = Training(steps=200, batch_size=200, ema=0.98, schedule="cosine", progress=False, threads=1)
ILD_WGAN = Training(steps=200, batch_size=200, ema=0.98, schedule="cosine", progress=False, threads=1)
FLOW = Training(steps=400, batch_size=256, ema=0.98, progress=False, threads=1)
MODELS = {
    "wgan_gp": (lambda: tiny_gan(), GAN),
    "wgan_gp_views": (lambda: tiny_gan(critic_sees=("fractions", "log", "shares", "moments")), GAN),
    "wgan_gp_true_energy": (lambda: tiny_gan(total="learned", critic_sees=("fractions", "log")), GAN),
    "wgan_spectral": (lambda: tiny_gan(spectral=True, penalty=0.0, critic_sees=("log",)), GAN),
    "wgan_l1": (lambda: tiny_gan(l1=1e-5, l1_on="weights"), replace(GAN, steps=800)),
    "compact_gan": (
        lambda: CompactGAN(width=4, critic_width=8, n_global=4, power=1.0, learning_rates=(1e-2, 3e-3)),
        COMPACT,
    ),
    "ild_wgan": (
        lambda: ConvWGAN(
            width=0.25, n_latent=6, n_critic=4, learning_rates=(4e-4, 2e-3, 1e-2), betas=(0.0, 0.9), constraint=0.01
        ),
        ILD_WGAN,
    ),
    "flow_matching": (lambda: FlowMatching(width=32, blocks=2, n_time=8, learning_rate=3e-3), FLOW),
    "flow_heun": (lambda: FlowMatching(width=32, blocks=2, n_time=8, learning_rate=3e-3, sampler="heun"), FLOW),
}


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MODELS)
def test_contract(name, check):
    check(*MODELS[name])


def test_gradient_penalty_is_per_sample():
    # D = ‖h‖²/2 has the gradient h: norms 3 and 1 give ((3-1)² + (1-1)²)/2 = 2. One norm over the batch gives √10.
    points = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    assert gradient_penalty(lambda h: h.square().sum(1) / 2, points).item() == pytest.approx(2.0)
    klein = gradient_penalty(lambda h: h.square().sum(1) / 2, points, "batch")
    assert klein.item() == pytest.approx((10**0.5 - 1) ** 2)


def test_gradient_penalty_reaches_the_weights():
    weight = torch.tensor([2.0], requires_grad=True)
    gradient_penalty(lambda h: weight * h.sum(1), torch.zeros(4, 1)).backward()
    assert weight.grad.item() == pytest.approx(2.0)  # d(w - 1)²/dw at w = 2


def test_trained_critic_has_slope_one():
    model = tiny_gan()
    model.build(((1, 3),), ("theta",))
    rng = torch.Generator().manual_seed(1)
    x = torch.softmax(torch.randn(640, 3, generator=rng), 1)
    Training(steps=150, batch_size=320, progress=False, threads=1).run(
        model, Batch(x, torch.zeros(640, 1), torch.ones(640))
    )
    _, penalty = model.critic_losses(Batch(x, torch.zeros(640, 1), torch.ones(640)), rng)
    assert penalty.item() < 0.3


def stepped(steps=3, **options):
    """A tiny GAN on three cells after a few steps, all from the same seed."""
    torch.manual_seed(1)
    model = WGANGP(n_latent=6, width=8, depth=1, **options)
    model.build(((1, 2), (1, 1)), ("theta",))
    rng = torch.Generator().manual_seed(1)
    x = torch.softmax(torch.randn(50, 3, generator=rng), 1)
    model.prepare(x, torch.zeros(50, 1))
    optimizers = model.optimizers()

    def backward(loss, optimizer):
        optimizer.zero_grad()
        loss.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])

    for _ in range(steps):
        model.step(Batch(x, torch.zeros(50, 1), torch.ones(50)), optimizers, backward, rng, 0.0)
    return model


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_clipping_bounds_the_critic_and_nothing_else():
    model = stepped(clip=0.01, penalty=0.0)
    assert weights(model.critic).abs().max() == pytest.approx(0.01)
    assert weights(model.generator).abs().max() > 0.05


def test_spectral_norm_is_one():
    model = stepped(steps=30, spectral=True, penalty=0.0)
    norms = [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in model.critic[::2]]
    assert norms == pytest.approx([1.0] * len(norms), abs=0.05)


def test_l1_on_the_softmax_does_nothing_and_elsewhere_it_shrinks():
    plain = stepped()
    torch.testing.assert_close(weights(stepped(l1=1.0, l1_on="softmax").generator), weights(plain.generator))
    assert weights(stepped(l1=1.0, l1_on="weights").generator).abs().sum() < weights(plain.generator).abs().sum()
    z = torch.cat([torch.randn(64, 6), torch.zeros(64, 1)], 1)
    small, large = (m.generator[:-1](z).abs().mean() for m in (stepped(30, l1=1.0, learning_rate=1e-2), plain))
    assert small < 0.5 * large


def test_l1_norms_by_hand():
    model = stepped(l1_on="logits")
    logits = torch.tensor([[1.0, -2.0, 0.0], [3.0, 0.0, 0.0]])
    assert model.l1_norm(logits).item() == pytest.approx(3.0)
    model.l1_on = "softmax"
    assert model.l1_norm(logits).item() == pytest.approx(1.0)
    model.l1_on = "weights"
    for layer in (model.generator[0], model.generator[2]):
        torch.nn.init.constant_(layer.weight, -0.5)
        torch.nn.init.constant_(layer.bias, 7.0)
    assert model.l1_norm(logits).item() == pytest.approx(0.5 * (7 * 8 + 8 * 3))


def test_learned_total_stays_below_its_capacity():
    model = WGANGP(n_latent=2, width=4, depth=1, total="learned")
    model.build(((1, 3),), ("theta",))
    model.prepare(torch.tensor([[0.2, 0.3, 0.3], [0.1, 0.1, 0.2]]), torch.zeros(2, 1))
    assert model.generator[-1](torch.tensor([[0.0, 0.0, 0.0, 0.0]])).tolist() == [pytest.approx([0.25] * 3)]
    assert model.generator[-1](torch.tensor([[9.0, 9.0, 9.0, -99.0]])).sum().item() == pytest.approx(1.0)  # 1.25 · 0.8
    with pytest.raises(InputError, match="negative"):
        model.prepare(torch.tensor([[-0.1, 0.5, 0.6]]), torch.zeros(1, 1))


def test_wgan_refuses_what_is_not_on_the_simplex():
    model = WGANGP()
    model.build(((1, 3),), ("theta",))
    with pytest.raises(InputError, match="sum 1"):
        model.prepare(torch.rand(10, 3) + 1, torch.zeros(10, 1))
    with pytest.raises(InputError, match="not be negative"):
        WGANGP(clip=-0.1)


def test_critic_updates_share_the_batch():
    seen = []
    model = WGANGP(n_latent=6, width=8, depth=1, n_critic=5)
    model.build(((1, 3),), ("theta",))
    losses = model.critic_losses
    model.critic_losses = lambda batch, rng: (seen.append(batch.x), losses(batch, rng))[1]
    x = torch.softmax(torch.randn(50, 3), 1)
    counts = {"critic": 0, "generator": 0}

    def backward(loss, optimizer):
        counts[next(name for name in optimizers if optimizers[name] is optimizer)] += 1
        loss.backward()

    optimizers = model.optimizers()
    model.step(Batch(x, torch.zeros(50, 1), torch.ones(50)), optimizers, backward, torch.Generator(), 0.0)
    assert torch.equal(torch.cat(seen), x)
    assert counts == {"critic": 5, "generator": 1}


@pytest.mark.parametrize("method", ["heun", "midpoint"])
def test_sampler_is_of_second_order(method):
    # dx/dt = (1 + t)·x, x(0) = 1: x(1) = exp(3/2).
    x = torch.ones(1, 1, dtype=torch.float64)
    errors = [abs(integrate(lambda x, t: (1 + t) * x, x, n, method).item() - math.exp(1.5)) for n in (20, 40)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_samplers_are_what_they_are_called():
    # One step on dx/dt = t from 0: midpoint gives ½ exactly; on dx/dt = t² midpoint ¼, Heun ½.
    x = torch.zeros(1, 1)
    assert integrate(lambda x, t: torch.full_like(x, t**2), x, 1, "midpoint").item() == pytest.approx(0.25)
    assert integrate(lambda x, t: torch.full_like(x, t**2), x, 1, "heun").item() == pytest.approx(0.5)


def test_flow_loss_vanishes_for_the_true_velocity():
    # All data at one point a: the line through x_t has the velocity (a - x_t)/(1 - t), and no other.
    model = FlowMatching(width=8, blocks=1)
    model.build(((1, 3),), ("theta",))
    a = torch.tensor([1.0, -2.0, 0.5])
    model.velocity = lambda x, t, c: (a - x) / (1 - t)[:, None]
    batch = Batch(a.expand(64, 3), torch.zeros(64, 1), torch.ones(64))
    assert model.loss(batch, torch.Generator().manual_seed(1)).item() < 1e-6


def test_latent_blocks_are_functions_of_seed_and_number():
    latent = Latent(3)
    assert (latent.block(1, 0) == latent.block(1, 0)).all()
    assert not (latent.block(1, 0) == latent.block(1, 1)).any()
    assert not (latent.block(1, 0) == latent.block(2, 0)).any()
    with pytest.raises(InputError, match="seed"):
        latent.block(-1, 0)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_latent_cumulative_is_uniform(distribution):
    latent = Latent(50, distribution)
    u = latent.uniform(torch.from_numpy(latent.block(1, 0))).flatten().sort().values
    assert (u - torch.linspace(0, 1, len(u))).abs().max() < 0.01


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_noise_of_training_has_the_distribution_of_blocks(distribution):
    latent, rng = Latent(50, distribution), torch.Generator().manual_seed(1)
    u = latent.uniform(latent.draw(1024, rng)).flatten().sort().values
    assert (u - torch.linspace(0, 1, len(u))).abs().max() < 0.01
    assert latent.draw(3, rng).shape == (3, 50)
