# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 05 At scale, and your own network
#
# **After this notebook you can**
# - read the paper's two tables beside ours, and say which of its findings held here, on what evidence;
# - run a study of your own, stop it, go on with it, and spread it over a cluster or a GPU;
# - prune a network of your own in a few lines.
#
# **You need** the four criteria MP, LM, QM and OBD, stages and the step penalty (notebooks 02 and 03).
# **It takes** about 40 minutes; the computing takes less than one, and nothing is downloaded. The long runs were done before.

# %%
import tempfile
import textwrap
import time
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import nn

from lossprune_lib import LocalPruner, Study, WeightSpace, data, exercises, plots, results, training
from lossprune_lib.plots import study as study_plots
from lossprune_lib.studies.jobs import stacks_of
from lossprune_lib.studies.store import Store
from lossprune_lib.widgets import results_browser

# %% [markdown]
# ## 1. What was run
#
# One run says little: another seed gives another network. So the paper runs a **grid**: criterion x stages x step
# penalty λ x seed. Each run prunes a trained network, fine-tunes it, and becomes one row of a table.
# Some of these tables come with the course; the paper's own smallest network stands first.

# %%
names = sorted(results.names(), key=lambda name: name != "mnist")
tables = {name: results.load(name) for name in names}
for name, table in tables.items():
    print(f"{name}: {table['model'].iloc[0]}, {len(table):,} runs, {table['seed'].nunique()} seeds")

# %% [markdown]
# A plan is a file that says what is to be run. **A plan without a table was not run**: nothing is said about it below.
# Most of these need a GPU; section 7 shows how.

# %%
print("\n".join(["planned, but not run here:", *results.missing()]) if results.missing() else "every plan was run")

# %% [markdown]
# Should your copy have no tables at all, a small stand-in is run now, in some seconds, so that the rest still works.

# %%
if not tables:
    quick = Study.grid(stages=[1, 14], step_penalties=[0, 1e-3], seeds=[0, 1], sparsities=0.9, training=15, tuning=5)
    tables = {"stand-in": quick.run(Path(tempfile.mkdtemp()) / "runs.sqlite")}

# %% [markdown]
# ## 2. The paper's tables beside ours
#
# The paper's **Table 1** asks: by how much does pruning change the training loss, at the most stages, and at the λ where it
# changes least? **Table 2** asks: after fine-tuning, how much larger is the error than that of the unpruned network, in
# percentage points, at the best λ and number of stages? That is the **gap**; lower is better in both.


# %%
def with_spread(means, spreads):
    numbers = [f"{m:.2f} ± {s:.2f}" for m, s in zip(means, spreads, strict=True)]
    return [number.replace("nan ± nan", "").replace(" ± nan", "") for number in numbers]


def beside(number):
    parts = {name: results.beside_paper(table, number) for name, table in tables.items()}
    found = pd.concat(parts, names=["study", None]).reset_index("study")
    found["ours"] = with_spread(found["mean"], found["spread"])
    found["paper"] = with_spread(found["paper_mean"], found["paper_spread"])
    found["differs"] = found["differs"].map({True: "yes", False: "no"}).where(found["paper"] != "", "")
    found["sparsity"] = [f"{100 * sparsity:.3g} %" for sparsity in found["sparsity"]]
    found["λ"] = [f"{penalty:g}" for penalty in found["step_penalty"]]
    found["criterion"] = found["criterion"].str.upper()
    return found.set_index(["study", "sparsity", "criterion"])[["stages", "λ", "ours", "paper", "differs"]]


# %% [markdown]
# Each number is a mean over seeds ± the deviation among them. Ours **differ** from the paper's if Welch's test of two means
# says so at 5 %, with the paper's five seeds. Where the paper column is empty, the paper has no such network, data or sparsity.

# %%
beside(1)

# %%
beside(2)

# %%
for number in (1, 2):
    differs = beside(number)["differs"].value_counts()
    yes, no = differs.get("yes", 0), differs.get("no", 0)
    print(f"Table {number}: of {yes + no} numbers that the paper has too, {yes} differ")

# %% [markdown]
# Before you explain a difference, look at how the studies differ: `data/results/JUDGING.md` lists what each plan cuts,
# such as the epochs of training and of fine-tuning. Fine-tune less, and the gap is larger for that reason alone.

# %% [markdown]
# ## 3. Predict: does the best-preserved loss win?
#
# You might think so: choose the run whose loss changed least, and it will be the best one after fine-tuning. To test this,
# rank all runs of a seed twice: by loss change, and by gap. **Rank correlation** is 1 if the orders agree, 0 if they have nothing
# to do with each other, -1 if one is the reverse of the other.
#
# Now take only the quarter of the runs with the smallest loss change: those that you would choose from.
# **What is the rank correlation among them?**

# %%
correlation = exercises.guess("correlation at scale", "What is the rank correlation?", between=(-1, 1))

# %% [markdown]
# And the paper's third finding, *preserving the loss is not enough*: is it reproduced, refuted or undecided?

# %%
third_finding = exercises.guess("finding 3", "What became of it?", choices=["reproduced", "refuted", "undecided"])

# %% [markdown]
# The rules for these words were fixed before the runs, in `data/results/JUDGING.md`. Finding 1: locality is crucial. Finding 2:
# first and second order reach similar performance. Finding 3: preserving the loss is not enough.

# %%
judged = {name: results.judge(table) for name, table in tables.items()}
verdicts = pd.concat(judged, names=["study", None]).reset_index("study")
verdicts["sparsity"] = [f"{100 * sparsity:.3g} %" for sparsity in verdicts["sparsity"]]
verdicts.pivot(index=["study", "sparsity"], columns="finding", values="verdict")

# %% [markdown]
# A verdict is a word; here are the numbers behind those of the first study.

# %%
first, table = next(iter(tables.items()))
for row in judged[first].itertuples():
    print(textwrap.fill(f"{first}, finding {row.finding}: {row.verdict}. {row.evidence}", 96), end="\n\n")

# %% [markdown]
# Your guesses beside them:

# %%
shown = table[table["sparsity"] == table["sparsity"].max()]
quarter, whole = (results.rank_correlation(shown, share).iloc[0] for share in (0.25, 1))
correlation.reveal("In the best quarter.", answer=quarter["correlation"], within=0.1)

# %%
third = judged[first].query("finding == 3").iloc[-1]
third_finding.reveal(third["evidence"], answer=third["verdict"])

# %%
print(
    f"rank correlation in {first}: {quarter['correlation']:.2f} over the best quarter, {whole['correlation']:.2f} over all runs"
)

# %% [markdown]
# Compare the two. Over all runs, the loss change may well tell wrecks from working networks. Among the runs that preserve
# the loss best, there is less left for it to tell. Only those are candidates, so it is the first number that counts.

# %% [markdown]
# ## 4. Three figures
#
# The first shows finding 1: each criterion at its best λ, against the number of stages. Bands show the spread over seeds.

# %% alt="Loss change against the number of stages, a line for each criterion with a band for the spread; MP is horizontal, the others may fall with more stages."
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
study_plots.change_by_stages(ax, shown)
plt.show()

# %%
best = results.best_penalty(shown)
print("mean change of training loss (nats), by the number of stages")
best.pivot(index="criterion", columns="stages", values="mean").map("{:.2f}".format).replace("nan", "")

# %% [markdown]
# What to see: MP is a flat line, because it does not look at the loss and so has nothing to renew at a stage. Where the
# other lines fall to the right, the same criterion with the same number of weights left does better in smaller steps.
#
# The second figure shows what λ does to QM. The frame marks the best λ of each row.

# %% alt="A heatmap of the loss change of QM: rows are numbers of stages, columns step penalties, each cell has its number, and the best of each row is framed."
figure, ax = plt.subplots(figsize=(7.5, 2.8), layout="constrained")
study_plots.change_heatmap(ax, shown, "qm")
plt.show()

# %% [markdown]
# What to see: read a row from left to right. With a large λ the penalty outweighs the model, and QM becomes MP: the last column
# should be close to MP's value, printed above the figure. In between lies what the model of the loss is worth.
#
# The third figure shows finding 3: each run is a point. To the left the loss is preserved; low means good after fine-tuning.

# %% alt="A point for each run: loss change by pruning to the right, validation gap after fine-tuning upwards, one colour and marker for each criterion."
figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
study_plots.change_against_gap(ax, shown)
plt.show()

# %% [markdown]
# What to see: if preserving the loss were enough, the points would lie on a rising line, and the leftmost would be the
# lowest. Look at the left edge: who is leftmost there, and who is lowest?

# %%
seen = results_browser.cells(shown)
for what, column in {"smallest loss change": "change", "smallest gap": "gap"}.items():
    row = seen.loc[seen[column].idxmin()]
    words = results_browser.in_words(seen, row["criterion"], row["stages"], row["step_penalty"])
    print(textwrap.fill(f"{what}: {words}", 96))

# %% [markdown]
# ## 5. Look anywhere
#
# Each position of the sliders is one cell of the grid. Left: the loss change right after pruning. Right: the gap after
# fine-tuning. The coloured line has all λ at this number of stages, grey lines the other numbers, and the pink mark is where you are.
# Both scales stay as they are within a study, so that heights compare. The line below the picture has the numbers.
#
# Things to try:
# - On the left, find the best λ. Is the lowest point on the right at the same λ?
# - Set λ to its largest value, and walk through the criteria.
# - Choose the criterion MP, and move the other sliders.

# %%
browser = results_browser.browse(tables)
browser

# %% [markdown]
# Here are two positions, for paper and for screens without a kernel: QM with its best λ, once in the most stages that the study
# has and once in the fewest.

# %% alt="Four panels, QM with the most stages above and with the fewest below: on the left the loss change against the step penalty, on the right the gap after fine-tuning, with the lines of MP and of other stages."
of_qm = best.query("criterion == 'qm'").sort_values("stages", ascending=False).iloc[[0, -1]]
figure, axes = plt.subplots(2, 2, figsize=(9.2, 6.6), layout="constrained")
for pair, row in zip(axes, of_qm.itertuples(), strict=True):
    words = results_browser.draw(pair, seen, "qm", row.stages, row.step_penalty)
    pair[0].set_title(f"QM, stages = {row.stages}, λ = {row.step_penalty:g}: right after pruning", fontsize=10)
    print(textwrap.fill(f"{first}: {words}", 96))
figure.legend(handles=results_browser.legend(), loc="outside lower center", ncols=4, fontsize=8)
plt.show()

# %% [markdown]
# What to see: on the left of both rows, compare the heights of the coloured lines where λ is small; to the right of each
# panel, where λ is large, all lines run into the dashed one of MP. Then ask the same of the panels on the right.

# %% [markdown]
# ## 6. A study of your own
#
# A grid is one line. Whatever is finished is kept in a file, the **store**, so nothing is lost when you stop. A bar shows how far it is.

# %% tags=["nbval-check-output"]
own = Study.grid(
    task="digits", criteria=["mp", "lm", "qm"], stages=[1, 3, 14], step_penalties=[0, 1e-3],
    sparsities=0.9, seeds=[0, 1], training=15, tuning=5,
)  # fmt: skip
print(f"{len(own.runs)} runs; MP needs only one a seed, for stages and λ do nothing to it")

# %%
store = Path(tempfile.mkdtemp()) / "runs.sqlite"
start = time.perf_counter()
mine = own.run(store)
print(f"{len(mine)} runs in {time.perf_counter() - start:.1f} s")

# %% [markdown]
# Run the very same line again:

# %%
start = time.perf_counter()
again = own.run(store)
print(f"{len(again)} runs in {time.perf_counter() - start:.2f} s")

# %% tags=["nbval-check-output"]
print("the same numbers:", again["true_change"].equals(mine["true_change"]))
print(f"still to do: {len(own.runs) - own.finished(store)} of {len(own.runs)} runs")

# %% [markdown]
# Nothing was done twice. Each run has a name made of all its settings; what has its name in the store is read, not run. Interrupt a
# study at any moment, or add a seed to it later: the same line does only what is missing.

# %% alt="The small study just run: on the left loss change against the number of stages, on the right gap after fine-tuning against loss change."
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
study_plots.change_by_stages(axes[0], mine)
study_plots.change_against_gap(axes[1], mine)
plt.show()

# %% [markdown]
# What to see: the same two questions as above, on a study that took seconds. Left: do the lines fall? Right: is the leftmost the
# lowest? With two seeds and short training, do not trust small differences.

# %% [markdown]
# ## 7. Larger: a cluster, a GPU
#
# **On a cluster.** Dask spreads a study over processes, on this machine or on many. Only one argument is new:
#
# ```python
# from dask.distributed import Client, LocalCluster
#
# with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster) as client:
#     table = own.run("runs.sqlite", client=client)
# ```
#
# In place of `LocalCluster`, any cluster that Dask knows will do (SSH, Slurm, Kubernetes). Without Python, in a terminal:
#
# ```sh
# python -m lossprune_lib study run digits --workers 2
# python -m lossprune_lib study status digits
# ```

# %%
here = find_spec("distributed") is not None
print("Dask is installed here." if here else 'Dask is not installed here: pip install -e ".[cluster]" brings it.')

# %% [markdown]
# What travels? A **job**: settings, and the trained network. Never the data: each worker loads them itself. Where the networks can be
# stacked, all runs of one seed and sparsity are one job, because together they are faster.

# %% tags=["nbval-check-output"]
baseline = own.runs[0].baseline
with Store(store) as kept:
    trained = kept.baseline(baseline)
jobs = stacks_of(baseline, [run for run in own.runs if run.baseline == baseline], trained)
print(
    f"{len(jobs)} job for this seed, with {len(jobs[0].runs)} runs; its network is {len(trained.network) / 1024:.0f} KiB"
)

# %% [markdown]
# Numbers and masks come back, and are kept as each job ends. If a worker dies, its job is given to another one. So a dead
# worker costs the time of one job at most:

# %%
of_seed = mine[mine["seed"] == baseline.seed]
seconds = of_seed[["pruning_seconds", "tuning_seconds"]].sum().sum()
print(f"that was {seconds:.1f} s here; nothing else is done again")

# %% [markdown]
# **On a GPU**, nothing changes but the device: `own.run("runs.sqlite", device="cuda")`. Often GPU time comes in slices. Then
# run a slice of the plan, stop it by the clock, and carry the store along to the next:
#
# ```sh
# timeout 580 python -m lossprune_lib study run mnist_800 --seeds 1111 --store carried/runs.sqlite --device cuda
# timeout 580 python -m lossprune_lib study run mnist_800 --seeds 1112 --store carried/runs.sqlite --device cuda
# ```
#
# `mnist_800` is the first line of the paper's tables, uncut. `--seeds` takes a part of a plan; the same command goes on where it was;
# and `study export mnist_800 FOLDER` writes the table that this notebook reads.

# %% [markdown]
# ## 8. Your own network
#
# The library has never seen this one: a small residual network of convolutions. Replace it by yours. It only has to be a module whose
# `Linear` and `Conv2d` layers are each used once.


# %%
class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.inner = nn.Conv2d(16, 16, 3, padding=1)
        self.outer = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16 * 4 * 4, 10)

    def forward(self, x):
        x = self.stem(x).relu()
        x = x + self.outer(self.inner(x).relu())
        return self.head(nn.functional.max_pool2d(x, 2).flatten(1))


# %% tags=["nbval-check-output"]
space = WeightSpace(Residual())
for layer, size in zip(space.layers, space.sizes, strict=True):
    print(f"{layer}: {size:5,} weights")
print(f"all: {space.size:5,} weights")

# %% [markdown]
# The data may be yours as well: `data.Task.from_tensors(x_train, y_train, x_valid, y_valid, x_test, y_test)`. Train the
# network with your own loop, or with ours:

# %%
task = data.load("digits")
torch.manual_seed(0)
net = training.fit(Residual().to(task.device), task, recipe=training.Recipe(epochs=10, lr=0.05))

# %% [markdown]
# This is the whole template: prune, fine-tune with the mask held, compare.

# %%
pruner = LocalPruner("qm", sparsity=0.9, stages=14, step_penalty=1e-2, batch_size=300)
run = pruner.prune(net, task)
tuned = training.fit(run.network(), task, epochs=5, mask=run.mask)
for name, network in {"before": net, "pruned": run.network(), "fine-tuned": tuned}.items():
    print(f"{name}: {training.evaluate(network, task).accuracy:.0%} of the validation images right")

# %% [markdown]
# Is 14 stages better than one, on this network too? And is either better than magnitude, which costs nothing?
# A fair answer tries the same few λ for both. Say first which of the five will be right most often.

# %%
pruners = {"MP": LocalPruner("mp", sparsity=0.9, stages=1)}
for stages in (1, 14):
    for penalty in (0, 1e-2):
        name = f"QM, stages = {stages}, λ = {penalty:g}"
        pruners[name] = LocalPruner("qm", sparsity=0.9, stages=stages, step_penalty=penalty, batch_size=300)

# %%
most_accurate = exercises.guess("best of five", "Which of the five is right most often?", choices=list(pruners))

# %%
runs = {name: pruner.prune(net, task) for name, pruner in pruners.items()}
accuracy = pd.Series({name: training.evaluate(run.network(), task).accuracy for name, run in runs.items()})

# %% tags=["nbval-check-output"]
print("weights left:", {int(run.mask.kept.sum()) for run in runs.values()}, "of", space.size)

# %% alt="Five bars: the accuracy of MP, and of QM in 1 and in 14 stages without and with a step penalty, on a network of one's own."
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
plots.bars(ax, accuracy, "accuracy on the validation images at 90 % sparsity, before fine-tuning")
plt.show()

# %%
most_accurate.reveal(accuracy.map("{:.0%}".format), answer=accuracy.idxmax())

# %% [markdown]
# All five keep the same number of weights. Compare the bars with one stage and those with 14 at the same λ, then the bars
# with and without λ: on a network that nobody tuned for, both kinds of caution can matter. MP is the yardstick: on your
# own network, run it first. It is free, and sometimes hard to beat.

# %% [markdown]
# ## What we saw

# %%
findings = ["locality is crucial", "first and second order are similar", "preserving the loss is not enough"]
could_be = verdicts[verdicts["verdict"] != "not judged"]
for number, words in could_be.groupby("finding")["verdict"]:
    yes, no = (words == "reproduced").sum(), (words == "refuted").sum()
    print(
        f"{number}. {findings[number - 1]}: reproduced in {yes} of {len(words)} tables and sparsities, refuted in {no}"
    )

# %% [markdown]
# - The paper's findings stand or fall by numbers with spreads, under rules fixed beforehand; above is how they did here.
# - A study is one line; what is finished is kept, on a laptop, a cluster or a GPU.
# - A network of your own takes a few lines: prune in stages, try some λ, and keep MP beside it.
#
# **Read next**: `data/results/JUDGING.md`, how the results are judged; `lossprune_lib/pruning.py` and `study.py`, where this
# notebook's work is done. **The paper**: C. Laurent, C. Ballas, T. George, N. Ballas, P. Vincent, *Revisiting Loss
# Modelling for Unstructured Pruning*, arXiv 2006.12279.

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why it is right or wrong.
#
# **1. Our number is 1.93 ± 0.26, the paper's 1.83 ± 0.11. Do they differ, by the rule of this notebook?**
# <details><summary>Yes, 1.93 is more than 1.83</summary>Not by this rule. Another seed would have moved both numbers by more
# than what lies between them.</details>
# <details><summary>No, seeds alone could well explain it</summary>Right. With five seeds each, means of the same quantity are this far
# apart in nearly half of all cases (Welch's test: p = 0.46).</details>
# <details><summary>Nobody can say without more runs</summary>More runs would tell more, but the rule needs only the two means, the
# two spreads and the numbers of seeds.</details>
#
# **2. A plan has no table. What does this notebook say about it?**
# <details><summary>That the paper's numbers hold there too</summary>No. That would be a claim that nobody measured.</details>
# <details><summary>Nothing, except that it was not run</summary>Right. What was not run is named, and no verdict is given.</details>
# <details><summary>That the finding failed there</summary>No. A study that was not run speaks neither for nor against a
# finding.</details>
#
# **3. You interrupt a study half-way and run the same line again. What happens?**
# <details><summary>Everything runs again</summary>No. Each finished run stands in the store under a name made of all its
# settings.</details>
# <details><summary>It refuses, because the file is there already</summary>No. The store is made to be continued.</details>
# <details><summary>Only what is missing runs</summary>Right. Finished runs are read from the store, and the table is the same as
# without the interruption.</details>
#
# **4. You raise the step penalty λ further and further. Which curve does every criterion run into?**
# <details><summary>That of random pruning</summary>No. A large penalty is not noise: it asks for short steps.</details>
# <details><summary>That of MP</summary>Right. With a huge λ the term ½ λ θ² decides alone, and it ranks weights by their size.</details>
# <details><summary>That of QM</summary>No. QM has a penalty too, and its model of the loss is drowned like the others.</details>
