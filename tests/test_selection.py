"""Another file of a shower file: what is kept at the boundaries, what its provenance says, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge import selection as module
from caloforge.detectors import atlas_lar, atlas_lar_247
from caloforge.errors import InputError
from caloforge.files import ShowerFile, write
from caloforge.geometry import Geometry, Layer, regular
from caloforge.metrics.events import check_events
from caloforge.noise import add_noise
from caloforge.regrouping import regroup
from caloforge.selection import Interval, Selection, interval, select
from caloforge.showers import Showers

PADS = Geometry("pads", (Layer("pad", "xy", (0, 1), (0, 1, 2, 3), 1.0, threshold=10.0),))
STORY = {"simulator": "Geant4 11", "seed": 7, "first_event": 1000, "conditions": {"energy": "1GeV:2GeV"}}
N = 300


def pads(n: int = N) -> Showers:
    """Shower i has the incident energy i + 1 GeV, |η| = i / 100, and 100 + i MeV in cell 1, and 9 MeV in cell 0."""
    rows = np.arange(float(n))
    energies = np.stack([np.full(n, 9.0), 100 + rows, np.zeros(n)], axis=1)
    eta = np.where(rows % 2, -1, 1) * rows / 100
    return Showers(energies, {"energy": 1e3 * (rows + 1), "eta": eta}, PADS)


def source(folder: Path, showers: Showers | None = None, **story: Any) -> Path:
    showers = pads() if showers is None else showers
    write(folder / "source.h5", showers, STORY | {"n_events": len(showers), "notes": {"command": "made"}} | story)
    return folder / "source.h5"


def selected(path: Path, name: str = "new.h5", **asked: Any) -> tuple[Showers, dict[str, Any]]:
    select(path, path.parent / name, Selection(**asked))
    with ShowerFile(path.parent / name) as file:
        file.check()
        return file[:], file.provenance


# --- what is asked for ------------------------------------------------------------------------------------------------


def test_ranges_hold_their_first_end_and_not_their_second() -> None:
    assert interval("2GeV:300GeV", "energy") == Interval(2e3, 3e5)
    assert interval("-0.5 : 3", "number") == Interval(-0.5, 3)
    np.testing.assert_array_equal(Interval(1, 2).holds(np.array([0.99, 1, 1.99, 2])), [False, True, True, False])
    assert interval("5:", "number").holds(np.array([4, 5, 1e300])).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"energy": "5"}, "'5' is no range: write A:B"),
        ({"energy": "1:2:3"}, "is no range"),
        ({"energy": ":"}, "is no range"),
        ({"energy": ""}, "is no range"),
        ({"energy": "5GeV:1GeV"}, "is empty"),
        ({"eta": "1:1"}, "is empty"),
        ({"energy": "x:y"}, "'x' is no energy"),
        ({"eta": "1GeV:"}, "is no number"),
        ({"events": "0.5:3"}, "whole numbers"),
        ({"noise": "strip"}, "is not understood"),
        ({"noise": "=2"}, "is not understood"),
        ({"noise": "a=2,"}, "is not understood"),
        ({"noise": "a=2,a=3"}, "each layer once"),
        ({"noise": "a=-2"}, "cannot be negative"),
        ({"noise": "a=much"}, "'much' is no energy"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Selection(**asked)


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"events": "1010:1020"}, range(10, 20)),
        ({"events": ":1003"}, range(3)),
        ({"events": "1295:"}, range(295, 300)),
        ({"eta": "0.5:0.75"}, range(50, 75)),  # every second one has −η
        ({"eta": ":0.02"}, range(2)),
        ({"energy": "3GeV:5000"}, range(2, 4)),
        ({"total_energy": "110:112MeV"}, range(10, 12)),  # the 9 MeV below the threshold do not count
        ({"events": "1005:1100", "eta": ":0.5", "energy": "11GeV:", "total_energy": ":115"}, range(10, 15)),
        ({}, range(N)),
    ],
)
def test_boundaries(asked: dict[str, str], kept: range, tmp_path: Path) -> None:
    showers, story = selected(source(tmp_path), **asked)
    with ShowerFile(source(tmp_path)) as file:
        fingerprint = file.fingerprint()
    np.testing.assert_array_equal(showers.energies, pads()[list(kept)].energies)
    np.testing.assert_array_equal(showers.conditions["eta"], pads()[list(kept)].conditions["eta"])
    np.testing.assert_array_equal(showers.incident, pads()[list(kept)].incident)
    assert story["selection"] == asked | {
        "kept": len(kept),
        "source": {"geometry": "pads", "cells": 3, "showers": N, "first_event": 1000, "n_events": N}
        | {"fingerprint": fingerprint},
    }
    assert (story["first_event"], story["n_events"]) == (1000 + kept[0], len(kept))
    assert {name: story[name] for name in ("simulator", "seed", "conditions")} == {
        name: STORY[name] for name in ("simulator", "seed", "conditions")
    }


def test_a_geometry_seen_at_one_eta_is_kept_whole_or_refused(tmp_path: Path) -> None:
    path = source(tmp_path, Showers(np.ones((5, 89)), {"energy": np.ones(5)}, atlas_lar(0.25)))
    assert len(selected(path, eta="0.25:0.3")[0]) == 5
    with pytest.raises(InputError, match=r"no shower .* is left: --eta is '0.2:0.25', but they have 0.25 to 0.25"):
        selected(path, "other.h5", eta="0.2:0.25")


def test_without_any_eta_there_is_nothing_to_select_by(tmp_path: Path) -> None:
    path = source(tmp_path, Showers(pads().energies, {"energy": pads().incident}, PADS))
    with pytest.raises(InputError, match="has no eta"):
        selected(path, eta=":1")


def test_all_together_over_many_slices_is_what_the_pieces_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells, noise on the new cells before thresholds, and the total energy above the new cells' thresholds."""
    monkeypatch.setattr(module, "CHUNKS", 1)  # slices of 1 024
    rng = np.random.default_rng(1)
    n = 3000
    showers = Showers(100 * rng.exponential(size=(n, 247)), {"energy": rng.uniform(1, 2, n)}, atlas_lar_247())
    made, story = selected(
        source(tmp_path, showers), cells="atlas_lar", noise="strip=20MeV,back=0.1GeV", seed=5, total_energy="5000:6000"
    )
    events = 1000 + np.arange(n)
    expected = add_noise(regroup(showers, atlas_lar()), {"strip": 20.0, "back": 100.0}, 5, events)
    total = np.where(expected.energies < atlas_lar().thresholds, 0, expected.energies).sum(axis=1)
    keep = np.flatnonzero((total >= 5000) & (total < 6000))
    assert 100 < len(keep) < n - 100
    np.testing.assert_array_equal(made.energies, expected.energies[keep])
    assert made.energies.min() < 0
    assert made.geometry == atlas_lar()
    np.testing.assert_array_equal(made.incident, showers.incident[keep])
    assert (story["first_event"], story["n_events"]) == (1000 + keep[0], keep[-1] - keep[0] + 1)
    assert story["selection"]["noise_seed"] == 5
    assert story["selection"]["source"]["geometry"] == "atlas_lar_247"


def test_noise_does_not_make_a_given_total_one_that_was_learned(tmp_path: Path) -> None:
    path = source(tmp_path, imposed=["energy_total", "response"])
    assert selected(path, noise="pad=2MeV")[1]["imposed"] == ["energy_total", "response"]


def test_noise_is_the_same_however_the_file_is_cut(tmp_path: Path) -> None:
    path = source(tmp_path)
    whole, _ = selected(path, "whole.h5", noise="pad=1MeV")
    cut, _ = selected(path, "cut.h5", events="1100:1250")
    again, _ = selected(tmp_path / "cut.h5", "again.h5", noise="pad=1MeV")
    assert (cut.energies != again.energies).all()
    np.testing.assert_array_equal(again.energies, whole[100:250].energies)


def test_cells_are_those_at_the_eta_of_the_file(tmp_path: Path) -> None:
    showers = Showers(np.ones((5, 247)), {"energy": np.ones(5)}, atlas_lar_247(0.5))
    assert selected(source(tmp_path, showers), cells="atlas_lar")[0].geometry == atlas_lar(0.5)


# --- which events a file holds ----------------------------------------------------------------------------------------


def test_a_validation_still_refuses_shared_events(tmp_path: Path) -> None:
    path = source(tmp_path)
    _, early = selected(path, "early.h5", events=":1100")
    _, late = selected(path, "late.h5", events="1100:")
    _, scattered = selected(path, "scattered.h5", eta="0.5:1.2")
    whole = dict(STORY, n_events=N)
    for reference, sample in ((whole, late), (scattered, late), (scattered, early), (late, scattered)):
        with pytest.raises(InputError, match="shares events"):
            check_events({"Geant4": reference, "sample": sample}, "Geant4")
        with pytest.raises(InputError, match="shares events"):
            check_events({"Geant4": reference, "model": {"simulator": "model", "training": sample}}, "Geant4")
    assert check_events({"Geant4": late, "model": {"simulator": "model", "training": early}}, "Geant4") == []


def test_rows_without_gaps_keep_their_numbers(tmp_path: Path) -> None:
    _, story = selected(source(tmp_path), "middle.h5", energy="101GeV:201GeV")
    assert (story["first_event"], story["n_events"]) == (1100, 100)
    showers, story = selected(tmp_path / "middle.h5", events="1110:1112")
    np.testing.assert_array_equal(showers.incident, [111e3, 112e3])
    assert (story["first_event"], story["n_events"]) == (1110, 2)
    assert story["selection"]["source"]["selection"]["energy"] == "101GeV:201GeV"


def test_rows_with_gaps_have_lost_their_numbers(tmp_path: Path) -> None:
    showers = pads()
    path = source(tmp_path, Showers(showers.energies, {"energy": np.where(np.arange(N) % 2, 1.0, 2.0)}, PADS))
    _, story = selected(path, "odd.h5", energy=":1.5")
    assert (story["first_event"], story["n_events"]) == (1001, 299)
    for asked in ({"events": "1000:1010"}, {"noise": "pad=1"}):
        with pytest.raises(InputError, match="holds 150 of 299 events, and does not say which"):
            selected(tmp_path / "odd.h5", **asked)
    _, story = selected(tmp_path / "odd.h5", "few.h5", total_energy=":120")
    assert (story["first_event"], story["n_events"], story["selection"]["kept"]) == (1001, 299, 10)


def test_a_file_that_does_not_name_its_events_has_no_numbers(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", pads(), {"simulator": "other"})
    for asked in ({"events": "0:10"}, {"noise": "pad=1"}):
        with pytest.raises(InputError, match="does not say which events"):
            selected(tmp_path / "a.h5", **asked)
    assert "n_events" not in selected(tmp_path / "a.h5", energy=":2GeV")[1]


def test_noise_is_added_once(tmp_path: Path) -> None:
    selected(source(tmp_path), "noisy.h5", noise="pad=1")
    selected(tmp_path / "noisy.h5", "cut.h5", events=":1010")
    for name in ("noisy.h5", "cut.h5"):
        with pytest.raises(InputError, match="has noise already"):
            selected(tmp_path / name, noise="pad=2")


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_finished_file_is_left_alone_and_others_do_not_overwrite_it(tmp_path: Path) -> None:
    path, output = source(tmp_path), tmp_path / "a" / "folder" / "new.h5"
    asked = Selection(events=":1010", total_energy=":105")
    assert select(path, output, asked, notes={"command": "first"}) == (5, N)
    stamp = output.stat().st_mtime_ns
    assert select(path, output, asked, notes={"command": "again"}) is None
    assert output.stat().st_mtime_ns == stamp
    for other in (Selection(events=":1011", total_energy=":105"), Selection(total_energy=":105"), Selection()):
        with pytest.raises(InputError, match="another command"):
            select(path, output, other)
    with pytest.raises(InputError, match="another command"):
        select(path, output, asked, compact=True)
    source(tmp_path, seed=8)
    with pytest.raises(InputError, match="another command"):
        select(path, output, asked)
    source(tmp_path, pads(N - 1))
    with pytest.raises(InputError, match="another command"):
        select(path, output, asked)
    assert select(path, output, asked, overwrite=True) == (5, N - 1)
    assert [each.name for each in output.parent.iterdir()] == ["new.h5"]


def test_another_simulators_file_and_the_source_itself_are_not_overwritten(tmp_path: Path) -> None:
    path = source(tmp_path)
    write(tmp_path / "other.h5", pads(), {"selection": "by hand"})
    with pytest.raises(InputError, match="another command"):
        select(path, tmp_path / "other.h5", Selection())
    with pytest.raises(InputError, match="the file to select from"):
        select(path, path, Selection(events=":1010"), overwrite=True)
    with pytest.raises(InputError, match="is a folder"):
        select(path, tmp_path, Selection())


@pytest.mark.parametrize(
    "asked",
    [
        {"events": "1300:"},
        {"energy": ":1GeV"},
        {"total_energy": "399.5:"},
        {"events": ":1010", "energy": "20GeV:"},
        {"cells": "atlas_lar"},
        {"cells": "nonsense"},
        {"noise": "strip=1"},
    ],
)
def test_where_nothing_is_left_or_fits_nothing_is_written(asked: dict[str, str], tmp_path: Path) -> None:
    path = source(tmp_path)
    with pytest.raises(InputError):
        select(path, tmp_path / "folder" / "new.h5", Selection(**asked))
    assert [each.name for each in tmp_path.iterdir()] == ["source.h5"]


def test_a_compact_file_says_so_and_one_made_of_it_knows(tmp_path: Path) -> None:
    path = source(tmp_path)
    select(path, tmp_path / "compact.h5", Selection(), compact=True)
    showers, story = selected(tmp_path / "compact.h5", "plain.h5", events=":1010")
    assert showers.energies[1, 1] == 101.0
    assert "rounding" not in story
    assert story["selection"]["source"]["rounding"] == "7 bits of mantissa"
    with ShowerFile(tmp_path / "compact.h5") as file:
        assert file.provenance["rounding"] == "7 bits of mantissa"
        assert file[201:203].energies[:, 1].tolist() == [300, 302]  # 301 takes eight bits of mantissa


def test_progress_counts_every_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNKS", 1)
    grid = Geometry("grid", (Layer("a", "xy", regular(200, 0, 1), regular(200, 0, 1), 1.0),))  # 4 showers in a chunk
    showers = Showers(np.ones((10, 40000)), {"energy": np.ones(10)}, grid)
    heard: list[tuple[int, int]] = []

    def hear(done: int, total: int) -> None:
        heard.append((done, total))

    select(source(tmp_path, showers), tmp_path / "a.h5", Selection(total_energy=":1TeV"), progress=hear)
    assert heard == [(0, 20), (4, 20), (8, 20), (10, 20), (10, 20), (14, 20), (18, 20), (20, 20)]


def test_files_without_a_story_are_told_apart(tmp_path: Path) -> None:
    """Two files that say the same of themselves, and hold other showers."""
    first, second = (tmp_path / name for name in ("first.h5", "second.h5"))
    write(first, pads(), {})
    write(second, Showers(pads().energies * 2, pads().conditions, pads().geometry), {})
    output = tmp_path / "out.h5"
    assert select(first, output, Selection(energy="3GeV:")) is not None
    assert select(first, output, Selection(energy="3GeV:")) is None
    with pytest.raises(InputError, match="another command"):
        select(second, output, Selection(energy="3GeV:"))
