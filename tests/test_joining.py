"""Joining equals making at once; what does not belong together is refused."""

from dataclasses import replace

import numpy as np
import pytest

from caloforge.conditions import ConditionSampler
from caloforge.errors import InputError
from caloforge.files import ShowerFile, write
from caloforge.joining import join
from caloforge.production import produce
from caloforge.showers import Showers
from caloforge.simulate.library import Library
from caloforge.testing import toy_showers


def made(path, first, n, seed=3, compact=False):
    source = ConditionSampler({"energy": "log:2GeV:50GeV"})
    produce(Library(toy_showers(200, 1)), source, n, path, seed, {"simulator": "toy"}, first, compact=compact)
    return path


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("sizes", [(1024, 1024, 500), (700, 31, 1100), (3000, 3000)])
def test_joined_equals_made_at_once(tmp_path, sizes, compact):
    first, paths = 40, []
    for k, n in enumerate(sizes):
        paths.append(made(tmp_path / f"{k}.h5", first, n, compact=compact))
        first += n
    whole = made(tmp_path / "whole.h5", 40, sum(sizes), compact=compact)
    heard = []
    assert join([paths[-1], *paths[:-1]], tmp_path / "joined.h5", progress=lambda *each: heard.append(each)) == sum(
        sizes
    )
    with ShowerFile(whole) as ours, ShowerFile(tmp_path / "joined.h5") as theirs:
        theirs.check()
        assert np.array_equal(ours[:].energies, theirs[:].energies)
        assert np.array_equal(ours.conditions["energy"], theirs.conditions["energy"])
        assert {**theirs.provenance, "notes": 0} == {**ours.provenance, "n_events": sum(sizes), "notes": 0}
        assert theirs.path.stat().st_size < 1.02 * ours.path.stat().st_size  # compressed alike
    assert [done for done, _ in heard] == sorted({done for done, _ in heard})
    assert heard[-1] == (sum(sizes), sum(sizes))
    assert join(paths, tmp_path / "joined.h5") is None


def refused(paths, output, sentence):
    with pytest.raises(InputError, match=sentence):
        join(paths, output)
    assert not output.exists()


def test_what_does_not_follow_is_refused(tmp_path):
    a, b, c = (made(tmp_path / f"{first}.h5", first, 100) for first in (0, 100, 250))
    output = tmp_path / "all.h5"
    refused([a, b, c], output, "events 200 to 249 are missing")
    refused([a, made(tmp_path / "twice.h5", 90, 50)], output, "events 90 to 99 are there twice")
    refused([a, made(tmp_path / "other.h5", 100, 10, seed=4)], output, "differ in seed")
    refused([a, made(tmp_path / "rounded.h5", 100, 10, compact=True)], output, "differ in rounding")
    with ShowerFile(b) as file:
        story, cells = file.provenance, file[:]
    named = Showers(cells.energies, cells.conditions, replace(cells.geometry, name="another"))
    write(tmp_path / "cells.h5", named, story)
    refused([a, tmp_path / "cells.h5"], output, "geometry 'another'")
    refused([a], output, "two or more")
    refused([a, a], output, "two or more")
    refused([], output, "no files")
    story = {"simulator": "toy", "seed": 3, "first_event": 100, "n_events": 70}
    write(tmp_path / "gaps.h5", toy_showers(50, 2), story)
    refused([a, tmp_path / "gaps.h5"], output, "whole range")
    with pytest.raises(InputError, match="one of the files"):
        join([a, b], a)


def test_another_output_is_not_overwritten(tmp_path):
    a, b = (made(tmp_path / f"{first}.h5", first, 100) for first in (0, 100))
    other = made(tmp_path / "other.h5", 0, 200, seed=9)
    with pytest.raises(InputError, match="another command"):
        join([a, b], other)
    assert join([a, b], other, overwrite=True) == 200
