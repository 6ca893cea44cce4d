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
# # 01 Loss landscapes
#
# **After this notebook you can**
# - read a slice of a loss landscape, and say what it does not show;
# - say how far a pruned network is from the trained one, and compare that with other steps;
# - explain why the straight line to a mask is a long step.
#
# **You need** notebook 00, vectors, and the idea of a gradient.
# **It takes** about 35 minutes to read and run, and as much again for the exercises; the computing takes seconds.

# %%
import warnings

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch.nn import functional as F

from lossprune_lib import LocalPruner, LossModel, WeightSpace, data, exercises, landscape, models, training, widgets
from lossprune_lib.plots import landscape as landscape_plots
from lossprune_lib.pruning import EmptyLayerWarning

# %%
task = data.load("digits")
net = models.pretrained("mlp_300_100", task)

# %% [markdown]
# ## 1. A network is a point
#
# Write all $D$ prunable weights of a network in one long list. The list is a vector $\theta$ (`theta`), a point in a
# space of $D$ dimensions. `WeightSpace` reads it from the network. Biases are not pruned, so they stay where they are.
#
# The **loss** $L(\theta)$ is the mean cross-entropy of a batch, in nats (the unit that goes with natural logarithms).
# It gives each point a height: that is the landscape. All heights in this notebook are measured on one batch, the first
# 500 training examples.

# %%
space = WeightSpace(net)
theta = space.read()
batch = (task.x_train[:500], task.y_train[:500])

# %% tags=["nbval-check-output"]
loss_at_theta = landscape.line(net, batch, torch.zeros_like(theta), [0.0]).item()
print(f"D = {space.size:,} weights; length of theta: {theta.norm():.1f}; loss there: {loss_at_theta:.2f} nats")

# %% [markdown]
# ### Two weights, as a map
#
# We cannot draw $D$ dimensions. We can draw two: take the two largest weights of the last layer, give them other
# values, keep all other weights, and measure the loss. This is the real landscape of our network, seen through a small
# window.

# %%
last = space.size - space.sizes[-1]
pair = theta[last:].abs().topk(2).indices + last
axes_of_pair = F.one_hot(pair, space.size).to(theta)
origin = theta.index_fill(0, pair, 0.0)
values = torch.linspace(-1.6, 1.6, 17) * theta[pair].abs().max().item()

# %% alt="A map of the loss over the values of two weights, with arrows from theta to the points where the first, the second or both are zero; the loss hardly changes along them."
figure, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
window = landscape.plane(net, batch, axes_of_pair[0], axes_of_pair[1], values, values, origin)
landscape_plots.two_weights(ax, values, values, window, tuple(theta[pair].tolist()))
plt.show()

# %% [markdown]
# To prune a weight is to walk straight to the line where it is zero. To prune both is to walk to the corner where the
# lines cross. The arrows are those walks. Look at the scale of colours, too: even these two, the largest of their layer,
# change little.
#
# A **mask** $m$ (`kept`) says for each weight whether it stays (1) or goes (0). The pruned network is the point
# $\theta * m$, multiplied entry by entry. The walk there is the **step** $\Delta\theta = \theta * m - \theta$
# (`step`): zero where a weight stays, $-\theta_k$ where weight $k$ goes.


# %%
def step_to(criterion, sparsity, stages=1):
    run = LocalPruner(criterion, sparsity=sparsity, stages=stages).prune(net, task)
    return theta * run.mask.kept - theta


# %% [markdown]
# ## 2. Along the straight line
#
# The points $\theta + t\,\Delta\theta$ with $t$ from 0 to 1 are the straight line from the trained network ($t = 0$)
# to the pruned one ($t = 1$). In between, the weights that go are not zero yet: they shrink together. `landscape.line`
# measures the loss there.
#
# Magnitude pruning (MP) removes the smallest weights. Prune 90 % of them: somewhere on the way the loss rises. **Which
# share of the rise has happened at half the way**, at $t = 0.5$?

# %%
half_way = exercises.guess("rise at half the way", "Which share of the rise has happened at half the way?", unit="%")

# %%
t = torch.linspace(0, 1, 21)
sparsities = [0.5, 0.8, 0.9, 0.95]
to_mp = {sparsity: step_to("mp", sparsity) for sparsity in sparsities}
to_qm = {sparsity: step_to("qm", sparsity, stages=14) for sparsity in sparsities}

# %% alt="Loss along the straight line to the mask, for MP in one go on the left and QM in 14 stages on the right, at four sparsities: all lines start almost level and bend upwards later, those of high sparsity most."
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", sharey=True)
for ax, steps, criterion in zip(axes, (to_mp, to_qm), ("mp", "qm"), strict=True):
    landscape_plots.frame(ax, 1.18, 2.5, task.classes)
    for sparsity, step in steps.items():
        landscape_plots.one_slice(
            ax, t, landscape.line(net, batch, step, t), criterion, alpha=0.45 + 0.55 * sparsity**4
        )
        end = (1.035, ax.lines[-1].get_ydata()[-1])
        ax.annotate(f"{sparsity:.0%}", end, va="center", fontsize=9, zorder=2.2, bbox={"color": "white", "pad": 1})
    ax.set(xlabel="t, share of the way to the mask", title=["MP in one go", "QM in 14 stages"][criterion == "qm"])
plt.show()

# %% [markdown]
# Left, the masks of MP. Right, the masks that the quadratic model (QM) of notebook 00 chose in 14 stages. At the end
# of each line stands its sparsity; the thin line is the loss of a network that knows nothing and gives all classes the
# same chance.

# %% tags=["nbval-check-output"]
quarters = [0, 0.25, 0.5, 0.75, 1]
rows = {"MP, 90 %": to_mp[0.9], "QM in 14 stages, 90 %": to_qm[0.9]}
lines = {name: landscape.line(net, batch, step, quarters) for name, step in rows.items()}
print(pd.DataFrame(lines, index=[f"t = {q}" for q in quarters]).T.to_string(float_format="{:.1f}".format))

# %%
rise = lines["MP, 90 %"] - loss_at_theta
half_way.reveal(
    "The rise comes late.",
    answer=(rise[2] / rise[4]).item(),
)

# %% [markdown]
# The lines leave $\theta$ almost level and bend upwards later. Whoever looks only near $\theta$ sees next to nothing
# of the rise. That is the difficulty of pruning in one picture: **the harm is done far from the point where we
# stand.**

# %% [markdown]
# ### Exercise 1.1: The loss on a line, by hand
# *medium, about 8 minutes*
#
# Write what `landscape.line` does. In: `space` (a `WeightSpace`), `rest` (biases, from `space.rest()`), inputs `x` and
# labels `y` of the batch, `direction` [D], and `at`, a vector of $P$ positions $t$. Out: a tensor [P], the mean
# cross-entropy at $\theta + t \cdot$ `direction` for each $t$, where $\theta$ is `space.read()`. `space.call(weights,
# rest, x)` runs the network with any weights [D] and gives the logits [N, classes]: the scores of the $N$ inputs, before the
# softmax.


# %% tags=["stub"]
def loss_on_line(space, rest, x, y, direction, at):
    # your code
    return None


# %%
exercises.check("loss on a line", loss_on_line)

# %% [markdown]
# <details><summary>Hint 1</summary>One position at a time is enough: make the point, run the network, take
# the loss, collect the losses in a list, and stack them in the end.</details>
# <details><summary>Hint 2</summary><code>F.cross_entropy</code> takes logits and labels, applies the softmax by itself,
# and averages over the examples.</details>


# %% tags=["solution"]
def loss_on_line(space, rest, x, y, direction, at):
    theta = space.read()
    losses = []
    for t in at:
        logits = space.call(theta + t * direction, rest, x)  # the network at this point
        losses.append(F.cross_entropy(logits, y))
    return torch.stack(losses)


# %% [markdown]
# ## 3. How long is the step?
#
# The length of a step is $\lVert\Delta\theta\rVert$, the root of the sum of its squared entries. An entry is
# zero, or minus a weight that goes. So the squared length is the sum of the squares of all weights that go.
#
# Is that much? Compare it with what training did. Before training, the network had random weights $\theta_0$
# (`theta_0`). The length $\lVert\theta - \theta_0\rVert$ is how far the whole training has brought it.
# **How many times as long as that is the step of MP at 50 %?**

# %%
longer = exercises.guess("step in trainings", "How many times as long is it?", unit="times")

# %% [markdown]
# ### Three sparsities
#
# MP in one go, and QM in 14 stages, at the same sparsities. The last column names layers of which nothing is left: no
# image gets through any more, and the loss is that of guessing.


# %%
def emptied(weights):
    parts = zip(space.layers, space.split(weights), strict=True)
    return ", ".join(layer for layer, part in parts if not part.any()) or "-"


# %% tags=["nbval-check-output"]
warnings.simplefilter("ignore", EmptyLayerWarning)  # the last column says it
steps = {f"MP, {sparsity:.0%}": step_to("mp", sparsity) for sparsity in (0.5, 0.9, 0.99)}
steps |= {f"QM, {sparsity:.0%}": step_to("qm", sparsity, stages=14) for sparsity in (0.5, 0.9, 0.99)}
table = pd.DataFrame({"length": {name: step.norm().item() for name, step in steps.items()}})
table["share of |theta|"] = table["length"] / theta.norm().item()
table["emptied layers"] = [emptied(theta + step) for step in steps.values()]
print(table.to_string(formatters={"length": "{:.0f}".format, "share of |theta|": "{:.2f}".format}))

# %% [markdown]
# ### The steps of training
#
# This network was trained from the weights that `seed=0` gives. Do not take our word: a trained network still
# resembles its own start, and no other. The cosine below is 1 for the same direction and 0 for directions at right
# angles.

# %% tags=["nbval-check-output"]
starts = {seed: WeightSpace(models.mlp_300_100(task, seed=seed)).read() for seed in (0, 1)}
for seed, start in starts.items():
    print(f"cosine of theta and the start of seed {seed}: {F.cosine_similarity(theta, start, dim=0):.2f}")

# %%
theta_0 = starts[0]
after_epoch = WeightSpace(training.fit(net, task, epochs=1)).read()
other = {"one more epoch of training": after_epoch - theta, "all of the training": theta - theta_0}
others = pd.Series({name: step.norm().item() for name, step in other.items()})

# %% alt="Dots on a logarithmic scale: one more epoch of training is by far the shortest step, all of the training is shorter than each pruning step, and those at 99 % are almost as long as theta itself."
figure, ax = plt.subplots(figsize=(7.5, 3), layout="constrained")
whole = pd.Series({"|θ|: all weights to zero": theta.norm().item()})
landscape_plots.lengths(ax, pd.concat([others, table["length"], whole]))
plt.show()

# %% [markdown]
# Each number on the axis is ten times the one before. "One more epoch" is training (gradient descent with momentum and
# weight decay) that goes on for one epoch from $\theta$. "All of the training" is the distance from start to end, not
# the length of the way, which winds.

# %%
longer.reveal(
    "Lengths, in trainings, are in the table below.",
    answer=table["length"].iloc[0] / others.iloc[1],
)

# %% tags=["nbval-check-output"]
in_trainings = table["length"] / others["all of the training"]
print(in_trainings.to_string(float_format="{:.1f} x all of the training".format))

# %% [markdown]
# Why so long? Two reasons. There are many weights: even small squares add up when most of the $D$ terms are there. And
# pruning moves each chosen weight *all the way* to zero, while training moves each a little.
#
# MP takes the smallest squares first. So at a given sparsity **no mask has a shorter step than MP's**. The steps of QM
# are longer, and still its line in section 2 ended lower at 90 % (not at 50 %, look at both panels). Length is not
# all: the direction counts too.

# %% [markdown]
# ### Exercise 1.2: The length of a step
# *easy, about 5 minutes*
#
# In: `weights` [D] and `kept` [D], a bool tensor, `True` where a weight stays. Out: two numbers, the length of the
# step to the pruned network, and its share of the length of `weights`.


# %% tags=["stub"]
def step_length(weights, kept):
    # your code: return length, share
    return None


# %%
exercises.check("step length", step_length)

# %% [markdown]
# <details><summary>Hint 1</summary>Write down the step first: what is it where a weight stays, and where it
# goes?</details>
# <details><summary>Hint 2</summary><code>vector.norm()</code> is the root of the sum of squares.</details>


# %% tags=["solution"]
def step_length(weights, kept):
    step = weights * kept - weights  # 0 where kept, minus the weight where pruned
    length = step.norm()
    return length, length / weights.norm()


# %% [markdown]
# ## 4. One landscape, many slices
#
# A **slice** shows the loss along one line. There are as many slices as directions, and they need not look alike. Take
# four:
# - *random*: each entry drawn from a bell curve, then **filter-normalised** (Li et al. 2018): for each unit, its part
#   of the direction is
#   made as long as the weights of the unit. So units with large weights get large moves, and others small ones;
# - *gradient* $g$ (`gradient`): the direction of steepest rise at $\theta$. The figure shows the opposite way, too
#   (`downhill`);
# - *MP*: towards the mask of MP at 90 %;
# - *QM*: towards the mask of QM in 14 stages at 90 %.
#
# To be fair, each gets the same **length** of step: we divide each direction by its own length. **At a step of length
# 3, along which is the loss highest?**

# %%
steepest = exercises.guess(
    "highest at length 3", "Along which is the loss highest at length 3?", choices=["random", "gradient", "mp", "qm"]
)

# %%
gradient = LossModel.at(net, batch, order=1).gradient
random = landscape.random_direction(net, seed=0)
directions = {"random": random, "gradient": gradient, "downhill": -gradient, "mp": to_mp[0.9], "qm": to_qm[0.9]}
units = {name: direction / direction.norm() for name, direction in directions.items()}

# %% alt="Loss against the length of the step along five directions, near theta on the left and far on the right: both ways along the gradient it rises at once, towards the mask of MP later, towards that of QM and along a random direction last."
figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), layout="constrained")
for ax, longest, top in zip(axes, (2, 20), (0.6, 1.5), strict=True):
    landscape_plots.frame(ax, longest, top)
    at = torch.linspace(0, longest, 41)
    for name, unit in units.items():
        landscape_plots.one_slice(ax, at, landscape.line(net, batch, unit, at), name)
    ax.set_title(f"up to a length of {longest}")
axes[0].legend(loc="center right", fontsize=8.5)
plt.show()

# %% tags=["nbval-check-output"]
lengths = [0, 1, 3, 10]
table = pd.DataFrame({name: landscape.line(net, batch, unit, lengths) for name, unit in units.items()}).T
table.columns = [f"length {length}" for length in lengths]
print(table.to_string(float_format="{:.2f}".format))

# %%
steepest.reveal(
    table["length 3"].map("{:.2f}".format),
    answer=table.drop("downhill")["length 3"].idxmax(),
)

# %% [markdown]
# Both ways along the gradient the loss soon rises, even the way that starts downhill: past the bottom of a narrow
# valley comes the other wall. The mask directions rise late, and a random direction later still, or hardly.
#
# One number for each: how far can we go before the loss has risen by 0.1 nats?

# %% tags=["nbval-check-output"]
reach = torch.logspace(-1, 1.45, 60)
risen = {name: landscape.line(net, batch, unit, reach) > loss_at_theta + 0.1 for name, unit in units.items()}
print("\n".join(f"{name:8}  a step of about {reach[above][0]:.2g}" for name, above in risen.items()))

# %% [markdown]
# ### Why a random slice looks flat
#
# Not because the landscape is flat. In $D$ dimensions a random direction is almost at right angles to any given one:
# its cosine with it is typically about $1/\sqrt{D}$. Here are three random directions against the gradient.

# %% tags=["nbval-check-output"]
cosines = [F.cosine_similarity(landscape.random_direction(net, seed), gradient, dim=0).abs() for seed in range(3)]
print("sizes of the cosines with the gradient:", ", ".join(f"{cosine:.3f}" for cosine in cosines))
print(f"1 / sqrt(D) = {space.size**-0.5:.3f}")

# %% [markdown]
# So of a long random step, only a tiny part goes along the steep direction. A random slice shows what *most*
# directions are like, and misses the steep ones. It is an honest average and a poor warning.
#
# A mask's direction is not random: every weight that moves shrinks towards zero. At length 10 in the table, the
# ways to the masks of MP and QM differ in loss, though both steps are equally long. And both are above the random one.
# That is no reason to take the random step: it prunes nothing, as no weight becomes zero on it.

# %% [markdown]
# ### Exercise 1.3: Filter normalisation, by hand
# *medium, about 8 minutes*
#
# In: `direction` and `weight` of one layer, of the same shape: [units, inputs] for `Linear`, [filters, channels,
# height, width] for `Conv2d`. Out: the direction with each unit's (or filter's) part stretched so that it is as long
# as that unit's weights. Dimension 0 counts units and filters. A unit whose weights are all zero gets zeros.


# %% tags=["stub"]
def filter_normalised(direction, weight):
    # your code
    return None


# %%
exercises.check("filter normalisation", filter_normalised)

# %% [markdown]
# <details><summary>Hint 1</summary>Each row needs one factor: the length of the weight's row over the length of the
# direction's row.</details>
# <details><summary>Hint 2</summary><code>x.flatten(1)</code> makes a matrix of any weight, with a row for each unit or
# filter;
# <code>.norm(dim=1, keepdim=True)</code> gives the lengths of its rows as a column.</details>


# %% tags=["solution"]
def filter_normalised(direction, weight):
    rows, own = direction.flatten(1), weight.flatten(1)
    factor = own.norm(dim=1, keepdim=True) / rows.norm(dim=1, keepdim=True)  # one for each row
    return (rows * factor).view_as(weight)


# %% [markdown]
# Here is the random slice alone, in both directions from $\theta$.

# %% alt="Loss along one random direction, both ways from theta: a wide bowl that is almost flat in its middle."
figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
at = torch.linspace(-12, 12, 49)
landscape_plots.one_slice(
    landscape_plots.frame(ax, 12, 0.6), at, landscape.line(net, batch, units["random"], at), "random"
)
ax.set(xlim=(-12, 12), xlabel="length of the step from θ, both ways", title="A slice along a random direction")
plt.show()

# %% [markdown]
# ### Exercise 1.4: Read a slice
# *easy, about 4 minutes*
#
# Look at the figure above. Someone says: "Between -3 and 3 the loss hardly changes. So a step of length 3 does no harm
# to this network." What do you answer?
# - `"a"`: True. The figure shows that the loss is flat around $\theta$.
# - `"b"`: Not shown. The direction is filter-normalised, so the axis does not say how long a step really is.
# - `"c"`: Not shown. The figure holds for this direction; there are others of the same length along which the loss
#   rises.
# - `"d"`: True. Training has ended here, so the gradient is small and short steps cannot matter.

# %% tags=["stub"]
my_reading = None  # "a", "b", "c" or "d"

# %%
exercises.check("read a slice", my_reading)

# %% [markdown]
# <details><summary>Hint 1</summary>How many directions does the figure show, and how many are there?</details>
# <details><summary>Hint 2</summary>Look at the column "length 3" in the table above.</details>

# %% tags=["solution"]
my_reading = "c"  # the gradient direction in the table: at length 3 the loss is far up

# %% [markdown]
# ## 5. The plane of two masks
#
# Three points span a plane: $\theta$, and two masked networks $\theta * m_1$ and $\theta * m_2$. With the steps
# $\Delta_1$ (`first`) and $\Delta_2$ (`second`) that lead to them, its points are $\theta + a\,\Delta_1 + b\,\Delta_2$.
# In the coordinates $(a, b)$ the trained network is at $(0, 0)$, the first mask at $(1, 0)$, the second at $(0, 1)$.
#
# Take MP in one go and QM in 14 stages, at 90 %. Halfway between the two pruned networks, at $(0.5, 0.5)$: is the loss
# lower than at both of them, between, or higher than at both?

# %%
halfway = exercises.guess("between the masks", "How high is the loss halfway?", choices=["lower", "between", "higher"])

# %%
first, second = to_mp[0.9], to_qm[0.9]
at = torch.linspace(-0.25, 1.25, 21)
losses = landscape.plane(net, batch, first, second, at, at)

# %% alt="Filled contours of the loss on the plane of two masks, theta at the origin in the lowest band; the loss rises to the mask of QM, more to that of MP, and their middle lies between in height."
figure, (ax, key) = plt.subplots(1, 2, figsize=(6, 4.4), width_ratios=(20, 1), layout="constrained")
landscape_plots.plane(landscape_plots.plane_frame(ax, -0.25, 1.25, "MP's mask", "QM's mask"), at, at, losses)
landscape_plots.mark(ax, {"θ": (0, 0), "MP": (1, 0), "QM, 14 stages": (0, 1), "middle": (0.5, 0.5), "corner": (1, 1)})
landscape_plots.levels_bar(figure, key)
plt.show()

# %% [markdown]
# How to read it: each band of colour starts at twice the loss of the one below. On both axes, 1 is a whole step,
# however long it is. The two steps are drawn at right angles but are not. The next cell prints their angle.

# %% tags=["nbval-check-output"]
corners = landscape.plane(net, batch, first, second, [0, 0.5, 1], [0, 0.5, 1])
angle = torch.rad2deg(F.cosine_similarity(first, second, dim=0).acos())
print(f"angle between the steps: about {5 * round(angle.item() / 5)} degrees")
print(f"loss at MP {corners[2, 0]:.1f}, at QM {corners[0, 2]:.1f}, in the middle {corners[1, 1]:.1f}")

# %%
ends, middle = sorted([corners[2, 0].item(), corners[0, 2].item()]), corners[1, 1].item()
place = "lower" if middle < ends[0] else "higher" if middle > ends[1] else "between"
halfway.reveal(
    f"{middle:.2f} nats, and {ends[0]:.2f} and {ends[1]:.2f} at the two masks.",
    answer=place,
)

# %% [markdown]
# ### What is at the corner?
#
# At $(1, 1)$ both steps are added up. Is that the network from which both masks have removed their weights?

# %% tags=["nbval-check-output"]
corner = theta + first + second
by_both = (first != 0) & (second != 0)
print(f"pruned by both masks: {by_both.float().mean():.0%} of all weights")
print(f"of these, zero at the corner: {(corner[by_both] == 0).float().mean():.0%}")
print(f"of these, the opposite of what they were: {torch.isclose(corner, -theta)[by_both].float().mean():.0%}")

# %% [markdown]
# No. A weight that both masks remove is moved twice, and ends at $-\theta_k$. The corner is no pruned network at all.
# Planes are drawn to be looked at; before you read a point, work out which network it is.

# %% [markdown]
# ### Exercise 1.5: Where in the plane?
# *hard, about 12 minutes*
#
# Some networks are not in the plane, but each has a nearest point there. In: three vectors [D], a `step` from $\theta$
# and the steps `first` and `second` that span the plane. Out: three numbers, `a`, `b` and `distance`: the coordinates
# of the point $a \cdot$ `first` $+\, b \cdot$ `second` that is nearest to `step`, and how far away it is.


# %% tags=["stub"]
def in_plane(step, first, second):
    # your code: return a, b, distance
    return None


# %%
exercises.check("in the plane", in_plane)

# %% [markdown]
# <details><summary>Hint 1</summary>This is least squares with two unknowns. What is left of the step must be at right
# angles to both
# <code>first</code> and <code>second</code>: two equations.</details>
# <details><summary>Hint 2</summary><code>torch.linalg.lstsq(matrix, right_side)</code> solves it, with the two steps
# as the columns of
# the matrix [D, 2] and the step as a column [D, 1]; or solve the two equations with
# <code>torch.linalg.solve</code>.</details>


# %% tags=["solution"]
def in_plane(step, first, second):
    columns = torch.stack([first, second], dim=1)
    # What is left, step - columns @ ab, is at right angles to both columns.
    ab = torch.linalg.solve(columns.T @ columns, columns.T @ step)
    return ab[0], ab[1], (step - columns @ ab).norm()


# %% [markdown]
# Try it on the network that lacks every weight which *either* mask removes (it keeps what both keep). Is it in the
# picture? Look at the third number, and compare it with the lengths in section 3.

# %%
to_common = torch.where((first != 0) | (second != 0), -theta, 0)
found = in_plane(to_common, first, second)
"write in_plane first" if found is None else [round(float(number), 2) for number in found]

# %% [markdown]
# ## 6. Under sliders
#
# Three sliders: the sparsity, the number of stages, and the direction of the second step. Left, the loss along both
# straight lines; a circle is the network after a stage. Right, the plane of both steps. *Random* and *gradient* get a
# step as long as MP's; the number of stages means nothing to them. A plane takes a moment: it comes in parts.

# %%
slider = widgets.landscape_slider(net, task, start=0.9, stages=14)
slider

# %% [markdown]
# What to try: at 90 %, go from 1 stage to 20. Then move the sparsity and watch the end of MP's line run along
# the axis towards $\lVert\theta\rVert$, the dotted line, where no weight is left. Then choose the gradient.
#
# Here are three settings, for paper and for screens without a kernel.

# %%
settings = [(0.5, 1), (0.9, 1), (0.9, 14)]
states = {(k, n): list(LocalPruner("qm", sparsity=k, stages=n).stream(net, task)) for k, n in settings}
ends = {setting: found[-1].weights - theta for setting, found in states.items()}
at = torch.linspace(-0.25, 1.25, 13)

# %% alt="Three settings side by side, lines above and planes below. At 50 % and at 90 % in one go QM ends no lower than MP; at 90 % in 14 stages it ends far lower, with circles for the stages close to its line."
figure, axes = plt.subplots(2, 4, figsize=(10, 5.6), width_ratios=(10, 10, 10, 0.6), layout="constrained")
for (sparsity, stages), (top, below) in zip(settings, axes.T[:3], strict=True):
    landscape_plots.frame(top, 1.05 * theta.norm().item(), 2.5).set_title(
        f"{sparsity:.0%}, QM: {stages} stage{'s' * (stages > 1)}"
    )
    for name, step in (("mp", to_mp[sparsity]), ("qm", ends[sparsity, stages])):
        landscape_plots.one_slice(top, t * step.norm().item(), landscape.line(net, batch, step, t), name)
    for state in states[sparsity, stages]:
        step = state.weights - theta
        top.plot(
            step.norm().item(), landscape.line(net, batch, step, [1.0]), "o", color="#D55E00", markerfacecolor="none"
        )
    grid = landscape.plane(net, batch, to_mp[sparsity], ends[sparsity, stages], at, at)
    landscape_plots.plane(landscape_plots.plane_frame(below, -0.25, 1.25, "MP", "QM"), at, at, grid)
    landscape_plots.mark(below, {"θ": (0, 0), "MP": (1, 0), "QM": (0, 1)})
axes[0, 0].legend(fontsize=8.5)
axes[0, 3].set_axis_off()
landscape_plots.levels_bar(figure, axes[1, 3])
plt.show()

# %% [markdown]
# Top: straight lines (dashed MP, solid QM), and a circle for each stage. Bottom: their planes. At 50 % in one go QM is
# worse than MP, and at 90 % no better than it. In 14 stages it ends lower although its step is longer: the mask of QM
# lies in a lower part of the plane.

# %% [markdown]
# ## 7. Fourteen short steps, or one long one
#
# Each stage removes weights that no other stage removes. So the steps of the stages are at right angles to each
# other, and their squared lengths add up to that of the straight line, as for the sides of a box and its diagonal.

# %% tags=["nbval-check-output"]
each = torch.tensor([state.row["step_length"] for state in states[0.9, 14]])
print(f"longest step of a stage: {each.max():.0f}")
print(f"the straight line: {second.norm():.0f}; root of the sum of the squared steps: {each.square().sum().sqrt():.0f}")
print(f"sum of the steps: {each.sum():.0f}")

# %% [markdown]
# Staying near has a price: the way is longer in all. What is won is that at each corner of the way the loss can be
# modelled afresh, and the model must only hold for a short step. Look at the circles in the last figure: after each
# stage the loss is close to that of the straight line, as far from $\theta$. So on this network the way itself does not avoid a hill. What differs is **where it
# leads**: from $\theta$ alone, in one go, QM did not find this mask.

# %% [markdown]
# ## What we saw
#
# - A network is a point, and pruning a step to a point where many weights are zero. The loss rises late on the line
#   that leads there.
# - That step is long: even at half of the weights it is longer than the distance that all of training covered.
# - A slice shows its own direction only. Random ones look flat, the gradient's rises at once, and masks of equal
#   sparsity differ.
#
# **Read next**: notebook 02, *Taylor approximations*: what can be known of the line while standing at $\theta$.
# **More**: H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, *Visualizing the Loss Landscape of Neural Nets*, 2018.

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why it is right or wrong.
#
# **1. A mask removes the weights 3 and -4 and keeps all others. How long is the step?**
# <details><summary>7</summary>No. That adds sizes. A straight line is shorter than the way round the corner.</details>
# <details><summary>5</summary>Right. The root of 9 + 16.</details>
# <details><summary>-1</summary>No. That adds the weights with their signs; a length is never negative.</details>
#
# **2. At one sparsity, which mask has the shortest step?**
# <details><summary>That of MP</summary>Right. The squared length is the sum of the squares of the pruned weights, and
# MP
# takes the smallest squares.</details>
# <details><summary>That of the best criterion</summary>No. Here QM in 14 stages ended at a lower loss, with a longer
# step.</details>
# <details><summary>All are equally long</summary>No. They remove equally many weights, but not equally large
# ones.</details>
#
# **3. A random slice is flat, the gradient's is steep. What does the flat one show?**
# <details><summary>That the network is in a wide, flat bowl</summary>No. Only that most directions are flat; the
# gradient's slice
# goes through the same point.</details>
# <details><summary>That filter normalisation went wrong</summary>No. At equal lengths the comparison is fair, and it
# was made so.</details>
# <details><summary>What a typical direction is like</summary>Right. A random direction is almost at right angles to the
# steep ones.</details>
#
# **4. Halfway on the straight line to a mask, what does the network look like?**
# <details><summary>Half of the weights to be pruned are zero</summary>No. That is a point on another way, one that
# prunes them in two
# stages.</details>
# <details><summary>The weights to be pruned have half of their size</summary>Right. They shrink together; the others
# stay as they
# are.</details>
# <details><summary>All weights have half of their size</summary>No. The weights that are kept do not move.</details>
#
# **5. Why is the straight line to a mask called a long step here?**
# <details><summary>Because many weights go all the way to zero at once</summary>Right. Each of many squares adds up,
# and the sum is soon more
# than all of training moved the network.</details>
# <details><summary>Because it takes long to compute</summary>No. Setting weights to zero takes no time at
# all.</details>
# <details><summary>Because the loss is high at its end</summary>No. A short step can end high, as along the gradient,
# and a long one low.
# Length is measured in the space of weights.</details>
