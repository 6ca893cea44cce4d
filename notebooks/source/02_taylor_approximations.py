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
# # 02 Taylor approximations
#
# **After this notebook you can**
# - derive the criteria LM, QM and OBD from one formula, and say what each of them leaves out;
# - build the exact diagonal of the generalised Gauss-Newton matrix for a layer;
# - split a wrong prediction into its causes, and measure how far a model can be trusted.
#
# **You need** derivatives of functions of many variables, and notebook 00 (sparsity, magnitude pruning).
# **It takes** about 35 minutes to read and run, and as much again for the exercises; the computing takes seconds, and nothing is downloaded.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from lossprune_lib import BatchLoss, LossModel, WeightSpace, criteria, data, exercises, models, widgets
from lossprune_lib.loss_modelling import forecast
from lossprune_lib.plots import taylor as taylor_plots
from lossprune_lib.pruning import ranking
from lossprune_lib.seeds import generator

# %%
task = data.load("digits")
net = models.pretrained("mlp_300_100", task)

# %% [markdown]
# ## 1. One step, and the truth about it
#
# Put all weights that may be pruned into one long vector $\theta$ (`weights`), of length $D$. The loss $L(\theta)$ is the mean
# cross-entropy over a batch of training examples, in nats (its logarithm is the natural one). We take one batch and keep it.
# `risk` is the loss of this batch as a function of the weights. All that is never pruned, the biases for example, stays as it is.

# %%
space = WeightSpace(net)
weights = space.read()
batch = task.sample(1000, generator(0, "batch", 1))
risk = BatchLoss(net, batch)

# %% [markdown]
# Pruning weight $k$ sets $\theta_k$ to zero, so it moves that weight by $-\theta_k$. Do this for all weights that go, leave the
# others alone, and you have a **step** $\Delta\theta$ (`step`). The loss then changes by
#
# $$\text{true change} = L(\theta + \Delta\theta) - L(\theta),$$
#
# which has a sign: the loss may also fall. Here is the step of magnitude pruning to 80 % in one go. `ranking.path` holds
# everything about the steps of one criterion from one point.

# %% tags=["nbval-check-output"]
mp = ranking.path(net, task, batch, "mp")
step = mp.step(0.8)
print(f"D = {space.size:,} weights, of which the step moves {int((step != 0).sum()):,}")
print(f"true change of the loss at 80 %: {mp.true_change(0.8):+.2f} nats")

# %% [markdown]
# To know this, we had to run the pruned network. There are more ways of choosing weights than anyone can run.
# So we want a *prediction*, from what we know at $\theta$ alone.

# %% [markdown]
# ## 2. The Taylor expansion
#
# Close to $\theta$, a smooth function is nearly a polynomial:
#
# $$L(\theta + \Delta\theta) - L(\theta) \approx \underbrace{g^\top \Delta\theta}_{\text{1st order}} +
# \underbrace{\tfrac12\, \Delta\theta^\top H\, \Delta\theta}_{\text{2nd order}}$$
#
# - $g$ (`gradient`, $D$ numbers): the slope of the loss in each weight's direction;
# - $H$, the **Hessian** ($D \times D$ numbers): how each slope changes as each weight moves.
#
# The *first-order* expansion is the first term alone, the *second-order* one is both together. The question of this notebook is what "close to" means. **At 80 %, which share of the true change will the second-order
# expansion foresee, with the full Hessian and no shortcut at all?**

# %%
foreseen = exercises.guess(
    "second order at 80 %", "Which share of the true change does the second order predict?", unit="%"
)

# %% [markdown]
# The matrix $H$ is far too large to be built. But we only need what it does to *one* vector, and that costs about as much as
# a few gradients. `mp.forecast` does it exactly.

# %% tags=["nbval-check-output"]
found = mp.forecast(0.8, ("first", "hessian"))
for order, change in found.changes().items():
    print(f"{forecast.ORDERS[order]:25} foresees {change / mp.true_change(0.8):.0%} of the true change")

# %%
foreseen.reveal(
    "The share is that of the full Hessian in the lines above.",
    answer=found.change("hessian") / mp.true_change(0.8),
)

# %% [markdown]
# To see why, walk along the step: a share of it, from nothing (0 %) to all of it (100 %).

# %%
shares = np.linspace(0, 1, 41)
truth = forecast.loss_along(risk, weights, step)
line = pd.DataFrame({"share": shares, "true_change": [truth(share) for share in shares]})
for order in found.quadratic_form:
    line[order] = [found.change(order, share) for share in shares]

# %% alt="Change of the loss against the share of the step to 80 %, whole on the left: the truth climbs away from both models. First quarter enlarged on the right: the second-order model stays close to the truth, the first-order one falls below."
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
for ax, end in zip(axes, (1, 0.25), strict=True):
    taylor_plots.predictions(ax, line[line["share"] <= end], list(found.quadratic_form), "share")
axes[0].legend(fontsize=8.5)
axes[1].set_title("the first quarter of the step, enlarged", fontsize=10)
plt.show()

# %% [markdown]
# Left: on the whole step, both models stay at the bottom while the truth (thick) climbs away. Right: at the beginning, the
# second-order model lies on the truth. It leaves the grey band (10 % of the truth) only near the right end, before a quarter of the step is done.
# Nothing is wrong with the formula. **The step is too long for it.**

# %% [markdown]
# ## 3. From the expansion to LM, QM and OBD
#
# A criterion must give each *single* weight a number. So insert the step that prunes weight $k$ alone, $-\theta_k$:
#
# $$\Delta L_k \approx -g_k \theta_k + \tfrac12 H_{kk}\, \theta_k^2$$
#
# Only the diagonal entry $H_{kk}$ is left. We replace it by $G_{kk}$ (`curvature`), a relative of it that section 5 explains.
# The **saliency** of a weight is the size of this change; the weights with the smallest are pruned:
#
# | | saliency of weight $k$ | leaves out |
# |---|---|---|
# | **LM**, linear model | $\lvert g_k\theta_k\rvert$ | the curvature |
# | **QM**, quadratic model | $\lvert -g_k\theta_k + \tfrac12 G_{kk}\theta_k^2\rvert$ | only what all leave out: other weights |
# | **OBD**, Optimal Brain Damage | $\tfrac12 G_{kk}\theta_k^2$ | the gradient |
# | MP, magnitude | $\theta_k^2$ | the loss |
#
# To each of the first three saliencies a **step penalty** $\tfrac12\lambda\theta_k^2$ may be added (`step_penalty` is $\lambda \ge 0$), which makes
# long steps dearer. As $\lambda$ grows, all of them come to rank the weights as MP does; notebook 03 shows it.

# %% [markdown]
# ### Exercise 2.1: The saliency of LM
#
# *easy, about 3 minutes.* Write `lm_saliency(weights, gradient)`. In: two tensors `[D]`. Out: a tensor `[D]`, the
# saliency of each weight in the linear model, without step penalty.


# %% tags=["stub"]
def lm_saliency(weights, gradient):
    # your code
    return None


# %%
exercises.check("LM saliency", lm_saliency)

# %% [markdown]
# <details><summary>Hint 1</summary>The step of weight k is minus the weight. What does the first-order term say of it?</details>
# <details><summary>Hint 2</summary>A saliency is a size, so it is never below zero.</details>


# %% tags=["solution"]
def lm_saliency(weights, gradient):
    # The change that is expected from pruning a weight alone is gradient * step, and the step is -weight.
    return (-gradient * weights).abs()


# %% [markdown]
# ### Exercise 2.2: The saliency of QM
#
# *medium, about 5 minutes.* Write `qm_saliency(weights, gradient, curvature, step_penalty)`. In: three tensors `[D]` and a number. Out: a
# tensor `[D]`, the saliency of each weight in the quadratic model, step penalty included.


# %% tags=["stub"]
def qm_saliency(weights, gradient, curvature, step_penalty):
    # your code
    return None


# %%
exercises.check("QM saliency", qm_saliency)

# %% [markdown]
# <details><summary>Hint 1</summary>First the signed change of each weight, from the table above. Mind its two signs.</details>
# <details><summary>Hint 2</summary>The penalty is a price for length. It is added to the size of the change, not to the change.</details>


# %% tags=["solution"]
def qm_saliency(weights, gradient, curvature, step_penalty):
    change = -gradient * weights + curvature * weights**2 / 2
    # The penalty comes after the absolute value: it must not make up for a change that is negative.
    return change.abs() + step_penalty * weights**2 / 2


# %% [markdown]
# ## 4. Why absolute values
#
# Some weights lower the loss when they go, says the model; others raise it. Added up over all weights that are pruned, the
# signed changes are the model's **predicted change**. Their sizes add up to the **sum of saliencies**.
# Here are both, as magnitude pruning takes more and more weights, the smallest first.

# %%
changes = criteria.modelled_change(mp.model, "qm")

# %% alt="Running sums of the modelled changes against sparsity: the sum of absolute values lies above the sum with signs everywhere, and both rise ever faster."
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
taylor_plots.cancellation(ax, changes[weights.abs().argsort()])
ax.legend()
plt.show()

# %% tags=["nbval-check-output"]
print(f"{(changes < 0).float().mean():.0%} of the weights would lower the loss, says the model")
for kappa in (0.5, 0.8, 0.95):
    pair = mp.predicted_change(kappa, "diagonal"), mp.saliency_sum(kappa)
    print(
        f"at {kappa:.0%}: predicted {pair[0]:+.2f}, sum of saliencies {pair[1]:.2f}, true {mp.true_change(kappa):+.2f} nats"
    )

# %% [markdown]
# The sum of saliencies lies above the prediction, because signs cancel in one and not in the other. It is a **bound**: the modelled change, up
# or down, is never larger. It is *not* a prediction, and no bound on the truth either: look at the last two rows.
#
# Why prune by the size, then, when a negative change looks like a gift? First, a gift of the model is not a gift of the network:
# a large negative change says that much will happen, and that is where a model is least to be trusted.
# Second, the aim is to *keep* the function that was learned. Small sizes keep the bound small, whatever the signs.

# %% [markdown]
# ### Exercise 2.3: What the model promises
#
# *medium, about 5 minutes.* Write `predicted_change(weights, gradient, curvature, kept)`: the signed change of the loss that the quadratic model
# (with a diagonal) predicts. In: three tensors `[D]`, and `kept`, bool `[D]`, True where a weight stays. Out: one number.


# %% tags=["stub"]
def predicted_change(weights, gradient, curvature, kept):
    # your code
    return None


# %%
exercises.check("predicted change", predicted_change)

# %% [markdown]
# <details><summary>Hint 1</summary>Make the step first: zero where a weight is kept, minus the weight where it goes.
# <code>torch.where</code> does that.</details>
# <details><summary>Hint 2</summary>Gradient times step, plus half of curvature times step squared, summed over all weights. Signs stay.</details>


# %% tags=["solution"]
def predicted_change(weights, gradient, curvature, kept):
    step = torch.where(kept, 0.0, -weights)
    # The sum keeps its signs: absolute values would give the bound.
    return (gradient * step + curvature * step**2 / 2).sum()


# %% [markdown]
# ## 5. Why the GGN and not the Hessian
#
# The network turns weights into **logits** $z$ (one for each of $C$ classes), and the loss turns logits into a number. Write $J$ for the
# Jacobian of one example's logits by the weights ($C \times D$), $p$ for the softmax of the logits, and $y$ for the label as a vector with
# a single one. Differentiate twice by the weights, and $H$ falls into two parts; both are means over the examples:
#
# $$H = \underbrace{J^\top (\mathrm{diag}(p) - p p^\top)\, J}_{G,\ \text{the GGN}} + \sum_c (p_c - y_c)\, \nabla^2 z_c$$
#
# The **generalised Gauss-Newton matrix** $G$ is the curvature that comes from the loss. It needs first derivatives of the
# network only. The second part is the network's own curvature ($\nabla^2 z_c$ is the Hessian of a logit), and where every prediction is right and certain
# ($p = y$), it vanishes. $G$ can be written as a sum of squares, so $v^\top G v \ge 0$ for every direction $v$.
# For $H$ nothing of the kind holds. Let us look for directions of single weights in which the loss bends *down*.

# %%
pruned_at = weights + mp.step(0.8)
chosen = torch.randperm(space.size, generator=generator(0, "directions"))[:60]


def bends(at):
    directions = torch.nn.functional.one_hot(chosen, space.size).to(weights)
    return torch.tensor([risk.quadratic_form(at, direction, "hessian") for direction in directions])


# %%
places = {"trained": weights, "pruned to 80 %": pruned_at}
bent = {where: bends(at) for where, at in places.items()}
ggn = {where: risk.model(at).curvature[chosen] for where, at in places.items()}

# %% tags=["nbval-check-output"]
for where in places:
    down = f"H_kk < 0 for {(bent[where] < 0).sum()}, G_kk < 0 for {(ggn[where] < 0).sum()}"
    print(f"{where}: of {len(chosen)} weights, {down}")

# %% [markdown]
# In the trained network there are no such directions among those that we tried. After pruning there are some, and every stage of
# pruning but the first works with a pruned network. With such an $H_{kk}$, OBD's saliency would be negative: it would prune *large* weights there
# first, trusting that the parabola falls for ever. With $G$ this cannot happen.
#
# Taking $G$ for $H$ has a price. How far apart are the two at the trained network, along the step of magnitude pruning?

# %% tags=["nbval-check-output"]
both = mp.forecast(0.8, ("ggn", "hessian")).quadratic_form
print(f"step^T G step is {both['ggn'] / both['hessian']:.0%} of step^T H step at 80 %")

# %% [markdown]
# ## 6. Why its diagonal
#
# The full matrix has $D^2$ entries, the diagonal $D$.

# %% tags=["nbval-check-output"]
for name, number in {"diagonal": space.size, "full matrix": space.size**2}.items():
    print(f"{name}: {number:,} numbers, {number * 4 / 2**20:,.1f} MiB as float32")

# %% [markdown]
# And the diagonal can be *ranked*: each weight has a number of its own. With the full matrix, what a weight costs depends on
# which others go. The diagonal acts as if weights went one at a time; what is lost by this we will measure.

# %% [markdown]
# ## 7. The exact diagonal, by hand
#
# Take the last layer, a `Linear` with weight $W$ ($C \times F$). For one example with input $x$ ($F$ numbers), its logits are
# $z = Wx + b$ ($b$: the bias), so $\partial z_c / \partial W_{cf} = x_f$, and no other logit depends on $W_{cf}$. Insert this into $J^\top(\mathrm{diag}(p) - pp^\top)J$:
# the entry on the diagonal is $x_f^2$ times the $c$-th diagonal entry of $\mathrm{diag}(p) - pp^\top$.

# %% [markdown]
# ### Exercise 2.4: The diagonal of the last layer
#
# *hard, about 8 minutes.* Write `last_layer_diagonal(inputs, logits)`. In: the layer's `inputs` `[N, F]` and the network's
# `logits` `[N, C]`, for $N$ examples. Out: the diagonal of the GGN of the *mean* loss, as a tensor `[C, F]`, in the shape of the weight.


# %% tags=["stub"]
def last_layer_diagonal(inputs, logits):
    # your code
    return None


# %%
exercises.check("diagonal of the last layer", last_layer_diagonal)

# %% [markdown]
# <details><summary>Hint 1</summary>What stands on the diagonal of diag(p) - p p^T? A product of p with something.</details>
# <details><summary>Hint 2</summary>For each example, an outer product of C numbers with F numbers; then the mean over the examples.
# One matrix product does both.</details>


# %% tags=["solution"]
def last_layer_diagonal(inputs, logits):
    p = logits.softmax(1)
    # [C, N] @ [N, F]: multiplies example by example, and adds.
    return (p * (1 - p)).T @ inputs**2 / len(inputs)


# %% [markdown]
# For the layers before the last one, logits depend on all weights, and a small trick helps. Find columns $r_s$ (a **root**) with
# $\sum_s r_s r_s^\top = \mathrm{diag}(p) - pp^\top$. Then $G = \sum_s (J^\top r_s)(J^\top r_s)^\top$, and its diagonal is a sum of squares of
# vectors $J^\top r_s$. Each is an ordinary backward pass that starts with $r_s$ at the logits. Here is one root, tried on the last layer, where the
# entry of $J^\top r_s$ at $W_{cf}$ is $r_{sc}\, x_f$. Column $s$ is $\sqrt{p_s}\,(e_s - p)$, where $e_s$ has a one at class $s$ and zeros elsewhere.

# %%
x, y = batch
with torch.no_grad():
    inputs, logits = net[:-1](x), net(x)
p = logits.softmax(1)

# %%
root = p.sqrt().T.unsqueeze(2) * (torch.eye(task.classes, device=p.device).unsqueeze(1) - p)  # [columns, N, C]
by_root = root.square().sum(0).T @ inputs.square() / len(x)

# %%
model = LossModel.at(net, batch, order=2)
by_library = space.split(model.curvature)[-1]

# %% tags=["nbval-check-output"]
print("by hand, from a root, shape", list(by_root.shape))
print("same as the library's:", torch.allclose(by_root, by_library, rtol=1e-3, atol=1e-7))

# %% [markdown]
# For an inner `Linear` layer the same holds: the squares of the backward pass at its output, times its squared inputs, summed over columns and
# examples. The library does so for every layer, with a root that has one column less. No sampling, no approximation: **the diagonal is exact**.

# %% [markdown]
# ## 8. May OBD forget the gradient?
#
# OBD assumes that training has ended in a valley, where the gradient is zero. We can look: at the trained
# network, and after the first of two stages to 80 %. How much of the quadratic model's prediction comes from the gradient? And does the loss
# still slope, if all weights shrink a little ($\Delta\theta = -0.01\,\theta$)?

# %%
after = ranking.path(net, task, batch, "mp", sparsity=0.8, stages=2)
points = {"trained": mp, f"pruned to {after.state.mask.sparsity:.0%}": after}
slopes = {
    name: path.predicted_change(0.8, "first") / path.predicted_change(0.8, "diagonal") for name, path in points.items()
}

# %% tags=["nbval-check-output"]
for name, path in points.items():
    shrunk = path.model.predicted_change(-0.01 * path.model.weights, order=1)
    print(
        f"{name}: the gradient makes {slopes[name]:.0%} of the prediction at 80 %; shrinking by 1 %: {shrunk:+.4f} nats"
    )

# %% [markdown]
# The gradient's part is far from zero, on this network, even before any pruning. The second number hints at a reason: when weights shrink, the loss rises. The network was
# trained with weight decay, which pulls every weight towards zero, and training rests where this pull and the slope of the loss
# balance, not where the loss alone is flat. Pruning moves along the pull, so the slope counts.

# %% [markdown]
# ### Exercise 2.5: An argument for OBD
#
# *medium, about 4 minutes.* Which of these arguments supports OBD's assumption, as far as it goes?
#
# - a: The curvature $G_{kk}$ is never negative, so the gradient term is not needed.
# - b: Training drives the gradient towards zero, so right after it $g_k\theta_k$ may be small beside $\tfrac12 G_{kk}\theta_k^2$; after a stage of pruning
#   this must be looked at afresh.
# - c: The terms $g_k\theta_k$ have both signs, so they cancel over the weights and can be left out.
# - d: The training loss is almost zero, so its gradient is zero too.

# %% tags=["stub"]
my_argument = None  # "a", "b", "c" or "d"

# %%
exercises.check("when the gradient is zero", my_argument)

# %% [markdown]
# <details><summary>Hint 1</summary>The saliency is about one weight at a time.</details>
# <details><summary>Hint 2</summary>Which argument would tell you *when* the assumption stops being good?</details>

# %% tags=["solution"]
my_argument = "b"  # the only one that is about the gradient's size, for single weights, and says where it ends

# %% [markdown]
# ## 9. Where does the error come from?
#
# From the truth to the sum of saliencies there are four shortcuts. Each has its price, and the prices add up:
#
# 1. **beyond the 2nd order**: the truth, minus the prediction with the full Hessian;
# 2. **GGN for the Hessian**: that prediction, minus the one with the full GGN;
# 3. **diagonal for the full GGN**: that one, minus the one with the diagonal;
# 4. **absolute values**: that one, minus the sum of saliencies (negative, as the sum is the larger one).
#
# For one and the same step, that of magnitude pruning in one go: **which cause is the largest at 90 %?**

# %%
cause = exercises.guess("largest cause at 90 %", "Which cause is the largest at 90 %?", choices=[1, 2, 3, 4])

# %%
settings = (0.5, 0.8, 0.9, 0.95)
rows = {}
for kappa in settings:
    rows[f"{kappa:.0%}"] = {
        "true": mp.true_change(kappa),
        **mp.forecast(kappa).changes(),
        "saliency_sum": mp.saliency_sum(kappa),
    }
predictions = pd.DataFrame(rows).T

# %% tags=["nbval-check-output"]
print("in per cent of the true change:")
print((100 * predictions.div(predictions["true"], axis=0)).round().astype(int).to_string())

# %%
ladder = predictions[["true", "hessian", "ggn", "diagonal", "saliency_sum"]]
split = -ladder.diff(axis=1).iloc[:, 1:]
split.columns = list(taylor_plots.CAUSES)[:4]

# %% tags=["nbval-check-output"]
print("the four causes, in per cent of the true change:")
print((100 * split.div(predictions["true"], axis=0)).round().astype(int).T.to_string())
print("they add up:", np.allclose(split.sum(axis=1), predictions["true"] - predictions["saliency_sum"]))

# %% alt="Stacked bars of the errors at four sparsities. At 50 % several causes matter and absolute values are the largest; at 80 % and above nearly all of the error is beyond the second order."
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained", width_ratios=(1, 3))
taylor_plots.causes(axes[0], split.iloc[:1])
taylor_plots.causes(axes[1], split.iloc[1:])
axes[1].legend(fontsize=8.5)
axes[1].set_ylabel("")
for ax in axes:
    ax.set_xlabel("sparsity")
plt.show()

# %% [markdown]
# Mind the two scales. At the lowest sparsity (left) several causes matter, absolute values the most. Further on (right) the black part grows much faster than the rest: it is
# what *no* second-order model can see.

# %%
largest = 1 + split.columns.get_loc(split.loc["90%"].abs().idxmax())
cause.reveal(f"The largest is {split.columns[largest - 1]}.", answer=largest)

# %% [markdown]
# ### Batch noise
#
# There is a fifth cause. Gradient and curvature come from a batch; another batch gives another model. Here are ten others of each size, all
# asked about the very same step.


# %%
def on_other_batches(step, size):
    draws = (task.sample(size, generator(1, "other batch", i)) for i in range(10))
    return torch.stack([LossModel.at(net, other).predicted_change(step) for other in draws])


# %%
choosers = {"MP": mp, "QM": ranking.path(net, task, batch, "qm")}
others = {
    (name, size): on_other_batches(path.step(0.8), size) for name, path in choosers.items() for size in (100, 1000)
}

# %% tags=["nbval-check-output"]
for name, path in choosers.items():
    own, true = path.predicted_change(0.8, "diagonal"), path.true_change(0.8)
    print(f"{name} to 80 %: on its own batch {own:+.3f}, truly {true:+.1f} nats")
    for size in (100, 1000):
        found = others[name, size]
        print(f"    on other batches of {size}: {found.mean():+.3f}, spread {found.std():.3f}")

# %% [markdown]
# For the step of MP, noise is small beside everything above, even with 100 examples. (Batches of 1,000 are nearly the whole training
# set here, so they overlap; expect more spread where there are more data.)
#
# Now look at the step that **QM** chose in one go. Its own model promises little; other batches see more, and the truth is worst of all.
# QM looked for the weights whose model is smallest, so it found those whose model is *too* small. **Whoever chooses by a model meets its errors
# where they flatter most.** Magnitude, which never asked the model, is not fooled in this way.

# %% [markdown]
# ### Three networks, made up
#
# Each of these is pruned in one go with the diagonal model. The bars split the errors of its predictions, batch noise included.

# %%
made_up = pd.DataFrame(
    [[0.1, 0.05, 0.55, 0.1], [0.45, 0.05, 0.1, 0.03], [0.1, 0.05, 0.1, 0.65]],
    index=["A", "B", "C"],
    columns=["beyond the 2nd order", "GGN for the Hessian", "diagonal for the full GGN", "batch noise"],
)

# %% alt="Three stacked bars for made-up networks: most of the error of A comes from the diagonal, most of that of B is beyond the second order, most of that of C is batch noise."
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
taylor_plots.causes(ax, made_up)
ax.legend(fontsize=8.5, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown]
# ### Exercise 2.6: Read a split
#
# *easy, about 3 minutes.* Look at the figure above. **Which network's prediction loses the largest share of its error if it is pruned in many small stages
# instead, with a model of the same kind and batches of the same size?**

# %% tags=["stub"]
my_network = None  # "A", "B" or "C"

# %%
exercises.check("reading the split", my_network)

# %% [markdown]
# <details><summary>Hint 1</summary>Halve a step: the linear term halves, the quadratic one falls to a quarter. And what lies beyond?</details>
# <details><summary>Hint 2</summary>Not the tallest bar: the part that shrinks fastest.</details>

# %% tags=["solution"]
my_network = "B"  # beyond the second order: an eighth or less when the step is halved, so it shrinks fastest

# %% [markdown]
# ## 10. The radius of trust, as a number
#
# Walk along a step again, and stop where the prediction is first off by more than 10 % of the true change. The length walked is the **radius of
# trust** of the model in this direction. Lengths are Euclidean: $\lVert\Delta\theta\rVert$.
#
# **How much of the step to 90 % can the diagonal model walk?**

# %%
trusted = exercises.guess("radius at 90 %", "How much of the step can the diagonal model walk?", unit="%")

# %%
lengths = {kappa: mp.step(kappa).norm().item() for kappa in settings}
radii = {kappa: {order: mp.radius(kappa, order) for order in forecast.ORDERS} for kappa in settings}

# %% tags=["nbval-check-output"]
print("share of the step that each model can walk:")
print(pd.DataFrame(radii).T.map("{:.0%}".format).rename("{:.0%}".format).to_string())

# %%
trusted.reveal("It is in the last row but one of the table.", answer=radii[0.9]["diagonal"])

# %% [markdown]
# A share of a step is no pruned network: all weights that go are only scaled down. To get a feeling for these lengths: at which sparsity is the whole
# step of magnitude pruning as long as the radius?

# %%
grown = weights.abs().sort().values.double().square().cumsum(0).sqrt()  # length of the step that prunes the k smallest


def sparsity_of(length):
    return (grown <= length).double().mean().item()


# %% tags=["nbval-check-output"]
for kappa in settings:
    radius = radii[kappa]["diagonal"] * lengths[kappa]
    print(
        f"step to {kappa:.0%}: length {lengths[kappa]:.1f}, radius {radius:.1f}, as long as pruning to {sparsity_of(radius):.0%}"
    )

# %% [markdown]
# Compare the length of each step with its radius: the diagonal model can walk a small part of the way, a full Hessian more of it, but not all.
#
# And a radius belongs to a *direction*. The whole step of magnitude pruning that is as long as the radius is another direction: it moves only small
# weights, whose first-order terms nearly cancel. How much do the signs leave of them, and what does each model foresee there?

# %% tags=["nbval-check-output"]
near = sparsity_of(radii[0.9]["diagonal"] * lengths[0.9])
for kappa in (0.9, near):
    terms = mp.model.gradient * mp.step(kappa)
    print(
        f"pruned to {kappa:.0%}: the sum of first-order terms is {terms.sum() / terms.abs().sum():.0%} of their sizes"
    )
for order, change in mp.forecast(near).changes().items():
    print(f"pruned to {near:.0%}: {forecast.ORDERS[order]:25} foresees {change / mp.true_change(near):.0%}")

# %% [markdown]
# There the full Hessian is right, and the others are off by more than 10 %, although the length is the very same. Close to $\theta$, where the
# expansion itself is good, the price of the GGN and of the first order shows. So two things make a prediction wrong: the model's shortcuts, near and far, and the expansion itself, far away.
# Against the second there is a way out that costs nothing but repetition: do not walk so far at once.

# %% [markdown]
# ## 11. Promise and truth under your fingers
#
# Three sliders. **sparsity**: where the last stage ends. **stages**: in how many stages we get there; the model is built *before the last one* (black
# triangle), so more stages move the triangle closer to the end. **order**: which of the four promises is drawn on the left.
# Magnitude chooses the weights, so they are the same in any number of stages: only the model moves.
#
# Left: truth and promise beyond the point where the model was built, and a dotted line where the chosen model is first off by 10 %.
# Right: what each model foresees of the last stage's change, in per cent of the truth; nats in figures.

# %%
slider = widgets.taylor_slider(net, task, "mp", start=0.8)
slider

# %% [markdown]
# Try: 90 %, one stage, and all orders in turn: only the full Hessian holds for a while. Then 2, 5, 14 stages. When does the dotted line come to
# lie beyond the end of the stage?
# (`widgets.taylor_slider(net, task, "qm")` does the same for weights that the model itself chose.)
#
# Here are telling settings, for paper and for screens without a kernel.

# %%
views = {stages: ranking.path(net, task, batch, "mp", sparsity=0.9, stages=stages) for stages in (1, 5, 14)}


def view(path):
    built = path.state.mask.sparsity
    ahead = [built, *[kappa for kappa in widgets.taylor.GRID if kappa > built][::2]]
    columns = {name: [path.predicted_change(kappa, name) for kappa in ahead] for name in ("diagonal", "hessian")}
    return pd.DataFrame({"sparsity": ahead, "true_change": [path.true_change(kappa) for kappa in ahead], **columns})


# %%
tables = {stages: view(path).set_index("sparsity") for stages, path in views.items()}
off = {stages: widgets.taylor.first_off(table["true_change"], table["hessian"]) for stages, table in tables.items()}

# %% alt="Truth and two models beyond the point where they were built, for the last of 1, 5 and 14 stages to 90 %: in one go the models stay far below the truth at 90 %, in 5 stages the full Hessian is close, in 14 both are."
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained", sharey=True)
for ax, (stages, path) in zip(axes, views.items(), strict=True):
    built = path.state.mask.sparsity
    taylor_plots.predictions(ax, tables[stages].reset_index(), ["diagonal", "hessian"])
    ax.plot(built, 0, "k^", markersize=9, clip_on=False, zorder=5)
    taylor_plots.mark_radius(ax, off[stages])
    ax.axvline(0.9, color="#CC79A7", linewidth=1.5)
    ax.set(xlim=(0.95 * built, 1), title=f"stage {stages} of {stages} to 90 %")
    ax.locator_params(axis="x", nbins=5, steps=[1, 2, 5, 10])
axes[0].legend(fontsize=8)
axes[1].set_ylabel("")
axes[2].set_ylabel("")
figure.get_layout_engine().set(wspace=0.06)
plt.show()

# %%
shown = {
    f"last of {stages}": {
        order: change / path.true_change(0.9) for order, change in path.forecast(0.9).changes().items()
    }
    for stages, path in views.items()
}

# %% tags=["nbval-check-output"]
print("share of the last stage's true change that is foreseen:")
print(pd.DataFrame(shown).T.map("{:.0%}".format).to_string())

# %% [markdown]
# Left to right, on ever narrower axes: the triangle (where the model was built) moves towards the end of the stage (solid line). The dotted line is
# where the full Hessian is first off by 10 %: first long before the end of the stage, then behind it. The model does not become a better one; the step becomes one
# that it can be trusted with. In the table, each row asks for less at once, and comes closer to all of it.
# Whether networks that were pruned in this way are better ones, notebook 03 will show.

# %% [markdown]
# ## What we saw
#
# - LM, QM and OBD are one formula: the Taylor expansion for a single weight, with the GGN's exact diagonal, and with more or less left out.
# - In one go, most of the error lies beyond the second order; no better matrix can mend that. On short steps, the GGN and its diagonal are what costs.
# - Each model has a radius of trust. One-go pruning leaves it early; stages make the steps short instead of the radius long.
#
# **Read next**: notebook 03, *Locality*. **Sources**: C. Laurent et al., *Revisiting Loss Modelling for Unstructured Pruning*, arXiv 2006.12279;
# Y. LeCun, J. Denker, S. Solla, *Optimal Brain Damage*, 1989; J. Martens, *New Insights and Perspectives on the Natural Gradient Method*, 2020 (the GGN).

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why it is right or wrong.
#
# **1. Which criterion is QM with the gradient assumed zero?**
# <details><summary>LM</summary>No, that one leaves out the curvature and keeps the gradient.</details>
# <details><summary>OBD</summary>Right. Only half of curvature times weight squared is left.</details>
# <details><summary>MP</summary>No. MP knows neither gradient nor curvature; QM approaches it as the step penalty grows.</details>
#
# **2. The sum of saliencies over the pruned weights is...**
# <details><summary>the change of the loss that the model predicts</summary>No: a prediction adds signed changes, and these partly cancel.</details>
# <details><summary>a bound on the true change</summary>No. In section 4 the truth lies above it. The model bounds itself, not the world.</details>
# <details><summary>a bound on the change that the model predicts</summary>Right. The size of a sum is at most the sum of the sizes.</details>
#
# **3. Why is the GGN never negative along any direction?**
# <details><summary>The training loss has reached its minimum</summary>No. It holds at any weights, trained or not.</details>
# <details><summary>It is a sum of squares: the loss is convex in the logits, and only the network's first derivatives enter</summary>Right.
# The network's own curvature, which may have either sign, is left out.</details>
# <details><summary>Its negative entries are set to zero</summary>No, nothing is cut off.</details>
#
# **4. A colleague builds the full Hessian for one-go pruning to 95 %. What do you tell her?**
# <details><summary>It will mend most of the error</summary>No. In section 9, what no second-order model sees is the largest part by far at such a sparsity.</details>
# <details><summary>It will help little: the step is far outside the radius of trust</summary>Right. First make the steps short; then better curvature can pay.</details>
# <details><summary>The diagonal is always better</summary>No. In section 9 the full matrices foresee more at every sparsity. But they cost more, and cannot be ranked weight by weight.</details>
#
# **5. QM's promise for the step that it chose is further off than for the step that MP chose. Why?**
# <details><summary>The curvature was wrong</summary>No, the diagonal is exact, for both steps.</details>
# <details><summary>QM picks weights for which its model is small, so it also picks those for which the model errs on the low side</summary>Right. Choosing by an estimate
# makes the estimate of what was chosen too good.</details>
# <details><summary>MP looks at more examples</summary>No, MP looks at none.</details>
