"""The shower file: what is written is read; what is damaged is refused."""

import json
import subprocess
import sys
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
        assert file.attrs["format"].decode() == FORMAT
        assert json.loads(file.attrs["geometry"])["name"] == "pads"
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
        text = {key: each.decode() if isinstance(each, bytes) else each for key, each in file.attrs.items()}
        file.attrs["digest"] = digest(text)


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
        file.attrs["geometry"] = file.attrs["geometry"].replace(b"3.0", b"4.0")
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


FUZZ = """
import sys
import numpy as np
from pathlib import Path
from caloforge.errors import FormatError, InputError
from caloforge.files import ShowerFile

path, damaged = Path(sys.argv[1]), Path(sys.argv[2])
content = path.read_bytes()
with ShowerFile(path) as file:
    showers = file[:]
rng = np.random.default_rng(1)
for _ in range(300):
    copy = bytearray(content)
    start, length = rng.integers(len(copy)), rng.integers(1, 80)
    copy[start : start + length] = rng.choice([bytes(length), rng.bytes(length)])[: len(copy) - start]
    damaged.write_bytes(copy)
    try:
        with ShowerFile(damaged) as file:
            found = file[:]
    except (FormatError, InputError):
        continue
    assert np.array_equal(found.energies, showers.energies), (start, length)
    assert all(np.array_equal(found.conditions[name], showers.conditions[name]) for name in ("energy", "theta"))
"""


def test_damage_anywhere_is_refused_and_never_hangs(tmp_path: Path) -> None:
    """In a process of its own, because a reader that hangs does so inside HDF5."""
    write(tmp_path / "small.h5", showers(120), {"seed": 1, "notes": "x" * 3000})
    names = [str(tmp_path / each) for each in ("small.h5", "damaged.h5")]
    subprocess.run([sys.executable, "-c", FUZZ, *names], check=True, timeout=120)


def test_provenance_must_be_an_object(tmp_path: Path) -> None:
    write(tmp_path / "a.h5", showers(3), [1])  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="provenance"):
        ShowerFile(tmp_path / "a.h5")
