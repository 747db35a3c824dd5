r"""The mean of one observable as a function of the conditions, fitted to the training showers.

With the energy :math:`E` and other conditions :math:`t`, :math:`\log s = p_3(\log E) + q_2(t)`: polynomials of third
and second degree, by least squares over showers with :math:`s > 0`. A mean of logarithms is not the logarithm of the
mean, so that the result is multiplied by one factor which makes the mean ratio of the showers one.
"""

import torch
from torch import Tensor, nn

__all__ = ["Trend"]


class Trend(nn.Module):
    """A positive function of scaled conditions (N, k); `energy` is the column that enters by its logarithm, if any."""

    coefficients: Tensor

    def __init__(self, k: int, energy: int | None) -> None:
        super().__init__()
        self.energy = energy
        self.register_buffer("coefficients", torch.zeros(self._terms(torch.ones(1, k)).shape[1]))

    def _terms(self, c: Tensor) -> Tensor:
        """Shape (N, n_terms); the constant first."""
        terms = [torch.ones_like(c[:, 0])]
        for i, column in enumerate(c.unbind(1)):
            x = torch.log(column) if i == self.energy else column
            terms += [x**n for n in range(1, 4 if i == self.energy else 3)]
        return torch.stack(terms, dim=1)

    def fit(self, values: Tensor, c: Tensor) -> None:
        """Set the polynomials from values (N,) at conditions (N, k)."""
        some = values > 0
        if not some.any():
            return
        terms, y = self._terms(c[some].double()), values[some].double()
        solution = torch.linalg.lstsq(terms.cpu(), y.log().cpu()[:, None], driver="gelsd").solution[:, 0]
        solution[0] += torch.log((y.cpu() / torch.exp(terms.cpu() @ solution)).mean())
        self.coefficients = solution.to(self.coefficients)

    def forward(self, c: Tensor) -> Tensor:
        """The mean, shape (N,)."""
        return torch.exp(self._terms(c) @ self.coefficients)
