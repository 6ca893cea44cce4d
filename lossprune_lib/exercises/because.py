"""A sentence for each frequent wrong guess in the course, by the name of its question.

They stand here and not in the notebooks, where the code of the next cell would say what nobody has guessed yet. Keys
are choices; of numbers a number, a range (low, high), "low" or "high"; and "right". The first that fits is said.
"""

from __future__ import annotations

from typing import Any

BECAUSE: dict[str, dict[Any, str]] = {
    # 00 Start here
    "half wrong": {
        (0.45, 0.55): "Half of the weights gone is not half of the images wrong: small weights do little.",
        "low": "The network has many more weights than it needs for these images: that is why one prunes.",
        "high": "It tolerates a lot, but not that much.",
    },
    "larger costs more": {
        (0.45, 0.55): "Size is not worthless: it does better than tossing a coin.",
        "high": "Size is a hint, but weights of the same size differ widely in what they cost.",
        "low": "Below one half, smaller weights would cost more than larger ones.",
    },
    "best of three": {
        "MP, in one go": "Small weights can still matter: size alone does not say how much the loss changes.",
        "QM, in one go": "It is the same criterion, asked only once. What a weight costs changes as others go.",
    },
    # 01 Loss landscapes
    "rise at half the way": {
        (
            0.45,
            0.55,
        ): "On a straight slope it would be half. The loss bends: it leaves the trained network almost level.",
        "high": "The loss leaves the trained network almost level, and bends upwards later.",
    },
    "step in trainings": {
        "low": "Half of the weights go all the way to zero, while training moved each of them a little.",
        "high": "The smallest weights go first, so their squares add up slowly.",
    },
    "highest at length 3": {
        "mp": "It ends high, but it starts level: at length 3 it has hardly begun to rise.",
        "qm": "Its weights were chosen to change the loss little.",
        "random": "Nearly all directions are almost flat at this length: a random one hardly ever meets a steep one.",
    },
    "between the masks": {
        "lower": "The middle is no nearer to the trained network than MP's mask is.",
        "higher": "There is no wall between these two masks: the loss falls all the way from MP's to QM's.",
        "between": "Whether there is a wall or a valley between two networks has to be measured.",
    },
    "walk in lines": {
        (0.9, 1.1): "It would be once as long if all stages went the same way, but each takes other weights.",
        "low": "No walk is shorter than the straight line, and each stage turns a right angle.",
        "high": "The stages are short: at right angles, their squares add up to that of the line.",
    },
    # 02 Taylor approximations
    "second order at 80 %": {
        "high": "Nothing is missing from the second order, and still it is a model for short steps.",
        "low": "It is not that bad: at the beginning of the step, the bend of the loss is most of what happens.",
    },
    "weights that lower the loss": {
        "low": "Near a minimum the slopes have both signs, and most single weights matter little.",
        "high": "Training made the weights useful: for the larger part of them, the loss would rise.",
    },
    "share of its own step": {
        "high": "That would fit the steps of MP. QM picked the weights of which its model says 'no change', and added "
        "those up.",
    },
    "error that grows": {
        "beyond the 2nd order": "This is the one that stages mend: no single step is long any more.",
        "diagonal for the full GGN": "It rises at first, but ends about where it began.",
        "none of them": "It is natural to think that short steps shrink every error. They do not.",
    },
    # 03 Locality
    "predicted in 140 stages": {
        "high": "Short steps make the expansion right. But QM goes by its diagonal, and picks the weights for which "
        "the diagonal sees no change.",
    },
    "order or stages": {
        "curvature": "A model with more terms is worth something, but less than a model that is used nearby.",
    },
    "kept by both": {
        "high": "Nearly the same images, the same network, nearly the same loss in the end: and mostly other weights.",
        "low": "By chance alone, two masks that keep one weight in twenty would share about 3 %.",
    },
    "steps of chosen size": {
        "the trust region, clearly": "It looks at what happened, and wins more often than not. Five draws do not make "
        "that clear.",
        "the fixed schedule, clearly": "It is no bad guess, but it does not win more often.",
    },
    # 04 Fine-tuning
    "accuracy that comes back": {
        "low": "The weights that are left learn to do the work of those that went.",
        "high": "What is cut off entirely cannot be learned again.",
    },
    "best after fine-tuning": {
        "qm": "It keeps the loss best, and that is not the same as learning best afterwards.",
        "mp": "It starves a layer of this network, and no training brings that back.",
        "obd": "It ignores the gradient; whether that costs anything depends on the network.",
        "lm": "It has only the gradient; whether that costs anything depends on the network.",
    },
    "chosen on the test set": {
        "low": "Of many runs, the luckiest looks better than it is.",
        "high": "The luck of the best of many runs is limited by how much one set of images can vary.",
    },
    "correlation of all": {
        "low": "Bad prunings stay bad, and there are many of them among all runs.",
        "high": "It is high, but runs with the same loss change still differ.",
    },
    "correlation of a quarter": {
        "high": "Among the runs that kept the loss well, what is left of the order is mostly noise.",
        "low": "Keeping the loss better is not harmful either.",
    },
    # 05 At scale
    "correlation at scale": {
        "high": "Preserving the loss sorts out bad prunings; among the good ones it says little.",
        "low": "Keeping the loss better is not harmful either.",
    },
    "finding 3": {
        "reproduced": "A low correlation is not enough: the data must be able to show a high one.",
        "refuted": "Within the runs that kept the loss well, the correlation is not high enough for that.",
        "undecided": "The interval lies on one side of the limit.",
    },
    "best of five": {
        "MP": "It costs nothing, and on some networks it is good enough. Not on this one.",
    },
}
