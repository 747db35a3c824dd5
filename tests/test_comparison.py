"""The rows of a report: which comparisons are made, with which random numbers, and what their mean is."""

import math

import numpy as np
import pytest

from caloforge.comparison import FLOOR, evaluate, mean_over_observables
from caloforge.figures import REFERENCE
from caloforge.metrics import Estimate, Metric

nan = math.nan


class Told(Metric):
    """Says whom it compares, and a random number."""

    name = definition = "told"

    def __init__(self, floor="independent", windows=True):
        self.floor, self.windows, self.heard = floor, windows, []

    def compare(self, reference, sample, rng):
        self.heard.append((reference, sample))
        return Estimate(rng.random(), 0.0)


def rows(metric, windows=(None, "10 GeV")):
    surveyed = {window: {each: f"{each} {window}" for each in (REFERENCE, FLOOR, "a", "b")} for window in windows}
    return evaluate([metric], surveyed, 3, lambda done, total, label: None)


def test_each_sample_is_compared_in_each_window():
    metric = Told()
    found = [(row["energy"], row["sample"]) for row in rows(metric)]
    assert found == [(None, "a"), (None, "b"), ("10 GeV", "a"), ("10 GeV", "b")]
    assert metric.heard[3:] == [(f"{REFERENCE} 10 GeV", f"{each} 10 GeV") for each in (FLOOR, "a", "b")]
    assert {row["energy"] for row in rows(Told(windows=False))} == {None}


def test_all_comparisons_of_a_metric_draw_the_same_random_numbers():
    found = rows(Told())
    assert len({row[name] for row in found for name in ("value", "floor")}) == 1


def test_what_takes_the_place_of_the_sample_in_the_floor():
    whole = (None,)
    for floor, expected in (("independent", FLOOR), ("reference", REFERENCE)):
        rows(metric := Told(floor), whole)
        assert metric.heard[0] == (f"{REFERENCE} None", f"{expected} None")
    assert all(math.isnan(row["floor"]) for row in rows(Told("none"), whole))


def test_the_mean_is_over_observables_of_which_all_is_defined():
    numbers = np.array([[1.0, 0.1, 3.0, 0.2], [9.0, 0.1, nan, 0.2], [3.0, 0.3, 5.0, 0.4]])
    assert mean_over_observables(numbers) == pytest.approx([2, 0.2, 4, 0.3])
    assert all(map(math.isnan, mean_over_observables(numbers[1:2])))
