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
# # 06 From here to language models
#
# **After this notebook you can**
# - place OBD, OBS, lottery tickets, SNIP, WoodFisher, Wanda and SparseGPT on one map, and say which follow from notebook 02, and how;
# - derive Wanda and the update of SparseGPT from the squared error of one layer;
# - prune a small language model, read what is lost, and say which part of a method did the work.
#
# **You need** the parabola of one weight, the off-diagonal term, LM, QM, OBD and the GGN (notebook 02); from section 5 on
# also stages (03), the controls (04) and sampled curvature (05, section 4).
#
# **It takes** about 42 minutes, and 23 more for the exercises. The computing takes under a minute, and nothing is downloaded. Forgotten a word? [The glossary](GLOSSARY.md) has it.

# %% [markdown] tags=["slide"]
# # From here to language models
#
# How is a model pruned that nobody can afford to train again, and which part of the method does the work?

# %%
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from lossprune_lib import LocalPruner, WeightSpace, data, exercises, models, plots, results, training, widgets
from lossprune_lib.plots import family, language
from lossprune_lib.pruning import errors_by_way, layerwise
from lossprune_lib.pruning.layerwise import SPARSEGPT, WANDA
from lossprune_lib.seeds import generator

plots.use_style()
task = data.load("python_reference")
net = models.pretrained("tiny_gpt", task)

# %% [markdown]
# ## 1. Read the damage
#
# A **language model** reads a text and says how probable each next piece is. Ours is a **transformer** of three blocks that reads characters; it
# learned from the reference of the Python language, which ships with Python itself. To **write**, it draws the next character from its own
# probabilities, appends it, and goes on.
#
# Its loss is what it has been in this course all along: the mean cross-entropy, here for each character, in nats.

# %% tags=["nbval-check-output"]
space = WeightSpace(net, exclude="head")
print(f"{space.size:,} weights in {len(space.layers)} Linear layers; the last layer, called head, stays whole")
print(f"guessing among {task.classes} characters: {math.log(task.classes):.2f} nats")

# %% [markdown] tags=["slide"]
# ## Guess: twice the loss
#
# A small transformer that writes in the style of Python's reference. Magnitude pruning, one go, no training afterwards.

# %% tags=["on-slide"]
doubled = exercises.guess(
    "loss doubled", "At which sparsity will magnitude pruning have doubled the loss?", unit="%", between=(0, 1)
)

# %% [markdown]
# Now prune it. Every setting writes with the same random draws, so what differs between two texts is the network's doing. Words in bold colour do not
# occur in the reference.
#
# *Global* ranks the weights of all layers together; the three others take the same share from each layer. (You will derive what Wanda and
# SparseGPT do.) On the left is the loss at the settings you have visited. It is taken on a third of the test text, so it
# differs from the tables by a few hundredths. On the right, for each layer, a line is the
# share of its weights that is gone, and a bar says how far its output has changed: the squared change, as a share of the output's own square. In each
# block, *query*, *key*, *value* and *proj* belong to the **attention**, by which a character takes note of earlier ones; *up* and *down* are a small
# network after it.
#
# - Stay with magnitude, and move to the right. What breaks first: sense, grammar, or spelling?
# - At 60 %, press each method in turn.
# - Type a beginning of your own. It can only use characters of the reference, so no accents.

# %%
writer = widgets.writing_slider(net, task)
writer

# %% [markdown] tags=["slide"]
# ## A third costs little, a half and more a lot
#
# More and more words are invented. The loss counts that in one number.

# %% tags=["on-slide"]
tried = np.array([0.0, 0.3, 0.5, 0.6, 0.7])
by_size = [LocalPruner("mp", s, stages=1, exclude="head").prune(net, task).network() for s in tried]
risen = np.array([training.evaluate(pruned, task, "test").loss for pruned in by_size])
twice = float(np.interp(2 * risen[0], risen, tried))
doubled.reveal(
    pd.DataFrame({"pruned": [f"{100 * s:.0f} %" for s in tried], "loss": risen.round(2)}).set_index("pruned"),
    answer=twice,
)

# %% [markdown]
# For paper, three of the settings:

# %%
writer.stills(
    {"sparsity": 0.5, "method": "mp"}, {"sparsity": 0.6, "method": "mp"}, {"sparsity": 0.6, "method": "sparsegpt"}
)

# %% [markdown]
# Sense was never there, probably because the model is so small (we tried no larger one), and even whole it invents a word now and then. The more weights you prune, the more words it invents, until hardly any real word is left. But one short text
# is a poor measure: at 60 % SparseGPT's has 12 invented words and magnitude's 11, though SparseGPT's loss is far lower
# (1.65 and 2.21). The loss judges every character of the test text. Each method here takes the same number of weights in one go, and nothing is trained afterwards. One of them has a
# smaller loss than the others over most of the slider. Why?
#
# ## 2. One map
#
# All of these methods, and most that came in between, answer the same three questions:
#
# 1. **What is modelled?** The loss; or the output of one layer; or nothing at all, as in magnitude pruning.
# 2. **With which curvature?** None, the diagonal, or the off-diagonal terms of pairs of weights too.
# 3. **What about the weights that stay?** They stay as they are, or they are changed to make up for what goes.

# %% [markdown] tags=["slide"]
# ## One map, three questions
#
# What is modelled? With which curvature? Do the weights that stay change? (Filled: yes.)

# %% tags=["on-slide"] alt="A map of thirteen methods. To the right: no curvature, the diagonal, pairs too. Upwards: nothing is modelled, the loss, a layer's output. OBD stands in the middle; arrows lead from it to OBS, to QM in stages and to Wanda, from OBS to WoodFisher and through OBC to SparseGPT, and from SNIP to SynFlow. LM in stages stands above SNIP. OBS, WoodFisher, OBC and SparseGPT are filled."
figure, ax = plt.subplots(figsize=(plots.WIDTH, 4.4), layout="constrained")
family.family(ax)
plt.show()

# %% [markdown]
# Filled boxes change the weights that stay. An arrow shows which formula a method can be derived from, not its history,
# and names what changes most. Notebook 02 stood in the middle row: LM, OBD, QM. (SNIP takes LM's formula to a network that
# is not trained yet. So does SynFlow, but it reads no data: in place of the loss it has a number made of the weights
# alone, which counts as *nothing* here.) One step to the right is the term that 02 found for two weights and then had to leave out. One step up, and the loss is
# replaced by something that a single layer can know. Those two steps are the rest of this notebook.

# %%
family.table()

# %% [markdown]
# *others*: what happens to the weights that stay. *compared*: among which weights the scores are ranked. *matrix*: the
# matrix whose entries serve as curvature. The **Fisher** matrix of WoodFisher is, like the GGN, a curvature made of first derivatives. *training*: a
# **lottery ticket** starts again from its first weights after each step, *gradual magnitude* prunes while it trains. OBS, OBC, SparseGPT and
# Wanda have "none" there: OBS because the update takes the place of training, the others also because training again is what one wants to avoid.
#
# ## 3. One layer in place of the loss
#
# A Linear layer turns an input $x$ ($F$ numbers) into $Wx$. Run some text through the network and keep what arrives at the layer: $X$, with a row for each
# character. Change $W$ by $\Delta W$. The **layer's error** is the squared change of its outputs, summed over characters and outputs:
#
# $$E(\Delta W) = \sum_n \lVert \Delta W\, x_n \rVert^2$$
#
# It needs no labels and no other layers. Ask of it what 02 asked of the loss: what if one weight goes alone?
#
# ### Exercise 6.1: One weight of a layer
#
# *easy, about 5 minutes.* Write `layer_saliency(weights, inputs)`: for each weight, the error $E$ when this weight becomes zero and all others stay. `weights` is
# [C, F], `inputs` [N, F].


# %% tags=["stub"]
def layer_saliency(weights, inputs):
    """Return [C, F]. For weights [[2.]] and inputs [[1.], [3.]] it is [[40.]]."""
    # your code


# %%
exercises.check("layer saliency", layer_saliency)

# %% [markdown]
# <details><summary>Hint 1</summary>Which output does the weight [c, f] belong to, and by how much does it change for one character?</details>
# <details><summary>Hint 2</summary>The sum over the characters touches the inputs alone: one number for each column of <code>inputs</code>.</details>


# %% tags=["solution"]
def layer_saliency(weights, inputs):
    # Without weight [c, f], output c loses w x_f; the squares of that, added up.
    return weights**2 * (inputs**2).sum(dim=0)


# %% [markdown] tags=["slide"]
# ## Wanda is OBD, asked of a layer
#
# A step $s$ of a row: the squared change of its output is
#
# $$E = \tfrac12\, s^\top H s, \qquad H = 2 X^\top X$$
#
# - At $s = 0$ it is zero, its least value: no slope.
# - The diagonal gives weight × norm of its input.
# - No labels, no other layers.
# - Inputs alike in size? Then it is magnitude in rows.

# %% [markdown]
# You have derived **Wanda**. Its score is the square root of that saliency, $\lvert w_{cf}\rvert \cdot \lVert X_f \rVert$, weight times norm of its input, which puts the weights in the
# same order. Taylor says the same: at the weights as they are, trained or not, $E$ is zero, its least value, so its slope is zero as well. What is left is
#
# $$E = \tfrac12\, s^\top H s, \qquad H = 2 X^\top X \ (F \times F),$$
#
# for the step $s$ of one row of $W$ (the rows add up), and as the layer is linear, nothing comes after the second order. Wanda is $\tfrac12 H_{ff} w^2$: **OBD, asked of a layer.** Compare
# the diagonal that you built in exercise 2.3, the mean of $p_c(1 - p_c)\, x_f^2$. The inputs are still there. What the loss knew, that some outputs are
# certain already and some matter more than others, has gone.
#
# By hand and by the library, on one layer:


# %%
def inputs_of(layer, tokens):
    found = []
    hook = layer.register_forward_pre_hook(lambda module, given: found.append(given[0].flatten(0, 1)))
    with torch.no_grad():
        net(tokens)
    hook.remove()
    return found[0]


# %% tags=["nbval-check-output"]
layer, place = net.block2.up, space.layers.index("block2.up")
tokens = task.sample(64, generator(0, "batch", 1))[0]  # what the pruner draws too
x = inputs_of(layer, tokens)
score = layer.weight.detach().abs() * x.norm(dim=0)
run = LocalPruner(WANDA, 0.5, stages=1, scope="row", exclude="head", batch_size=64).prune(net, task)
same = (score > score.median(dim=1, keepdim=True).values) == space.split(run.mask.kept)[place]
print(f"{x.shape[0]:,} inputs of {x.shape[1]} numbers; the same weights stay: {100 * same.double().mean():.2f} %")

# %% [markdown]
# Wanda ranks within a **row**, the weights of one output. Each output has an error of its own, so the method never has to ask which output matters more.
#
# Within a row, Wanda and magnitude differ only if the inputs differ in size. In models with billions of weights a few inputs are a hundred times as large as
# the others (according to Sun et al. 2024, who build on Dettmers et al. 2022). And here? Take the layer of 18 whose inputs differ most.

# %%
sizes = exercises.guess(
    "largest input", "Where they differ most: how many times as large as the median input norm is the largest one?"
)

# %% tags=["hide-input"]
some = dict(zip(space.layers, space.modules, strict=True))
norms = {name: inputs_of(module, tokens[:16]).norm(dim=0) for name, module in some.items()}
relative = {name: (norm / norm.median()).sort().values for name, norm in norms.items()}
largest = pd.Series({name: norm[-1].item() for name, norm in relative.items()}, name="largest / median")
figure, ax = plt.subplots(figsize=(7.4, 3), layout="constrained")
language.input_sizes(ax, relative)
plt.close(figure)
sizes.reveal(
    figure,
    "Not a hundred times: in most layers the largest input is at most about twice the median. Only the inputs of down differ widely.",
    largest.groupby(largest.index.str.split(".").str[-1], sort=False).max().round(1),
    answer=largest.max(),
    within=1.0,
    alt="Norms of the inputs of each kind of layer, sorted, as multiples of the median: nearly level for most layers; "
    f"the largest stands at {largest.max():.1f} times the median, in a layer called down.",
)

# %% [markdown]
# Where the inputs are of much the same size, Wanda can hardly choose otherwise than magnitude within a row. Mind this before you read the table of section 5: a small model is a poor judge of a method that was made for
# outliers.
#
# ### Exercise 6.2: Another unit
#
# *easy, about 4 minutes.* Input 3 of a layer is divided by 10, as if measured in another unit, and column 3 of $W$ is
# multiplied by 10, so that all outputs stay the same. Magnitude and Wanda then rank its weights anew. Whose mask can change?
#
# - a: that of magnitude alone
# - b: that of Wanda alone
# - c: both
# - d: neither

# %% tags=["stub"]
whose_mask = None  # "a", "b", "c" or "d"

# %%
exercises.check("another unit", whose_mask)

# %% [markdown]
# <details><summary>Hint 1</summary>Take one weight of column 3, and write down both scores, before and after.</details>
# <details><summary>Hint 2</summary>What does each score know of the inputs?</details>

# %% tags=["solution"]
whose_mask = "a"  # ten times the weight, a tenth of the norm: Wanda's score stays; magnitude sees the weight alone

# %% [markdown]
# ## 4. Paid back: OBS and SparseGPT
#
# In section 2 of notebook 02, two weights together cost more, or less, than the sum of their single costs, because of the term $H_{12} s_1 s_2$. A diagonal cannot hold it, so 02 and
# 03 left it out. But the term can be *used*. If inputs 1 and 2 tend to rise together, then weight 2 can take over a part of what weight 1 did.
#
# So let weight $k$ go, $s_k = -w_k$, and choose the steps of all the others so that $\tfrac12 s^\top H s$ becomes as small as it can. Setting the derivatives with respect to
# the others to zero says that $Hs$ is zero everywhere but at $k$: $Hs = \mu\, e_k$, where $e_k$ is the unit vector. Multiply by the inverse of $H$.
#
# ### Exercise 6.3: The update for one weight
#
# *medium, about 9 minutes.* Write `remove_one(row, hessian, k)`: the best new row [F] in which weight `k` is zero, and the increase of $\tfrac12 s^\top H s$ that
# remains. `row` is [F], `hessian` [F, F]. First find $\mu$ from $s_k = -w_k$.


# %% tags=["stub"]
def remove_one(row, hessian, k):
    """Return row and increase. Row [1., 1.], Hessian [[1., 0.5], [0.5, 1.]], k = 0: [0., 1.5] and 0.375."""
    # your code


# %%
exercises.check("remove one", remove_one)

# %% [markdown]
# <details><summary>Hint 1</summary>The step is a multiple of column k of the inverse. Which multiple makes its entry k equal to minus the weight?</details>
# <details><summary>Hint 2</summary>Put this step into the quadratic form: H times its inverse is the identity, and a single number is left below the square of the weight.</details>


# %% tags=["solution"]
def remove_one(row, hessian, k):
    inverse = torch.linalg.inv(hessian)
    step = -row[k] / inverse[k, k] * inverse[:, k]  # its entry k is minus the weight, the others pay back
    return row + step, row[k] ** 2 / (2 * inverse[k, k])


# %% [markdown] tags=["slide"]
# ## Paid back
#
# Weight $k$ goes; the others of its row make up for it as well as they can:
#
# $$s = -\frac{w_k}{[H^{-1}]_{kk}} H^{-1} e_k, \qquad E = \frac{w_k^2}{2 [H^{-1}]_{kk}}$$
#
# - **OBS**, and **OBC** for a layer: one weight at a time, and a new inverse after each.
# - **SparseGPT**: column after column; only what is to the right pays back. One inverse serves all rows.

# %% [markdown]
# That is the **Optimal Brain Surgeon** (OBS; Hassibi and Stork 1993), who asked it of the loss: a price $w_k^2 / 2[H^{-1}]_{kk}$ for each weight, and an update for the others.
# For a whole network the inverse is out of reach. For one layer it is not: $H$ is $F \times F$, and **the same for all rows**.
#
# One thing is still in the way. Take a weight out of a row, and the inverse changes, differently in each row. **OBC** (Frantar and Alistarh 2022) accepts that: OBS
# row by row, with a shortcut to each new inverse. **SparseGPT** (the same authors, 2023) goes through the columns from left to right in *all* rows, and lets only what is to the right pay back. Once a column is done, its weights are frozen in
# every row, pruned or kept. So every row has the same columns left, and one inverse serves them all. The price of OBS decides which weights go.
#
# How much is paid back? On one layer (16 of its 384 rows), take the mask that Wanda chooses, and compare the error without an update and with the best one there is: all weights that stay set anew, by least squares. What share of the error goes away at 50 %?

# %% [markdown] tags=["slide"]
# ## Guess: the same mask, with an update
#
# One layer, at 50 %, the mask that Wanda chooses. Then the weights that stay are set as well as can be.

# %% tags=["on-slide"]
back = exercises.guess(
    "paid back", "Of the layer's error at 50 %, which share does the update remove, same mask?", unit="%"
)

# %% [markdown] tags=["slide"]
# ## Even a good mask leaves much to pay back

# %% tags=["on-slide", "hide-input"]
hessian = layerwise.hessian(x)
some_rows = layer.weight.detach().double()[::24]
ways = errors_by_way(some_rows, hessian, np.linspace(0.1, 0.9, 9).round(1))
figure, ax = plt.subplots(figsize=(7.4, 3.3), gridspec_kw={"right": 0.7, "bottom": 0.16})
language.errors(ax, ways)
plt.close(figure)
half = ways.loc[0.5]
back.reveal(
    figure,
    "Errors in % of the square of the layer's output, by the share of each row that is pruned:",
    (100 * ways.loc[[0.3, 0.5, 0.7]]).round(1).rename(index="{:.0%}".format),
    f"At 50 %, Wanda's mask with its other weights set anew has {half['Wanda, updated'] / half['Wanda']:.0%} of the error left.",
    answer=1 - half["Wanda, updated"] / half["Wanda"],
    alt="Error of one layer, as a share of its output's square, against sparsity on a logarithmic scale: magnitude and Wanda highest, "
    "then SparseGPT, Wanda's mask with updated weights, and OBS one weight at a time lowest.",
)

# %% [markdown]
# The scale is logarithmic. OBS, which also chooses by what can be paid back, has the least; it took one inverse for
# each weight of each row. SparseGPT lies between Wanda's mask as it is and the same mask updated. One likely reason is that only what is to the right of a weight can pay for it; but its mask is a different one, too, and the figure does not separate these two causes.
#
# Then all layers. SparseGPT does two things at once, and notebook 04 taught us to separate such things: it chooses a mask, and it changes weights. Here is its mask with the
# old weights beside both together.

# %% [markdown] tags=["slide"]
# ## The mask, or the update?
#
# SparseGPT does both. So take them apart: the loss at 60 %.

# %% tags=["on-slide", "nbval-check-output"]
run = LocalPruner(SPARSEGPT, 0.6, stages=1, scope="layer", exclude="head", batch_size=64).prune(net, task)
only_mask = models.pretrained("tiny_gpt", task)
run.mask.apply_(only_mask)
sized = LocalPruner("mp", 0.6, stages=1, scope="layer", exclude="head").prune(net, task)
nets = {
    "dense": net,
    "magnitude, per layer": sized.network(),
    "SparseGPT's mask": only_mask,
    "and update": run.network(),
}
loss = {name: training.evaluate(one, task, "test").loss for name, one in nets.items()}
print(pd.Series(loss).round(2).to_string())

# %% [markdown]
# Look at the middle rows. SparseGPT's mask *without* the update is worse than magnitude per layer (1.87), although better
# than global magnitude (2.19). Perhaps it gives away weights because others can replace them, and then the replacement is
# missing. With the update, it is far better than all of these. **Here, at 60 %, all of the gain over magnitude per layer
# comes from the update.** Whether another mask with the same update would do as well, these rows do not say.
#
# ### Bonus 6.4: A whole row
#
# *hard, about 10 minutes.* Write `prune_row(row, hessian, number)`: take the weight of least price, let the others pay back, and go on with those that are left until
# `number` of them have gone. Mind the inverse: it is that of the Hessian of the weights that are *left*.


# %% tags=["stub", "bonus"]
def prune_row(row, hessian, number):
    """Return the new row [F]. For row [1., 1.], Hessian [[1., 0.5], [0.5, 1.]] and one weight it is [0., 1.5]."""
    # your code


# %%
exercises.check("prune a row", prune_row)

# %% [markdown]
# <details><summary>Hint 1</summary>Keep the places of the weights that are left in a tensor <code>left</code>; <code>hessian[left][:, left]</code> is their
# Hessian.</details>
# <details><summary>Hint 2</summary>Work on a copy of the row, <code>row.clone()</code>. What <code>argmin</code> gives is a place among those that are left.</details>


# %% tags=["solution"]
def prune_row(row, hessian, number):
    row, left = row.clone(), torch.arange(len(row))
    for _ in range(number):
        inverse_left = torch.linalg.inv(hessian[left][:, left])
        first = (row[left] ** 2 / inverse_left.diagonal()).argmin()
        row[left] -= row[left[first]] / inverse_left[first, first] * inverse_left[:, first]
        row[left[first]] = 0.0
        left = left[left != left[first]]  # what has gone must not come back
    return row


# %% [markdown]
# ## 5. A fair table
#
# Now all of them, and LM and QM in stages as well, which know the loss. The same network, the same layers, the same number of weights, no training afterwards. Each method that reads
# data gets 64 pieces of text at each stage, its **calibration data**, repeated for three random choices of texts. So LM and QM, in 14 stages, read
# 14 times as many as Wanda and SparseGPT in their one. (LM and QM have no step penalty: λ is 0, and was not tuned. QM's
# curvature is sampled with one column, as in notebook 05. *In turn*: each block is
# pruned with the inputs that it gets from the pruned blocks before it. The authors of SparseGPT choose its mask a block of columns at a time, we for a whole layer.) The loss on the test text decides.
#
# At 60 %, SparseGPT is first. Which of those that change no weight comes next?

# %% [markdown] tags=["slide"]
# ## Guess: who is second?
#
# At 60 % SparseGPT is first. All others leave the weights that stay as they are. The same network, the same layers, no training afterwards.

# %% tags=["on-slide"]
second = exercises.guess(
    "second at 60 %",
    "Which of these has the smallest loss at 60 %?",
    choices=[
        "MP, global",
        "MP, per layer",
        "Wanda, per row",
        "Wanda, per layer",
        "LM, global, 14 stages",
        "QM, global, 14 stages",
    ],
)

# %% [markdown] tags=["slide"]
# ## Nothing trained afterwards

# %% tags=["on-slide", "hide-input"]
table = results.losses(results.language_model())
plain = table[(table["shares"] == "") & (table["scope"] != "2:4")]
figure, ax = plt.subplots(figsize=(plots.WIDTH, 3.8), gridspec_kw={"right": 0.68, "bottom": 0.14})
language.losses(ax, plain, loss["dense"])
plt.close(figure)
of_choices = plain[(plain["sparsity"] == 0.6) & plain["label"].isin(second.choices)]
second.reveal(
    figure,
    plain.pivot(index="label", columns="sparsity", values="loss").round(2),
    "Up to 60 % SparseGPT is first: 1.34 at 50 %, 1.60 or 1.61 at 60 %.",
    "QM in 14 stages begins behind magnitude in each layer, is level with it at 50 % (1.51 and 1.49), and ahead at 60 % (1.68 and 1.87).",
    "From 70 % on QM is first, though it changes no weights: 1.89 at 70 %, against 2.12 for SparseGPT at its best.",
    answer=of_choices.loc[of_choices["loss"].idxmin(), "label"],
    alt="Loss against sparsity for all ways to prune: SparseGPT is lowest up to 60 %, QM in 14 stages from 70 % on; "
    "magnitude over the whole network rises most steeply.",
)

# %% [markdown]
# What to see besides:
#
# - **Wanda**, ranked per layer, stays within 0.05 nats of magnitude per layer up to 60 %, and is behind it from 70 % on.
#   That the inputs are of much the same size (section 3) may be why they are so close; we did not test it. Ranked per row,
#   as published, Wanda is 0.13 behind magnitude per layer at 60 %; from 70 % on it does slightly better than Wanda per
#   layer, but is still behind magnitude. The table does not say why.
# - **LM** trails QM throughout. Up to 60 % it is behind even magnitude in each layer (1.93 and 1.87 there), from 70 % on ahead of it. At 80 % it has passed SparseGPT (2.67 and 2.79).
# - The effort is **not equal**: LM and QM had 14 stages, and 14 times the text.
#
# What does it cost? Seconds of processor time for one pruning, and the least and largest loss over the three choices of
# texts (magnitude reads no data, so one run says all):

# %%
costs = plain[plain["sparsity"] == 0.6].set_index("label")
costs[["seeds", "loss", "loss_least", "loss_most", "seconds"]].round(2)

# %% [markdown]
# ### Two of four
#
# Zeros at any place save memory, but hardly any time. Some hardware is faster if exactly two of each **four neighbours** in a row are zero (Mishra et al. 2021). That
# is a sparsity of 50 % with a rule on where the zeros may be, called **2:4**.
#
# ### Exercise 6.5: Two of each four
#
# *easy, about 5 minutes.* Write `two_of_four(scores)`: a bool tensor [C, F], True for exactly two in each group of four neighbours of a row: those of the largest score (where scores tie, any of them). F is a
# multiple of four.


# %% tags=["stub"]
def two_of_four(scores):
    """Return a bool mask [C, F]. For [[4., 1., 3., 2.]] it is [[True, False, True, False]]."""
    # your code


# %%
exercises.check("two of four", two_of_four)

# %% [markdown]
# <details><summary>Hint 1</summary><code>scores.unflatten(1, (-1, 4))</code> is [C, F/4, 4]; <code>flatten(1)</code> is the way back.</details>
# <details><summary>Hint 2</summary><code>topk</code> gives the places of the two largest, and <code>scatter</code> writes True there. (A threshold keeps too many where scores tie.)</details>


# %% tags=["solution"]
def two_of_four(scores):
    groups = scores.unflatten(1, (-1, 4))
    places = groups.topk(2, dim=-1).indices
    return torch.zeros_like(groups, dtype=torch.bool).scatter(-1, places, True).flatten(1)


# %% [markdown]
# What does the rule cost? The same sparsity with it, and without it, by the number of stages. (Without it, methods in one
# stage rank each layer alone, LM and QM all layers together.)

# %%
in_words = {"mp": "MP", "lm": "LM", "qm": "QM", "wanda": "Wanda", "sparsegpt": "SparseGPT"}
in_words |= {"sparsegpt in turn": "SparseGPT, in turn", "shuffled": "random"}
half = table[(table["sparsity"] == 0.5) & (table["shares"] == "")].replace({"method": in_words})
half = half.assign(rule=np.where(half["scope"] == "2:4", "2:4", "anywhere"))
half = half[(half["rule"] == "2:4") | (half["scope"] == "layer") | (half["stages"] > 1)]  # the one way without it
half = half.pivot(index="method", columns=["rule", "stages"], values="loss").sort_index(axis=1)
half.map("{:.2f}".format).replace("nan", "")

# %% [markdown]
# Compare within one stage: there the rule costs MP and Wanda 0.45 nats, and SparseGPT, which pays back, 0.27. LM and QM were run with the rule in one
# stage only, and without it in 14. So their two numbers differ by the stages as well, and do not say what the rule costs.
#
# ### The controls of notebook 04
#
# Was it the single weights, or the shares of the layers? QM in 14 stages ranks all weights together, so it chooses shares too. Below, under *QM's shares*, each way to choose *within* the layers keeps as many weights of each
# layer as QM does; under *equal shares*, every layer keeps the same share. One guess before you look.

# %% [markdown] tags=["slide"]
# ## Guess: the controls, once more
#
# QM in 14 stages chooses the layers' shares as well. The control: the *largest* weights of each layer, as many as QM keeps there.

# %% tags=["on-slide"]
whose = exercises.guess(
    "magnitude in QM's shares",
    "At 60 %: the largest weights, in QM's numbers for each layer, beside QM's own choice. Their loss is ...",
    choices=["lower", "the same within 0.05 nats", "higher"],
)

# %% [markdown] tags=["slide"]
# ## How much of each layer

# %% tags=["on-slide"]
within = table[(table["scope"] == "layer") | (table["label"] == "QM, global, 14 stages")].query("sparsity >= 0.5")
of_qm = (within["shares"] == "qm") | (within["method"] == "qm")
within = within.assign(shares=np.where(of_qm, "QM's shares", "equal shares"))
within = within.pivot(index="method", columns=["shares", "sparsity"], values="loss")
ahead = within.loc["mp", ("QM's shares", 0.6)] - within.loc["qm", ("QM's shares", 0.6)]
whose.reveal(
    within.rename(index=in_words | {"qm": "QM itself"}).map("{:.2f}".format).replace("nan", ""),
    "In QM's shares, magnitude is better than QM's own choice from 50 to 70 % (1.48 and 1.68 at 60 %), and also better than SparseGPT at equal shares (1.61 there).",
    "Only at 80 % is QM's own choice ahead of it (2.21 and 2.40).",
    answer="lower" if ahead < -0.05 else "higher" if ahead > 0.05 else "the same within 0.05 nats",
)

# %% [markdown] tags=["slide"]
# ## What QM found
#
# More of the first block, less of the last. Magnitude over the whole network starves *value* and *proj* of the first.

# %% tags=["on-slide"] alt="Share of its weights that each layer keeps at 60 %: level for methods that prune each layer alike; MP over the whole network and QM in stages give some layers more than others."
kept = results.layer_shares(results.language_model(), 0.6).loc[["MP, global", "MP, per layer", "QM, global, 14 stages"]]
figure, ax = plt.subplots(figsize=(plots.WIDTH, 3), layout="constrained")
language.shares(ax, kept)
ax.set_title("60 % pruned", loc="left", pad=22)
plt.show()

# %% [markdown]
# Read the outcome above row by row. QM's shares and
# SparseGPT can be combined: that is the best of the whole table (1.36 at 60 %), though at 80 % QM itself is about level with it. (Random weights in these shares lose far more, so single weights do
# count. Yet at 80 % even they are about as good as Wanda at equal shares.)
#
# The figure says what QM found. It keeps more of the first block and gives up more of the last. Magnitude over the whole
# network takes most from *value* and *proj* of the first block, and keeps about 22 % of them; QM keeps about 64 %.
#
# So half of our story comes back, on a network of another kind: shares count. The other half depends on the sparsity. In notebook 04, right after pruning to 95 %, QM's own weights were far
# ahead of magnitude in the same shares (an accuracy of 87 and 56 %); here they are ahead at 80 %, and behind from 50 to 70 %. **From 50 to 70 %, QM's shares were worth more than its choice within them.** Within a layer, even
# plain magnitude did better from 50 to 70 %, and best of all was a model of that layer alone that pays back. Mind what this is: one small network, one text, three choices of calibration texts, and no training afterwards.
#
# ## 6. A model of your own
#
# The same lines prune a model from the `transformers` package, if it is made of Linear layers, as Llama, Qwen and OPT are. (GPT-2 is not; the library says so.) Give the folder of one that is on
# your disk. Nothing is downloaded, and where the folder or the package is missing, a sentence says so.


# %%
def prune_own(folder, text, sparsity=0.5, length=64):
    if not Path(folder).is_dir():
        return f"Not here: there is no folder {folder}"
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        own = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).float().eval()
        ids = AutoTokenizer.from_pretrained(folder, local_files_only=True)(text, return_tensors="pt").input_ids[0]
    except (ImportError, OSError, ValueError) as error:
        return f"Not here: {str(error).splitlines()[0]}"
    pieces = ids.unfold(0, length + 1, length)
    before, after = pieces[:, :-1].contiguous(), pieces[:, 1:].contiguous()
    held = len(pieces) // 5
    splits = [
        part for k in (slice(2 * held, None), slice(held), slice(held, 2 * held)) for part in (before[k], after[k])
    ]
    own_task = data.Task.from_tensors(*splits, classes=own.config.vocab_size)
    pruner = LocalPruner(WANDA, sparsity, stages=1, scope="row", batch_size=32, exclude="*head*")
    pruned = pruner.prune(own, own_task).network()
    return {name: training.evaluate(one, own_task, "test").loss for name, one in (("dense", own), ("Wanda", pruned))}


prune_own("models/my-model", data.characters.text())

# %% [markdown]
# For a model that fits into memory only once, prune one block after another: `layerwise.in_turn`, and [the recipe](RECIPES.md).
#
# ## What we saw
#
# - Wanda is OBD and SparseGPT is OBS, asked of one layer's outputs in place of the loss. The expansion is that of notebook 02, and for a layer it is exact.
# - Paying back is what makes SparseGPT good here: at 60 %, its mask alone is worse than magnitude per layer (2.11 and 1.87). Ranked per
#   layer, Wanda stays within 0.05 nats of magnitude per layer up to 60 %; ranked per row, as published, it is 0.13 behind at 60 %. We
#   did not test why.
# - The shares of the layers matter again. Magnitude in QM's shares beats QM itself from 50 to 70 %, and SparseGPT in QM's shares is the best of all (at 80 % about level with QM).
#
# **Next**: [the glossary](GLOSSARY.md), and a model of your own.
#
# **Sources**: Y. LeCun, J. Denker, S. Solla, *Optimal Brain Damage*, NIPS 2, 1990; B. Hassibi, D. Stork, *Second Order Derivatives for Network Pruning: Optimal Brain
# Surgeon*, NIPS 5, 1993; S. Han et al., *Learning both Weights and Connections*, 2015; M. Zhu, S. Gupta, *To prune, or not to prune*, 2017; J. Frankle, M. Carbin, *The Lottery Ticket
# Hypothesis*, 2019; N. Lee et al., *SNIP*, 2019; H. Tanaka et al., *Pruning neural networks without any data by iteratively conserving synaptic flow* (SynFlow), NeurIPS 33, 2020; S. P. Singh, D. Alistarh, *WoodFisher*, 2020; C. Laurent et al., arXiv 2006.12279, 2020; A. Mishra et al., *Accelerating Sparse Deep
# Neural Networks*, 2021; T. Dettmers et al., *LLM.int8()*, 2022; E. Frantar, D. Alistarh, *Optimal Brain Compression* (OBC), NeurIPS 35, 2022; E. Frantar, D. Alistarh, *SparseGPT*, 2023; M. Sun et al., *A Simple and Effective Pruning Approach for Large Language
# Models* (Wanda), arXiv 2306.11695, ICLR 2024.

# %% [markdown] tags=["slide"]
# ## What to ask of a new method
#
# 1. What does it model, the loss or a layer?
# 2. With which curvature?
# 3. Does it change the weights that stay, and what is its mask worth without that?
# 4. What does it do at another method's shares?

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why it is right or wrong.
#
# **1. Why does Wanda need no gradient?**
# <details><summary>The trained network has reached a minimum of the loss</summary>No. The loss has no part in it, and notebook 02 showed that its slopes are not zero.</details>
# <details><summary>Its error is zero at the weights as they are, which is as small as a square can be</summary>Right. So the slope of that error is zero, exactly.</details>
# <details><summary>The gradient is contained in the norm of the input</summary>No. Its square is half the curvature's diagonal.</details>
#
# **2. In a layer, all inputs have the same norm. How does Wanda differ from magnitude within a row?**
# <details><summary>Not at all</summary>Right. Each weight of the row is multiplied by the same number, so the order stays.</details>
# <details><summary>It keeps larger weights</summary>No. Both keep the largest, as the norms only scale them all alike.</details>
# <details><summary>It depends on how the inputs go together</summary>No. How inputs go together is off the diagonal, and Wanda reads the diagonal alone.</details>
#
# **3. All inputs of a layer are independent, with mean zero. What does the update of SparseGPT change?**
# <details><summary>Next to nothing</summary>Right. The Hessian is nearly diagonal, and so is its inverse: nobody can take over another's work.</details>
# <details><summary>As much as ever</summary>No. A weight can only pay back what its input shares with the other one's.</details>
# <details><summary>More, as there is nothing in the way</summary>No. Without inputs that rise together there is nothing to pay back with.</details>
#
# **4. A new method beats SparseGPT at 60 %, and gives some layers more weights than others. Which control do you run first?**
# <details><summary>SparseGPT at the same sparsity with other texts</summary>That says how much chance there is in it, not why the new method wins.</details>
# <details><summary>SparseGPT at the new method's shares of the layers</summary>Right. What is left then is not the budget's.</details>
# <details><summary>Magnitude over the whole network</summary>No. It changes the shares, the mask and the update at once.</details>
#
# **5. For one weight of one layer OBS is exact. Is it then the best way to prune the network?**
# <details><summary>Yes, exact is exact</summary>No. It is exact for an error that knows nothing of the loss, nor of the layers above.</details>
# <details><summary>Not necessarily: the sum of the layers' errors is not the loss</summary>Right. What a layer's output is worth to the loss does not enter, and the table has to say how well that works.</details>
# <details><summary>No, because Taylor's expansion is too short</summary>No. The layer is linear, so nothing is beyond the second order.</details>
