"""The study: its grid, its plan, which runs are stored and which repeated; the command line."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from lossprune_lib import LocalPruner, Mask, Study, WeightSpace, __main__, data, models, results, training
from lossprune_lib.installation import study_plans
from lossprune_lib.studies import experiment, export, jobs, runs
from lossprune_lib.studies.store import Store
from lossprune_lib.training import checkpoint, sgd

SMALL = {
    "task": "digits",
    "sparsities": [0.9],
    "stages": [1, 2],
    "step_penalties": [0, 1e-2],
    "criteria": ["mp", "random", "lm", "qm"],
    "seeds": [3, 4],
    "training": 2,
    "tuning": 1,
}
SECONDS = ["pruning_seconds", "tuning_seconds"]


@pytest.fixture(scope="module")
def small() -> Study:
    return Study.grid(**SMALL)


@pytest.fixture(scope="module")
def store(small: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "runs.sqlite"
    small.run(path, progress=False)
    return path


@pytest.fixture(scope="module")
def table(small: Study, store: Path) -> pd.DataFrame:
    return small.table(store)


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns=[*SECONDS, "trace"]), b.drop(columns=[*SECONDS, "trace"]))
    for one, other in zip(a["trace"], b["trace"], strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_papers_seed_has_82_runs() -> None:
    study = Study.grid(seeds=[1111])
    assert len(study.runs) == 82
    assert len({run.key for run in study.runs}) == 82
    assert sum(run.criterion == "mp" for run in study.runs) == 1


def test_single_values_stand_for_lists() -> None:
    assert Study.grid(criteria="qm", stages=1, step_penalties=0, seeds=3, sparsities=0.5) == Study.grid(
        criteria=["qm"], stages=[1], step_penalties=[0.0], seeds=[3], sparsities=[0.5]
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"criteria": ["qmm"]}, "Did you mean 'qm'"),
        ({"task": "digit"}, "Did you mean 'digits'"),
        ({"model": "mlp"}, "no model"),
        ({"sparsities": [95]}, "write 95 % as 0.95"),
        ({"stages": [0]}, "stages is 0"),
        ({"step_penalties": [-1]}, "step_penalty"),
        ({"seeds": []}, "no seeds"),
        ({"schedule": "cubical"}, "Did you mean 'cubic'"),
        ({"lambdas": [1]}, "no setting called 'lambdas'"),
        ({"train_examples": 0}, "train_examples"),
        ({"training": -1}, "epochs"),
        ({"controls": ["unifrom"]}, "Did you mean 'uniform'"),
        ({"criteria": ["lm"], "controls": ["uniform", "erk"]}, r"nothing to run: .*\(lm has magnitude, shuffled\)"),
        ({"criteria": ["random", "mp"], "controls": "shuffled"}, "random has none; mp has uniform"),
    ],
)
def test_nonsense_is_refused_before_any_work(settings: dict[str, object], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        Study.grid(**settings)


def test_a_recipe_must_be_one() -> None:
    with pytest.raises(TypeError, match=r"training\.Recipe"):
        Study(tuning={"epochs": 3})  # type: ignore[arg-type]


def test_the_table_has_a_row_a_run_and_says_all(small: Study, table: pd.DataFrame) -> None:
    assert len(table) == len(small.runs) == 2 * (2 + 2 * 2 * 2)
    assert not table.drop(columns=["train_examples", "trace"]).isna().any().any()
    for when in ("dense", "pruned", "tuned"):
        for split in data.SPLITS:
            assert table[f"{when}_{split}_error"].between(0, 1).all()
            assert (table[f"{when}_{split}_loss"] > 0).all()
    assert {"density.fc1", "density.fc2", "density.fc3", "device", "versions", *SECONDS} <= set(table)
    assert (table["true_change"] == table["pruned_train_loss"] - table["dense_train_loss"]).all()
    assert [len(trace) for trace in table["trace"]] == list(table["stages"])
    # fine-tuning helps, and the splits differ
    assert table["tuned_train_loss"].mean() < table["pruned_train_loss"].mean()
    assert (table["dense_test_loss"] != table["dense_valid_loss"]).all()


def test_a_run_is_what_the_library_gives_step_by_step(small: Study, table: pd.DataFrame, store: Path) -> None:
    row = table[(table["seed"] == 4) & (table["criterion"] == "qm") & (table["stages"] == 2)].iloc[1]
    task = data.load("digits", seed=4, device="cpu")
    net = training.fit(models.mlp_300_100(task, seed=4), task, epochs=2, seed=4, progress=False)
    run = LocalPruner("qm", 0.9, 2, step_penalty=row["step_penalty"], seed=4).prune(net, task)
    tuned = training.fit(net, task, epochs=1, mask=run.mask, seed=4, progress=False)
    assert row["dense_valid_error"] == training.evaluate(net, task).error
    assert row["true_change"] == pytest.approx(run.true_change, rel=1e-4)
    assert row["pruned_test_error"] == pytest.approx(training.evaluate(run.network(), task, "test").error, abs=1 / 300)
    assert row["tuned_valid_loss"] == pytest.approx(training.evaluate(tuned, task).loss, rel=1e-4)
    assert torch.equal(small.masks(store)[row.name], run.mask.kept)


def test_a_second_run_does_nothing(
    small: Study, store: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.Job, "do", lambda *_: pytest.fail("there was nothing left to do"))
    again = small.run(store, progress=False)
    same(again, table)
    assert (again[SECONDS] == table[SECONDS]).all().all()


def test_what_failed_is_named_and_what_was_finished_stays(
    small: Study, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, do, done = tmp_path / "runs.sqlite", jobs.Job.do, []

    def breaks(job: jobs.Job, *arguments: object) -> object:
        done.append(job)
        if len(done) == 3:
            raise RuntimeError("power cut")
        return do(job, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs.Job, "do", breaks)
    with pytest.raises(RuntimeError, match="power cut") as error:
        small.run(path, progress=False)
    assert "seed 4" in error.value.__notes__[0]
    assert small.finished(path) == 10
    same(small.run(path, progress=False), table)
    assert len(done) == 3 + 2  # the baseline that failed, and its stack


def test_runs_that_another_process_finished_are_not_done_again(
    small: Study, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, do, done = tmp_path / "runs.sqlite", jobs.Job.do, []

    def slow(job: jobs.Job, *arguments: object) -> object:
        result = do(job, *arguments)  # type: ignore[arg-type]
        done.append(job)
        if len(done) == 1:
            small.run(path, progress=False)
        return result

    monkeypatch.setattr(jobs.Job, "do", slow)
    same(small.run(path, progress=False), table)
    assert sum(len(job.runs) for job in done) == len(small.runs)


ALONE = {"task": "digits", "model": "small_vgg", "train_examples": 100, "sparsities": [0.5], "seeds": [3]}
ALONE |= {"training": 5, "tuning": 3, "criteria": ["mp"], "controls": ["", "gradual"]}


def test_a_training_that_was_stopped_goes_on_from_its_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the network, of fine-tuning, and of a network that is pruned on the way: 5, 3 and 8 epochs."""
    study, path, train_epoch = Study.grid(**ALONE), tmp_path / "runs.sqlite", sgd.train_epoch
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)
    undisturbed = study.run(tmp_path / "others.sqlite", progress=False)
    trained: list[int] = []
    for stop in (3, 4, 5, None):
        epochs = iter(range(stop or 99))

        def counted(*arguments: Any, epochs: Iterator[int] = epochs) -> None:
            if next(epochs, None) is None:
                raise KeyboardInterrupt
            train_epoch(*arguments)
            trained.append(arguments[6])

        monkeypatch.setattr(sgd, "train_epoch", counted)
        with pytest.raises(KeyboardInterrupt) if stop else nullcontext():
            study.run(path, progress=False)
        assert (tmp_path / "runs.sqlite.unfinished").exists() == bool(stop)
    assert trained == [*range(1, 6), *range(1, 4), *range(1, 9)]
    same(study.table(path), undisturbed)


def test_another_mask_is_fine_tuned_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that carries a run out again may choose a few other weights."""
    study, path = Study.grid(**ALONE | {"controls": ""}), tmp_path / "runs.sqlite"
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)
    undisturbed = study.run(tmp_path / "others.sqlite", progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "_prune", other_mask)
        patch.setattr(experiment, "_packed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            study.run(path, progress=False)
    assert len(list((tmp_path / "runs.sqlite.unfinished").iterdir())) == 1  # fine-tuned to the end, and not stored
    same(study.run(path, progress=False), undisturbed)
    assert not (tmp_path / "runs.sqlite.unfinished").exists()


def other_mask(net: torch.nn.Module, *_: object) -> tuple[list[Mask], list[list[dict[str, float]]]]:
    space = WeightSpace(net)
    return [Mask(torch.arange(space.size) % 2 == 0, space.layout)], [[]]


def interrupted(mask: Mask) -> bytes:
    raise KeyboardInterrupt


def test_seeds_can_be_run_apart(small: Study, table: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    assert len(small.only([4]).run(path, progress=False)) == 10
    assert small.finished(path) == 10
    same(small.run(path, progress=False), table)
    with pytest.raises(ValueError, match="has the seeds"):
        small.only([5])


def test_without_fine_tuning_and_with_fewer_examples(tmp_path: Path) -> None:
    study = Study.grid(**{**SMALL, "tuning": None, "seeds": [3], "train_examples": 200, "criteria": ["qm"]})
    table = study.run(tmp_path / "runs.sqlite", progress=False)
    assert table["tuned_train_loss"].isna().all()
    assert table["tuned_test_error"].dtype == float
    assert (table["train_examples"] == 200).all()
    assert (table["dense_train_error"] * 200 % 1).abs().max() < 1e-9


def test_more_training_examples_than_there_are_are_refused(tmp_path: Path) -> None:
    """Their number would be recorded, and the same work stored under two keys."""
    few = {"criteria": "mp", "training": 0, "seeds": 3}
    with pytest.raises(ValueError, match="train_examples is 1,198, but digits has 1,197"):
        Study.grid(**few, train_examples=1198).run(tmp_path / "runs.sqlite", progress=False)
    assert len(Study.grid(**few, train_examples=1197).run(tmp_path / "runs.sqlite", progress=False)) == 1


def test_a_convolutional_network_runs_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, carry_out = [], experiment.carry_out

    def counted(runs: object, *arguments: object) -> object:
        sizes.append(len(runs))  # type: ignore[arg-type]
        return carry_out(runs, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(experiment, "carry_out", counted)
    study = Study.grid(
        model="small_vgg", criteria=["mp", "lm"], stages=1, step_penalties=0, training=1, tuning=1, batch_size=50
    )
    table = study.run(tmp_path / "runs.sqlite", progress=False)
    assert sizes == [1, 1]
    assert table["tuned_valid_loss"].notna().all()
    assert (study.masks(tmp_path / "runs.sqlite").sum(1) == round(0.05 * 93_728)).all()


def identity(x: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return x


TUNED_ALONE = {
    "adamw": {"optimizer": "adamw"},
    "augmentation": {"augment": identity},
    "bfloat16": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("what", TUNED_ALONE)
def test_networks_that_stack_are_tuned_alone_where_no_stack_can_be(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []
    monkeypatch.setattr(experiment, "_measure_stacked", lambda *_: pytest.fail("these cannot be tuned together"))
    do = jobs.Job.do
    monkeypatch.setattr(jobs.Job, "do", lambda job, *how: [begun.append(job._name), do(job, *how)][1])
    tuning = training.Recipe(epochs=1, **TUNED_ALONE[what])
    study = Study.grid(criteria=["mp", "random"], training=0, train_examples=50, tuning=tuning)
    table = study.run(tmp_path / "runs.sqlite", progress=False)
    assert table["tuned_test_error"].notna().all()
    assert len(set(begun)) == len(begun) == 3  # the training, and a file for each run's own state


def test_labels_of_positions_are_scored_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a store says of the network that it stacks, as it once did."""
    x, y = torch.randint(5, (12, 6), generator=torch.Generator().manual_seed(0)), torch.zeros(12, 6, dtype=torch.int64)
    task = data.Task.from_tensors(x, y, x, y, x, y, classes=5)
    monkeypatch.setattr(experiment, "load_task", lambda *_: task)
    baseline = runs.Baseline("python_reference", "tiny_gpt", 0, training.Recipe(epochs=0))
    trained = experiment.train(baseline)
    assert not trained.record["stacks"]
    trained.record["stacks"] = True
    pruned = [runs.Run(baseline, criterion, 0.5, 1, 0.0, tuning=None) for criterion in ("mp", "random")]
    outcomes = experiment.carry_out(pruned, trained)
    assert all(outcome.record["pruned_test_loss"] > 0 for outcome in outcomes)


def test_numpys_numbers_are_no_obstacle(tmp_path: Path) -> None:
    study = Study.grid(
        criteria=["lm"],
        sparsities=[np.float32(0.5)],
        stages=np.array([1]),
        step_penalties=np.array([0]),
        seeds=np.arange(1),
        training=np.int64(0),
        tuning=training.Recipe(epochs=np.int64(1)),
        train_examples=np.int64(50),
        batch_size=np.int64(20),
    )
    assert len(study.run(tmp_path / "runs.sqlite", progress=False)) == 1


def test_runs_of_different_stacks_are_not_mixed(small: Study) -> None:
    with pytest.raises(ValueError, match="cannot be carried out together"):
        experiment.carry_out([small.runs[0], small.runs[-1]], experiment.Trained(b"", {}))


def test_every_shipped_plan_can_be_read() -> None:
    plans = study_plans()
    assert {"digits", "mnist", "mnist_800", "cifar10_small_vgg", "cifar10_vgg11_14"} <= set(plans)
    for path in plans.values():
        study = Study.read(path)
        assert study.runs
        if path.parent.name == "results":
            assert study.tuning is not None
            assert study.training.epochs >= study.tuning.epochs
    assert Study.read(plans["mnist"]).sparsities == (1 - 0.8**20,)
    assert len(Study.read(plans["mnist_800"]).runs) == 5 * 82
    assert Study.read(plans["cifar10_small_vgg"]).training.augment is training.crop_and_flip


PLAN = """
task = "digits"
sparsities = [0.9]
stages = [1, 2]
step_penalties = [0, 1e-2]
criteria = ["mp", "random", "lm", "qm"]
seeds = [3, 4]
[training]
epochs = 2
[tuning]
epochs = 1
"""


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "my_plan.toml"
    path.write_text(PLAN)
    return path


def test_a_plan_is_the_study(plan: Path, small: Study) -> None:
    assert Study.read(plan) == small
    assert [run.key for run in Study.read(plan).runs] == [run.key for run in small.runs]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("task = ", "is not valid"),
        ("tasks = 'digits'", "Did you mean 'task'"),
        ("[training]\nepoch = 3", "Did you mean 'epochs'"),
        ("[training]\naugment = 'crop'", "no augmentation called 'crop'"),
        ("[training]\nschedule = 'one_cycel'", "Did you mean 'one_cycle'"),
        ("training = '3'", "training is a Recipe, not '3'"),
        ("sparsities = 95", "write 95 % as 0.95"),
    ],
)
def test_a_wrong_plan_says_what_is_wrong(plan: Path, text: str, words: str) -> None:
    plan.write_text(text)
    with pytest.raises(ValueError, match=words) as error:
        Study.read(plan)
    assert "my_plan.toml" in str(error.value)


def test_a_plan_may_begin_with_a_mark_as_some_editors_write_it(plan: Path, small: Study) -> None:
    plan.write_text(PLAN, encoding="utf-8-sig")
    assert Study.read(plan) == small


def test_a_misspelt_plan_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["study", "status", "mnst"]) != 0
    assert "Did you mean 'mnist'?" in capsys.readouterr().err


def test_a_missing_plan_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no plan"):
        Study.read(tmp_path / "none.toml")


def test_the_command_line_runs_a_plan_and_exports_it(
    plan: Path, tmp_path: Path, table: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(tmp_path / "runs.sqlite")]
    assert __main__.main(["study", "run", str(plan), *store, "--seeds", "3", "--device", "cpu"]) == 0
    assert "seed 3: 10 of 10 runs finished" in capsys.readouterr().out
    assert __main__.main(["study", "status", str(plan), *store]) == 0
    assert "seed 4: 0 of 10" in capsys.readouterr().out
    assert __main__.main(["study", "run", str(plan), *store]) == 0
    capsys.readouterr()
    assert __main__.main(["study", "table", str(plan), *store]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(table)

    assert __main__.main(["study", "export", str(plan), str(tmp_path / "out"), *store]) == 0
    exported = pd.read_csv(tmp_path / "out" / "my_plan.csv")
    columns = [name for name in exported if name not in SECONDS and not exported[name].isna().all()]
    pd.testing.assert_frame_equal(exported[columns], table[columns], rtol=1e-4)
    note = (tmp_path / "out" / "my_plan.md").read_text()
    assert "20 of 20 (all of them); seeds 3, 4" in note
    assert "torch" in note
    overlap = pd.read_csv(tmp_path / "out" / "my_plan-overlap.csv")
    assert overlap["overlap"].between(0, 1).all()


def test_the_printed_table_tells_all_runs_apart(plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'criteria = ["lm", "qm"]\ncontrols = ["", "shuffled"]\ncurvature_columns = [0, 2]\nsparsities = [0.5, 0.9]\n'
    plan.write_text(f"{text}stages = [1, 2]\nstep_penalties = [0, 1]\nseeds = [3]\n[training]\nepochs = 0\n")
    study, store = Study.read(plan), tmp_path / "runs.sqlite"
    table = study.run(store, progress=False)
    assert __main__.main(["study", "table", str(plan), "--store", str(store)]) == 0
    header = capsys.readouterr().out.splitlines()[0].split()
    settings = {name for run in study.runs for name in run.columns()}
    assert {name for name in settings if table[name].nunique() > 1} <= set(header)
    assert not table[[name for name in header if name in settings]].duplicated().any()


def test_a_study_may_be_run_and_exported_in_parts(plan: Path, tmp_path: Path, table: pd.DataFrame) -> None:
    for seed, name in ((4, "second"), (3, "first")):
        store = ["--store", str(tmp_path / f"{name}.sqlite"), "--seeds", str(seed)]
        assert __main__.main(["study", "run", str(plan), *store, "--device", "cpu"]) == 0
        assert __main__.main(["study", "export", str(plan), str(tmp_path / "out"), *store]) == 0
        assert (tmp_path / "out" / "my_plan-overlap.csv").exists() == (seed == 4)  # that of one seed does not stay
    exported = pd.read_csv(tmp_path / "out" / "my_plan.csv")
    columns = [name for name in exported if name not in SECONDS and not exported[name].isna().all()]
    pd.testing.assert_frame_equal(exported[columns], table[columns], rtol=1e-4)
    note = (tmp_path / "out" / "my_plan.md").read_text()
    assert "20 of 20 (all of them); seeds 3, 4" in note
    assert [line.split(";")[0][:9] for line in note.splitlines() if line.startswith("| seeds")] == [
        "| seeds 3",
        "| seeds 4",
    ]
    store = ["--store", str(tmp_path / "second.sqlite"), "--seeds", "4"]
    assert __main__.main(["study", "export", str(plan), str(tmp_path / "out"), *store]) == 0
    assert (tmp_path / "out" / "my_plan.md").read_text() == note


@pytest.mark.parametrize(
    "change", [("[0.9]", "[0.5]"), ("epochs = 2", "epochs = 3"), ('"mp", ', ""), ("[3, 4]", "[3]")]
)
def test_a_table_does_not_mix_the_runs_of_two_plans(plan: Path, tmp_path: Path, change: tuple[str, str]) -> None:
    """The table that is there has a seed which is not exported again, and runs that are not in the plan."""
    plan.write_text(PLAN.replace('"random", "lm", "qm"', '"random"'))
    store, folder = tmp_path / "runs.sqlite", tmp_path / "out"
    Study.read(plan).run(store, progress=False)
    export.export(Study.read(plan), plan, store, folder)
    before = (folder / "my_plan.csv").read_text()
    (folder / "my_plan.toml").unlink(missing_ok=True)
    plan.write_text(plan.read_text().replace(*change))
    part = Study.read(plan).only([3])
    part.run(store, progress=False)
    with pytest.raises(ValueError, match=r"another plan \(seeds (3, )?4\).*another folder"):
        export.export(part, plan, store, folder)
    assert (folder / "my_plan.csv").read_text() == before


def test_an_export_loses_no_run_that_is_there(small: Study, store: Path, plan: Path, tmp_path: Path) -> None:
    folder, part = tmp_path / "out", replace(small, criteria=("random",))
    export.export(small, plan, store, folder)
    before = (folder / "my_plan.csv").read_text()
    part.run(tmp_path / "part.sqlite", progress=False)
    with pytest.raises(
        ValueError, match=r"my_plan\.csv has finished runs that this store lacks .*seeds 3, 4.* would be lost"
    ):
        export.export(small, plan, tmp_path / "part.sqlite", folder)
    assert (folder / "my_plan.csv").read_text() == before


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("my_plan.md", b"# My notes\n", "my_plan.md was not exported"),
        ("my_plan-overlap.csv", b"seed,criterion\n3,mp\n", "overlap.csv was not exported"),
        ("my_plan.csv", b"a,b\n1,2\n", "is no study's table.*another folder.*lacks the columns seed"),
        ("my_plan.csv", b"", "is no study's table.*another folder"),
    ],
)
def test_an_export_replaces_no_file_of_yours(
    name: str, text: bytes, words: str, small: Study, store: Path, plan: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(text)
    with pytest.raises(ValueError, match=words):
        export.export(small, plan, store, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]
    assert (tmp_path / "out" / name).read_bytes() == text


@pytest.mark.parametrize("name", results.names("**"))
def test_a_shipped_table_can_be_exported_in_parts(name: str) -> None:
    plan, table = study_plans()[name], results.load(name)
    export._check_same_study(plan, plan.with_suffix(".csv"), Study.read(plan))
    earlier = export._of_other_seeds(plan.with_suffix(".csv"), table.head(1))
    assert len(earlier) == (table["seed"] != table["seed"][0]).sum()


def test_gradual_pruning_alone_is_exported_without_overlap(plan: Path, tmp_path: Path) -> None:
    text = 'criteria = ["mp"]\ncontrols = ["gradual"]\nsparsities = [0.9]\nseeds = [3]\n[training]\nepochs = 2\n'
    plan.write_text(f'task = "digits"\nmodel = "mlp_300_100"\n{text}[tuning]\nepochs = 2\n')
    store = tmp_path / "runs.sqlite"
    Study.read(plan).run(store, device="cpu", progress=False)
    written = export.export(Study.read(plan), plan, store, tmp_path / "out")
    assert [path.name for path in written] == ["my_plan.csv", "my_plan.toml", "my_plan.md"]
    assert pd.read_csv(written[0])["true_change"].isna().all()


def test_an_export_has_its_plan_and_says_how_it_is_run_again(
    small: Study, store: Path, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my plans").mkdir()
    given = plan.rename("my plans/my_plan.toml")
    for _ in range(2):  # the plan's copy does not stand in the way of the next export
        export.export(small, given, store, "out")
    assert Path("out/my_plan.toml").read_text() == PLAN
    note = Path("out/my_plan.md").read_text()
    assert "(my_plan.toml)" in note
    commands = [shlex.split(text) for text in note.split("`") if text.startswith("python -m lossprune_lib")]
    assert [command[4:6] for command in commands] == [["run", "my_plan.toml"], ["export", "my_plan.toml"]]

    export.export(small, given, store, "my plans")  # the plan itself is there
    assert given.read_text() == PLAN
    given.write_text(f"{PLAN.replace('[3, 4]', '[3, 4, 5]')}# With one seed more.\n")
    export.export(small, given, store, "out")
    assert Path("out/my_plan.toml").read_text() == given.read_text()
    note = Path("out/my_plan.md").read_text()
    given.write_text(PLAN.replace("[tuning]", "lr = 0.2\n[tuning]"))  # which no column shows
    with pytest.raises(ValueError, match=r"my_plan\.toml is another plan"):
        export.export(small, given, store, "out")
    assert Path("out/my_plan.md").read_text() == note


def test_notes_on_shipped_plans_name_them_as_ours_do(table: pd.DataFrame) -> None:
    for name, plan in study_plans().items():
        note = export._note(Study.read(plan), plan, table, ["| seeds 3 | today; cpu (x86_64, 2 cores), 1 hours |"])
        assert f"`python -m lossprune_lib study run {name}`" in note
        assert f"`python -m lossprune_lib study export {name} FOLDER`" in note
        assert str(plan.parent) not in note


def test_the_note_says_what_a_machine_gives_again(plan: Path, table: pd.DataFrame) -> None:
    study = Study.read(plan)
    for where, words in (("cpu (x86_64, 2 cores)", "versions give the same"), ("NVIDIA H200", "depend on chance")):
        assert words in export._note(study, plan, table, [f"| seeds 3 | today; {where}, 1 hours |"])


def test_the_command_line_says_what_is_wrong(plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(tmp_path / "none.sqlite")]
    assert __main__.main(["study", "status", str(plan), *store]) == 1
    assert "run the study first" in capsys.readouterr().err
    assert __main__.main(["study", "run", "no_plan", *store]) == 1
    assert "There is no plan no_plan" in capsys.readouterr().err
    with Store(tmp_path / "none.sqlite"):
        pass
    assert __main__.main(["study", "export", str(plan), str(tmp_path / "out"), *store]) == 1
    assert "No run of my_plan is finished" in capsys.readouterr().err
    assert __main__.main(["study", "table", str(plan), *store]) == 0
    assert "No run is finished yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--workers", "0"], "--workers is 0"),
        (["--workers", "-1"], "--workers is -1"),
        (["--device", "gpu"], "no device 'gpu' here"),
        (["--seeds", "9"], "has the seeds"),
        (["--store", "nowhere/runs.sqlite"], "make it first"),
    ],
)
def test_wrong_options_are_answered_in_words(
    plan: Path, tmp_path: Path, option: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--store", str(tmp_path / "runs.sqlite")]
    assert __main__.main(["study", "run", str(plan), *store, *option]) == 1
    assert words in capsys.readouterr().err


def test_a_client_must_be_one(small: Study, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"dask\.distributed\.Client, not 3"):
        small.run(tmp_path / "runs.sqlite", 3, progress=False)


def test_it_runs_without_git_and_names_no_other_projects_commit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert experiment._commit() == "no commit"
    monkeypatch.setattr(experiment, "__file__", str(tmp_path / "site-packages" / "lossprune_lib" / "experiment.py"))
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert experiment._commit() == "no commit"


def test_the_help_says_how() -> None:
    for arguments in (["study"], ["study", "run"]):
        run = subprocess.run(
            [sys.executable, "-m", "lossprune_lib", *arguments, "--help"], capture_output=True, text=True, check=True
        )
        assert "plan" in run.stdout
    assert "task = " in run.stdout
    assert "--workers" in run.stdout


def test_dask_is_imported_only_for_a_client(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["distributed"] = None
from lossprune_lib import Study, __main__
study = Study.grid(criteria="mp", training=0, seeds=[0])
study.run(r"{tmp_path / "runs.sqlite"}", progress=False)
assert "dask" not in sys.modules
plan = r"{tmp_path / "plan.toml"}"
open(plan, "w").write("criteria = ['mp']")
sys.exit(__main__.main(["study", "run", plan, "--store", r"{tmp_path / "runs.sqlite"}", "--workers", "2"]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert 'pip install "lossprune[cluster]"' in run.stderr
