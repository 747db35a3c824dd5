r"""GANs of the 3DGAN line: a discriminator that also estimates the energy, and losses on sums of cells.

A generator :math:`G` makes cell energies :math:`x` from noise :math:`z \sim \mathcal N(0, 1)` and the primary energy
:math:`E` (in units of 100 GeV), which multiplies the noise: :math:`x = G(E z)`; other conditions, and in the
variable-angle version the energy too, are put beside it. A discriminator has three outputs: the probability :math:`D`
that a shower is real, the primary energy :math:`\hat E`, and the total deposited energy :math:`\sum_k x_k`, which is
no network but a sum; the variable-angle version also measures the angle. All enter one loss for showers called real
(:math:`y = 1`) or generated (:math:`y = 0`):

.. math::  L = w_D\,\mathrm{BCE}(y, D) + 100\,w_E\,\Bigl|\frac{E - \hat E}{E}\Bigr|
           + 100\,w_S\,\Bigl|\frac{S - \sum_k x_k}{S}\Bigr| + w_\theta\,|\vartheta - \hat\vartheta|

The discriminator learns from a batch of real, then from one of generated showers; then the generator takes one or two
steps with the label "real" and fresh noise. Some labels are flipped (1 → 0, 0 → 1), real ones may be smoothed
(0.9). The sum and the angle have no parameters of the discriminator, so that only the generator learns from them.

Three things are not as published. Generated showers have the conditions (and weights) of the real batch beside them,
as in the variable-angle code; the fixed-angle codes draw energies from 2 to 500 GeV. The target :math:`S(E)` of the
sum was a constant of their detector (2 E, or a polynomial of the ratio): here it is the mean of the training showers,
a polynomial in logarithms that is fitted in ``prepare``, and so is the angle that the measurement below gives at each
θ. Learning rates that decay are the business of the training (``schedule: cosine``).

**Angle.** About the energy-weighted mean position of the shower, each layer :math:`l` with mean position
:math:`(x_l, y_l)` at :math:`z_l = l + \tfrac12` gives a slope, in cells,
:math:`m_l = \pm(y_l - y)/\sqrt{(x_l - x)^2 + (z_l - z)^2}` (minus before the mean);
:math:`\hat\vartheta = \pi/2 - \arctan m_l`, averaged with weights :math:`z_l` over layers that are hit. An empty shower
is given 100.

**In torch** the discriminator returns a logit and the loss takes the sigmoid, once.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from caloforge.errors import InputError
from caloforge.models.base import Backward, Batch, Latent, Model, Optimizers, Shapes, require_positive
from caloforge.models.gan_settings import GANSettings
from caloforge.models.nn import ScaledConditions
from caloforge.models.trend import Trend

__all__ = ["AuxiliaryGAN", "Verdict", "measured_angle", "percentage_error"]

EMPTY = 100.0


class Verdict(NamedTuple):
    """What the network of a discriminator says of showers: logit of being real, primary energy (if any); each (N,)."""

    real: Tensor
    energy: Tensor | None


class AuxiliaryGAN(Model):
    """Abstract: what GANs of this line share; a version brings its networks.

    Parameters
    ----------
    published : how the version is trained.
    given : options of `GANSettings` that are changed, kept as attributes; None for the published value.
    size : of the generator's input, noise and conditions.
    power : x are cell energies to this power.
    bf16 : whether `forward` multiplies in half precision.
    """

    def __init__(self, published: GANSettings, given: Mapping[str, Any], size: int, power: float, bf16: bool) -> None:
        super().__init__()
        require_positive(n_latent=size, power=power)
        self.settings = published.changed(given)
        for name, value in given.items():
            setattr(self, name, value)
        self.n_input, self.power, self.bf16 = size, power, bf16
        self.support = "positive" if self.settings.output == "relu" else "real"

    @abstractmethod
    def networks(self, shapes: Shapes, condition_names: tuple[str, ...]) -> tuple[nn.Module, nn.Module]:
        """The generator, ``(latent, c) → x`` without activation, and the discriminator, ``(x, c) → Verdict``."""

    def build(self, shapes: Shapes, condition_names: tuple[str, ...]) -> None:
        self.conditioning = ScaledConditions(condition_names)
        self.main = condition_names.index("energy") if "energy" in condition_names else 0
        self.shapes, self.n_conditions = shapes, len(condition_names)
        self.generator, self.discriminator = self.networks(shapes, condition_names)
        self.angle = condition_names.index("theta") if self.settings.weights[3] else None
        energy = self.main if "energy" in condition_names else None
        self.mean_total = Trend(self.n_conditions, energy)
        self.mean_angle = Trend(self.n_conditions, energy)
        self.eval()

    @property
    def latent(self) -> Latent:
        beside = self.n_conditions - (self.settings.latent == "multiplied")
        return Latent(self.n_input - beside)

    @property
    def exported(self) -> nn.Module:
        return self.generator

    def prepare(self, x: Tensor, c: Tensor) -> None:
        """Fit the mean deposited energy, and the mean measured angle, as functions of the conditions."""
        self.mean_total.fit(self.total(x), c)
        if self.angle is not None:
            self.mean_angle.fit(self.measured(x), c)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        with torch.autocast(z.device.type, torch.bfloat16, enabled=self.bf16):
            return self.generate(z, c, progress=1.0)

    def generate(self, z: Tensor, c: Tensor, progress: float) -> Tensor:
        """Showers at this time of the training: before `linear_until` there is no activation at the end."""
        x = self.generator(self.mixed(z, c), c).float()
        linear = self.settings.output == "linear" or progress < self.settings.linear_until
        return x if linear else torch.relu(x)

    def mixed(self, z: Tensor, c: Tensor) -> Tensor:
        """The generator's input (N, n_input) from noise and conditions."""
        if self.settings.latent == "concatenated":
            return torch.cat([c, z], dim=1)
        others = [c[:, i : i + 1] for i in range(c.shape[1]) if i != self.main]
        return torch.cat([z * c[:, self.main : self.main + 1], *others], dim=1)

    # What is measured on a shower

    def energies(self, x: Tensor) -> Tensor:
        """Cell energies (N, n_cells) in a unit that does not matter."""
        return x if self.power == 1 else x.clamp(min=0) ** (1 / self.power)

    def total(self, x: Tensor) -> Tensor:
        """Total deposited energy, shape (N,)."""
        return self.energies(x).sum(1)

    def measured(self, x: Tensor) -> Tensor:
        """Angle in rad, shape (N,)."""
        return measured_angle(self.energies(x).reshape(len(x), len(self.shapes), *self.shapes[0]))

    # Training

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        networks = {"discriminator": self.discriminator, "generator": self.generator}
        rates = dict(zip(("generator", "discriminator"), self.settings.learning_rates, strict=True))
        return {name: self.optimizer(network, rates[name]) for name, network in networks.items()}

    def optimizer(self, network: nn.Module, rate: float) -> torch.optim.Optimizer:
        """As Keras has them by default."""
        if self.settings.optimizer == "adam":
            return torch.optim.Adam(network.parameters(), lr=rate, eps=1e-7, fused=True)
        return torch.optim.RMSprop(network.parameters(), lr=rate, alpha=0.9, eps=1e-7)

    def step(
        self, batch: Batch, optimizers: Optimizers, backward: Backward, rng: torch.Generator, progress: float
    ) -> dict[str, Tensor]:
        """The discriminator on real showers, then on generated ones; then `generator_steps` of the generator."""
        if len(batch.x) < 2:
            raise InputError("a GAN with batch normalisation needs at least 2 showers per step: raise batch_size.")
        self.generator.train()
        self.discriminator.train()
        with _seeded_dropout(rng):
            return self.steps(batch, optimizers, backward, rng, progress)

    def steps(
        self, batch: Batch, optimizers: Optimizers, backward: Backward, rng: torch.Generator, progress: float
    ) -> dict[str, Tensor]:
        """As `step`, with its surroundings prepared."""
        settings, logged = self.settings, {}
        with torch.no_grad():
            fake = self.generate(self.latent.draw(len(batch.c), rng), batch.c, progress)
        for name, x, label in (("real", batch.x, settings.label), ("fake", fake, 0.0)):
            loss = self.discriminator_loss(batch._replace(x=x), self.labels(label, len(x), rng, flipped=True))
            backward(loss, optimizers["discriminator"])
            optimizers["discriminator"].step()
            logged[name] = loss.detach()
        for _ in range(settings.generator_steps):
            losses = self.generator_losses(batch, rng, progress)
            backward(sum(losses.values(), torch.zeros((), device=fake.device)), optimizers["generator"])
            optimizers["generator"].step()
        return {name: loss.detach() for name, loss in losses.items()} | logged

    def discriminator_loss(self, batch: Batch, labels: Tensor) -> Tensor:
        """Of one batch, real or generated, with labels (N,)."""
        x, c, w = batch
        verdict = self.judge(x, c)
        loss = self.settings.weights[0] * F.binary_cross_entropy_with_logits(verdict.real, labels, w)
        return loss + self.energy_loss(verdict, c, w)

    def energy_loss(self, verdict: Verdict, c: Tensor, w: Tensor) -> Tensor:
        """Of the primary energy; zero if it is no condition."""
        if verdict.energy is None:
            return torch.zeros((), device=c.device)
        return self.settings.weights[1] * (w * percentage_error(verdict.energy, c[:, self.main])).mean()

    def judge(self, x: Tensor, c: Tensor) -> Verdict:
        """The discriminator on showers."""
        return self.discriminator(x, c)  # type: ignore[no-any-return]

    def verdict(self, x: Tensor, c: Tensor) -> Tensor:
        self.discriminator.eval()
        return self.judge(x, c).real

    def generator_losses(self, batch: Batch, rng: torch.Generator, progress: float) -> dict[str, Tensor]:
        """Parts of the generator's loss by name."""
        return self.auxiliary_losses(batch, rng, progress)[0]

    def auxiliary_losses(self, batch: Batch, rng: torch.Generator, progress: float) -> tuple[dict[str, Tensor], Tensor]:
        """Of fresh showers at the batch's conditions, by name, with their weights in the loss; and these showers."""
        _, c, w = batch
        settings = self.settings
        x = self.generate(self.latent.draw(len(c), rng), c, progress)
        verdict = self.judge(x, c)
        labels = self.labels(settings.label if settings.flip_generator else 1.0, len(x), rng, settings.flip_generator)
        losses = {
            "generator": settings.weights[0] * F.binary_cross_entropy_with_logits(verdict.real, labels, w),
            "energy": self.energy_loss(verdict, c, w),
        }
        if settings.weights[2]:
            losses["total"] = settings.weights[2] * (w * percentage_error(self.total(x), self.mean_total(c))).mean()
        if self.angle is not None:
            losses["angle"] = settings.weights[3] * (w * (self.measured(x) - self.mean_angle(c)).abs()).mean()
        return losses, x

    def labels(self, label: float, n: int, rng: torch.Generator, flipped: bool) -> Tensor:
        """As many times the label as asked for, a share of them flipped: 0 becomes 1, what is above becomes 0."""
        flip = torch.rand(n, generator=rng, device=rng.device) < (self.settings.flip if flipped else 0.0)
        return torch.where(flip, float(label == 0), label)


def percentage_error(estimate: Tensor, target: Tensor) -> Tensor:
    """Distance of an estimate from its target in per cent of the target, shape (N,)."""
    return 100 * ((target - estimate) / target).abs()


def measured_angle(image: Tensor) -> Tensor:
    """The angle of each shower in energies (N, layers, rows, columns) to the layers' plane, in rad: shape (N,)."""
    n_layers, n_rows, n_columns = image.shape[1:]
    in_layer = image.sum((2, 3))
    total = in_layer.sum(1)
    x, y, z = (torch.arange(n, device=image.device) + 0.5 for n in (n_columns, n_rows, n_layers))
    x_sum, y_sum = image.sum(2) @ x, image.sum(3) @ y
    some, hit = total > 0, in_layer > 0
    safe_total, safe_layer = torch.where(some, total, 1.0)[:, None], torch.where(hit, in_layer, 1.0)
    dx, dy = x_sum / safe_layer - x_sum.sum(1, keepdim=True) / safe_total, y_sum / safe_layer
    dy = dy - y_sum.sum(1, keepdim=True) / safe_total
    dz = z - (in_layer @ z)[:, None] / safe_total
    slope = torch.sign(dz) * dy / torch.sqrt((dx.square() + dz.square()).clamp(min=1e-7))
    weight = z * hit
    angle = (weight * (torch.pi / 2 - torch.atan(slope))).sum(1) / torch.where(some, weight.sum(1), 1.0)
    return torch.where(some, angle, EMPTY)


@contextmanager
def _seeded_dropout(rng: torch.Generator) -> Iterator[None]:
    """A block in which dropout, which knows torch's global generator only, depends on `rng` alone."""
    seed = int(torch.randint(2**62, (1,), generator=rng, device=rng.device))
    with torch.random.fork_rng(devices=[rng.device] if rng.device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
