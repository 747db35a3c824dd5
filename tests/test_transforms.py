"""Transforms: known answers."""

import pytest
import torch

from caloforge.errors import InputError
from caloforge.transforms import Chain, Fractions, Log, Standardize, Threshold

X = torch.tensor([[1.0, 3.0], [0.0, 8.0]])
C = {"deposited": torch.tensor([4.0, 8.0])}


def test_fractions():
    assert Fractions()(X, C).tolist() == [[0.25, 0.75], [0, 1]]


def test_fractions_impose_the_total_on_whatever_a_model_makes():
    made = torch.tensor([[0.2, 0.2], [-1.0, 0.5]])
    assert Fractions().inverse(made, C).tolist() == [[2, 2], [0, 8]]


def test_fractions_of_an_empty_shower_are_zero():
    zero = {"deposited": torch.zeros(2)}
    assert Fractions()(torch.zeros(2, 2), zero).tolist() == [[0, 0], [0, 0]]
    assert Fractions().inverse(torch.ones(2, 2), zero).tolist() == [[0, 0], [0, 0]]


def test_log():
    assert Log(1.0)(torch.tensor([[0.0, torch.e - 1]]), {}).tolist() == [[0, pytest.approx(1)]]
    assert (Log(1.0).inverse(torch.tensor([[-5.0]]), {}) == 0).all()
    with pytest.raises(InputError, match="floor"):
        Log(0.0)
    with pytest.raises(InputError, match="a cell of -1"):
        Log(1.0).fit(torch.tensor([[-1.0, 5.0]]), {})
    Log(1.0).fit(torch.tensor([[-0.9, 5.0]]), {})


def test_standardize():
    transform = Standardize()
    transform.fit(torch.tensor([[1.0, 5.0], [3.0, 5.0]]), {})
    assert transform(torch.tensor([[4.0, 6.0]]), {}).tolist() == [[2, 1]]


def test_threshold_per_cell():
    assert Threshold([2.0, 2.0])(X, {}).tolist() == [[0, 3], [0, 8]]
    assert Threshold([3.0, 3.0])(X, {}).tolist() == [[0, 3], [0, 8]], "a cell at its threshold stays"


def test_threshold_keeps_the_total_on_the_way_out_alone():
    threshold = Threshold([2.0, 2.0], keep_total=True)
    assert threshold(X, {}).tolist() == [[0, 3], [0, 8]]
    assert threshold.inverse(X, {}).tolist() == [[0, 4], [0, 8]]
    assert threshold.inverse(torch.ones(1, 2), {}).tolist() == [[0, 0]]


def test_chain_order_and_what_it_imposes():
    chain = Chain([Log(1.0), Standardize()])
    x = torch.tensor([[0.0], [torch.e**2 - 1]])
    chain.fit(x, {})
    torch.testing.assert_close(chain(x, {}), torch.tensor([[-1.0], [1.0]]))
    assert chain.requires == chain.imposes == ()
    assert Chain([Threshold([0.0]), Fractions()]).requires == ("deposited",)
    assert Chain([Fractions()]).imposes == ("energy_total",)
