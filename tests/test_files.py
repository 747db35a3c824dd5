"""The shower file: what is written is read; what is damaged is refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge.errors import FormatError, InputError
from caloforge.files import FORMAT, ShowerFile, ShowerWriter, digest, write
from caloforge.geometry import Geometry, Layer, regular
from caloforge.showers import Showers

GEOMETRY = Geometry("pads", (Layer("a", "xy", regular(4, 0, 2), regular(5, 0, 3), 1.0),))


def showers(n: int, first: int = 0) -> Showers:
    rng = np.random.default_rng(first)
    energies = rng.exponential(size=(n, 20)) * (rng.random((n, 20)) < 0.4)
    return Showers(energies, {"energy": np.arange(first + 1.0, first + n + 1), "theta": rng.random(n)}, GEOMETRY)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "showers.h5", showers(2500), {"seed": 1})
    return tmp_path / "showers.h5"


def test_written_is_read(path: Path) -> None:
    expected = showers(2500)
    with ShowerFile(path) as file:
        file.check()
        assert len(file) == 2500
        assert file.geometry == GEOMETRY
        assert file.provenance == {"seed": 1}
        np.testing.assert_array_equal(file[:].energies, expected.energies)
        np.testing.assert_array_equal(file[1000:1100].energies, expected.energies[1000:1100])
        np.testing.assert_array_equal(file[2400:].conditions["theta"], expected.conditions["theta"][2400:])
        assert sum(len(batch) for batch in file.batches(300)) == 2500


def test_plain_tools_of_the_field_read_it(path: Path) -> None:
    with h5py.File(path) as file:
        assert file["incident_energies"].shape == (2500, 1)
        assert file["showers"].shape == (2500, 20)
        assert file["showers"].dtype == np.float32
        assert file["showers"].compression == "gzip"
        assert not file["showers"].shuffle
        assert file.attrs["format"] == FORMAT
        np.testing.assert_array_equal(file["showers"][:], showers(2500).energies)


def test_batches_of_any_size_make_the_same_file(tmp_path: Path, path: Path) -> None:
    with ShowerWriter(tmp_path / "b.h5", GEOMETRY, 2500, {"seed": 1}, ("energy", "theta")) as writer:
        for start, stop in ((0, 1), (1, 1025), (1025, 1030), (1030, 2500)):
            writer.append(showers(2500)[start:stop])
    assert (tmp_path / "b.h5").read_bytes() == path.read_bytes()


def test_a_file_appears_only_when_whole(tmp_path: Path) -> None:
    with pytest.raises(InputError), ShowerWriter(tmp_path / "a.h5", GEOMETRY, 10, {}, ("energy", "theta")) as writer:
        writer.append(showers(9))
    with pytest.raises(RuntimeError), ShowerWriter(tmp_path / "a.h5", GEOMETRY, 10, {}, ("energy", "theta")):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(FormatError), ShowerFile(path) as file:
        file.check()


def test_flipped_bits_never_give_other_numbers(path: Path) -> None:
    """Each file with one byte changed is refused, or reads exactly as before (unused bytes)."""
    content, expected = path.read_bytes(), showers(2500)
    refused = 0
    for position in np.random.default_rng(0).integers(0, len(content), 150):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :])
        try:
            with ShowerFile(path) as file:
                read = file[:]
        except FormatError:
            refused += 1
            continue
        np.testing.assert_array_equal(read.energies, expected.energies)
        np.testing.assert_array_equal(read.incident, expected.incident)
        assert read.geometry == GEOMETRY
    assert refused > 100


def change(path: Path, name: str, value: object) -> None:
    with h5py.File(path, "a") as file:
        file.attrs[name] = value
        file.attrs["digest"] = digest(dict(file.attrs))


def test_mislabelled_files_are_refused(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    wider = Geometry("wider", (Layer("a", "xy", regular(4, 0, 2), regular(6, 0, 3), 1.0),))
    for name, value in (
        ("geometry", wider.to_json()),
        ("geometry", "{}"),
        ("format_version", 2),
        ("layout", "csr"),
        ("format", "other"),
        ("provenance", "{"),
    ):
        path.write_bytes(content)
        change(path, name, value)
        with pytest.raises(FormatError):
            ShowerFile(path)
    path.write_bytes(content)
    with h5py.File(path, "a") as file:
        file.attrs["geometry"] = file.attrs["geometry"].replace("3.0", "4.0")
    with pytest.raises(FormatError, match="digest"):
        ShowerFile(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    plain = tmp_path / "challenge.h5"
    with h5py.File(plain, "w") as file:
        file["showers"], file["incident_energies"] = np.zeros((3, 20)), np.ones((3, 1))
    with pytest.raises(FormatError, match="no geometry"):
        ShowerFile(plain)
    (tmp_path / "text").write_text("energy,cells\n1,2\n")
    with pytest.raises(FormatError, match="not an HDF5 file"):
        ShowerFile(tmp_path / "text")
    with pytest.raises(InputError):
        ShowerFile(tmp_path)


@pytest.mark.parametrize("change_data", ["drop", "short", "nan", "text", "negative"])
def test_wrong_datasets_are_refused(path: Path, change_data: str) -> None:
    with h5py.File(path, "a") as file:
        energy = file["incident_energies"][:]
        if change_data in ("drop", "short", "negative", "text"):
            del file["incident_energies"]
        if change_data == "short":
            file["incident_energies"] = energy[:-1]
        if change_data == "negative":
            file["incident_energies"] = -energy
        if change_data == "text":
            file["incident_energies"] = "none"
        if change_data == "nan":
            file["showers"][7, 3] = np.nan
    with pytest.raises(FormatError), ShowerFile(path) as file:
        file.check()
