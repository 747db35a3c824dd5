"""The frame: what installing and importing caloforge promises."""

import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml

import caloforge

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "tests" / "README.md"])


def requirements():
    extras = PROJECT["optional-dependencies"].values()
    return [*PROJECT["dependencies"], *(requirement for extra in extras for requirement in extra)]


def test_import_is_fast_silent_and_light():
    code = "import sys, caloforge; sys.exit(' '.join({'torch', 'numpy', 'matplotlib', 'h5py'} & set(sys.modules)) or 0)"
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        durations.append(time.perf_counter() - start)
        assert (run.returncode, run.stdout, run.stderr.strip()) == (0, "", "")
    assert min(durations) < 0.3


@pytest.mark.parametrize("name", caloforge.__all__)
def test_every_public_name_exists_where_it_says(name):
    assert name in dir(caloforge)
    assert getattr(caloforge, name).__module__ == f"caloforge.{caloforge._HOME[name]}"


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Shower'"):
        _ = caloforge.Shower


def test_nothing_is_pinned_and_nothing_pulls_torchvision():
    assert not [requirement for requirement in requirements() if "==" in requirement.split(";")[0]]
    assert "torchvision" not in " ".join(requirements()) + (ROOT / "constraints.txt").read_text()


def test_constraints_cover_every_requirement_and_name_no_place():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    tested = {_canonical(line.split("==")[0]) for line in lines}
    names = {_canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements()}
    assert names - {"caloforge"} <= tested


def test_citation_and_changelog_know_the_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == caloforge.__version__
    assert f"## {caloforge.__version__} " in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
