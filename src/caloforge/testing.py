r"""Contracts as code: what every transform, model and simulator must do, for those of this package and for yours.

Call ``check_transform``, ``check_model`` or ``check_simulator`` in a test of your own; each raises an AssertionError
that says what is wrong. A model is also trained, for seconds, so give it a tiny setting. What it must learn: three
cells whose fractions of the total are

.. math::  f_1 = 0.3 + 0.1\,c + 0.04\,n_1, \quad f_2 = 0.2 + 0.02\,n_2, \quad f_3 = 1 - f_1 - f_2

with normal :math:`n_1, n_2` and one condition :math:`c`, shifted and scaled to order one for models that live on the
whole real axis.
"""

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from caloforge.geometry import Geometry, Layer, regular
from caloforge.models.base import Batch, Model
from caloforge.models.configuration import construct, describe
from caloforge.showers import Conditions, Showers, Simulator
from caloforge.training import Training
from caloforge.transforms import Transform

__all__ = ["MODEL_CHECKS", "check_model", "check_simulator", "check_transform", "toy_geometry", "toy_showers"]

SHAPES = ((1, 2), (1, 1))
MakeModel = Callable[[], Model]


def check_transform(
    transform: Transform, x: Tensor, c: dict[str, Tensor], rtol: float = 1e-4, atol: float = 0.0
) -> None:
    """Fitted on showers `x` (N, n_cells), a transform gives them back; it can be written down and made again.

    The error in each cell may be `rtol` times the largest cell of its shower, and `atol` (MeV).
    """
    transform.fit(x, c)
    y = transform(x, c)
    assert y.shape == x.shape, f"forward changed the shape from {tuple(x.shape)} to {tuple(y.shape)}"
    assert torch.isfinite(y).all(), "forward gave numbers that are not finite"
    back = transform.inverse(y, c)
    error = (back - x).abs() - rtol * x.abs().amax(1, keepdim=True) - atol
    assert error.max() <= 0, f"inverse(forward(x)) differs from x by {error.max():.2g} MeV more than it may"
    assert torch.equal(transform(x[:1], {k: v[:1] for k, v in c.items()}), y[:1]), "a shower depends on its neighbours"
    again = construct(describe(transform), Transform)  # type: ignore[type-abstract]
    again.fit(x, c)
    assert torch.equal(again(x, c), y), "made again from its configuration, the transform differs"


def check_model(make: MakeModel, training: Training) -> None:
    """All of `MODEL_CHECKS` for models that `make` returns, trained as `training` says where training is needed."""
    for check in MODEL_CHECKS:
        check(make, training)


def check_forward(make: MakeModel, training: Training) -> None:
    """Right shape, finite, in its support, no randomness but the noise, no row depends on another."""
    model = _built(make)
    z, c = _noise(model, 64), torch.linspace(-1, 1, 64)[:, None]
    x = model(z, c)
    expected = (64, sum(rows * columns for rows, columns in SHAPES))
    assert x.shape == expected, f"forward gave the shape {tuple(x.shape)}, expected {expected}"
    assert torch.isfinite(x).all(), "forward gave numbers that are not finite"
    if model.support != "real":
        assert (x >= 0).all(), f"x should be {model.support}, and some of it is negative"
    if model.support == "simplex":
        assert torch.allclose(x.sum(1), torch.ones(64)), "x is not on the simplex: its sum is not one"
    assert torch.equal(model(z, c), x), "forward is random beyond its noise"
    assert torch.allclose(model(z[5:6], c[5:6]), x[5:6], atol=1e-5), "a shower depends on the batch around it"
    assert not torch.allclose(model(_noise(model, 64, seed=2), c), x), "the noise changes nothing"
    assert len(model.latent.block(1, 0)[0]) == model.latent.size, "latent.size is not the size of the noise"


def check_gradients(make: MakeModel, training: Training) -> None:
    """One step gives every parameter of the model a gradient, by exactly one optimiser."""
    model = _built(make)
    owned: list[Tensor] = []
    optimizers = model.optimizers()
    for optimizer in optimizers.values():
        owned += [p for group in optimizer.param_groups for p in group["params"]]
    assert len({id(p) for p in owned}) == len(owned), "two optimisers share a parameter"
    names = {id(p): name for name, p in model.named_parameters()}
    assert set(names) == {id(p) for p in owned}, "some parameters have no optimiser"
    _step(model, optimizers)
    for p in owned:
        assert p.grad is not None, f"no gradient reaches {names[id(p)]}"
        assert p.grad.any(), f"only zero gradients reach {names[id(p)]}"
    exported = {id(p) for p in model.exported.parameters()}
    model.zero_grad()
    model(_noise(model, 64), torch.zeros(64, 1)).square().sum().backward()
    used = {id(p) for p in model.parameters() if p.grad is not None}
    assert used <= exported, "forward uses parameters that are not in `exported`"


def check_randomness(make: MakeModel, training: Training) -> None:
    """A step depends on its generator alone, not on torch's global one."""
    states = []
    for seed in (1, 2):
        model = _built(make)
        torch.manual_seed(seed)
        _step(model, model.optimizers())
        states.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*states), "step uses randomness other than its generator"


def check_configuration(make: MakeModel, training: Training) -> None:
    """Written down and made again, with the same tensors, a model gives the same showers."""
    model = _built(make)
    again = construct(describe(model), Model)  # type: ignore[type-abstract]
    again.build(SHAPES, ("theta",))
    again.load_state_dict(model.state_dict())
    z, c = _noise(model, 16), torch.zeros(16, 1)
    assert torch.equal(again(z, c), model(z, c)), "made again from its configuration, the model differs"


def check_learning(make: MakeModel, training: Training) -> None:
    """Trained, it has the means and a width of the target at two fixed conditions."""
    model = _trained(make, training, *_target(2000))
    for c in (-1.0, 1.0):
        sample = _fractions(model, c)
        expected = torch.tensor([0.3 + 0.1 * c, 0.2, 0.5 - 0.1 * c])
        off = (sample.mean(0) - expected).abs().max()
        assert off < 0.02, f"at c = {c} the means are {sample.mean(0).tolist()}, expected {expected.tolist()}"
        width = float(sample[:, 0].std())
        assert 0.025 < width < 0.055, f"at c = {c} the width of cell 1 is {width:.3f}, expected 0.04"


def check_weights(make: MakeModel, training: Training) -> None:
    """Trained on two equal halves with weights 1.8 and 0.2, it follows the weighted distribution."""
    x, c = _target(2000)
    w = 1 + 0.8 * c[:, 0]
    model = _trained(make, training, x, torch.zeros_like(c), w)
    mean = float(_fractions(model, 0.0)[:, 0].mean())
    assert abs(mean - 0.38) < 0.03, f"the mean is {mean:.3f}; expected 0.38 with the weights, 0.30 without them"


MODEL_CHECKS = (check_forward, check_gradients, check_randomness, check_configuration, check_learning, check_weights)


def check_simulator(simulator: Simulator, conditions: Conditions, seed: int = 1) -> None:
    """Showers are finite, not negative, reproducible, and however a request is cut, the same.

    `conditions` should have some hundred rows, in which no two are equal.
    """
    n = len(conditions["energy"])
    whole = simulator.sample(conditions, seed)
    assert isinstance(simulator, Simulator), "it is not a Simulator: geometry or sample is missing"
    assert len(whole) == n, "wrong number of showers"
    assert whole.geometry == simulator.geometry, "wrong geometry"
    assert (whole.energies >= 0).all(), "some cell energies are negative"
    assert np.isfinite(whole.energies).all(), "some cell energies are not finite"
    assert all(np.array_equal(whole.conditions[k], v) for k, v in conditions.items()), "the conditions changed"
    assert np.array_equal(simulator.sample(conditions, seed).energies, whole.energies), "the same seed, other showers"
    assert not np.array_equal(simulator.sample(conditions, seed + 1).energies, whole.energies), "the seed does nothing"
    edges = [0, 1, 2, 2, n // 3, n // 3 + 1, n - 1, n]
    parts = [
        simulator.sample({k: v[a:b] for k, v in conditions.items()}, seed, a).energies
        for a, b in itertools.pairwise(edges)
    ]
    assert np.array_equal(np.concatenate(parts), whole.energies), "chunks, concatenated, differ from one call"
    later = simulator.sample(conditions, seed, first_event=n).energies
    assert not np.array_equal(later, whole.energies), "first_event changes nothing"


def toy_geometry() -> Geometry:
    """Three small layers, 14 cells, with thresholds: for tests."""
    return Geometry(
        "toy",
        (
            Layer("front", "xy", regular(1, -10, 10), regular(2, -10, 10), 5.0, threshold=20.0),
            Layer("middle", "xy", regular(3, -15, 15), regular(3, -15, 15), 50.0, threshold=10.0),
            Layer("back", "xy", regular(3, -15, 15), regular(1, -10, 10), 90.0),
        ),
    )


def toy_showers(n: int, seed: int) -> Showers:
    """Showers in `toy_geometry` without physics: correlated cells, some empty events at low energy, 1 to 100 GeV."""
    rng = np.random.default_rng(seed)
    geometry = toy_geometry()
    energy = np.exp(rng.uniform(np.log(1e3), np.log(1e5), n))
    depth = 55 + 10 * rng.standard_normal(n) + 5 * np.log(energy / 1e4)
    center = rng.uniform(-4, 4, (n, 2))
    x, y, z = geometry.centers.T
    distance = (x - center[:, :1]) ** 2 / 200 + (y - center[:, 1:]) ** 2 / 200 + (z - depth[:, None]) ** 2 / 800
    cells = np.exp(-distance) * rng.gamma(20.0, size=distance.shape)
    deposited = 0.03 * energy * rng.normal(1, 0.1 + 5 / np.sqrt(energy), n).clip(0)
    cells *= (deposited / cells.sum(1))[:, None]
    return Showers(cells.astype(np.float32), {"energy": energy}, geometry)


def _built(make: MakeModel) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = make()
        model.build(SHAPES, ("theta",))
        x, c = _target(500)
        model.conditioning.fit({"theta": c[:, 0]})
        model.prepare(_shown(model, x), c)
    return model


def _noise(model: Model, n: int, seed: int = 1) -> Tensor:
    return torch.from_numpy(np.concatenate([model.latent.block(seed, k) for k in range(1 + n // 1024)])[:n])


def _target(n: int) -> tuple[Tensor, Tensor]:
    """Fractions (n, 3) as in the module's docstring, and c = ±1 of shape (n, 1)."""
    rng = torch.Generator().manual_seed(3)
    c = 2.0 * torch.randint(2, (n, 1), generator=rng) - 1
    noise = torch.randn(n, 2, generator=rng)
    f = torch.cat([0.3 + 0.1 * c + 0.04 * noise[:, :1], 0.2 + 0.02 * noise[:, 1:]], dim=1).clamp(min=0.0)
    return torch.cat([f, 1 - f.sum(1, keepdim=True)], dim=1), c


def _shown(model: Model, fractions: Tensor) -> Tensor:
    """The target as a model with this support wants it."""
    return 10 * (fractions - 0.2) if model.support == "real" else fractions


def _step(model: Model, optimizers: dict[str, torch.optim.Optimizer]) -> None:
    x, c = _target(50)
    batch = Batch(_shown(model, x), c, torch.ones(50))

    def backward(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss.backward(inputs=[p for group in optimizer.param_groups for p in group["params"]])  # type: ignore[no-untyped-call]

    model.step(batch, optimizers, backward, torch.Generator().manual_seed(1), 0.0)


def _trained(make: MakeModel, training: Training, x: Tensor, c: Tensor, w: Tensor | None = None) -> Model:
    model = _built(make)
    data = Batch(_shown(model, x), c, torch.ones(len(x)) if w is None else w)
    training.run(model, data)
    return model


@torch.inference_mode()
def _fractions(model: Model, c: float, n: int = 2000) -> Tensor:
    """Generated showers at one condition, as fractions."""
    x: Tensor = model(_noise(model, n), torch.full((n, 1), c))
    return x / 10 + 0.2 if model.support == "real" else x
