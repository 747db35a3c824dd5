"""Every transform inverts on any shower: empty, one hit, the maximum, and what hypothesis finds between."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caloforge.errors import InputError
from caloforge.testing import check_transform
from caloforge.transforms import CellPower, Chain, Fractions, Log, PerIncident, Standardize, Threshold

CHAINS = {
    "identity": lambda: Chain(),
    "fractions": lambda: Fractions(),
    "log": lambda: Log(0.1),
    "cell_power": lambda: CellPower(),
    "per_incident": lambda: PerIncident(),
    "standardize": lambda: Standardize(),
    "log_fractions": lambda: Chain([Fractions(), Log(1e-4), Standardize()]),
    "log_energies": lambda: Chain([Log(1.0), Standardize()]),
    "threshold": lambda: Threshold([0.0] * 5),
    "nested": lambda: Chain([Chain([Fractions()]), Chain([Log(1e-3)])]),
}
# What float32 allows beside cells of 1 TeV; other chains are exact relative to each shower's largest cell.
ATOL = {"standardize": 1.0, "log_energies": 1e-4, "log": 1e-5}
# One shower of each extreme kind, up to 1 TeV in a cell, so that statistics are never trivial.
EXTREMES = np.array(
    [[0, 0, 0, 0, 0], [0, 0, 1e6, 0, 0], [1e6] * 5, [1e-3, 1, 10, 1e2, 1e3], [5, 4, 3, 2, 1]], np.float32
)
energies = hnp.arrays(np.float32, (4, 5), elements=st.floats(0, 1e6, width=32).map(lambda e: e if e > 1e-3 else 0.0))


@pytest.mark.parametrize("name", CHAINS)
@given(showers=energies)
@settings(max_examples=30, deadline=None)
def test_transforms_invert(name, showers):
    x = torch.from_numpy(np.concatenate([EXTREMES, showers]))
    check_transform(CHAINS[name](), x, {"energy": x.sum(1) + 1, "deposited": x.sum(1)}, 1e-4, ATOL.get(name, 0))


def test_per_incident_is_the_response():
    x = torch.tensor([[10.0, 30.0]])
    transform = PerIncident()
    assert transform(x, {"energy": torch.tensor([50.0])}).sum().item() == pytest.approx(0.8)
    assert not transform.imposes
    assert not transform.requires


def test_cell_power_by_hand():
    x = torch.tensor([[4000.0, 0.0, 250.0]])
    assert CellPower(0.5)(x, {}).tolist() == [pytest.approx([2.0, 0.0, 0.5])]
    assert CellPower(1.0, scale=10.0)(x, {}).tolist() == [pytest.approx([400.0, 0.0, 25.0])]
    assert CellPower(0.5).inverse(torch.tensor([[-1.0, 2.0]]), {}).tolist() == [pytest.approx([0.0, 4000.0])]
    CellPower(1.0).fit(-x, {})
    with pytest.raises(InputError, match="a cell of -4000"):
        CellPower().fit(-x, {})
    with pytest.raises(InputError, match="above zero"):
        CellPower(power=0.0)


@given(showers=energies, keep_total=st.booleans())
@settings(max_examples=50, deadline=None)
def test_threshold_is_idempotent(showers, keep_total):
    threshold = Threshold([0, 10, 100, 1e3, 1e5], keep_total)
    x, c = torch.from_numpy(showers), {}
    once = threshold.inverse(x, c)
    torch.testing.assert_close(threshold.inverse(once, c), once)
    assert torch.equal(threshold(threshold(x, c), c), threshold(x, c))
    assert ((once == 0) | (once >= threshold.thresholds)).all()
    some = once.sum(1) > 0
    if keep_total:
        torch.testing.assert_close(once.sum(1)[some], x.sum(1)[some])
