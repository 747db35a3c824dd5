"""Compact files: what rounding may change, and that HDF5 reads what we compress ourselves."""

from pathlib import Path

import numpy as np
import pytest

from caloforge.files import ShowerFile, write
from caloforge.packing import MANTISSA, ROUNDING, rounded
from caloforge.parts import Parts
from caloforge.showers import Showers
from caloforge.testing import toy_showers


def test_rounding_is_to_the_nearest_without_bias() -> None:
    values = np.exp(np.random.default_rng(1).uniform(-20, 20, 200_000)).astype(np.float32)
    error = rounded(values) / values.astype(float) - 1
    assert abs(error).max() <= 2.0 ** -(MANTISSA + 1)
    assert abs(error).max() > 0.98 * 2.0 ** -(MANTISSA + 1)
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(error))


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0.0), (1.0, 1.0), (1 + 2**-8, 1.0), (1 + 3 * 2**-8, 1 + 2**-6)])
def test_ties_go_to_even(value: float, expected: float) -> None:
    assert rounded(np.array([value], np.float32))[0] == expected
    assert rounded(rounded(np.array([value], np.float32)))[0] == expected


def test_a_compact_file_holds_rounded_energies_and_is_smaller(tmp_path: Path) -> None:
    showers = toy_showers(5000, seed=1)
    write(tmp_path / "plain.h5", showers, {})
    write(tmp_path / "compact.h5", showers, {}, compact=True)
    with ShowerFile(tmp_path / "compact.h5") as file:
        file.check()
        assert file.provenance == {"rounding": ROUNDING}
        np.testing.assert_array_equal(file[:].energies, rounded(showers.energies))
        np.testing.assert_array_equal(file.conditions["energy"], showers.incident)
    plain, compact = ((tmp_path / f"{name}.h5").stat().st_size for name in ("plain", "compact"))
    assert compact < 0.7 * plain


@pytest.mark.parametrize("size", [100, 1024])
def test_compact_parts_say_so_and_are_joined(tmp_path: Path, size: int) -> None:
    showers = toy_showers(2100, seed=1)
    parts = Parts(tmp_path / "a.h5", showers.geometry, 2100, size, {"seed": 1}, compact=True)
    for start, stop in parts.missing():
        part = {name: values[start:stop] for name, values in showers.conditions.items()}
        parts.add(start, Showers(showers.energies[start:stop], part, showers.geometry))
    parts.finish({})
    with ShowerFile(tmp_path / "a.h5") as file:
        assert file.provenance["rounding"] == ROUNDING
        np.testing.assert_array_equal(file[:].energies, rounded(showers.energies))
