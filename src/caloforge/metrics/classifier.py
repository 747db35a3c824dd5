r"""Classifier two-sample test: can a network tell generated from Geant4 showers by their observables, or their cells?

The area under the ROC curve (AUC) is ½ where it cannot and 1 where it always can. Network and training are those of the
CaloChallenge (arXiv 2410.21611): an input layer and two hidden layers of 2 048 LeakyReLU nodes, Adam with rate 2·10⁻⁴,
batches of 1 000; 60 % of the showers train, 20 % choose the epoch by the accuracy on them, 20 % give the AUC.

The inputs of ``auc/high`` are the logarithms of the incident, total and layer energies, and the means, widths and hit
fractions; where one is undefined it is 0 and a flag says so. Those of ``auc/low`` are the logarithm of the incident
energy and every cell's energy over the incident energy. All inputs are standardised on the training part. The challenge
leaves its low-level inputs as they are; but most cells hold less than a thousandth of the energy, and a network learns
little from numbers that small. Standardised, a weak cell counts as much as a strong one: a stronger test, whose values
are not comparable with the challenge's.
"""

import copy
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from caloforge.metrics.base import Estimate, Metric
from caloforge.metrics.sample import Rows, Sample, random_rows
from caloforge.observables import table

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float32]
_INPUTS = {
    "high": "high-level observables (log₁₀ of energies; all but the fractions; standardised)",
    "low": "log₁₀ E_inc and the cells over E_inc (above 2 048 cells: 1 024 evenly numbered ones), each standardised, "
    "unlike in the challenge",
}


@dataclass(frozen=True)
class AUC(Metric):
    """AUC of a classifier on the high-level observables or on the cells.

    Parameters
    ----------
    inputs : ``high``: the observables, ``low``: the cells over the incident energy.
    epochs : at most; training stops `patience` epochs after the best accuracy on the second part.
    max_events : showers of each side; fewer are faster, but a weaker test.
    repeats : trainings, each with its own split and start; the mean AUC is the value.
    nodes, layers : the network has `layers` hidden layers of `nodes` behind the input layer of `nodes`.
    learning_rate, batch : of Adam.
    """

    inputs: Literal["high", "low"] = "high"
    epochs: int = 50
    max_events: int = 20_000
    repeats: int = 1
    patience: int = 5
    nodes: int = 2048
    layers: int = 2
    learning_rate: float = 2e-4
    batch: int = 1000
    windows = False

    @property
    def name(self) -> str:
        return f"auc/{self.inputs}"

    @property
    def definition(self) -> str:
        return (
            f"Area under the ROC curve of a classifier on {_INPUTS[self.inputs]}; as in CaloChallenge (arXiv "
            f"2410.21611): MLP {self.layers} × {self.nodes} behind an input layer of {self.nodes}, LeakyReLU, Adam "
            f"{self.learning_rate:g}, batch {self.batch}, ≤ {self.epochs} epochs, best epoch by the accuracy on "
            f"the second part of a 60/20/20 split, at most {self.max_events} showers a side, mean of {self.repeats}; "
            f"error: spread of the repeats and size of the test part (Hanley & McNeil 1982)."
        )

    def compare(self, reference: Sample, sample: Sample, rng: np.random.Generator) -> Estimate:
        """Mean AUC of the repeats; ½: indistinguishable, 1: always told apart."""
        columns, sizes = (features, (len(reference), len(sample)))
        if self.inputs == "low":
            columns, sizes = (cell_shares, (len(reference.cells), len(sample.cells)))
        n = min(*sizes, self.max_events)
        if n < 10:
            return Estimate(np.nan, np.nan, n, n)
        sides = zip((reference, sample), sizes, strict=True)
        x = np.concatenate([columns(each, random_rows(size, n)) for each, size in sides])
        y = np.repeat(np.array([0, 1], np.float32), n)
        values = [self._train(x, y, rng) for _ in range(self.repeats)]
        spread = np.var(values, ddof=1) / self.repeats if self.repeats > 1 else 0.0
        error = np.sqrt(spread + sampling_variance(float(np.mean(values)), n // 5, n // 5))
        return Estimate(float(np.mean(values)), float(error), n, n)

    def _train(self, x: NDArray[np.float64], y: Array, rng: np.random.Generator) -> float:
        """AUC on the last 20 % at the epoch that is most accurate on the 20 % before."""
        import torch

        order = rng.permutation(len(x))
        parts = np.split(order, [len(x) * 3 // 5, len(x) * 4 // 5])
        inputs = torch.from_numpy(standardised(x, parts[0]))
        labels = torch.from_numpy(y)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            network = self._network(inputs.shape[1])
            best = self._fit(network, inputs, labels, parts)
        return auc(y[parts[2]], _scores(best, inputs[parts[2]]))

    def _fit(self, network: Any, inputs: "torch.Tensor", labels: "torch.Tensor", parts: list[NDArray[np.int64]]) -> Any:
        import torch

        optimizer = torch.optim.Adam(network.parameters(), lr=self.learning_rate)
        loss = torch.nn.BCEWithLogitsLoss()
        best, reached, waited = network, -1.0, 0
        for _ in range(self.epochs):
            for rows in torch.split(torch.from_numpy(parts[0])[torch.randperm(len(parts[0]))], self.batch):
                optimizer.zero_grad()
                loss(network(inputs[rows])[:, 0], labels[rows]).backward()
                optimizer.step()
            now = accuracy(labels[parts[1]].numpy(), _scores(network, inputs[parts[1]]))
            best, waited = (copy.deepcopy(network), 0) if now > reached else (best, waited + 1)
            reached = max(now, reached)
            if waited >= self.patience or reached == 1.0:
                break
        return best

    def _network(self, n_inputs: int) -> Any:
        from torch.nn import LeakyReLU, Linear, Sequential

        widths = [n_inputs, *[self.nodes] * (self.layers + 1)]
        hidden = [(Linear(a, b), LeakyReLU()) for a, b in pairwise(widths)]
        return Sequential(*(module for pair in hidden for module in pair), Linear(self.nodes, 1))


def features(sample: Sample, rows: Rows) -> NDArray[np.float64]:
    """log₁₀ of incident, total and layer energies, and all observables but the fractions, of N rows: shape (N, k)."""
    columns = [np.log10(sample.energy[rows])]
    for name, row in table(sample.geometry).items():
        values = sample.values(name)[rows]
        if row.unit == "MeV":
            values = np.log10(values, out=np.full(len(values), np.nan), where=values > 0)
        if not name.startswith("fraction/"):
            columns.append(values)
    return np.stack(columns, axis=1)


def cell_shares(sample: Sample, rows: Rows) -> NDArray[np.float64]:
    """log₁₀ of the incident energy, and cell energies over it, of N rows of the sample's cells: shape (N, 1 + m)."""
    energy = sample.cells_energy[rows, None]
    return np.concatenate([np.log10(energy), sample.cells[rows] / energy], axis=1)


def standardised(x: NDArray[np.float64], training: NDArray[np.int64]) -> Array:
    """Columns of mean 0 and deviation 1 on the training rows; undefined values become 0, with a column of flags."""
    undefined = ~np.isfinite(x)
    x = np.ma.masked_array(x, undefined)
    deviation = np.ma.filled(x[training].std(axis=0), 1.0)
    scaled = (x - np.ma.filled(x[training].mean(axis=0), 0.0)) / np.where(deviation > 0, deviation, 1.0)
    flags = undefined[:, undefined.any(axis=0)]
    return np.concatenate([scaled.filled(0.0), flags], axis=1).astype(np.float32)


def auc(labels: Array, scores: Array) -> float:
    """Probability that a shower labelled 1 scores higher than one labelled 0 (ties count half)."""
    positive = labels > 0.5
    n, m = int(positive.sum()), int((~positive).sum())
    return float((rankdata(scores)[positive].sum() - n * (n + 1) / 2) / (n * m))


def accuracy(labels: Array, scores: Array) -> float:
    """Share of the showers that are told rightly, taking those whose score is above zero for labelled 1."""
    return float(((scores > 0) == (labels > 0.5)).mean())


def sampling_variance(value: float, n: int, m: int) -> float:
    """Variance of an AUC measured on n + m showers (Hanley & McNeil, Radiology 143 (1982) 29)."""
    q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
    numerator = value * (1 - value) + (n - 1) * (q1 - value**2) + (m - 1) * (q2 - value**2)
    return max(numerator, 0.0) / (n * m)


def _scores(network: Any, inputs: "torch.Tensor") -> Array:
    import torch

    with torch.inference_mode():
        return np.asarray(network(inputs)[:, 0].numpy())
