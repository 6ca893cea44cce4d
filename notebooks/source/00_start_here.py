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
# - run the course on your machine;
# - say what unstructured pruning is, and count what it removes;
# - break a real network by hand, and say which digits it loses first;
# - explain why "how large is this weight?" is the wrong question, and what to ask instead.
#
# **You need** a little Python, and an idea of what a neural network is.
#
# **It takes** about 35 minutes. The computing takes seconds, and nothing is downloaded. The [glossary](GLOSSARY.md) has
# all terms.

# %% [markdown] tags=["slide"]
# # Start here
#
# A network breaks under your hands. Which weights should have stayed?

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch

from lossprune_lib import BatchLoss, LocalPruner, WeightSpace, data, doctor, exercises, models, plots, training, widgets
from lossprune_lib.loss_modelling import few_weights
from lossprune_lib.plots import breaking
from lossprune_lib.pruning import one_shot

plots.use_style()

# %% [markdown]
# ## 1. Is everything here?
#
# Each line is something that the course uses. A `FAIL` comes with its remedy.

# %%
doctor.check()[["status", "remedy"]]

# %% [markdown]
# ## 2. A network that reads digits
#
# Our data are small images of handwritten digits, which come with scikit-learn. The network learned from the
# **training** images. We judge it on the **validation** images, which it has never seen. An image has only 8 by 8 pixels,
# so some of the digits below are hard to read for us, too.
#
# The network is a small one: two hidden layers, of 300 and 100 tanh units. Its hidden layers are those of the smallest
# network in the paper behind this course (Laurent et al. 2020); its input is smaller. It is already trained. Its
# **accuracy** is the share of images that it reads correctly.

# %% [markdown] tags=["slide"]
# ## A network reads digits
#
# It has two hidden layers and is trained already. We judge it on **validation** images, which it has never seen.

# %% tags=["on-slide"] alt="Ten small grey images of handwritten digits in a row, each with its label above it."
task = data.load("digits")
figure, axes = plt.subplots(1, 10, figsize=(plots.WIDTH, 1.3), layout="constrained")
plots.examples(axes, task.x_valid[:10], [f"label {int(label)}" for label in task.y_valid[:10]])
plt.show()

# %% tags=["nbval-check-output"]
net = models.pretrained("mlp_300_100", task)
print(f"accuracy on the {len(task.x_valid)} validation images: {100 * training.evaluate(net, task).accuracy:.1f} %")

# %% [markdown]
# ## 3. Watch it break
#
# Each connection between two units has a **weight**: a number that training has found. The network has three layers
# of weights, `fc1` to `fc3` ("fully connected"). Each unit also has a *bias*, which this course does not prune.

# %% [markdown] tags=["slide"]
# ## Unstructured pruning
#
# - **Prune**: set a single weight to zero, anywhere in the network.
# - **Sparsity**: the share of the weights that are zero.
# - **Magnitude pruning**, MP: the smallest go first.

# %% tags=["on-slide", "nbval-check-output"]
space = WeightSpace(net)
theta = space.read()  # all weights in one list
for layer, size in zip((*space.layers, "all"), (*space.sizes, space.size), strict=True):
    print(f"{layer}: {size:6,} weights")

# %% [markdown]
# **Unstructured pruning** sets single weights to zero, anywhere in the network. The units stay; connections go. The
# share of weights that are zero is the **sparsity**: at a sparsity of 90 %, one weight in ten is left.
#
# Which weights should go first? A rule that puts the weights in order is a pruning **criterion**. The simplest and most
# widely used one says: the smallest. This is **magnitude pruning**, MP for short. Its idea: a weight close to zero does
# little, so the network should not miss it.
#
# You are about to remove the smallest weights, more and more of them. How far can you go?

# %% [markdown] tags=["slide"]
# ## Guess: how far can you go?

# %% tags=["on-slide"]
broken = exercises.guess("half wrong", "At which sparsity are fewer than half of the images read correctly?", unit="%")

# %% [markdown]
# Now drag the slider to the right, slowly. On the left are the weights that go into the first 64 hidden units, one
# small square for each unit: a weight for each pixel of the image, grey once it is pruned. On the right, the
# accuracy is drawn as far as you have gone. Below it appear the first images that the network no longer reads. (If nothing
# moves, choose *Run All Cells* in the menu *Run*.)

# %%
slider = widgets.sparsity_slider(net, task)
slider

# %% [markdown] tags=["slide"]
# ## Nothing for a long way, then everything

# %% tags=["on-slide"]
below = {level: slider.table.query("accuracy < @level")["sparsity"].min() for level in (0.9, 0.5)}
broken.reveal(
    "\n".join(f"accuracy below {level:.0%} from a sparsity of {at:.0%} on" for level, at in below.items()),
    answer=below[0.5],
)

# %% [markdown]
# Here are three positions of the slider, for paper and for screens where nothing moves. Above, the weights that are left.
# Below, what the network says of the images of each digit: right answers lie on the diagonal.

# %% tags=["hide-input"] alt="Three columns, at 60, 80 and 90 % sparsity. Above, the grey of pruned weights spreads. Below, answers lie on the diagonal at 60 %; at 80 % some digits leave it; at 90 % two columns hold most images."
sparsities = [0, 0.6, 0.7, 0.8, 0.9]
masks, table = one_shot(net, task, sparsities)
logits = torch.stack([space.call(theta * mask.kept, space.rest(), task.x_valid) for mask in masks])
shares, labels = logits.softmax(2).cpu(), task.y_valid.cpu()
answers = shares.argmax(2)  # [sparsities, images]
figure, axes = plt.subplots(2, 3, figsize=(plots.WIDTH, 6.2), layout="constrained")
for (above, under), i in zip(axes.T, (1, 3, 4), strict=True):
    plots.kept_weights(above, net.fc1.weight, space.split(masks[i].kept)[0], task.shape).set_xlabel("")
    above.set_title(f"{100 * sparsities[i]:.0f} % pruned, {100 * table['accuracy'][i]:.0f} % right")
    breaking.confusion(under, labels, answers[i], task.classes)
plt.show()

# %% [markdown]
# For a long way almost nothing happens: this network has far more weights than these images need. Then it breaks, and
# not evenly. Some digits are lost while others are still read as before, and in the end the network does not guess at
# random either: it gives one or two answers to most images. Which digits go first? Below, for each digit, the share of
# its images that are misread.

# %% [markdown] tags=["slide"]
# ## It does not break evenly
#
# The share of each digit's images that are misread:

# %% tags=["on-slide", "nbval-check-output"]
pairs = zip(sparsities, answers, strict=True)
lost = pd.DataFrame({f"{share:.0%} pruned": (said != labels).float() for share, said in pairs})
print(lost.groupby(labels.numpy()).mean().T.to_string(float_format="{:.0%}".format))

# %% [markdown]
# At 80 % the 1 (37 %) and the 2 (30 %) are already often misread, while the 4 and the 5 are read as well as before. Do not take the 9 at 90 %
# for a success: no 9 is misread there, because the network calls half of all images a 9.
#
# ## 4. What the accuracy does not see
#
# The network gives each digit a probability, and its answer is the most probable digit. Here is an image that it reads
# with great confidence, and that is lost at 80 %.

# %% [markdown] tags=["slide"]
# ## Doubt comes before the error
#
# The answer stays right while the network grows unsure of it.

# %% tags=["on-slide"] alt="An image of a 2 and four bar charts, at 0, 60, 70 and 80 % sparsity: nearly all probability is on 2 at first, less at 70 % though the answer is still right, and at 80 % another digit is just ahead."
right = shares[:, range(len(labels)), labels]  # probability of the right digit, [sparsities, images]
surest = (right[0] * (answers[3] != labels)).argmax()
figure, axes = plt.subplots(1, 5, figsize=(plots.WIDTH, 2.3), width_ratios=(0.7, 1, 1, 1, 1), layout="constrained")
plots.examples(axes[:1], task.x_valid[surest, None], ["the image"])
for ax, i in zip(axes[1:], range(4), strict=True):
    breaking.probabilities(ax, shares[i, surest], int(labels[surest])).set_title(f"{100 * sparsities[i]:.0f} % pruned")
axes[1].set_ylabel("probability")
plt.show()

# %% [markdown]
# The accuracy counts this image as right until the answer flips, and then as wrong. It does not see the doubt that
# grows beforehand. The **loss** does. For one image it is $-\ln p$, where $p$ is the probability that the network gives to
# the right digit: 0 if the network is certain and right, and larger the less it believes in the right digit. The loss
# of the network is the mean over many images, known as the cross-entropy. Because of the natural logarithm, its unit is
# called a **nat**.

# %% tags=["nbval-check-output"]
one = pd.DataFrame({"sparsity": sparsities, "p of this image": right[:, surest], "its loss": -right[:, surest].log()})
one["mean loss"], one["accuracy"] = -right.log().mean(1), table["accuracy"]
shown = dict.fromkeys(("sparsity", "accuracy"), "{:.0%}".format)
print(one.to_string(index=False, formatters=shown, float_format="{:.2f}".format))

# %% [markdown] tags=["slide"]
# ## The loss sees the doubt
#
# For one image it is $-\ln p$, where $p$ is the probability of the right digit. Accuracy counts only answers that flip.

# %% tags=["on-slide"] alt="Accuracy on the left and loss on the right, against sparsity. The accuracy sinks only a little to about 75 %; the loss rises from about 50 % on, ever faster."
figure, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 2.8), layout="constrained")
for ax, column in zip(axes, ("accuracy", "loss"), strict=True):
    plots.pruning_curve(ax, slider.table.query("sparsity <= 0.8"), column).set_xlim(0, 0.8)
plt.show()

# %% [markdown]
# The accuracy changes by whole images, a few lost, sometimes one regained, until the network breaks. The loss rises steadily from
# about 50 % on, because it also counts doubt that flips no answer. Training made the loss small, and pruning should
# keep it small. So the loss is what we watch from here on.
#
# ## 5. Is magnitude the right question?
#
# Magnitude pruning asks how *large* a weight is. What we want to know is **how much the loss changes when the weight
# goes**. For single weights we can simply try. Draw 300 weights at random; set each one to zero, alone; measure the
# loss on all training images; put it back.

# %% [markdown] tags=["slide"]
# ## Guess: do larger weights cost more?
#
# Take each weight away alone, measure the loss, put it back.

# %% tags=["on-slide"]
larger = exercises.guess(
    "larger costs more", "Take two of these weights. How often does the larger one cost more when it goes?", unit="%"
)

# %%
risk = BatchLoss(net, (task.x_train, task.y_train))
drawn = torch.randperm(space.size, generator=torch.Generator().manual_seed(0))[:300]
alone = few_weights.removal(risk, [(int(weight),) for weight in drawn])  # changes of the loss, in nats
sizes = theta[drawn].abs().cpu()

# %% [markdown] tags=["slide"]
# ## Magnitude is a hint. The loss is the question.

# %% tags=["on-slide", "hide-input"]
figure, ax = plt.subplots(figsize=(plots.WIDTH, 3.4), layout="constrained")
breaking.removals(ax, sizes, alone)
one, other = torch.triu_indices(len(drawn), len(drawn), 1)
agree = (sizes[one] - sizes[other]) * (alone[one] - alone[other]) > 0
larger.reveal(
    figure,
    f"The larger weight costs more in {100 * agree.float().mean():.0f} % of all pairs.\n"
    f"{100 * (alone < 0).float().mean():.0f} % of the weights lower the loss when they go.",
    "The points open like a fan. Removing small ones changes little, but some large ones cost nothing, and removing "
    "others helps. Tossing a coin would be right in half of the pairs; size does better, and is wrong in every third pair.",
    answer=agree.float().mean().item(),
    alt="Change of the loss against size, for 300 weights removed alone: a fan that opens to the right. Larger weights "
    "can change more, up or down, and yet some large ones change nearly nothing.",
)

# %% [markdown]
# **Magnitude is at best a hint. The loss is the question.**
#
# Now take them away together. If each of the smallest 90 % cost what it costs alone, what would all of them cost?

# %% [markdown] tags=["slide"]
# ## Together they cost more than one by one
#
# What a weight costs depends on which others are still there. The smallest 90 % of the weights, removed alone and
# added up, or removed together:

# %% tags=["on-slide", "nbval-check-output"]
small = alone[sizes < theta.abs().quantile(0.9).item()]
estimate, error = 0.9 * space.size * small.mean(), 0.9 * space.size * small.std() / len(small) ** 0.5
together = risk.value(theta * masks[4].kept) - risk.value(theta)
print(f"one by one: {estimate:.2f} nats (95 % interval {estimate - 2 * error:.2f} to {estimate + 2 * error:.2f})")
print(f"all at once: {together:.2f} nats")

# %% [markdown]
# Together they cost about eight times as much as one by one. What a weight costs depends on which others are still there. (To estimate the first number, we take those of our 300 weights that are among the smallest 90 %, and multiply their
# mean cost by the number of all such weights. The interval says how far off such a sample may well be.)

# %% [markdown]
# ## 6. One question, or many?
#
# So one may ask more than once. Remove a few weights, look at the loss afresh, remove a few more: each round is a
# **stage**. In a large network, trying each weight would take far too long, so we estimate what each would cost from the slope and
# the curvature of the loss. This estimate is the *quadratic model*, QM for short; you will build it in notebook 02.
#
# Here are three ways to the same sparsity of 90 %, on the same network. Nothing is trained afterwards. (The paper takes
# 1, 14 and 140 stages. MP needs only one: the weights that stay keep their size, so asking again changes nothing.)

# %% [markdown] tags=["slide"]
# ## Guess: one question, or many?
#
# Three ways to the same sparsity. QM estimates from the loss what each weight would cost.

# %% tags=["on-slide"]
pruners = {
    "MP, in one go": LocalPruner("mp", sparsity=0.9, stages=1),
    "QM, in one go": LocalPruner("qm", sparsity=0.9, stages=1),
    "QM, in 14 stages": LocalPruner("qm", sparsity=0.9, stages=14),
}
best = exercises.guess("best of three", "Which of the three is right most often at 90 %?", choices=list(pruners))

# %%
scores = {name: training.evaluate(pruner.prune(net, task).network(), task) for name, pruner in pruners.items()}
comparison = pd.DataFrame({name: {"accuracy": s.accuracy, "loss": s.loss} for name, s in scores.items()}).T

# %% [markdown] tags=["slide"]
# ## Asked again at every stage, the loss chooses far better

# %% tags=["on-slide"]
figure, ax = plt.subplots(figsize=(plots.WIDTH, 2.2), layout="constrained")
plots.bars(ax, comparison["accuracy"], "accuracy on the validation images at 90 % sparsity", ["mp", "qm", "qm"])
best.reveal(
    figure,
    comparison.apply(lambda column: column.map({"accuracy": "{:.0%}", "loss": "{:.2f}"}[column.name].format)),
    "Asked only once, QM is hardly better than MP: it reads a few more images correctly, but its loss is even higher. "
    "Asked again after every stage, it leaves a network that still reads most digits, with exactly as many weights.",
    alt="Three bars, the accuracy of MP in one go, QM in one go and QM in 14 stages; the last is by far the longest.",
    answer=comparison["accuracy"].idxmax(),
)

# %% [markdown]
# If many stages win, you may conclude that small steps make QM's estimates accurate. Be careful: notebook 02 checks the
# estimates, and notebook 03 asks how a ranking can be good when the estimates are bad.
# And nobody has trained these networks again yet. When notebook 04 does, magnitude gets a second chance.

# %% [markdown] tags=["slide"]
# ## What we saw
#
# - Our trained network tolerates a lot of pruning, then loses some digits before others.
# - The loss sees doubt that has changed no answer yet.
# - Magnitude asks how large a weight is. The question is how much the loss changes when it goes.

# %% [markdown]
# ## What we saw
#
# - Unstructured pruning sets single weights to zero. Our trained network tolerates a lot of it, then loses some digits
#   before others.
# - The loss also sees doubt that has changed no answer yet. Magnitude asks how large a weight is; the question is how
#   much the loss changes when it goes.
# - What a weight costs depends on which others are left. Asking the loss again at every stage chose far better weights
#   than asking once (in this one network; notebook 03 asks more).
#
# **Go on** with [01 Loss landscapes](01_loss_landscapes.ipynb): where does pruning take a network?
#
# **The paper**: C. Laurent, C. Ballas, T. George, N. Ballas, P. Vincent, *Revisiting Loss Modelling for Unstructured
# Pruning*, 2020, [arXiv 2006.12279](https://arxiv.org/abs/2006.12279).

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why it is right or wrong.
#
# **1. A network has 1,000 weights. How many are left at a sparsity of 0.9?**
# <details><summary>900</summary>Not quite. That is how many are zero: sparsity counts what is gone.</details>
# <details><summary>100</summary>Right. 0.9 of them are zero, so a tenth is left.</details>
# <details><summary>It depends on the layers</summary>No. Each layer may keep a different share, but the sum is
# fixed.</details>
#
# **2. A network gives the right digit a probability of 0.6 before pruning and 0.5 afterwards, and its answer stays the
# same. What changes?**
# <details><summary>The accuracy</summary>No. The answer is still right, and accuracy only counts answers.</details>
# <details><summary>The loss</summary>Right. It is minus the logarithm of that probability, so it grows as the
# confidence falls.</details>
# <details><summary>Nothing that we measure</summary>No. One of our two measures looks at the probability
# itself.</details>
#
# **3. What is wrong with ranking weights by their size?**
# <details><summary>Nothing: small weights do nothing</summary>No. Small ones change little *alone*, but together they
# broke the network.</details>
# <details><summary>Size says nothing about the loss</summary>Too strong. Larger weights cost more in more than half of
# the pairs.</details>
# <details><summary>Size is only a hint at what we want to know</summary>Right. We want to know how much the loss
# changes, and weights of the same size differ widely in that.</details>
#
# **4. QM in 14 stages and QM in one go left equally many weights. What differed?**
# <details><summary>Which weights are left</summary>Right. The sparsity says how many; the criterion and the stages
# decide which.</details>
# <details><summary>One was trained longer</summary>No. Nothing was trained after pruning in any of the three.</details>
# <details><summary>QM in 14 stages used another criterion</summary>No. The criterion was the same; it was asked again
# after each stage.</details>
