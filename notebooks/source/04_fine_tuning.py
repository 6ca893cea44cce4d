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
# # 04 Fine-tuning
#
# **After this notebook you can**
# - fine-tune a pruned network so that pruned weights stay zero, and compare prunings fairly;
# - say by how much a result is too good that was chosen on the test set, or from one lucky seed;
# - measure a rank correlation with its interval, and argue from it whether keeping the loss is enough.
#
# **You need** the criteria MP, LM, QM and OBD, stages and the step penalty λ (notebooks 02 and 03).
# **It takes** about 40 minutes to read and run, and as much again for the exercises; the computing takes less than one, and nothing is downloaded.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from lossprune_lib import LocalPruner, Study, data, exercises, models, results, training, widgets
from lossprune_lib.plots import study as study_plots
from lossprune_lib.widgets import fine_tuning

# %%
task = data.load("digits")
net = models.pretrained("mlp_300_100", task)

# %% [markdown]
# ## 1. A pruned network learns again
#
# So far we judged a pruned network as it was, right after pruning. In practice nobody uses it like that. It is trained
# a little longer with the weights that are left. That is **fine-tuning**.
#
# Here is one pruning: QM, 14 stages, 95 % of the weights gone.

# %%
run = LocalPruner("qm", sparsity=0.95, stages=14, step_penalty=1e-3).prune(net, task)
pruned = run.network()

# %% [markdown]
# Now fine-tune for 20 epochs. `mask=run.mask` holds the pruned weights at zero. How much of the lost accuracy comes
# back? 0 % is nothing, 100 % is all of it.

# %%
comes_back = exercises.guess("accuracy that comes back", "How much of the lost accuracy comes back?", unit="%")

# %%
errors = []
tuned = training.fit(pruned, task, epochs=20, mask=run.mask, on_epoch=lambda epoch, score: errors.append(score.error))

# %% alt="Validation error against the epochs of fine-tuning: it starts near that of the pruned network, falls steadily, and ends between it and the dense network's."
scores = {
    name: training.evaluate(n, task, "valid") for name, n in (("dense", net), ("pruned", pruned), ("tuned", tuned))
}
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.axhline(100 * scores["pruned"].error, color="#D55E00", linestyle=":", label="pruned, not tuned")
ax.plot(range(1, len(errors) + 1), [100 * error for error in errors], color="#0072B2", marker="o", label="fine-tuning")
ax.axhline(100 * scores["dense"].error, color="#000000", linestyle="--", label="dense network")
ax.set(xlabel="epoch of fine-tuning", ylabel="validation error (%)", ylim=(0, None))
ax.set_xticks(range(0, len(errors) + 1, 5))
ax.legend(loc="upper right", bbox_to_anchor=(1, 0.92))
plt.show()

# %%
for name, score in scores.items():
    print(f"{name:>6}: accuracy {score.accuracy:.0%}, loss {score.loss:.1f} nats")

# %%
regained = (scores["tuned"].accuracy - scores["pruned"].accuracy) / (
    scores["dense"].accuracy - scores["pruned"].accuracy
)
comes_back.reveal(f"{regained:.0%} of what was lost.", answer=regained)

# %% [markdown]
# Much of it comes back, and not one weight was added. `fit` returns the network of the epoch with the lowest
# validation error. So the validation set has already *chosen* something here; keep that in mind.
#
# ### The mask stays
#
# Does training respect the mask? Let us count the weights that are not zero: before fine-tuning, after it, and, for
# comparison, after one epoch without the mask.

# %% tags=["nbval-check-output"]
forgot = training.fit(pruned, task, epochs=1)
for name, network in {"pruned": pruned, "tuned, with mask": tuned, "tuned, mask forgotten": forgot}.items():
    alive = sum(int((p != 0).sum()) for name, p in network.named_parameters() if name.endswith("weight"))
    print(f"{name:>21}: {alive:6,} weights are not zero")

# %% [markdown]
# Without the mask all weights come back at once, because a zero weight still has a gradient. With the mask, none does.
# It must be imposed after *every* step, and masking the gradient is not enough: a step has more parts than that.
#
# ### Exercise 4.1: A step that respects the mask
#
# *medium, about 8 minutes*
#
# A step of stochastic gradient descent with momentum, as torch takes it, first renews the **velocity** $v$ and then
# moves the weights $\theta$:
#
# $$v \leftarrow \mu\, v + g + \rho\, \theta, \qquad \theta \leftarrow \theta - \eta\, v,$$
#
# with the gradient $g$, the learning rate $\eta$ (`lr`), the `momentum` $\mu$ and the `weight_decay` $\rho$. Write
# this step for a pruned network. `weights`, `velocity` and `gradient` are tensors [D]; `kept` is a bool tensor [D].
# Return the new weights and the new velocity. **Both must be zero wherever `kept` is False**, even if what came in was
# not.


# %% tags=["stub"]
def masked_step(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    # your code
    return None


# %%
exercises.check("masked step", masked_step)

# %% [markdown]
# <details><summary>Hint 1</summary>Which of the three parts of the velocity can be non-zero at a pruned weight? All
# three,
# if the mask is fresh.</details>
# <details><summary>Hint 2</summary>Do the plain step first, into new tensors. Then multiply both results by
# <code>kept</code>.</details>


# %% tags=["solution"]
def masked_step(weights, velocity, gradient, kept, lr, momentum, weight_decay):
    velocity = momentum * velocity + gradient + weight_decay * weights  # new tensors: nothing changes in place
    weights = weights - lr * velocity
    return weights * kept, velocity * kept  # the velocity too, or it pushes pruned weights at the next step


# %% [markdown]
# ## 2. A fair comparison
#
# Which criterion gives the best network *after* fine-tuning? Four rules keep us honest:
#
# 1. **The same budget for all**: the same dense networks, the same sparsity, the same epochs of fine-tuning.
# 2. **Validation data choose**: the epoch, λ, the number of stages.
# 3. **The test set is read once**, at the end, and chooses nothing.
# 4. **Several seeds**: another seed gives another dense network, other batches, another result. We report mean and
# spread.
#
# Here is a small study that keeps to them: four criteria, two numbers of stages, two values of λ, three seeds. MP
# depends on neither stages nor λ, so it runs once a seed. On the digits this takes some seconds; on a larger data set, a
# coffee.

# %%
study = Study.grid(
    task=task.name, sparsities=0.95, stages=[1, 14], step_penalties=[0, 1e-3], seeds=[0, 1, 2], training=15, tuning=10
)
store = Path(tempfile.mkdtemp()) / "runs.sqlite"
live = study.run(store)

# %% tags=["nbval-check-output"]
print(f"{len(live)} runs: {live['criterion'].value_counts().sort_index().to_dict()}")

# %% [markdown]
# Which criterion will come out best after fine-tuning?

# %%
winner_guess = exercises.guess("best after fine-tuning", "Which criterion is best?", choices=["mp", "obd", "lm", "qm"])

# %% [markdown]
# The measure is the **gap**: error after fine-tuning less error of the dense network, in percentage points. Zero means
# that nothing was lost. `best_tuned` takes, for each criterion, the stages and λ with the lowest mean gap on the
# validation set. The last columns give the gap of this choice on the test set. A `spread` is the standard deviation over
# seeds.

# %%
best = results.best_tuned(live)
best[["criterion", "stages", "step_penalty", "valid_gap", "valid_spread", "test_gap", "test_spread"]].round(1)

# %%
winner = best.loc[best["valid_gap"].idxmin(), "criterion"]
winner_guess.reveal("By the mean gap on the validation set.", answer=winner)

# %% [markdown]
# Before you believe it: would a single seed have said the same? For each seed, the lowest validation gap of each
# criterion (`best` names the first of equal ones):

# %%
of_seed = live.assign(gap=results.gap(live)).pivot_table(index="seed", columns="criterion", values="gap", aggfunc="min")
of_seed.assign(best=of_seed.idxmin(axis=1)).round(1)

# %% [markdown]
# MP is far behind in every row. Among the other three, compare the differences within a row with those between rows:
# they are of one size. So few seeds and epochs cannot order them. We need more runs, and we need to know how much a number like this is
# worth.

# %% [markdown]
# ## 3. The whole study
#
# The course ships a finished study of the same kind. Each row is a run: one criterion, sparsity, number of stages, λ
# and seed. Next to the gap we keep the **loss change**: how much the mean training loss changed by pruning, before any
# fine-tuning, in nats, without its sign.

# %%
table = results.load(task.name) if task.name in results.names() else live
table = table.assign(change=results.loss_change(table), gap=results.gap(table), test_gap=results.gap(table, "test"))

# %% tags=["nbval-check-output"]
for column in ("criterion", "sparsity", "stages", "step_penalty", "seed"):
    print(f"{column:>12}: {sorted(table[column].unique().tolist())}")
print(f"{len(table):,} runs in all, {table['tuning_epochs'].iloc[0]} epochs of fine-tuning each")

# %% [markdown]
# We look mostly at the sparsity in the middle.

# %% tags=["nbval-check-output"]
levels = sorted(table["sparsity"].unique())
level = levels[len(levels) // 2]
runs = table[table["sparsity"] == level]
print(f"sparsity {level:.4g}: {len(runs)} runs, {len(runs) // runs['seed'].nunique()} a seed")

# %% [markdown]
# ### Exercise 4.2: A fair choice
#
# *medium, about 8 minutes*
#
# Given are two tensors [L, S] of errors after fine-tuning (fractions), a row for each of L values of λ, a column for
# each of S seeds: `valid_error` and `test_error`. Choose one λ for all seeds, as the rules above say: by the mean over
# seeds. Of equal ones take the first. Return three numbers: the index of its row (from 0), the mean over seeds of the
# error that you would report, and the spread of that error: its standard deviation over seeds, with n - 1.


# %% tags=["stub"]
def fair_choice(valid_error, test_error):
    # your code
    return None


# %%
exercises.check("fair choice", fair_choice)

# %% [markdown]
# <details><summary>Hint 1</summary>One of the two tensors is used only after the choice is made.</details>
# <details><summary>Hint 2</summary>For a tensor, <code>.mean(dim=1)</code> is a mean for each row,
# <code>.argmin()</code> the place
# of the smallest, and <code>.std()</code> divides by n - 1.</details>


# %% tags=["solution"]
def fair_choice(valid_error, test_error):
    row = int(valid_error.mean(dim=1).argmin())  # validation chooses, by the mean over seeds
    reported = test_error[row]  # the test set is only read
    return row, float(reported.mean()), float(reported.std())


# %% [markdown]
# ## 4. Two ways to fool yourself
#
# ### Choosing on the test set
#
# Suppose that someone picks, for each seed, the run with the lowest **test** gap, and reports that test gap. The
# honest way: pick by validation, report the test gap. By how many percentage points will the first number look better,
# in the mean over seeds, at the sparsity in the middle?

# %%
optimistic = exercises.guess("chosen on the test set", "By how many percentage points?", unit="points")


# %%
def picked(by: str) -> pd.DataFrame:
    """Return each seed's run with the lowest value in a column, at each sparsity."""
    return table.loc[table.groupby(["sparsity", "seed"])[by].idxmin()]


# %% tags=["nbval-check-output"]
both = {"picked by validation": picked("gap"), "picked by test": picked("test_gap")}
means = {name: chosen.groupby("sparsity")[["gap", "test_gap"]].mean() for name, chosen in both.items()}
print(pd.concat(means).rename(columns={"gap": "gap on validation", "test_gap": "gap on test"}).round(1).to_string())

# %% [markdown]
# Read the table crosswise. Whatever set did the picking, the gap on *that* set is the small one. The gap of the same
# runs on the other set is larger, because that set had no part in the choice. At the lowest sparsity, picking on test
# even makes the pruned network look better than the dense one: see the sign. Nothing is special about the test set:
# the validation gap of the run that validation picked is too good as well. So report neither of the two.

# %% tags=["nbval-check-output"]
honest = means["picked by validation"]["test_gap"]
optimism = honest - means["picked by test"]["test_gap"]
print(optimism.rename("percentage points too good").round(1).to_string())

# %%
optimistic.reveal(f"At a sparsity of {level:.4g}.", answer=optimism[level], within=0.3)

# %% [markdown]
# Where does it come from? A set of $n$ images measures an error $e$ only up to a standard error of $\sqrt{e(1-e)/n}$.
# The more runs you compare, the more likely it is that one of them is just lucky on this set.

# %%
error = both["picked by validation"].query("sparsity == @level")["tuned_test_error"].mean()
examples = len(task.y_test)
noise = 100 * (error * (1 - error) / examples) ** 0.5
print(f"{examples} test images, error {error:.3f}: a standard error of {noise:.1f} percentage points")

# %% [markdown]
# Now let us compare $k$ runs, drawn at random from each seed's good ones (several stages, small λ), for growing $k$.

# %%
good = runs[(runs["stages"] > 1) & (runs["step_penalty"] <= 1e-2)]
source = np.random.default_rng(0)
most = int(good.groupby("seed").size().min())
counts = [*(k for k in (1, 2, 4, 8, 16) if k < most), most]
draws = {
    k: [part.iloc[source.permutation(len(part))[:k]] for _, part in good.groupby("seed") for _ in range(60)]
    for k in counts
}


# %%
def reported(by: str, on: str) -> list[float]:
    """Return, for each number of runs, the mean gap on a set of the run that is best by another."""
    return [np.mean([part[on].iloc[part[by].argmin()] for part in drawn]) for drawn in draws.values()]


# %% alt="Reported gap against the number of runs compared: picked and reported on one set, it falls further with every doubling; picked on validation and reported on test, it stays almost level."
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
ax.plot(
    counts,
    reported("test_gap", "test_gap"),
    color="#D55E00",
    marker="s",
    linestyle=":",
    label="picked and reported on test",
)
ax.plot(
    counts,
    reported("gap", "gap"),
    color="#0072B2",
    marker="^",
    linestyle="--",
    label="picked and reported on validation",
)
ax.plot(
    counts, reported("gap", "test_gap"), color="#000000", marker="o", label="picked on validation, reported on test"
)
ax.set(xscale="log", xlabel="runs compared in each seed", ylabel="gap after fine-tuning\n(percentage points)")
ax.set_xticks(counts, [str(k) for k in counts])
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %% [markdown]
# The more runs are compared, the better the two dishonest curves look. The honest one hardly moves: among these good
# runs, picking the best by validation gains almost nothing that is still there on other images.

# %% [markdown]
# ### One lucky seed
#
# The other way to fool yourself: run several seeds, show the best. Each criterion at the stages and λ that validation
# chose: the test gap of its best seed, the mean, and the worst.

# %% tags=["nbval-check-output"]
choice = results.best_tuned(runs)
columns = ["criterion", "stages", "step_penalty"]
chosen = runs.merge(choice[columns])
print(chosen.groupby("criterion", sort=False)["test_gap"].agg(["min", "mean", "max"]).round(1).to_string())

# %% tags=["nbval-check-output"]
winners = chosen.loc[chosen.groupby("seed")["test_gap"].idxmin(), ["seed", "criterion"]]
print(winners.to_string(index=False))

# %% [markdown]
# Look at OBD, LM and QM: from best to worst seed is further than from criterion to criterion. With one seed, you could
# "show" that any of the criteria in the second table is the best one. Only what holds in the mean, by more than the
# spread, is worth saying: here, that MP is far behind.

# %% [markdown]
# ## 5. Loss change against gap
#
# Notebook 03 worked hard to keep the loss. Was it worth it? If keeping the loss is what matters, then the runs with
# the smaller loss change should have the smaller gap after fine-tuning.
#
# Every point below is a run. To the left: the loss was kept better. Further down: better after fine-tuning. Above 2
# points the vertical axis is logarithmic. To the right: the share of weights that each layer keeps, each criterion at
# the λ of its smallest loss change. The star is the configuration with the smallest mean gap of all that are shown.
# Move the sliders; `criterion` brings one to the front.

# %%
slider = widgets.fine_tuning_slider(table)
slider

# %% [markdown]
# What to look for: with one stage, every run loses much. With more stages, points move to the left *and* down. But
# within the cloud at the lower left, being further left does not seem to help: with 140 stages, the star is not at the
# left end.
#
# Here is the same for paper and for screens without a kernel: all numbers of stages at the sparsity in the middle.

# %% alt="Scatters of loss change and gap above, shares of kept weights for each layer below, for 1, 14 and 140 stages: with more stages QM moves to the left; the star of the smallest mean gap follows to 14 stages, but not to 140; MP leaves almost nothing of the middle layer."
views = {stages: view for (sparsity, stages), view in fine_tuning.views(table).items() if sparsity == level}
figure, axes = plt.subplots(2, len(views), figsize=(3.7 * len(views), 6.4), layout="constrained", squeeze=False)
for column, view in zip(axes.T, views.values(), strict=True):
    titles = fine_tuning.place(fine_tuning.frame(column, table), view, table["criterion"].iloc[-1])
    column[0].set_title(titles[0].replace(": ", "\n"), fontsize=10)
figure.legend(handles=fine_tuning.legend(table["criterion"].unique()), loc="outside lower center", ncols=5, fontsize=9)
plt.show()

# %% [markdown]
# From left to right the number of stages grows. From 1 to 14 stages, all criteria but MP move to the left, and the star
# with them. From 14 to 140 stages QM (filled) moves on to the left; the star does not follow it.

# %% [markdown]
# ## 6. A rank correlation, with its interval
#
# How strongly do two rankings agree? **Spearman's rank correlation** replaces each number by its rank and takes the
# ordinary (Pearson's) correlation of the ranks. It is 1 if the rankings are the same, -1 if one is the other turned
# round, and near 0 if they have nothing to do with each other. It does not care about units or bends, which suits us:
# the gaps run from almost nothing to a network that hardly works.
#
# The gaps have many **ties**, because with few images only few different errors are possible. Equal numbers share the
# mean of the ranks that they take up: the ranks of [0.5, 2, 2, 7] are [1, 2.5, 2.5, 4].
#
# ### Exercise 4.3: Spearman by hand
#
# *medium, about 10 minutes*
#
# Write the rank correlation of two tensors `a` and `b` [n], with ties. Return one number. (scipy has it; here you
# build it.)


# %% tags=["stub"]
def rank_correlation(a, b):
    # your code
    return None


# %%
exercises.check("rank correlation", rank_correlation)

# %% [markdown]
# <details><summary>Hint 1</summary>How many entries are smaller than x, how many are equal to it (x itself included)?
# If s are smaller
# and e are equal, they take up the ranks s + 1 to s + e. What is their mean?</details>
# <details><summary>Hint 2</summary><code>a[:, None] > a[None, :]</code> compares each entry with each other. With the
# ranks, take away their mean;
# then the sum of products, divided by the root of the product of both sums of squares.</details>


# %% tags=["solution"]
def rank_correlation(a, b):
    def ranks(values):
        smaller = (values[:, None] > values[None, :]).sum(dim=1)
        equal = (values[:, None] == values[None, :]).sum(dim=1)  # itself included
        return smaller + (equal + 1) / 2  # the mean of smaller + 1 to smaller + equal

    x, y = ranks(a).double(), ranks(b).double()
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x.square().sum() * y.square().sum()).sqrt())


# %% [markdown]
# ### Within seeds
#
# One trap: a seed whose dense network is poor may shift *all* of its runs. So the correlation is taken within each
# seed, and then averaged. And another question hides here: does it hold over **all runs**, or among the **best
# quarter** of them, those that kept the loss best? Nobody would fine-tune the bad ones.
#
# Two guesses for the sparsity in the middle, each between -1 and 1:

# %%
of_all = exercises.guess("correlation of all", "The rank correlation over all runs?", between=(-1, 1))
of_quarter = exercises.guess("correlation of a quarter", "And over the best quarter?", between=(-1, 1))

# %% tags=["nbval-check-output"]
measured = pd.concat([results.rank_correlation(table, share) for share in (1, 0.25)])
measured = measured.sort_values(["sparsity", "share"], ascending=[True, False])
looks = {"sparsity": "{:.4g}".format, "share": "{:.0%}".format}
print(measured.round(2).to_string(index=False, formatters=looks))

# %%
of_level = measured[measured["sparsity"] == level].set_index("share")["correlation"]
of_all.reveal("Over all runs.", answer=of_level[1.0], within=0.1)
of_quarter.reveal("Over the best quarter.", answer=of_level[0.25], within=0.1)

# %% [markdown]
# A share of 100 % means all runs, 25 % the best quarter. Each correlation is a mean over seeds. Here are the seeds one
# by one:


# %%
def best_quarter(some: pd.DataFrame) -> pd.DataFrame:
    """Return each seed's quarter of runs with the smallest loss change."""
    return some[some["change"] <= some.groupby("seed")["change"].transform("quantile", 0.25)]


def by_seed(some: pd.DataFrame, a: str, b: str) -> pd.Series:
    """Return the rank correlation of two columns within each seed."""
    return pd.Series({seed: spearmanr(part[a], part[b]).statistic for seed, part in some.groupby("seed")})


# %% tags=["nbval-check-output"]
print(
    pd.DataFrame(
        {"all runs": by_seed(runs, "change", "gap"), "best quarter": by_seed(best_quarter(runs), "change", "gap")}
    ).round(2)
)

# %% [markdown]
# Over all runs the seeds agree. In the best quarter they scatter widely, even in sign: one seed alone could
# have told another story. Their mean is below zero here, and a little above zero at the other two sparsities.
#
# `low` and `high` above are the ends of a 95 % interval, by Student's t over the seeds. Another way to an interval needs
# no formula, the **bootstrap**: draw as many seeds as there are, *with replacement*, so that one may be there twice and
# another not at all; take the mean of their correlations; do that thousands of times; leave out 2.5 % at each end. With
# five seeds it comes out too narrow, which is why the table has Student's. In both, the unit is the *seed*, not the run:
# the runs of a seed share a dense network and its luck, so they are not independent pieces of evidence.
#
# ### Exercise 4.4: An interval over seeds
#
# *hard, about 10 minutes*
#
# `change` and `gap` are tensors [S, R]: R runs of each of S seeds. `drawn` [B, S] holds B draws, each of S seeds
# (numbers from 0 to S - 1). For each draw, take the mean of the drawn seeds' rank correlations. Return the 2.5th and
# the 97.5th percentile of these B means. For the rank correlation, take your own or `spearmanr(x, y).statistic`, which
# is imported above.


# %% tags=["stub"]
def interval(change, gap, drawn):
    # your code
    return None


# %%
exercises.check("interval over seeds", interval)

# %% [markdown]
# <details><summary>Hint 1</summary>A seed's correlation does not change when it is drawn twice. So first compute S
# correlations,
# once.</details>
# <details><summary>Hint 2</summary>Put them into an array <code>each</code>. Then <code>each[drawn]</code> has the
# shape [B, S], with each
# seed's correlation in its place. <code>np.percentile(values, [2.5, 97.5])</code> gives both ends.</details>


# %% tags=["solution"]
def interval(change, gap, drawn):
    # One correlation within each seed: the runs of different seeds are never ranked together.
    each = torch.tensor([spearmanr(x, y).statistic for x, y in zip(change, gap, strict=True)])
    means = each[drawn].mean(dim=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return low, high


# %% [markdown]
# ## 7. How much could there be to see?
#
# A correlation near zero can mean two things: there is no relation, or our ruler is too coarse to show it. In the best
# quarter all networks are good, so their gaps differ little, and each is measured on few images. There is a check that
# costs nothing: the gap on *validation* and the gap on *test* measure the same network. How well do **these two**
# agree in rank?
#
# If even they agree badly, nothing else can agree well with the gap. A rule of thumb from the theory of measurement:
# no other quantity can correlate with a noisy one by more than about the *square root* of the correlation of two
# measurements of it. Call that root the **ceiling**.

# %% [markdown]
# Beside it, if it is shipped, the study of the paper's network on MNIST, whose validation set is much larger.

# %%
tables = {task.name: table}
if "mnist" in results.names():
    mnist = results.load("mnist")
    tables["mnist"] = mnist.assign(
        change=results.loss_change(mnist), gap=results.gap(mnist), test_gap=results.gap(mnist, "test")
    )

# %%
rows = []
for name, some in tables.items():
    for sparsity, part in some.groupby("sparsity"):
        quarter = best_quarter(part)
        agreement = by_seed(quarter, "gap", "test_gap").mean()
        correlation = by_seed(quarter, "change", "gap").mean()
        rows.append((name, f"{sparsity:.4g}", agreement, max(0, agreement) ** 0.5, correlation))
ceilings = pd.DataFrame(rows, columns=["data", "sparsity", "validation and test", "ceiling", "loss change and gap"])

# %% tags=["nbval-check-output"]
print("rank correlations in the best quarter")
print(ceilings.round(2).to_string(index=False))

# %% [markdown]
# This is sobering. On digits the ceiling is low: two rulers for the same networks hardly agree themselves. So from
# digits alone, near zero in the best quarter says little about the loss change, and much about the ruler. MNIST, with
# its much larger validation set, has a higher ceiling, and there too the loss change says nothing about the order.
# That is the stronger evidence for finding 3.
#
# One more piece that needs no ranking of close runs: the means over seeds on MNIST. Validation picks the rows, so the
# gap to read is that on test.

# %% tags=["nbval-check-output"]
some = tables.get("mnist", table)
some = some[some["sparsity"] == some["sparsity"].max()]
cells = some.groupby(["criterion", "stages", "step_penalty"])[["change", "gap", "test_gap"]].agg(["mean", "std"])
extremes = cells.loc[[cells[("change", "mean")].idxmin(), cells[("gap", "mean")].idxmin()]]
titles = ["loss change", "spread", "gap", "spread", "test gap", "spread"]
print(extremes.set_axis(titles, axis=1).round(1).to_string())

# %% [markdown]
# First row: the configuration that keeps the loss best. Second row: the one with the smallest validation gap after
# fine-tuning. Compare the two loss changes, and the two test gaps with their spreads.

# %% alt="Two scatters of loss change against gap. Digits: a level cloud with gaps of zero to five points, and a steep rise at the largest loss changes. MNIST: OBD runs lie below most of LM and QM at a much larger loss change."
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
study_plots.change_against_gap(axes[0], runs)
axes[0].set_title(f"{task.name}, {100 * level:.4g} % pruned", fontsize=10)
axes[0].set_yscale("symlog", linthresh=2)
axes[0].set_yticks([0, 1, 2, 5, 10, 20], ["0", "1", "2", "5", "10", "20"])
study_plots.change_against_gap(axes[1], some)
axes[1].set_title(f"{some['task'].iloc[0]}, {100 * some['sparsity'].iloc[0]:.4g} % pruned", fontsize=10)
plt.show()

# %% [markdown]
# Left: the study on our data (gaps above 2 points on a logarithmic axis). Right: MNIST, if it is there. On MNIST a
# whole cloud of OBD runs lies *below* most runs of LM and QM, at a much larger loss change: the loss was kept less well,
# and the network is better after fine-tuning.

# %% [markdown]
# ## 8. Where to look for why
#
# Two networks can have the same number of weights and very different ones. **Per layer**: what share of each layer is
# left? Each criterion is shown at its largest number of stages and the λ of its smallest loss change.

# %% alt="Share of kept weights by layer, one line a criterion. Digits: MP falls to a tenth of a per cent in the middle layer, the others stay close together. MNIST: MP keeps least of the first layer."
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for ax, shown in zip(axes, (runs, some), strict=True):
    study_plots.layer_density(ax, shown)
    ax.set_title(f"{shown['task'].iloc[0]}, {100 * shown['sparsity'].iloc[0]:.4g} % pruned", fontsize=10)
axes[0].get_legend().remove()  # one is enough
plt.show()

# %% tags=["nbval-check-output"]
sizes = dict(zip(run.mask.density(), run.mask.sizes, strict=True))
left = runs[runs["criterion"] == "mp"].filter(like="density.").mean()
for layer, size in sizes.items():
    share = left[f"density.{layer}"]
    print(f"MP leaves {100 * share:.2f} % of {layer}: {share * size:.0f} of {size:,} weights")

# %% [markdown]
# There is a likely reason for MP's bad gap on digits: it empties the middle layer almost completely. Hardly anything
# gets through, and what is cut off cannot be learned again. The criteria that look at the loss keep a path open. (On
# MNIST, right, MP starves the first layer in its place.) So a *thin* layer might tell the gap as well as the loss
# change does. Does it?

# %% tags=["nbval-check-output"]
thin = runs.assign(thinnest=-runs.filter(like="density.").min(axis=1))
for name, part in {"all runs": thin, "best quarter": best_quarter(thin)}.items():
    thinness, loss = (by_seed(part, column, "gap").mean() for column in ("thinnest", "change"))
    print(f"{name}: thinness and gap {thinness:+.2f}, loss change and gap {loss:+.2f}")

# %% [markdown]
# Over all runs, how thin the thinnest layer is says about as much as the loss change. (It needs no data at all.) In
# the best quarter neither says much. Careful: these are correlations. Stages and λ move both, so this does not show
# what causes what.
#
# **Weight by weight**: how many of the kept weights do two criteria have in common? The overlap is the share of
# weights that both keep, of those that at least one keeps. 1 is the same mask.

# %%
path = data.shipped(f"results/{task.name}-overlap.csv")
overlap = pd.read_csv(path) if path.is_file() else results.criterion_overlap(live, study.masks(store))

# %% tags=["nbval-check-output"]
of_sparsity = overlap[np.isclose(overlap["sparsity"], level)]
pairs = of_sparsity.assign(pair=of_sparsity["first"] + " and " + of_sparsity["second"])
print(pairs.pivot(index="pair", columns="stages", values="overlap").round(1).to_string())

# %% [markdown]
# In the last column the overlaps are small. So OBD, LM and QM reach similar gaps with quite different weights. There
# is not *one* good mask that a better model of the loss would come closer and closer to.

# %% [markdown]
# ## 9. Finding 3, in your words
#
# ### Exercise 4.5: What do the numbers carry?
#
# *medium, about 5 minutes*
#
# Look again at the table of rank correlations in section 6 and at the ceiling in section 7. Which sentence do they
# carry?
#
# - **a**: Keeping the loss does not matter for the network after fine-tuning.
# - **b**: Keeping the loss matters, so the run with the smallest loss change is the one to fine-tune.
# - **c**: A large loss change is a bad sign; but among the runs that kept the loss well, keeping it better hardly
#   tells which is better after fine-tuning.
# - **d**: In the best quarter the correlation is proved to be zero, so one could as well stop improving the model of
#   the loss.

# %% tags=["stub"]
my_sentence = None  # "a", "b", "c" or "d"

# %%
exercises.check("finding three", my_sentence)

# %% [markdown]
# <details><summary>Hint 1</summary>For each sentence, find the row that speaks against it.</details>
# <details><summary>Hint 2</summary>Shares of 100 % and of 25 % answer different questions. And "we saw no relation" is not
# "there is
# none".</details>

# %% tags=["solution"]
# All runs: high, so not a. Best quarter: near zero, so not b. Few seeds and a coarse ruler are no proof, so not d.
my_sentence = "c"

# %% [markdown]
# ### Write it down
#
# The paper's third finding: *preserving the loss is not enough*. Write three to five sentences in this cell
# (double-click it) that would convince a colleague who has not seen this notebook.
#
# > *your words*
#
# Then check what you wrote:
#
# - Does it say what was compared, on how many runs and seeds, with which budget?
# - Does it give two correlations, over all runs and over the best quarter, each with an interval?
# - Does it say that the interval is over seeds, and that each correlation is within a seed?
# - Does it say what chose λ and stages, and that the test set chose nothing?
# - Does it name one weakness: the low ceiling, few seeds, short fine-tuning, a small network?
# - Does it avoid "always" and "proves"?
#
# Here are more numbers, as the course judges them. The rule looks at the runs whose loss change is within a quarter of the
# way from the seed's best run to MP. Reproduced: the interval of their correlation ends below half the ceiling. Refuted: it
# begins above. All else is undecided, and so is a study whose ceiling is below one half: with so few validation images,
# could it have failed any test?

# %%
verdict = results.judge(runs).query("finding == 3").iloc[0]
print(f"{verdict['verdict']}: {verdict['evidence']}")

# %% [markdown]
# <details><summary>One way to put it</summary>On digits, at a sparsity of 95 %, we compared 410 prunings of 5 dense
# networks, each fine-tuned for 50 epochs. Within a seed, over all stages and λ, loss change and validation gap have a
# rank correlation of 0.86 (95 % interval over seeds: 0.81 to 0.91): bad prunings stay bad. Within the quarter
# that kept the loss best it is -0.28 (-0.70 to 0.14), and in 4 of 5 seeds the run that kept the loss best does not have
# the smallest gap. Part of that is noise, because validation and test hardly agree there; but on MNIST, with a finer
# ruler, there is no relation to see either. The test set chose nothing. So the loss change serves to discard
# prunings, not to choose the best of those that are left.</details>

# %% [markdown]
# ## What we saw
#
# - Fine-tuning brings back most of what pruning lost, as long as no layer is cut off; the mask must hold after every
#   step.
# - Whoever picks and reports on one set, or shows the best seed, reports luck; validation picks, the mean over seeds
#   counts, the test set is read once.
# - Loss change sorts out bad prunings, but among the well-kept ones it hardly tells which will be best: preserving the
#   loss is not enough.
#
# **Read next**: notebook 05, *At scale, and your own network*, with the paper's tables beside ours.

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why it is right or wrong.
#
# **1. You mask the gradient in each step, and nothing else. The optimizer had already run for some epochs before the
# mask came. What happens?**
# <details><summary>Pruned weights stay at zero, because their gradient is zero</summary>No. The velocity from before
# is not zero, and it moves
# them.</details>
# <details><summary>Pruned weights move, carried by momentum</summary>Right. The gradient is only one part of a step:
# impose the mask on the weights after it, and
# on the velocity.</details>
# <details><summary>Training becomes unstable</summary>There is no reason for it to. It just no longer trains the
# pruned network that
# you think it does.</details>
#
# **2. You tried 80 settings and took the one with the lowest validation error. Which number do you report?**
# <details><summary>Its validation error</summary>No. It was picked because it is low, so part of it is luck.</details>
# <details><summary>The lowest test error of the 80</summary>No. That picks on the test set, which is the same mistake
# with the last set that you
# have.</details>
# <details><summary>Its test error, with the spread over seeds</summary>Right. The test set had no part in the
# choice.</details>
#
# **3. Why is the interval over seeds, and not over runs?**
# <details><summary>Runs of one seed share a dense network, so they are not independent</summary>Right. We want to know
# about other networks, and there
# are as many as there are seeds.</details>
# <details><summary>There are fewer seeds, so it is faster</summary>It is, but that is no reason. The wrong unit
# answers another question.</details>
# <details><summary>Spearman's correlation needs it</summary>No, it can be computed for any set of pairs.</details>
#
# **4. Over all runs the rank correlation is high, over the best quarter near zero. How can both be true?**
# <details><summary>One of the two is a mistake</summary>No. They speak about different runs.</details>
# <details><summary>The high one comes from the distance between bad and good prunings; within the good ones little is
# left</summary>Right. And part
# of "little" may be noise, which is what the ceiling is for.</details>
# <details><summary>Fine-tuning makes all networks equal</summary>Not all: look at MP, which stays far behind on
# digits.</details>
#
# **5. Two criteria have masks with a small overlap and nearly the same gap. What follows?**
# <details><summary>There is more than one good mask</summary>Right. Which weights are left matters, but there is more
# than one good choice.</details>
# <details><summary>One of the masks must be wrong</summary>No. There is no single right one to compare with.</details>
# <details><summary>It does not matter which weights are kept</summary>No. MP keeps just as many, and look at its
# gap.</details>
