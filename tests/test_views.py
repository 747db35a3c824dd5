"""What a critic is shown, by hand."""

import math

import pytest
import torch

from caloforge.errors import InputError
from caloforge.models.views import Views

SHAPES = ((2, 3), (1, 1))
# Layer 0: 0.1 in row 0, column 0 and 0.3 in row 1, column 2; layer 1: 0.6.
SHOWER = torch.tensor([[0.1, 0, 0, 0, 0, 0.3, 0.6]])


def shown(name, floor=1e-9):
    return Views([name], SHAPES, floor)(SHOWER)[0].tolist()


def test_views_of_one_shower():
    assert shown("fractions") == pytest.approx(SHOWER[0].tolist())
    assert shown("log", 0.1)[:2] == pytest.approx([math.log(0.2), math.log(0.1)])
    assert shown("roots", 0.06)[0] == pytest.approx(0.4)
    assert shown("shares") == pytest.approx([0.25, 0, 0, 0, 0, 0.75, 1], abs=1e-6)


def test_moments_of_one_shower():
    # Rows and columns run from -1 to 1: mean 0.25·(-1) + 0.75·1 = ½, variance 1 - ¼; the second layer has no extent.
    rms, none = math.sqrt(0.75 + 1e-4), 0.01
    expected = [math.log(0.4), math.log(0.6), 0.5, 0, rms, none, 0.5, 0, rms, none]
    assert shown("moments") == pytest.approx(expected, abs=1e-5)
    rows = torch.tensor([[0.0, 0, 0, 0.2, 0.2, 0.2, 0.4]])  # one row: no spread of rows, columns at -1, 0, 1
    row, column = Views(["moments"], SHAPES, 1e-9)(rows)[0][[4, 8]].tolist()
    assert (row, column) == pytest.approx((none, math.sqrt(2 / 3 + 1e-4)), abs=1e-5)


def test_fit_standardises_logs_and_moments_alone():
    x = torch.softmax(torch.randn(500, 7, generator=torch.Generator().manual_seed(1)), 1)
    views = Views(["moments", "fractions", "log"], SHAPES, 1e-4)
    views.fit(x)
    y = views(x)
    moments, fractions, logs = y[:, :10], y[:, 10:17], y[:, 17:]
    torch.testing.assert_close(fractions, x)
    assert logs.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(logs.std(0, correction=0), torch.ones(7))
    varying = [0, 1, 2, 4, 6, 8]
    torch.testing.assert_close(moments[:, varying].std(0, correction=0), torch.ones(6))
    assert moments[:, [3, 5, 7, 9]].abs().max() < 1e-4


def test_an_empty_layer_has_finite_views_and_gradients():
    x = torch.tensor([[0.0, 0, 0, 0, 0, 0, 1.0]], requires_grad=True)
    y = Views(["fractions", "log", "shares", "moments"], SHAPES, 1e-4)(x)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("names", [[], ["log", "log"], ["logs"]])
def test_unknown_views_are_refused(names):
    with pytest.raises(InputError, match="the critic sees"):
        Views(names, SHAPES, 1e-4)
