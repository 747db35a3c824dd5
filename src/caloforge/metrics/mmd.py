r"""Maximum mean discrepancy (MMD) with a learnt kernel, and the probability that chance alone makes it so large.

A kernel k says how alike two showers are. With it, the squared MMD of two distributions,

.. math:: \mathrm{MMD}^2 = \mathrm{E}\, k(x, x') + \mathrm{E}\, k(y, y') - 2\, \mathrm{E}\, k(x, y),

is zero if and only if they are equal. Showers come in pairs, reference :math:`x_i` and sample :math:`y_i`, in their
order (so of one incident energy, if the sample was generated at the reference's), and the unbiased estimate from m
pairs is

.. math:: \widehat{\mathrm{MMD}}{}^2_u = \frac{1}{m (m - 1)} \sum_{i \ne j} H_{ij}, \qquad
          H_{ij} = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i)

(Sutherland et al., "Generative models and model criticism via optimized maximum mean discrepancy", ICLR 2017, arXiv
1611.04488). It can be negative. The kernel is Gaussian with one weight for each feature ("automatic relevance
determination"): :math:`k(x, y) = \exp(-\frac12 \sum_k w_k^2 (x_k - y_k)^2)`. All weights start at the inverse of the
median distance of two showers. On one part of the showers, Adam then maximises the power of the test,

.. math:: t = \widehat{\mathrm{MMD}}{}^2_u \big/ \sqrt{4 \operatorname{Var}_i(\bar H_i) + \lambda}, \qquad
          \bar H_i = \frac{1}{m - 1} \sum_{j \ne i} H_{ij},

in random batches. The root is √m times the estimate's deviation where the samples differ (the simpler H₁ variance, with
a regulariser λ, of Liu et al., arXiv 2002.09116). So the kernel finds the observables in which the samples differ, and
no others spoil its view. On the other part, which the kernel never saw, MMD² and the p-value are measured. There, the
error also has the next term of the variance, all that is left of it for equal distributions:

.. math:: V = \frac4m \max\left(\operatorname{Var}_i(\bar H_i) - \tfrac1m \operatorname{Var}(H_{ij}), 0\right)
              + \frac2{m^2} \operatorname{Var}(H_{ij}).

If both samples have one distribution, the showers of each pair may be exchanged, which turns the sign of row and column
i of H. The p-value is the share of such permutations, each with a random half of the pairs exchanged, whose MMD² is not
below the one measured. This also holds for samples that were generated at the reference's own incident energies, where
free permutations would part showers that belong together.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist, pdist

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.classifier import features, standardised
from caloforge.metrics.sample import Sample, random_rows

FEWEST = 40  # showers of each side
MEDIAN_OF = 1000  # showers whose distances give the median
LEARNT_FROM = 20_000  # showers of each side at most
REGULARISER = 1e-8
Array = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """MMD² with its error, its p-value, showers tested a side, and the weights learnt for the features, shape (k,)."""

    mmd: float
    error: float
    p_value: float
    n: int
    weights: Floats = field(repr=False, compare=False)


@dataclass(frozen=True)
class KernelTest:
    """Learns a kernel on one part of two samples, and tests their equality on the other; keeps what it has found.

    Parameters
    ----------
    max_events : showers of each side that are tested: half of them, up to this number. The others teach the kernel.
    permutations : of the test; the smallest p-value is 1 / (1 + permutations).
    steps, batch, learning_rate : of Adam, for the logarithms of the weights; a batch is at most a third of the showers
        that teach, as larger ones learn these by heart.
    """

    max_events: int = 2000
    permutations: int = 1000
    steps: int = 300
    batch: int = 500
    learning_rate: float = 0.1
    _found: dict[Any, tuple[Outcome, Sample, Sample]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def definition(self) -> str:
        """The test in words."""
        return (
            f"Gaussian kernel with a weight for each standardised high-level observable (as in auc/high), started at "
            f"the median distance, learnt in {self.steps} steps of Adam {self.learning_rate:g} with "
            f"at most {self.batch} showers a side to maximise the test's power, and tested on other showers (half of "
            f"all, at most {self.max_events} a side)"
        )

    def outcome(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Outcome:
        """The test of two samples, a function of them and of one number drawn from `rng`; NaN for too few showers."""
        key = id(reference), id(sample), int(rng.integers(2**62))
        n = min(len(reference), len(sample), LEARNT_FROM)
        if n < FEWEST:
            return Outcome(math.nan, math.nan, math.nan, self.tested(n), np.empty(0))
        if key not in self._found:
            x, y = (features(each, random_rows(len(each), n)) for each in (reference, sample))
            self._found[key] = self.test(x, y, np.random.default_rng(key[2])), reference, sample
        return self._found[key][0]

    def tested(self, n: int) -> int:
        """How many of n showers a side are tested."""
        return min(n // 2, self.max_events)

    def test(self, x: Floats, y: Floats, rng: np.random.Generator) -> Outcome:
        """The test of features (n, k) of as many showers of each side."""
        n = len(x)
        order = rng.permutation(n)
        tested, others = np.split(order, [self.tested(n)])
        z = standardised(np.concatenate([x, y]), np.concatenate([others, others + n]))
        weights = self.learnt_weights(z[others], z[others + n], rng)
        h = pair_differences(gaussian(np.concatenate([z[tested], z[tested + n]]), weights))
        value, chance = mmd(h), permuted(h, self.permutations, rng)
        p_value = (1 + np.count_nonzero(chance >= value)) / (1 + self.permutations)
        return Outcome(float(value), math.sqrt(variance(h)), float(p_value), len(tested), weights)

    def learnt_weights(self, x: Array, y: Array, rng: np.random.Generator) -> Floats:
        """Weights (k,) that maximise the power of the test on showers (n, k) of each side."""
        import torch

        start = np.full(x.shape[1], -math.log(median_distance(np.concatenate([x, y]), rng)), np.float32)
        logarithms = torch.from_numpy(start).requires_grad_()
        optimizer = torch.optim.Adam([logarithms], lr=self.learning_rate)
        for _ in range(self.steps):
            rows = rng.choice(len(x), min(self.batch, len(x) // 3), replace=False)
            scaled = torch.from_numpy(np.concatenate([x[rows], y[rows]])) * logarithms.exp()
            squares = (scaled**2).sum(dim=1)
            kernel = torch.exp(scaled @ scaled.T - (squares[:, None] + squares) / 2)
            optimizer.zero_grad()
            (-power(pair_differences(kernel))).backward()
            optimizer.step()
        return np.exp(logarithms.detach().numpy().astype(np.float64))


@dataclass(frozen=True)
class MMD(Metric):
    """Squared maximum mean discrepancy of the observables, with a kernel that was learnt on other showers."""

    test: KernelTest = field(default_factory=KernelTest)
    windows = False

    @property
    def name(self) -> str:
        return "mmd"

    @property
    def definition(self) -> str:
        return (
            f"Unbiased squared maximum mean discrepancy (arXiv 1611.04488): {self.test.definition}; error: variance of "
            f"the estimate over pairs of showers."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """MMD²; zero on average, above and below, for equal distributions."""
        found = self.test.outcome(reference, sample, rng)
        return Estimate(found.mmd, found.error, found.n, found.n)


@dataclass(frozen=True)
class MMDPValue(Metric):
    """Probability that samples of one distribution have an MMD² as large as the one measured."""

    test: KernelTest = field(default_factory=KernelTest)
    windows = False

    @property
    def name(self) -> str:
        return "mmd/p_value"

    @property
    def definition(self) -> str:
        return (
            f"Share of {self.test.permutations} random exchanges of showers between the samples (and the samples "
            f"themselves) with an MMD² not below that of the samples; uniform in 0…1 for equal distributions, as the "
            f"floor is: {self.test.definition}; error: binomial of the permutations."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """The p-value, at least 1 / (1 + permutations)."""
        found = self.test.outcome(reference, sample, rng)
        p = found.p_value
        return Estimate(p, math.sqrt(p * (1 - p) / self.test.permutations), found.n, found.n)


def median_distance(z: Array, rng: np.random.Generator) -> float:
    """Median Euclidean distance of two different showers, of features (n, k); 1 if that is zero."""
    some = z[rng.permutation(len(z))[:MEDIAN_OF]]
    return float(np.median(pdist(some))) or 1.0


def gaussian(z: Array, weights: Floats) -> Floats:
    """Kernel matrix (n, n) of features (n, k)."""
    scaled = z * weights
    return np.asarray(np.exp(-0.5 * cdist(scaled, scaled, "sqeuclidean")))


def pair_differences(kernel: Any) -> Any:
    """H (m, m), with a diagonal of zeros, from the kernel matrix (2m, 2m) of m showers a side, array or tensor."""
    m = len(kernel) // 2
    h = kernel[:m, :m] + kernel[m:, m:] - kernel[:m, m:] - kernel[m:, :m]
    same = list(range(m))
    h[same, same] = 0.0
    return h


def mmd(h: Any) -> Any:
    """The unbiased estimate of MMD² from H, array or tensor."""
    return h.sum() / (len(h) * (len(h) - 1))


def power(h: Any) -> Any:
    """The ratio t that a kernel is learnt by, from H as a tensor."""
    return mmd(h) / (4 * (h.sum(dim=1) / (len(h) - 1)).var() + REGULARISER).sqrt()


def variance(h: Floats) -> float:
    """Variance V of the estimate of MMD² from H."""
    m = len(h)
    of_rows = (h.sum(axis=1) / (m - 1)).var(ddof=1)
    of_pairs = (h**2).sum() / (m * (m - 1)) - mmd(h) ** 2
    return float(4 / m * max(of_rows - of_pairs / m, 0.0) + 2 / m**2 * of_pairs)


def permuted(h: Floats, permutations: int, rng: np.random.Generator) -> Floats:
    """MMD² with a random half of the pairs exchanged, shape (permutations,)."""
    signs = rng.choice(np.array([-1.0, 1.0]), (len(h), permutations))
    return np.asarray(np.einsum("ip,ip->p", signs, h @ signs) / (len(h) * (len(h) - 1)))
