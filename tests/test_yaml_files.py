"""YAML files of users: plain data, and no key that silently replaces another."""

import pytest

from caloforge.errors import InputError
from caloforge.yaml_files import read_yaml


def test_plain_data_are_read(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &x {b: 1}\nc: [{<<: *x, b: 2}, {b: é}]\n1: 0\n'1': 0\n", encoding="utf-8")
    assert read_yaml(tmp_path / "a.yaml") == {"a": {"b": 1}, "c": [{"b": 2}, {"b": "é"}], 1: 0, "1": 0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' in line 1 and again in line 3"),
        ("a:\n  b: 1\n  b: 1\n", "'b' in line 2 and again in line 3"),
        ("- 1\n- {c: 1, c: 2}\n", "'c' in line 2 and again in line 2"),
        ("a: [", "cannot read"),
        ("a: !!python/object:os.system {}", "cannot read"),
    ],
)
def test_what_stands_twice_is_named_with_its_lines(text, sentence, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_yaml(tmp_path / "a.yaml")


def test_what_refers_to_itself_is_read_once(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &x [1, *x]\n")
    content = read_yaml(tmp_path / "a.yaml")
    assert content["a"][1] is content["a"]


def test_no_file_is_no_yaml(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    for name in ("missing.yaml", "latin.yaml"):
        with pytest.raises(InputError, match="cannot read"):
            read_yaml(tmp_path / name)
