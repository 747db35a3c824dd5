"""Keras's layers in torch: what published Keras models take for granted, and torch does otherwise.

=====================  ================================================================================================
LeakyReLU              slope 0.3 below zero (torch: 0.01)
batch normalisation    a running mean keeps 0.99 of itself per step, which torch calls a momentum of 0.01; ε = 0.001
``padding="same"``     of an even kernel: one cell more behind than before
transposed, "same"     n·stride cells come out of n; what is cropped is one more behind than before, if odd
upsampling             repeats the nearest cell
weights at the start   He or Glorot, uniform; biases zero
=====================  ================================================================================================
"""

from collections.abc import Sequence
from typing import Literal, cast

from torch import Tensor, nn

__all__ = ["batch_norm", "conv", "conv_transpose", "dense", "leaky_relu", "n_parameters", "pad"]

SLOPE = 0.3
CONV = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
Start = Literal["he", "glorot"]


def leaky_relu() -> nn.Module:
    """Slope 0.3 below zero."""
    return nn.LeakyReLU(SLOPE)


def batch_norm(n: int, dimensions: int, eps: float = 1e-3) -> nn.Module:
    """Over channels of an image of so many dimensions; of a vector, if 1."""
    return NORM[dimensions](n, eps=eps, momentum=0.01)


def dense(n_in: int, n_out: int) -> nn.Module:
    """A linear layer."""
    return _started(nn.Linear(n_in, n_out), "glorot")


def conv(n_in: int, n_out: int, kernel: Sequence[int], *, same: bool = False, bias: bool = True,
         start: Start = "he") -> nn.Sequential:  # fmt: skip
    """A convolution in as many dimensions as the kernel has, with "valid" padding, or "same"."""
    layer = _started(CONV[len(kernel)](n_in, n_out, tuple(kernel), bias=bias), start)  # type: ignore[arg-type]
    return nn.Sequential(pad([((k - 1) // 2, k // 2) for k in kernel]), layer) if same else nn.Sequential(layer)


def conv_transpose(n_in: int, n_out: int, kernel: int, stride: int, dimensions: int) -> nn.Sequential:
    """A transposed convolution with "same" padding."""
    before, odd = divmod(kernel - stride, 2)
    layer = TRANSPOSED[dimensions](n_in, n_out, kernel, stride=stride, padding=before)
    return nn.Sequential(_started(layer, "glorot"), pad([(0, -odd)] * dimensions))


def pad(amounts: Sequence[tuple[int, int] | int]) -> nn.Module:
    """Zeros before and after each axis; negative numbers crop."""
    pairs = [(each, each) if isinstance(each, int) else each for each in amounts]
    flat = tuple(n for pair in reversed(pairs) for n in pair)
    if not any(flat):
        return nn.Identity()
    return nn.ZeroPad2d(flat) if len(pairs) == 2 else nn.ZeroPad3d(flat)  # type: ignore[arg-type]


def _started(layer: nn.Module, start: Start) -> nn.Module:
    (nn.init.kaiming_uniform_ if start == "he" else nn.init.xavier_uniform_)(cast(Tensor, layer.weight))
    if layer.bias is not None:
        nn.init.zeros_(cast(Tensor, layer.bias))
    return layer


def n_parameters(network: nn.Module) -> tuple[int, int]:
    """Trainable parameters, and all of them as Keras counts: with running means and variances."""
    trainable = sum(p.numel() for p in network.parameters())
    running = [b for name, b in network.named_buffers() if name.endswith(("running_mean", "running_var"))]
    return trainable, trainable + sum(b.numel() for b in running)
