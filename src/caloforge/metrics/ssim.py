r"""Structural similarity (SSIM) of pairs of showers: near in energy, do generated ones resemble each other too much?

For two images a and b (Wang et al., IEEE Trans. Image Process. 13 (2004) 600), at each pixel,

.. math:: \mathrm{SSIM} = \frac{(2 \mu_a \mu_b + C_1)(2 \sigma_{ab} + C_2)}
          {(\mu_a^2 + \mu_b^2 + C_1)(\sigma_a^2 + \sigma_b^2 + C_2)}, \qquad C_1 = (0.01 L)^2, \quad C_2 = (0.03 L)^2,

with means, variances and covariance (without the factor n / (n − 1)) in a Gaussian window of σ = 1.5 cells, cut at
5 cells. Each layer is an image of energies E / E_inc; the value of a pair is the mean over the pixels whose window lies
inside the layer, and over the layers. This is scikit-image's ``structural_similarity`` with ``gaussian_weights``,
``use_sample_covariance=False`` and layers as channels, as 3DGAN uses it (Khattak et al., Eur. Phys. J. C 82 (2022)
386).

*The data range L decides what is seen.* Cells far below 0.03 L count as equal, whatever they hold. With the energy of
the hottest cell for L (10⁻³ of the incident energy), two `clic_ecal` showers of Geant4 have an SSIM of 0.97, with L = 1
any two showers have 1. The smaller L, the more weak cells count, which fluctuate from shower to shower, and the smaller
the value: 0.81, 0.51, 0.42 for 10⁻⁴, 10⁻⁵, 10⁻⁶. Here L = 10⁻⁵ of the incident energy, about the mean energy of a hit
cell in `clic_ecal`; the report draws the dependence. 3DGAN takes L = 10⁻⁴ for its images divided by 50, and tried 1,
10⁻² and 10⁻⁶. Values of different L, or of other scales of the image, must not be compared.

Pairs are next to each other in incident energy. If generated showers resemble each other more than Geant4's do
(``ssim/within`` above its floor), the model has collapsed; if they resemble Geant4's less than those each other
(``ssim/across`` below its floor), it makes other showers.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from caloforge.geometry import Geometry
from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import Sample, random_rows
from caloforge.showers import Showers

SIGMA, RADIUS = 1.5, 5  # of the window, in cells
K1, K2 = 0.01, 0.03
RANGE = 1e-5
PAIRS = 300
CHUNK = 2**22  # pixels at a time
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SSIM(Metric):
    """Mean structural similarity of pairs of showers: one of each side, or both of the sample.

    Parameters
    ----------
    pairs : ``across``: a reference shower and the sample's nearest in energy; ``within``: two of the sample.
    data_range : L, as a share of the incident energy.
    max_pairs : pairs compared at most.
    """

    pairs: Literal["across", "within"]
    data_range: float = RANGE
    max_pairs: int = PAIRS
    windows = False

    @property
    def name(self) -> str:
        return f"ssim/{self.pairs}"

    @property
    def definition(self) -> str:
        whose = "of Geant4 and the sample" if self.pairs == "across" else "within the sample"
        return (
            f"Mean structural similarity (Wang et al. 2004) of pairs {whose} that are neighbours in incident energy, "
            f"on E / E_inc, layer by layer, Gaussian window σ = {SIGMA} cells, L = {self.data_range:g}, at most "
            f"{self.max_pairs} pairs; floor: pairs of independent Geant4 showers. Within above the floor: too much "
            f"alike; across below: other showers. Error: spread of the pairs."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Mean similarity of the pairs; NaN for fewer than two."""
        first, second = paired(reference.showers, sample.showers, self.pairs, self.max_pairs)
        if len(first) < 2:
            return Estimate(np.nan, np.nan, len(first), len(second))
        values = similarities(first, second, self.data_range)
        return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), len(first), len(second))


def has_images(geometry: Geometry) -> bool:
    """Whether every layer is a flat image in which the window fits."""
    return all(layer.axes != "r_alpha" and min(layer.shape) > 2 * RADIUS for layer in geometry.layers)


def paired(reference: Showers, sample: Showers, pairs: str, wanted: int) -> tuple[Showers, Showers]:
    """The first and the second shower of each pair."""
    if pairs == "within":
        order = np.argsort(sample.incident, kind="stable")[: len(sample) // 2 * 2]
        some = random_rows(len(order) // 2, wanted)
        return sample[order[2 * some]], sample[order[2 * some + 1]]
    rows = random_rows(len(reference), wanted)
    distance = np.abs(reference.incident[rows, None] - sample.incident)
    return reference[rows], sample[distance.argmin(axis=1)]


def similarities(first: Showers, second: Showers, data_range: float) -> Floats:
    """Structural similarity of each pair of showers, shape (N,)."""
    step = max(1, CHUNK // first.geometry.n_cells)
    parts = [slice(start, start + step) for start in range(0, len(first), step)]
    return np.concatenate([_similarities(first[part], second[part], data_range) for part in parts])


def _similarities(first: Showers, second: Showers, data_range: float) -> Floats:
    layers = range(len(first.geometry.layers))
    images = ([each.layer(i) / each.incident[:, None, None] for i in layers] for each in (first, second))
    return np.asarray(np.mean([ssim(a, b, data_range) for a, b in zip(*images, strict=True)], axis=0))


def ssim(a: Floats, b: Floats, data_range: float) -> Floats:
    """Mean structural similarity of images (..., rows, columns), over pixels 5 or more from the border, shape (...)."""

    def mean(image: Floats) -> Floats:
        smooth = gaussian_filter(image, SIGMA, radius=RADIUS, axes=(-2, -1))
        return np.asarray(smooth[..., RADIUS:-RADIUS, RADIUS:-RADIUS])

    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    return np.asarray((above / below).mean(axis=(-2, -1)))
