"""Geant4 on the workers of a cluster: here, of local ones."""

from importlib.util import find_spec

import numpy as np
import pytest

from caloforge.detectors import clic_ecal
from caloforge.errors import InputError, WorkError
from caloforge.simulate import cluster_workers
from caloforge.simulate.data_sets import ELECTROMAGNETIC, have
from caloforge.simulate.geant4 import Geant4

HERE = find_spec("geant4_pybind") is not None and have(ELECTROMAGNETIC)


@pytest.mark.geant4
@pytest.mark.skipif(not HERE, reason="needs geant4-pybind and Geant4's electromagnetic data sets")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_showers_do_not_depend_on_where_they_are_made():
    conditions = {"energy": np.array([1e3, 2e3, 3e3, 1e3])}
    with Geant4(clic_ecal(), workers=1) as alone, Geant4(clic_ecal(), workers=2, cluster="local") as many:
        expected = alone.sample(conditions, 1).energies
        np.testing.assert_array_equal(many.sample(conditions, 1).energies, expected)
        heard = []
        tasks = [({"energy": conditions["energy"][a : a + 1]}, a) for a in range(4)]
        found = dict(many.stream(tasks, 1, lambda *each: heard.append(each)))
        np.testing.assert_array_equal(np.concatenate([found[k].energies for k in range(4)]), expected)
        assert sorted(heard) == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_a_worker_builds_one_engine(monkeypatch):
    monkeypatch.setattr(cluster_workers, "_engine", None)
    monkeypatch.setattr(cluster_workers.os, "dup2", lambda *_: None)
    built = []

    def start(name):
        built.append(name)
        return lambda on_event, **task: (name, task)

    task = {"conditions": {"energy": np.ones(1)}, "seed": 1, "first_event": 0}
    for number in range(2):
        assert cluster_workers._work(start, ("a",), (number, task)) == ("a", task)
    assert built == ["a"]
    with pytest.raises(WorkError, match="another detector"):
        cluster_workers._work(start, ("b",), (0, task))


def test_where_there_is_no_batch_system(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="sbatch"):
        cluster_workers.ClusterWorkers(lambda: None, (), 2, "slurm")
