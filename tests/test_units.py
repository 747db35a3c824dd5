"""Quantities with units."""

import math

import pytest

from caloforge.errors import InputError
from caloforge.units import quantity


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("50GeV", "energy", 50_000.0),
        ("2.5 TeV", "energy", 2.5e6),
        ("700", "energy", 700.0),
        ("1e3keV", "energy", 1.0),
        ("0.7mm", "length", 0.7),
        ("-1.5cm", "length", -15.0),
        ("60deg", "angle", math.pi / 3),
        ("1", "angle", 1.0),
    ],
)
def test_quantities(text: str, dimension: str, value: float) -> None:
    assert quantity(text, dimension) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("50gev", "energy"),
        ("GeV", "energy"),
        ("5mm", "energy"),
        ("nan", "energy"),
        ("1e400", "energy"),
        ("5GeV x", "energy"),
        ("", "length"),
    ],
)
def test_nonsense_is_refused(text: str, dimension: str) -> None:
    with pytest.raises(InputError, match=r"is no |too large"):
        quantity(text, dimension)
