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
# - say where a pruned network lies, and how far that is from the trained one;
# - read a slice of a loss landscape, and say what it does not show;
# - explain why the line to a mask is long, and say where on it the loss rises.
#
# **You need** notebook 00, vectors and their lengths, and the idea of a gradient.
#
# **It takes** about 40 minutes, and 28 more for the exercises. The computing takes seconds. The [glossary](GLOSSARY.md) has
# all terms.

# %% [markdown] tags=["slide"]
# # Loss landscapes
#
# Where does pruning take a network?

# %%
import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch.nn import functional as F

from lossprune_lib import (
    LocalPruner,
    LossModel,
    WeightSpace,
    data,
    exercises,
    landscape,
    models,
    plots,
    training,
    widgets,
)
from lossprune_lib.plots import landscape as landscape_plots
from lossprune_lib.plots import walks

plots.use_style()

# %%
task = data.load("digits")
net = models.pretrained("mlp_300_100", task)

# %% [markdown]
# ## 1. A network is a point
#
# Write all $D$ weights of the network in one long list. The list is a vector $\theta$ (`theta`): a point in a space of
# $D$ dimensions. Another network of the same shape is another point.
#
# At each point the network has a loss $L(\theta)$: the mean of $-\ln p$ over a batch of images, in nats (notebook 00).
# Think of it as a height. A height at every point is a landscape, the **loss landscape**. Training walked down in it.
#
# All heights in this notebook are measured on the same batch, the first 500 training images. (The network has learned
# from these, so its loss here is lower than on the validation images of notebook 00.)

# %% [markdown] tags=["slide"]
# ## A network is a point
#
# - All $D$ weights in one long list: a point $\theta$ in $D$ dimensions.
# - The loss there: a height. Every point has one.
# - Training walked down in this landscape.

# %% tags=["on-slide", "nbval-check-output"]
space = WeightSpace(net)
theta = space.read()
batch = (task.x_train[:500], task.y_train[:500])
height = landscape.line(net, batch, torch.zeros_like(theta), [0.0]).item()
print(f"D = {space.size:,}; length of theta: {theta.norm():.1f}; loss there: {height:.2f} nats")

# %% [markdown]
# Nobody can draw $D$ dimensions, but two are easy. Take the two largest weights of the last layer, give them other
# values, keep all other weights, and measure the loss. This is the real landscape of our network, seen through a small
# window.

# %% tags=["hide-input"]
last = space.size - space.sizes[-1]
pair = theta[last:].abs().topk(2).indices + last
first_axis, second_axis = F.one_hot(pair, space.size).to(theta)
values = torch.linspace(-1.6, 1.6, 17) * theta[pair].abs().max().item()
window = landscape.plane(net, batch, first_axis, second_axis, values, values, theta.index_fill(0, pair, 0.0))

# %% [markdown] tags=["slide"]
# ## Two of its weights
#
# To prune a weight is to walk to the line where it is zero.

# %% tags=["on-slide"] alt="A map of the loss over the values of two weights, with arrows from theta to the points where the first, the second or both are zero; the loss hardly changes along them."
figure, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
landscape_plots.two_weights(ax, values, values, window, tuple(theta[pair].tolist()))
plt.show()

# %% [markdown]
# To prune a weight is to walk straight to the line where it is zero. To prune both is to walk to the corner where the
# two lines cross. The arrows are those walks. Look at the scale: even these two, the largest of their layer, change the
# loss little.
#
# To prune many weights is to walk in the same way, only in more dimensions. A **mask** $m$ is a list of $D$ ones and
# zeros: 1 where a weight stays, 0 where it goes. The pruned network is the point $\theta \odot m$ (multiplied entry
# by entry), and the **step** that leads there is $\Delta\theta = \theta \odot m - \theta$. It leaves alone what stays, and
# takes everything else all the way to zero.


# %% [markdown] tags=["slide"]
# ## A mask, and the step that leads to it
#
# The mask $m$ has a one where a weight stays and a zero where it goes.
#
# $$\Delta\theta = \theta \odot m - \theta$$
#
# The step leaves alone what stays, and takes everything else **all the way to zero**.


# %%
def step_to(criterion, sparsity, stages=1):
    run = LocalPruner(criterion, sparsity=sparsity, stages=stages).prune(net, task)
    return theta * run.mask.kept - theta


# %% [markdown]
# ## 2. Walk to a pruned network
#
# Walk from the trained network to the pruned one in a straight line, and let $t$ be the share of the way that is done: 0 at the
# start, 1 at the end. On the way nothing is pruned yet. All weights that will go shrink together: at $t = 0.5$ each has
# half of its size. Take the mask of magnitude pruning (MP) at a sparsity of 90 %. Its loss, 1.90 nats, is far above that of the
# trained network (0.03).

# %% [markdown] tags=["slide"]
# ## Guess: half of the way
#
# Walk in a straight line to the mask of MP at 90 %.

# %% tags=["on-slide"]
half_way = exercises.guess(
    "rise at half the way", "How much of the rise in loss has happened when you are halfway?", unit="%"
)

# %%
t = torch.linspace(0, 1, 21)
to_mp = {sparsity: step_to("mp", sparsity) for sparsity in (0.5, 0.8, 0.9, 0.95)}
to_qm = {sparsity: step_to("qm", sparsity, stages=14) for sparsity in to_mp}
lines = [{share: landscape.line(net, batch, step, t) for share, step in to.items()} for to in (to_mp, to_qm)]

# %% [markdown] tags=["slide"]
# ## The harm is done far from where you stand

# %% tags=["on-slide", "hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.2), layout="constrained", sharey=True)
for ax, losses, criterion, title in zip(axes, lines, ("mp", "qm"), ("MP in one go", "QM in 14 stages"), strict=True):
    landscape_plots.slices_by_sparsity(landscape_plots.frame(ax, 1, 2.5), t, losses, criterion).set_title(title)
axes[1].set_ylabel("")
rise = lines[0][0.9] - height
half_way.reveal(
    figure,
    "Every line to a mask here leaves the trained network almost level. The harm is done far from where you stand, and someone who only "
    "looks around at the start sees next to nothing of it.",
    answer=(rise[10] / rise[20]).item(),
    alt="Loss along the straight line to the mask, for MP in one go and QM in 14 stages, at four sparsities: all lines "
    "leave almost level and bend upwards later, those of high sparsity most.",
)

# %% [markdown]
# In the outcome, the masks of MP are on the left. On the right are those that the quadratic model (QM) of notebook 00
# chose in 14 stages. The sparsity of each mask stands at the end of its line.
#
# ### Try it yourself
#
# On the left, the loss along two lines, against the distance from $\theta$: MP's in black, the one that you choose in colour, and a
# circle for the network after each stage. *Guessing* is the loss of a network that gives every digit the same
# probability. On the right, both lines from above, drawn in true angles and lengths; the colours are the loss.
# (*Random* and *gradient* lead to no mask: leave them for section 4. *OBD* and *LM* are two more criteria,
# which notebook 02 builds.)

# %%
slider = widgets.landscape_slider(net, task, start=0.9, stages=14)
slider

# %% [markdown]
# Try this. At 90 %, go from 1 stage to 20 and watch the end of QM's line sink, although its step gets no shorter. Then
# raise the sparsity, and watch both ends run towards $\lVert\theta\rVert$, the dotted line, where no weight is left.
#
# Here are three settings, for paper and for screens where nothing moves.

# %%
slider.stills({"sparsity": 0.5, "stages": 1}, {"stages": 1}, {"stages": 14})

# %% [markdown]
# In one go, QM ends higher than MP at both sparsities (0.47 and 0.06 nats; 1.99 and 1.90). At 90 % and in 14 stages it ends
# far lower (0.77), although its step is the longer one. (At 50 % it stays above MP even in 14 stages: open the outcome of this section's guess, and compare the two lines that end at 50 %.)
#
# ### Exercise 1.1: The loss on a line
# *medium, about 8 minutes*
#
# Write the function that drew these lines. `space.call(weights, rest, x)` runs the network with any weights [D] on the images `x`,
# and gives the logits [N, classes], the scores that the softmax turns into probabilities; `rest` holds the biases, which are not pruned.


# %% tags=["stub"]
def loss_on_line(space, rest, x, y, direction, at):
    """Return the mean cross-entropy at each share of the way in `at` [P]; a tensor [P].

    The walk starts at the network's own weights, `space.read()`. With at = [0, 0.5, 1] the three points are the start,
    the middle and the end of the step `direction` [D]. `y` [N] are the labels.
    """
    # your code


# %%
exercises.check("loss on a line", loss_on_line)

# %% [markdown]
# <details><summary>Hint 1</summary>One share at a time is enough: make the point, run the network, take the loss,
# collect the losses in a list, and stack them in the end.</details>
# <details><summary>Hint 2</summary><code>F.cross_entropy</code> takes logits and labels, applies the softmax itself,
# and averages over the images.</details>


# %% tags=["solution"]
def loss_on_line(space, rest, x, y, direction, at):
    theta = space.read()
    losses = []
    for t in at:
        logits = space.call(theta + t * direction, rest, x)  # the network at this point
        losses.append(F.cross_entropy(logits, y))
    return torch.stack(losses)


# %% [markdown]
# ## 3. How far is it?
#
# The **length** of a step is $\lVert\Delta\theta\rVert$, the root of the sum of its squared entries. Is the step of MP a long
# one? Compare it with training. Our network was trained by stochastic gradient descent, **SGD**: step after step against the gradient, on a few images
# at a time; with **momentum**, each step keeps a part of the one before. Before training, the network had random weights
# $\theta_0$ (`theta_0`), and $\lVert\theta - \theta_0\rVert$ is how far all of the training has brought it.

# %% [markdown] tags=["slide"]
# ## Guess: how far is it?
#
# The yardstick is how far all of the training has brought the network.

# %% tags=["on-slide"]
longer = exercises.guess(
    "step in trainings", "How long is the step of MP at 50 %, if the length of all of the training counts as 1?"
)

# %% [markdown]
# ### Exercise 1.2: The shortest step
# *medium, about 8 minutes*
#
# Before you look: how long must a step be *at least* to reach a given sparsity? Which weights would you take?


# %% tags=["stub"]
def shortest_step(weights, sparsity):
    """Return the length of the shortest step that sets round(sparsity * D) weights to zero, and its share of ‖weights‖.

    >>> shortest_step(torch.tensor([4.0, 0.0, -12.0, 3.0]), 0.75)  # three of four weights go; ‖weights‖ is 13
    (tensor(5.), tensor(0.3846))
    """
    # your code: return length, share


# %%
exercises.check("shortest step", shortest_step)

# %% [markdown]
# <details><summary>Hint 1</summary>A weight that goes moves by its own size. What does it add to the squared length of
# the step?</details>
# <details><summary>Hint 2</summary><code>weights.abs().sort().values</code> has the smallest sizes first, and
# <code>vector.norm()</code> is the root of the sum of squares.</details>


# %% tags=["solution"]
def shortest_step(weights, sparsity):
    sizes = weights.abs().sort().values
    length = sizes[: round(sparsity * len(weights))].norm()  # the smallest weights go
    return length, length / weights.norm()


# %% [markdown]
# Now the measurement. This network started from the random weights of `seed=0`. Do not take our word for it: it still
# resembles its own start, and not another one. (A cosine is 1 for the same direction and 0 at right angles.)

# %% tags=["nbval-check-output"]
theta_0, other = (WeightSpace(models.mlp_300_100(task, seed=seed)).read() for seed in (0, 1))
for name, start in (("its own start", theta_0), ("another start", other)):
    print(f"cosine of theta and {name}: {F.cosine_similarity(theta, start, dim=0):.2f}")

# %%
after_epoch = WeightSpace(training.fit(net, task, epochs=1)).read()
lengths = {"one more epoch of training": after_epoch - theta, "all of the training": theta - theta_0}
lengths |= {f"MP, {100 * sparsity:.0f} %": step for sparsity, step in to_mp.items()}
lengths |= {"QM in 14 stages, 90 %": to_qm[0.9], "‖θ‖: all weights to zero": -theta}
lengths = pd.Series({name: step.norm().item() for name, step in lengths.items()})

# %% [markdown] tags=["slide"]
# ## Pruning is a long step

# %% tags=["on-slide"]
figure, ax = plt.subplots(figsize=(plots.WIDTH, 3.4), layout="constrained")
landscape_plots.lengths(ax, lengths, {name: name[:2].lower() for name in lengths.index if name[:2] in ("MP", "QM")})
longer.reveal(
    figure,
    "Pruning is the longer step: it moves each weight all the way to zero, and training moved most of them by less.",
    answer=lengths["MP, 50 %"] / lengths["all of the training"],
    alt="Dots on a logarithmic scale: one more epoch of training is by far the shortest step; all of the training is "
    "shorter than each pruning step; that of QM is longer than that of MP at the same sparsity.",
)

# %% [markdown]
# In the outcome, each number on the axis is ten times the one before. "All of the training" is the distance from start to
# end, not the length of the path, which winds; an epoch is one pass over all training images.
#
# What makes a step long? There are many weights, so even small squares add up; and pruning moves each of them
# *all the way* to zero. Here is the shortest step to every sparsity, which is that of MP: no mask of the same sparsity is
# nearer. Where does it pass all of the training?

# %% alt="Length of the shortest step against sparsity: it rises from zero, passes the length of all of the training before 50 %, and reaches the length of theta at 100 %."
shortest = theta.abs().sort().values.square().cumsum(0).sqrt()
shares = torch.linspace(0, 1, len(shortest))
figure, ax = plt.subplots(figsize=(plots.WIDTH, 3), layout="constrained")
walks.reach(ax, shares, shortest, lengths["all of the training"], theta.norm().item())
plt.show()
less = ((theta - theta_0).abs() < theta.abs()).float().mean()
print(f"{100 * less:.0f} % of the weights were moved less by training than pruning them would move them")

# %% [markdown]
# From about 41 % on, the step is longer than all of the training. But length is not all: at 90 %, MP
# takes the shortest step, and QM in 14 stages ends lower on a longer one. Direction counts too.
#
# ## 4. A slice is one direction
#
# The loss along one line is called a **slice**. There are as many slices as directions. A random direction is
# often drawn. To make it comparable between networks, it is scaled to fit the network's own weights (Li et al. 2018).
#
# ### Exercise 1.3: Filter normalisation
# *medium, about 8 minutes*
#
# Stretch a random direction so that, for each unit, its part is as long as the unit's own weights. Dimension 0 counts
# the units of a `Linear` layer [units, inputs], and the filters of a `Conv2d` [filters, channels, height, width].


# %% tags=["stub"]
def filter_normalised(direction, weight):
    """Return the direction of one layer, each unit's (or filter's) part as long as that of the weight.

    >>> filter_normalised(torch.tensor([[3.0, 4.0], [0.0, 1.0]]), torch.tensor([[0.0, 10.0], [0.0, 0.0]]))
    tensor([[6., 8.], [0., 0.]])
    """
    # your code


# %%
exercises.check("filter normalisation", filter_normalised)

# %% [markdown]
# <details><summary>Hint 1</summary>Each row needs one factor: the length of the weight's row over the length of the
# direction's row.</details>
# <details><summary>Hint 2</summary><code>x.flatten(1)</code> makes a matrix of any weight, with a row for each unit or
# filter; <code>.norm(dim=1, keepdim=True)</code> gives the lengths of its rows as a column.</details>


# %% tags=["solution"]
def filter_normalised(direction, weight):
    rows, own = direction.flatten(1), weight.flatten(1)
    factor = own.norm(dim=1, keepdim=True) / rows.norm(dim=1, keepdim=True)  # one for each row
    return (rows * factor).view_as(weight)


# %% [markdown]
# Compare four directions: such a *random* one; the *gradient* of the loss at $\theta$; and those towards the masks of
# *MP* and *QM* at 90 %. To be fair, we walk equally far along each.

# %% [markdown] tags=["slide"]
# ## Guess: which way is steep?
#
# Four directions from the same point, walked equally far.

# %% tags=["on-slide"]
steepest = exercises.guess(
    "highest at length 3",
    "After a walk of length 3, along which is the loss highest?",
    choices={"random": "random", "gradient": "gradient", "mp": "MP's mask", "qm": "QM's mask"},
)

# %%
gradient = LossModel.at(net, batch, order=1).gradient
random = landscape.random_direction(net, seed=0)
directions = {"random": random, "gradient": gradient, "mp": to_mp[0.9], "qm": to_qm[0.9]}
units = {name: direction / direction.norm() for name, direction in directions.items()}
walked = pd.DataFrame({name: landscape.line(net, batch, unit, [0, 1, 3, 10]) for name, unit in units.items()}).T
walked.columns = [f"length {length}" for length in (0, 1, 3, 10)]

# %% [markdown] tags=["slide"]
# ## One point, four slices, four landscapes

# %% tags=["on-slide", "hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.3), layout="constrained")
for ax, longest, top in zip(axes, (3, 20), (3, 1.5), strict=True):
    at = torch.linspace(0, longest, 81)
    losses = {name: landscape.line(net, batch, unit, at) for name, unit in units.items()}
    landscape_plots.slices(landscape_plots.frame(ax, longest, top), at, losses)
steepest.reveal(
    figure,
    walked.map("{:.2f}".format),
    "Along the gradient the loss is high before it begins to rise on the way to a mask. Along a random direction it stays flat "
    "longest. Yet a random step is of no use: it prunes nothing.",
    answer=walked["length 3"].idxmax(),
    alt="Loss against the length of the walk along four directions, near on the left and far on the right: along the "
    "gradient it rises at once, towards MP's mask late, towards QM's mask and along a random direction later still.",
)

# %% [markdown]
# One point, four slices, four landscapes. The slice that is drawn most often is the random one. Here it is by itself:

# %% [markdown] tags=["slide"]
# ## What does a flat slice show?
#
# That *this* direction is flat. Twenty other random ones are too. The gradient's is steep.

# %% tags=["on-slide", "hide-input"] alt="Loss along one random direction, both ways from theta: a wide bowl that is almost flat in its middle."
at = torch.linspace(-12, 12, 49)
figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
losses = landscape.line(net, batch, units["random"], at)
landscape_plots.one_slice(landscape_plots.frame(ax, 12, 0.6), at, losses, "random")
ax.set(xlim=(-12.3, 12.3), xlabel="length of the step from θ, both ways", title="A slice along a random direction")
plt.show()
others = [landscape.random_direction(net, seed=seed) for seed in range(1, 21)]
heights = [landscape.line(net, batch, other / other.norm(), [3.0]).item() for other in others]
print(f"20 other random directions, at length 3: {min(heights):.3f} to {max(heights):.3f} nats")

# %% [markdown]
# ### Exercise 1.4: Read a slice
# *easy, about 4 minutes*
#
# Someone shows you the figure above and says: "Between -3 and 3 the loss hardly changes. So a step of length 3 does no
# harm to this network." What do you answer?
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
# <details><summary>Hint 2</summary>Look at the column "length 3" in the outcome above.</details>

# %% tags=["solution"]
my_reading = "c"  # along the gradient, the loss is far up at length 3

# %% [markdown]
# ## 5. Two steps, seen from above
#
# Three points span a plane: the trained network and two pruned ones. Pictures of such planes mislead when they draw the
# two steps at right angles and equally long, because in general they are not. That is why this notebook draws angle and
# lengths as they are, here as in section 2. And what is in between: is every point of this plane a pruned network?

# %%
halfway = exercises.guess(
    "zero in the middle",
    "Halfway between the networks of MP and of QM at 90 %: which share of the weights is zero there?",
    unit="%",
)

# %%
first, second = to_mp[0.9], to_qm[0.9]
along, across, _ = landscape.orthonormal(first, second)  # of length 1, at right angles, in the plane of both steps
at = torch.linspace(-5, 29, 25)
field = landscape.plane(net, batch, along, across, at, at)
middle = landscape.line(net, batch, (first + second) / 2, [1.0]).item()
zeros = (theta + (first + second) / 2 == 0).double().mean().item()

# %% tags=["hide-input"]
ends = sorted(landscape.line(net, batch, step, [1.0]).item() for step in (first, second))
angle = torch.rad2deg(F.cosine_similarity(first, second, dim=0).acos())
figure, (ax, key) = plt.subplots(1, 2, figsize=(6, 4.8), width_ratios=(30, 1), layout="constrained")
walks.seen_from_above(ax, first, second, at, field).set_title(f"steps {angle:.0f} degrees apart")
landscape_plots.levels_bar(figure, key)
halfway.reveal(
    figure,
    "Only what both masks remove is zero in the middle. What only one of them removes has half of its size there. "
    "So between two networks pruned to 90 % there is none pruned to 90 %.",
    f"The loss is {middle:.2f} nats in the middle, {ends[0]:.2f} and {ends[1]:.2f} at the two masks. "
    "There is no wall between them.",
    answer=zeros,
    alt="Filled contours of the loss on the plane of two steps, in true angles and lengths: theta in a flat lowest "
    "region, the shorter step of MP leading up steeply, the longer one of QM, at about 50 degrees, less high.",
)

# %% [markdown]
# In the outcome, each band of colour ends at twice the loss of the band below; the flat region around $\theta$ is wide in
# this plane. But a plane is a slice too. It shows two directions out of $D$, and a network that lies above or below it has no
# place in the picture.

# %% [markdown]
# ### Bonus 1.5: Is it in the picture?
# *hard, about 12 minutes*
#
# Take the network that lacks every weight which *either* mask removes. Where is it? It has a nearest point in the plane,
# and a distance from it.


# %% tags=["stub", "bonus"]
def in_plane(step, first, second):
    """Return shares a and b, and a distance: a * first + b * second is the point of the plane that is nearest to `step`.

    >>> in_plane(torch.tensor([2.0, 1.0, 2.0]), torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0]))
    (tensor(1.), tensor(0.5000), tensor(2.))
    """
    # your code: return a, b, distance


# %%
exercises.check("in the plane", in_plane)

# %% [markdown]
# <details><summary>Hint 1</summary>This is least squares with two unknowns. What is left of the step must be at right
# angles to both <code>first</code> and <code>second</code>: two equations.</details>
# <details><summary>Hint 2</summary><code>torch.linalg.lstsq(matrix, right_side)</code> solves it, with the two steps
# as the columns of the matrix [D, 2] and the step as a column [D, 1].</details>


# %% tags=["solution", "bonus"]
def in_plane(step, first, second):
    columns = torch.stack([first, second], dim=1)
    # What is left, step - columns @ ab, is at right angles to both columns.
    ab = torch.linalg.solve(columns.T @ columns, columns.T @ step)
    return ab[0], ab[1], (step - columns @ ab).norm()


# %% tags=["nbval-check-output"]
found = in_plane(torch.where((first != 0) | (second != 0), -theta, 0), first, second)
names = ("share of MP's step", "share of QM's step", "distance from the plane")
"write in_plane first" if found is None else {name: round(float(x), 2) for name, x in zip(names, found, strict=True)}

# %% [markdown]
# ## 6. Many short steps
#
# QM reached its mask in 14 stages. Each stage is a step of its own: from where the last one ended, it takes some more
# weights to zero. Add up the lengths of the 14 steps, and compare the sum with the straight line from $\theta$ to the
# same mask.

# %% [markdown] tags=["slide"]
# ## Guess: many short steps
#
# QM walks to its mask in 14 stages. Add up their lengths.

# %% tags=["on-slide"]
detour = exercises.guess(
    "walk in lines", "The length of the walk, divided by that of the straight line: which number comes out?"
)

# %%
states = list(LocalPruner("qm", sparsity=0.9, stages=14).stream(net, task))
steps = torch.tensor([state.row["step_length"] for state in states])
after = torch.cat([landscape.line(net, batch, state.weights - theta, [1.0]) for state in states])
on_line = landscape.line(net, batch, second, steps.square().cumsum(0).sqrt() / second.norm().item())

# %% [markdown] tags=["slide"]
# ## Every stage sets off at a right angle

# %% tags=["on-slide", "hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(plots.WIDTH, 3.3), layout="constrained")
walks.corners(axes, steps, after, on_line)
detour.reveal(
    figure,
    f"walked {steps.sum():.0f}, the straight line {second.norm():.0f}; the longest stage {steps.max():.0f}\n"
    f"root of the sum of the squared steps: {steps.square().sum().sqrt():.0f}",
    answer=(steps.sum() / second.norm()).item(),
    alt="Left, distance from theta against the length walked: a curve that bends like a root, far below the straight "
    "line. Right, the loss after each stage lies close to that on the straight line at the same distance.",
)

# %% [markdown]
# No weight goes twice, so the stages move in different coordinates: **every stage is at a right angle** to all those
# before. As with the sides of a box and its diagonal, the squares of the lengths add up. So 14 stages do not walk one line in 14
# portions. They share out the *weights*. And a stage is not a fourteenth of the whole step, but about
# $1/\sqrt{14}$ of it. Keep this in mind for notebook 02: what stages make smaller, and what they do not.
#
# What is gained by turning so often? Hardly an easier path: after the early stages the loss is a little below that
# of the straight line at the same distance; later it is nearly the same. What differs is **where the walk leads**. Asked once,
# from $\theta$, QM did not find this mask.
#
# Standing at $\theta$ one can measure the height, the slope and the curvature there, and the harm is far away. How much
# do these three tell us about it? That is the next question.

# %% [markdown] tags=["slide"]
# ## What we saw
#
# - A pruned network is a point, and a far one. The line leaves almost level; most of the harm is done in its second half.
# - A slice shows its own direction and no other.
# - Each stage is at a right angle to all earlier ones. Stages share out the weights, and lead to another mask than one
#   long step.

# %% [markdown]
# ## What we saw
#
# - A pruned network is a point, and a far one: from 50 % on, the step there is longer than all of the training, because
#   many weights go all the way to zero. The line leaves almost level, and most of the harm is done in its second half (91 % for MP at 90 %).
# - A slice or a plane shows its own directions and no others. Random ones look flat; the gradient's is steep.
# - Each stage is at a right angle to all earlier ones. Stages share out the weights, and lead to another mask than one
#   long step.
#
# **Go on** with [02 Taylor approximations](02_taylor_approximations.ipynb): what can be known of the line while standing
# at its start?
#
# **More**: H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, *Visualizing the Loss Landscape of Neural Nets*, 2018,
# [arXiv 1712.09913](https://arxiv.org/abs/1712.09913).

# %% [markdown]
# ## Quiz
#
# Choose an answer; it opens and says why it is right or wrong.
#
# **1. Of all masks with the same sparsity, which has the shortest step?**
# <details><summary>That of MP</summary>Right. The squared length is the sum of the squares of the pruned weights, and
# MP takes the smallest squares.</details>
# <details><summary>That of the best criterion</summary>No. At 90 %, QM in 14 stages ended at a lower loss, on a longer
# step.</details>
# <details><summary>All are equally long</summary>No. They remove equally many weights, but not equally large
# ones.</details>
#
# **2. A random slice is flat, the gradient's is steep. What does the flat one show?**
# <details><summary>That the network lies in a wide, flat bowl</summary>No. It shows one direction. The gradient's
# slice goes through the same point.</details>
# <details><summary>That filter normalisation went wrong</summary>No. Both walks are equally long, so the comparison is
# fair.</details>
# <details><summary>That this direction is flat</summary>Right. It shows no other. The twenty others that we drew were flat
# too, but the steep ones show in none of them.</details>
#
# **3. Halfway on the straight line to a mask, what does the network look like?**
# <details><summary>Half of the weights to be pruned are zero</summary>No. That is a point on another walk, one in two
# stages.</details>
# <details><summary>The weights to be pruned have half of their size</summary>Right. They shrink together; the others
# stay as they are.</details>
# <details><summary>All weights have half of their size</summary>No. The weights that are kept do not move.</details>
#
# **4. What do 14 stages do to the long step?**
# <details><summary>They walk the same line in 14 portions</summary>No. Each stage takes other weights, and so sets off
# at a right angle to all earlier ones.</details>
# <details><summary>They share out its weights, and may end at another mask</summary>Right. The walk becomes longer in
# all, each step shorter, and the choice is made anew at every corner.</details>
# <details><summary>They make the whole walk shorter</summary>No. The sum of the steps is several times as long as the
# straight line.</details>
