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
    "best of three": {
        "MP, in one go": "Small weights can still matter: size alone does not say how much the loss changes.",
        "QM, in one go": "It is the same model as in 14 stages, used far away from where it holds.",
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
        "lower": "The middle is nearer to the trained network than either mask, but that is not enough here.",
        "higher": "There is no wall between the two masks: the middle is nearer to the trained network than either.",
        "between": "Whether there is a wall or a valley between two networks has to be measured.",
    },
    # 02 Taylor approximations
    "second order at 80 %": {
        "high": "Nothing was left out of the second order, and still the step is too long for it.",
        "low": "It is not that bad: the bend of the loss is most of what happens at first.",
    },
    "largest cause at 90 %": {
        2: "The GGN leaves out the part of the Hessian that is small where the network fits its data.",
        3: "The diagonal is a crude cut, but for this step it is not the largest error.",
        4: "Absolute values matter when there are signs to lose.",
    },
    "radius at 90 %": {
        "high": "The diagonal takes each weight alone, and they all move together here.",
        "low": "Near the trained network even the diagonal holds for a while.",
    },
    # 03 Locality
    "promised in 140 stages": {
        "high": "The model chose the weights for which it sees no change.",
    },
    "factor of 14 stages": {
        "low": "The criterion is the same, but each model is used close to where it was made.",
        "high": "Small stages help, and what the diagonal leaves out stays.",
    },
    "penalty that makes MP": {
        "high": "The modelled changes of single weights are tiny, so a small penalty outweighs them.",
        "low": "A penalty must first outweigh what the model says.",
    },
    "trust region or fixed": {
        "fixed": "The fixed schedule does not look at what happened.",
        "trust region": "It looks at what happened, but a look costs, and the fixed schedule was no bad guess.",
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
