"""A study: what its file may say, runs that are done once, the union of seeds, the table, workers, and the search."""

import json
import math
import os
import stat
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from caloforge.cluster import _cluster, each_done, workers
from caloforge.errors import InputError
from caloforge.files import ShowerFile, write
from caloforge.metrics.sample import random_rows
from caloforge.report import Report, plain
from caloforge.studies import Study, run_study, runs, search, study
from caloforge.studies.definition import Data
from caloforge.studies.sources import Cut, Union
from caloforge.studies.table import as_csv, as_markdown, rows, significance, spread
from caloforge.testing import toy_showers

BASE = {
    "model": {"class_path": "WGANGP", "init_args": {"n_latent": 4, "width": 8, "depth": 1, "n_critic": 2}},
    "transforms": [{"class_path": "Fractions"}],
    "training": {"steps": 4, "batch_size": 64},
}
STUDY = {
    "training": "training.h5",
    "reference": "reference.h5",
    "config": "base.yaml",
    "seeds": 2,
    "classifier": "none",
    "before_thresholds": True,
    "reports": False,
    "parameters": {"layers": {"model.depth": [1, 2]}, "rate": {"fast": {"model.learning_rate": 0.01}}},
}


SEARCH = {
    "minimize": "cell_mean",
    "trials": 3,
    "space": {"model.depth": {"low": 1, "high": 2}, "model.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}},
}


@pytest.fixture
def folder(tmp_path):
    story = {"simulator": "toy", "first_event": 0}
    write(tmp_path / "training.h5", toy_showers(400, 1), story | {"seed": 1})
    write(tmp_path / "reference.h5", toy_showers(150, 2), story | {"seed": 2})
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(BASE))
    return tmp_path


def written(folder, **changes):
    content = {key: value for key, value in {**STUDY, **changes}.items() if value is not None}
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    return folder / "study.yaml"


def results(output):
    return {str(each.parent.relative_to(output)): each.stat().st_mtime_ns for each in output.rglob("result.json")}


def table_of(output):
    return json.loads((output / "report.json").read_text())["rows"]


def row_of(output, setting, metric="cell_mean", thresholds="after"):
    found = [
        r for r in table_of(output) if (r["setting"], r["metric"], r["thresholds"]) == (setting, metric, thresholds)
    ]
    assert len(found) == 1
    return found[0]


def test_a_study_from_file_to_report(folder):
    said = []
    text = run_study(written(folder), folder / "out", 1, say=said.append)
    # Default and depth 1 are the same run: three different settings with two seeds each.
    assert len(results(folder / "out")) == 6
    assert sum("cell" in each or "correlation" in each for each in said) == 6
    for setting in ("default", "1", "2", "fast"):
        values = [json.loads((path / "result.json").read_text()) for path in folders(folder, setting)]
        after = [each["scores"]["after"]["cell_mean"][0] for each in values]
        row = row_of(folder / "out", setting)
        assert row["values"] == plain(after)
        assert row["mean"] == pytest.approx(np.mean(after))
        assert row["spread"] == pytest.approx(np.std(after, ddof=1))
        assert row["spread"] > 0
    assert row_of(folder / "out", "1")["values"] == row_of(folder / "out", "default")["values"]
    assert row_of(folder / "out", "2")["values"] != row_of(folder / "out", "default")["values"]
    assert row_of(folder / "out", "2")["floor"] > 0
    assert row_of(folder / "out", "2", thresholds="before")["values"] != row_of(folder / "out", "2")["values"]
    assert "| layers | 2 |" in text
    assert (folder / "out" / "table.md").read_text() == text
    assert "data:image/png" in (folder / "out" / "report.html").read_text()


def test_a_parameter_has_a_report_of_its_unions(folder, monkeypatch):
    def without_pictures(report, output):  # which take a minute, and are tested elsewhere
        output.mkdir(parents=True)
        report.to_json(output / "report.json")
        (output / "report.html").write_text("")

    monkeypatch.setattr(study, "write_report", without_pictures)
    path = written(folder, parameters={"Learning rate": {"fast": {"model.learning_rate": 0.01}}}, reports=True)
    said = []
    run_study(path, folder / "out", 1)
    assert {each.name for each in (folder / "out" / "reports").iterdir()} == {"learning-rate", "learning-rate-before"}
    names = ("learning-rate", "learning-rate-before")
    after, before = (Report.from_json(folder / "out" / "reports" / name / "report.json") for name in names)
    assert after.samples == before.samples == ("default", "fast")
    assert after.sizes == {"Geant4": 150, "default": 150, "fast": 150, "floor": 150}
    assert any("No threshold" in note for note in before.notes)
    assert "reports/learning-rate/report.html" in (folder / "out" / "report.html").read_text()
    run_study(path, folder / "out", 1, say=said.append)
    assert not any("comparing" in each for each in said)


def folders(folder, label):
    plan = study.planned(Study.read(folder / "study.yaml"), folder / "out")
    return [run.judged for setting, several in plan.items() if setting.label == label for run in several]


def test_nothing_is_done_twice_and_more_is_added(folder):
    run_study(written(folder), folder / "out", 1)
    before, scored = results(folder / "out"), row_of(folder / "out", "2")
    run_study(written(folder, seeds=3), folder / "out", 1)
    after = results(folder / "out")
    assert len(after) == 9
    assert {name: after[name] for name in before} == before
    assert row_of(folder / "out", "2")["values"][:2] == scored["values"]
    # Other data, or other settings for all, are other runs.
    run_study(written(folder, set={"training.steps": 5}), folder / "out", 1)
    assert len(results(folder / "out")) == 15
    write(folder / "training.h5", toy_showers(400, 3), {"simulator": "toy", "first_event": 0, "seed": 3})
    run_study(written(folder), folder / "out", 1)
    assert len(results(folder / "out")) == 21


def test_results_of_another_version_are_kept_and_said(folder):
    path, said, again = written(folder), [], []
    run_study(path, folder / "out", 1, say=said.append)
    run_study(path, folder / "out", 1, say=again.append)
    assert not any("made with" in each for each in said + again)
    first, second, *_ = (folder / "out").rglob("result.json")
    for file, change in ((first, {"caloforge": "0.0.1"}), (second, None)):
        content = json.loads(file.read_text())
        del content["caloforge"]
        file.write_text(json.dumps(content | (change or {})))
    before = results(folder / "out")
    run_study(path, folder / "out", 1, say=again.append)
    (sentence,) = (each for each in again if "made with" in each)
    assert sentence.startswith("2 of the runs were made with caloforge 0.0.1, an unknown version, this is ")
    assert results(folder / "out") == before


def test_another_reference_judges_what_is_trained(folder):
    run_study(written(folder), folder / "out", 1)
    trained = {each: each.stat().st_mtime_ns for each in (folder / "out").rglob("*.safetensors")}
    write(folder / "other.h5", toy_showers(200, 9), {"simulator": "toy", "seed": 9, "first_event": 0})
    before = row_of(folder / "out", "2")
    run_study(folder / "study.yaml", folder / "out", 1, reference=folder / "other.h5")
    assert {each: each.stat().st_mtime_ns for each in (folder / "out").rglob("*.safetensors")} == trained
    assert row_of(folder / "out", "2")["values"] != before["values"]
    assert len(results(folder / "out")) == 12
    run_study(folder / "study.yaml", folder / "out", 1)
    assert row_of(folder / "out", "2") == before


def test_a_stopped_study_goes_on_to_the_same_table(folder, monkeypatch):
    path = written(folder)
    run_study(path, folder / "whole", 1)
    perform, done = runs.perform, []

    def until_stopped(run):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(run)
        return perform(run)

    monkeypatch.setattr(runs, "perform", until_stopped)
    with pytest.raises(KeyboardInterrupt):
        run_study(path, folder / "out", 1)
    assert not (folder / "out" / "report.json").exists()
    monkeypatch.setattr(runs, "perform", perform)
    run_study(path, folder / "out", 1)
    for ours, theirs in zip(table_of(folder / "out"), table_of(folder / "whole"), strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}


def test_a_training_that_diverges_is_a_result(folder):
    path = written(folder, parameters={"rate": {"wild": {"model.learning_rate": 1e30, "training.log_steps": 1}}})
    text = run_study(path, folder / "out", 1)
    assert "2 diverged" in text
    assert row_of(folder / "out", "wild", "correlation_mse/ratio")["seeds"] == 0
    before = results(folder / "out")
    run_study(path, folder / "out", 1)
    assert results(folder / "out") == before


def test_other_models_and_data_in_one_study(folder):
    write(folder / "other.h5", toy_showers(300, 5), {"simulator": "toy", "seed": 5, "first_event": 0})
    flow = {**BASE, "model": {"class_path": "FlowMatching", "init_args": {"width": 8, "blocks": 1, "n_steps": 2}}}
    flow["transforms"] = [{"class_path": each} for each in ("Fractions", "Log", "Standardize")]
    (folder / "flow.yaml").write_text(yaml.safe_dump(flow))
    parameters = {
        "model": {"flow": {"config": "flow.yaml"}, "fewer": {"training": "other.h5"}},
        "judge": {"other": {"reference": "other.h5"}},
    }
    run_study(written(folder, parameters=parameters, before_thresholds=False), folder / "out", 1)
    assert len(results(folder / "out")) == 8
    assert len(list((folder / "out").rglob("*.safetensors"))) == 6
    assert row_of(folder / "out", "other")["values"] != row_of(folder / "out", "default")["values"]
    first = folders(folder, "flow")[0]
    assert "FlowMatching" in (first.parent / "training" / "config.yaml").read_text()
    assert (first / "showers.h5").exists()
    assert not (first / "uncut.h5").exists()


def test_union_takes_the_seeds_in_turn(folder):
    run_study(written(folder), folder / "out", 1)
    files = [ShowerFile(path / "showers.h5") for path in folders(folder, "2")]
    union = Union(files)
    assert len(union) == 150
    for i, shower in enumerate(union[50:60].energies, 50):
        assert np.array_equal(shower, files[i % 2][i : i + 1].energies[0])
        assert not np.array_equal(shower, files[(i + 1) % 2][i : i + 1].energies[0])
    for file in files:
        file.close()


def test_a_result_counts_for_what_was_asked_alone(tmp_path):
    run = runs.Run(tmp_path, tmp_path, tmp_path, (), 1, Data(tmp_path, tmp_path), False, "none")
    assert run.result is None
    (tmp_path / "result.json").write_text(json.dumps({"request": run.request, "failed": "diverged"}))
    assert run.result["failed"] == "diverged"
    for other in ({"classifier": "quick"}, {"before_thresholds": True}):
        assert replace(run, **other).result is None
    (tmp_path / "result.json").write_text("{")
    assert run.result is None


def test_runs_use_one_thread_and_give_the_others_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with runs._one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_what_is_cut_is_read_when_asked_for(folder):
    with ShowerFile(folder / "reference.h5") as file:
        cut, whole = Cut(file), file[:].above_threshold()
        assert (file[:].energies != whole.energies).any()
        assert len(cut) == 150
        assert np.array_equal(cut[20:30].energies, whole.energies[20:30])
        assert cut.conditions is file.conditions


def test_before_the_thresholds_nothing_is_cut_but_geant4_that_was_learnt_so(folder):
    run_study(written(folder), folder / "out", 1)
    place = folders(folder, "2")[0]
    with ShowerFile(place / "uncut.h5") as uncut, ShowerFile(place / "showers.h5") as cut:
        made, thresholds = uncut[:], uncut.geometry.thresholds
        assert ((made.energies > 0) & (made.energies < thresholds)).any()
        assert not ((cut[:].energies > 0) & (cut[:].energies < thresholds)).any()
    with ShowerFile(folder / "reference.h5") as file:
        ours, theirs = file[:].above_threshold().energies.mean(0), made.energies.mean(0)
    scores = json.loads((place / "result.json").read_text())["scores"]["before"]
    assert scores["cell_mean"][0] == pytest.approx(np.linalg.norm(theirs - ours) / np.linalg.norm(ours))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"config": None}, "needs training, reference, config"),
        ({"colour": 3}, "'colour'"),
        ({"parameters": None}, "varies nothing"),
        ({"parameters": {"layers": 3}}, "layers is 3"),
        ({"parameters": {"layers": {"model.deep": [1]}}}, "deep"),
        ({"parameters": {"layers": {"model.depth": ["x"]}}}, "depth"),
        ({"seeds": 0}, "seeds are"),
        ({"seeds": ["a"]}, "seeds are"),
        ({"classifier": "best"}, "classifier"),
        ({"before_thresholds": "yes please"}, "before_thresholds"),
        ({"training": "nowhere.h5"}, "nowhere.h5 is not a file"),
        ({"config": "nowhere.yaml"}, "nowhere.yaml"),
        ({"cluster": {"kind": "cloud"}}, "cloud"),
        ({"cluster": {"kind": "local", "memory": "4GB"}}, "local workers take no options"),
        ({"metrics": [1]}, "metrics"),
        ({"metrics": ["separation/nonsense"]}, "there is no metric 'separation/nonsense'"),
        ({"parameters": {}}, "varies nothing"),
        ({"parameters": {"default": {"model.depth": [1]}}}, "not default"),
        ({"parameters": {"a b": {"model.depth": [1]}, "a-b": {"model.depth": [1]}}}, "all different"),
        ({"parameters": {"..": {"model.depth": [1]}}}, "names of letters"),
        ({"parameters": {"layers": {"model.depth": []}}}, "one or more"),
        ({"parameters": {"layers": {"model.depth": 3}}}, "model.depth is 3"),
        ({"parameters": {"layers": {1: {"model.depth": 3}, "1": {"model.depth": 2}}}}, "all different"),
        ({"parameters": {"layers": {"floor": {"model.depth": 3}}}}, "none called"),
        ({"set": {"training.seed": 3}}, "training.seed"),
        ({"set": {"print_config": ""}}, "does not describe"),
        ({"seeds": [True]}, "seeds are"),
        ({"seeds": [2**63]}, "seeds are"),
        ({"extends": "study.yaml"}, "extends itself"),
        ({"extends": "../study.yaml"}, "same folder"),
        ({"reference": "training.h5"}, "shares events"),
        ({"cluster": {"kind": ["slurm"]}}, "workers on"),
        ({"cluster": {"kind": "slurm"}}, "sbatch"),
        ({"search": {**SEARCH, "minimize": "cell_meen"}}, "cell_meen"),
        ({"search": {**SEARCH, "minimize": 3}}, "search needs"),
        ({"search": {**SEARCH, "trials": True}}, "search needs"),
        ({"search": {**SEARCH, "space": {"model.depth": {"low": 2, "high": 1}}}}, "low < high"),
        ({"search": {**SEARCH, "space": {"model.depth": {"low": 1, "high": 2, "lgo": True}}}}, "low and high"),
        ({"search": {"minimize": "cell_mean"}}, "search needs"),
        ({"search": {"minimize": "cell_mean", "trials": 2, "space": {"model.depth": 3}}}, "low and high"),
    ],
)
def test_mistakes_are_named_before_anything_is_trained(folder, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        run_study(written(folder, **changes), folder / "out", 1)
    assert not list(folder.rglob("result.json"))


def test_a_study_extends_another(folder):
    written(folder)
    (folder / "more.yaml").write_text(
        yaml.safe_dump({"extends": "study.yaml", "seeds": [7], "set": {"model.penalty": 1}})
    )
    base, more = Study.read(folder / "study.yaml"), Study.read(folder / "more.yaml")
    assert [each.name for each in more.settings] == [each.name for each in base.settings]
    assert more.seeds == (7,)
    assert more.settings[0].overrides == ("--model.penalty=1",)


def test_whole_numbers_name_the_same_training(folder):
    path = written(folder, parameters={"penalty": {"model.penalty": [10, 10.0, 11]}})
    plan = study.planned(Study.read(path), folder / "out")
    assert len({run.folder for several in plan.values() for run in several}) == 4


def test_text_that_is_no_study(tmp_path):
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(InputError, match="cannot read"):
        Study.read(tmp_path / "bad.yaml")
    with pytest.raises(InputError, match="cannot read"):
        Study.read(tmp_path / "missing.yaml")


def test_a_key_that_stands_twice_is_refused(folder):
    path = written(folder)
    base = folder.joinpath("base.yaml").read_text()
    (folder / "base.yaml").write_text(base + "training: {steps: 9}\n")
    with pytest.raises(InputError, match=r"base.yaml has 'training' in line \d+ and again"):
        study.planned(Study.read(path), folder / "out")
    path.write_text(path.read_text() + "seeds: 3\n")
    with pytest.raises(InputError, match=r"study.yaml has 'seeds' in line \d+ and again"):
        Study.read(path)


# The table


def result(value, stage="after"):
    return {"scores": {stage: {"cell_mean": [value, 0.1]}}, "seconds": 10.0, "steps": 5}


def test_spread_and_significance_by_hand():
    assert spread([1.0, 3.0]) == pytest.approx(math.sqrt(2))
    # Means 4 and 2, spreads √2 and √2, two seeds each: 2 / √(2/2 + 2/2).
    assert significance([3.0, 5.0], [1.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert significance([1.0, 1.5, 2.0], [4.0, 5.0]) < 0
    assert math.isnan(significance([1.0], [2.0, 3.0]))
    assert math.isnan(significance([1.0, 2.0], [1.0, 2.0]))


def test_rows_and_their_texts():
    floors = {"after": {"cell_mean": [0.5, 0.05]}}
    default = [result(1.0), result(3.0)]
    table = rows("default", "default", default, default, floors)
    table += rows("layers", "1|2", [result(3.0), result(5.0), {"failed": "it diverged"}], default, floors)
    assert [row["mean"] for row in table] == [2.0, 4.0]
    assert table[1]["difference"] == 2.0
    assert table[1]["z"] == pytest.approx(math.sqrt(2))
    assert (table[1]["seeds"], table[1]["failed"]) == (2, 1)
    text = as_markdown(table, ["cell_mean", "unknown"])
    assert "| layers | 1\\|2 | 2, 1 diverged | 4.0 ± 1.4 |" in text
    assert "| Geant4 against Geant4 |  |  | 0.500 ± 0.050 |" in text
    assert as_csv(table).splitlines()[2].startswith("layers,1|2,after,,cell_mean,4.0,1.414")


# Workers


def double(x):
    return 2 * x


def test_two_processes_do_what_one_does(folder):
    path = written(folder, parameters={"layers": {"model.depth": [2]}}, before_thresholds=False)
    run_study(path, folder / "one", 1)
    run_study(path, folder / "two", 2)
    for ours, theirs in zip(table_of(folder / "one"), table_of(folder / "two"), strict=True):
        assert ours["values"] == theirs["values"]


def test_tasks_without_dask_keep_their_order():
    with workers("local", 1, {}) as client:
        assert client is None
        assert list(each_done(client, double, [1, 2])) == [(1, 2), (2, 4)]


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(stat.S_IRWXU)


@pytest.mark.parametrize(("kind", "words"), [("slurm", "#SBATCH --mem=2G"), ("htcondor", "MY.DaskWorkerMemory")])
def test_jobs_ask_for_what_was_given(kind, words, tmp_path, monkeypatch):
    for command in ("sbatch", "scancel", "condor_submit", "condor_rm"):
        program(tmp_path / command, "echo '1 job(s) submitted to cluster 1.'")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    options = {"memory": "2GB", **({"disk": "1GB"} if kind == "htcondor" else {"walltime": "01:00:00"})}
    with _cluster(kind, 1, options) as cluster:
        assert words in cluster.job_script()


@pytest.mark.timeout(60)
def test_slurm_jobs_do_the_work(tmp_path, monkeypatch):
    """A stand-in for Slurm that starts the job's script at once; all else is what a cluster sees."""
    job = tmp_path / "job.sh"
    program(tmp_path / "sbatch", f'cp "$1" {job}; setsid sh {job} >/dev/null 2>&1 &\necho Submitted batch job $!')
    program(tmp_path / "scancel", "kill -- -$1 2>/dev/null || true")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with workers("slurm", 1, {"memory": "1GB", "interface": "lo"}) as client:
        assert sorted(each_done(client, double, [1, 2, 3])) == [(1, 2), (2, 4), (3, 6)]


# The search


def test_a_search_tries_and_goes_on(folder):
    path = written(folder, parameters=None, search=SEARCH, before_thresholds=False, seeds=1)
    run_study(path, folder / "out", 1)
    trials = json.loads((folder / "out" / "report.json").read_text())["trials"]
    assert len(trials) == 3
    assert trials[0]["values"] <= trials[1]["values"] <= trials[2]["values"]
    assert all(1 <= each["model.depth"] <= 2 and 1e-4 <= each["model.learning_rate"] <= 1e-2 for each in trials)
    known = results(folder / "out")
    run_study(written(folder, parameters=None, search={**SEARCH, "trials": 4}, before_thresholds=False, seeds=1),
              folder / "out", 1)  # fmt: skip
    again = json.loads((folder / "out" / "report.json").read_text())["trials"]
    assert len(again) == 4
    assert set(known) < set(results(folder / "out"))
    assert {json.dumps(each) for each in trials} < {json.dumps(each) for each in again}


def test_a_stopped_search_takes_up_the_trial_it_was_at(folder, monkeypatch):
    path = written(folder, parameters=None, search=SEARCH, before_thresholds=False, seeds=1)
    asked = []

    def stopped(run):
        asked.append(run.overrides)
        raise KeyboardInterrupt

    perform = runs.perform
    monkeypatch.setattr(search, "perform", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_study(path, folder / "out", 1)
    monkeypatch.setattr(search, "perform", lambda run: (asked.append(run.overrides), perform(run))[1])
    run_study(path, folder / "out", 1)
    assert asked[1] == asked[0]
    assert len(asked) == 4


def test_another_search_has_its_own_trials(folder):
    settings = {"parameters": None, "before_thresholds": False, "seeds": 1}
    run_study(written(folder, search={**SEARCH, "trials": 2}, **settings), folder / "out", 1)
    other = {**SEARCH, "trials": 2, "minimize": ["wasserstein/mean", "cell_mean"]}
    run_study(written(folder, search=other, **settings), folder / "out", 1)
    trials = json.loads((folder / "out" / "report.json").read_text())["trials"]
    assert [len(each["values"]) for each in trials] == [2, 2]


def test_trials_of_one_setting_share_a_run(folder):
    same = {"minimize": "cell_mean", "trials": 3, "space": {"model.depth": [1]}}
    path = written(folder, parameters=None, search=same, before_thresholds=False, seeds=1)
    run_study(path, folder / "out", 2)
    assert len(json.loads((folder / "out" / "report.json").read_text())["trials"]) == 3
    assert len(results(folder / "out")) == 1


def test_a_damaged_study_mends_itself(folder):
    path = written(folder, parameters={"layers": {"model.depth": [2]}}, before_thresholds=False)
    run_study(path, folder / "out", 1)
    rows_before = [{**row, "seconds": 0} for row in table_of(folder / "out")]
    one, two = folders(folder, "2")
    (one / "result.json").write_text('{"scores": ')
    (one / "showers.h5").write_bytes((one / "showers.h5").read_bytes()[:999])
    (two / "result.json").unlink()
    run_study(path, folder / "out", 1)
    assert [{**row, "seconds": 0} for row in table_of(folder / "out")] == rows_before


def test_a_configuration_that_changes_meanwhile_is_noticed(folder):
    path = written(folder)
    (run, _) = next(iter(study.planned(Study.read(path), folder / "out").values()))
    (folder / "base.yaml").write_text(yaml.safe_dump({**BASE, "training": {"steps": 5, "batch_size": 64}}))
    with pytest.raises(InputError, match="changed while"):
        runs.perform(run)
    assert not (run.folder / "training").exists()


def test_showers_without_a_story_are_told_apart(folder):
    for name, seed in (("a.h5", 5), ("b.h5", 6)):
        write(folder / name, toy_showers(300, seed), {})
    path = written(folder, parameters={"data": {"a": {"training": "a.h5"}, "b": {"training": "b.h5"}}})
    plan = study.planned(Study.read(path), folder / "out")
    assert len({run.folder for several in plan.values() for run in several}) == 6


def test_two_cannot_work_on_one_study(folder):
    path = written(folder)
    (folder / "out").mkdir()
    with study._alone(folder / "out"), pytest.raises(InputError, match="another process"):
        run_study(path, folder / "out", 1)


def test_a_reference_of_its_own_has_its_floor_and_no_difference(folder):
    write(folder / "other.h5", toy_showers(120, 9), {"simulator": "toy", "seed": 9, "first_event": 0})
    parameters = {"judge": {"same": {}, "other": {"reference": "other.h5"}}, "layers": {"model.depth": [2]}}
    text = run_study(written(folder, parameters=parameters, before_thresholds=False), folder / "out", 1)
    other, deep = row_of(folder / "out", "other"), row_of(folder / "out", "2")
    assert other["z"] is None
    assert deep["z"] is not None
    assert other["floor"] != deep["floor"]
    assert "| Geant4 against Geant4 | other |" in text
    assert "| Geant4 against Geant4 | reference |" in text
    with pytest.raises(InputError, match="leave --reference out"):
        Study.read(folder / "study.yaml", folder / "other.h5")


def test_floors_are_geant4_against_as_much_geant4_with_or_without_thresholds(folder):
    data = study.planned(Study.read(written(folder)), folder / "out")
    (run, _) = next(iter(data.values()))
    with ShowerFile(folder / "reference.h5") as a, ShowerFile(folder / "training.h5") as b:
        rows_ = random_rows(400, 150)
        for cut in (True, False):
            ours, theirs = (each.above_threshold() if cut else each for each in (a[:], b[:][rows_]))
            expected = np.linalg.norm(theirs.energies.mean(0) - ours.energies.mean(0))
            expected /= np.linalg.norm(ours.energies.mean(0))
            assert runs.floors(run.data, cut, "none")["cell_mean"][0] == pytest.approx(expected, rel=1e-4)
