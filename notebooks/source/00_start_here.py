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
# # 00 Start here
#
# **After this notebook you can**
# - run the course on this machine, and say what to do where something is missing;
# - say what unstructured pruning is, and count what it removes;
# - show at which sparsity a real network breaks, and why "how many weights?" is only half of the question.
#
# **You need** a little Python, and an idea of what a neural network is.
# **It takes** about 30 minutes; the computing takes seconds, and nothing is downloaded.

# %%
import matplotlib.pyplot as plt
import pandas as pd

from lossprune_lib import LocalPruner, WeightSpace, data, doctor, exercises, models, plots, training, widgets
from lossprune_lib.pruning import one_shot

# %% [markdown]
# ## 1. Is everything here?
#
# Each line is a thing that the course uses. A `FAIL` comes with its remedy.
# (`doctor.check()` alone also shows the versions that were found.)

# %%
doctor.check()[["status", "remedy"]]

# %% [markdown]
# ## 2. A network that can read
#
# Our data are small images of handwritten digits. They come with scikit-learn, so nothing is downloaded.
# Part of them is for training, part for choosing (`valid`), and part is kept for the very end (`test`).

# %%
task = data.load("digits")
task

# %% alt="Ten small grey images of handwritten digits in a row, each with its label above it."
figure, axes = plt.subplots(1, 10, figsize=(9, 1.3), layout="constrained")
plots.examples(axes, task.x_valid[:10], [f"label {int(label)}" for label in task.y_valid[:10]])
plt.show()

# %% [markdown]
# The network is built like the smallest one in the paper behind this course (Laurent et al. 2020): two hidden layers
# of 300 and 100 units. It is already trained.

# %%
net = models.pretrained("mlp_300_100", task)
net

# %% tags=["nbval-check-output"]
print(f"right on {training.evaluate(net, task, 'valid').accuracy:.1%} of the validation images")

# %% [markdown]
# ## 3. What can be pruned
#
# Every connection between two units has a **weight**. Here is how many there are, layer by layer.

# %% tags=["nbval-check-output"]
space = WeightSpace(net)
for layer, size in zip(space.layers, space.sizes, strict=True):
    print(f"{layer}: {size:6,} weights")
print(f"all: {space.size:6,} weights")

# %% [markdown]
# **Unstructured pruning** sets single weights to zero, anywhere in the network. The units stay; connections go.
# The share of weights that is zero is called the **sparsity**. At a sparsity of 90 %, one weight in ten is left.
#
# Which weights go first? The oldest answer: the smallest ones. This is **magnitude pruning**, MP for short.
# A weight close to zero changes little when it becomes zero. That, at least, is the idea.

# %% [markdown]
# ## 4. Predict first
#
# You are about to remove the smallest weights, more and more of them. Now the network gets almost all validation
# images right. **At which sparsity does it get fewer than half right?**

# %%
broken = exercises.guess("half wrong", "At which sparsity are fewer than half of the images read rightly?", unit="%")

# %% [markdown]
# Then run on.
#
# ## 5. Watch it break
#
# Drag the slider, or click on it and use the arrow keys. Left: the weights that go into the first 64 hidden units,
# one small image for each unit, because each pixel of the input has its weight. Grey is pruned.
# Right: accuracy and loss on images that the network was not trained on.

# %%
slider = widgets.sparsity_slider(net, task, start=0.8)
slider

# %% [markdown]
# What to look for: for a long way, almost nothing happens. Then the accuracy falls, faster and faster.
#
# A slider moves as long as its kernel runs. When you open a notebook again later, choose *Run All Cells* in the menu *Run*.
#
# Here is the same at five settings, for paper and for screens without a kernel.

# %% tags=["nbval-check-output"]
settings = [0, 0.5, 0.8, 0.9, 0.95]
masks, table = one_shot(net, task, settings)
shown = {"sparsity": "{:.0%}".format, "loss": "{:.1f}".format, "accuracy": "{:.0%}".format}
print(table.to_string(index=False, formatters=shown))

# %% alt="Five pictures of the first layer, at rising sparsity: more and more of the weights are grey, while the accuracy in the titles stays high for long and then falls."
figure, axes = plt.subplots(1, 5, figsize=(11, 2.9), layout="constrained")
for ax, mask, (_, row) in zip(axes, masks, table.iterrows(), strict=True):
    plots.kept_weights(ax, net.fc1.weight, mask.kept[: space.sizes[0]].view_as(net.fc1.weight), task.shape)
    ax.set_xlabel("")
    ax.set_title(f"{row['sparsity']:.0%} pruned\naccuracy {row['accuracy']:.0%}", fontsize=10)
plt.show()

# %% [markdown]
# From left to right the grey grows. Half of the weights can go, and almost nothing is lost. Further to the right
# the network fails, although the picture changes little.

# %% [markdown]
# ## 6. Reconcile
#
# Where does the accuracy first fall below a level?

# %% tags=["nbval-check-output"]
first_below = {level: slider.table.query("accuracy < @level")["sparsity"].min() for level in (0.9, 0.5)}
broken.reveal(
    "\n".join(
        f"fewer than {level:.0%} right from a sparsity of {first:.0%} on" for level, first in first_below.items()
    ),
    answer=first_below[0.5],
)

# %% [markdown]
# ## 7. Is magnitude the right question?
#
# MP asks how *large* a weight is. We could ask instead **how much the loss changes** when it goes.
# Training made the loss small, so this is closer to what we want.
# Trying each weight alone would take one run for each. So we need a *model* of the loss. Such models are the subject of this course.
#
# As a taste: one of them, the *quadratic model* (QM), at the same sparsity of 90 %. First in one go, as above.
# Then in 14 small stages, with a fresh model at each.

# %%
pruners = {
    "MP, in one go": LocalPruner("mp", sparsity=0.9, stages=1),
    "QM, in one go": LocalPruner("qm", sparsity=0.9, stages=1),
    "QM, in 14 stages": LocalPruner("qm", sparsity=0.9, stages=14),
}

# %% [markdown]
# Which of the three will be right most often?

# %%
best = exercises.guess("best of three", "Which of the three is right most often at 90 %?", choices=list(pruners))

# %%
scores = {name: training.evaluate(pruner.prune(net, task).network(), task) for name, pruner in pruners.items()}
comparison = pd.DataFrame({name: {"accuracy": s.accuracy, "loss": s.loss} for name, s in scores.items()}).T

# %%
figure, ax = plt.subplots(figsize=(7, 2.2), layout="constrained")
plots.bars(ax, comparison["accuracy"], "accuracy on the validation images at 90 % sparsity")
best.reveal(
    figure,
    alt="Three bars, the accuracy of MP in one go, QM in one go and QM in 14 stages; the last is by far the longest.",
    answer=comparison["accuracy"].idxmax(),
)

# %% tags=["nbval-check-output"]
best.reveal(comparison.apply(lambda column: column.map(shown[column.name])), title="The same in numbers")

# %% [markdown]
# The same number of weights is left in all three, but not the same weights. In one go, the model of the loss gains
# little or nothing over the mere size of the weights: look at both columns. In 14 small stages, the very same model
# keeps a network that still reads most digits. A model of the loss holds only close to where it was made.
# Notebook 03 is about that.

# %% [markdown]
# ## What we saw
#
# - Unstructured pruning sets single weights to zero; sparsity is the share that is zero.
# - A trained network bears a lot of it before it breaks.
# - At equal sparsity, which weights are left decides whether it still works; small stages choose better than one go.
#
# **Read next**: notebook 01, *Loss landscapes*. **The paper**: C. Laurent, C. Ballas, T. George, N. Ballas, P. Vincent,
# *Revisiting Loss Modelling for Unstructured Pruning*, arXiv 2006.12279.

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why it is right or wrong.
#
# **1. A network has 1,000 weights. How many are left at a sparsity of 0.9?**
# <details><summary>900</summary>Not quite. That is how many are zero: sparsity counts what is gone.</details>
# <details><summary>100</summary>Right. 0.9 of them are zero, so a tenth is left.</details>
# <details><summary>It depends on the layers</summary>No: each layer may keep another share, but the sum is fixed.</details>
#
# **2. What does unstructured pruning remove?**
# <details><summary>Whole hidden units</summary>No. That is structured pruning. A unit only goes if all of its weights
# happen to go.</details>
# <details><summary>Whole layers</summary>No. It can happen by accident at very high sparsity, and then nothing gets through.
# The library warns about it.</details>
# <details><summary>Single weights, anywhere</summary>Right. So the zeros have no pattern, and the layers keep their
# shapes.</details>
#
# **3. QM in 14 stages still read most digits, MP in one go did not, at the same sparsity. What differed in the end?**
# <details><summary>The number of weights left</summary>No, that was exactly the same.</details>
# <details><summary>Which weights are left</summary>Right. Criterion and stages choose the weights; the sparsity only says
# how many.</details>
# <details><summary>One was trained longer</summary>No. Nothing was trained after pruning, in neither case.</details>
#
# **4. Why was QM in one go not enough?**
# <details><summary>The quadratic model is too simple</summary>Not by itself: the very same model did well in 14
# stages.</details>
# <details><summary>It was used far away from where it was made</summary>Right. Removing 90 % of the weights is a long step,
# and a Taylor model is only trusted near its point. Small stages with fresh models stay near.</details>
# <details><summary>It saw too few images</summary>A fair thought, but each of the 14 stages saw just as many.</details>
