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
        "low": "The weights that are left learn to do a part of the work of those that went.",
        "high": "Nearly all of it comes back for QM. MP has cut off a layer, and no training finds a way around.",
    },
    "share of the budget": {
        "low": "Fine-tuning repairs the choice of single weights, and cannot repair a layer that is starved.",
        "high": "A little is left: after 20 epochs, the single weights still count for something.",
    },
    "worse at 95 %": {
        0: "MP starves a layer, and no fine-tuning brings that back.",
        2: "Even random weights will do once they are shared out well and fine-tuned for long enough.",
        3: "Which weights they are hardly matters here, once they are shared out well and fine-tuned.",
        4: "Which weights they are hardly matters here, once they are shared out well and fine-tuned.",
    },
    "chosen on the test set": {
        "low": "Of many runs, the luckiest looks better than it is.",
        "high": "The luck of the best of many runs is limited by how much one set of images can vary.",
    },
    "after 100 epochs": {
        "MP": "It gains most and stays behind: the layer that it starves holds it back.",
        "OBD": "It was ahead after 20 epochs. Its network learns fast and then stops.",
        "LM": "It is close to the best in both networks: two seeds cannot tell these two apart.",
    },
    "correlation of all": {
        "low": "Bad prunings stay bad, and there are many of them among all runs.",
        "high": "It is high, but runs with the same loss change still differ.",
    },
    "correlation of a quarter": {
        "high": "Among the runs that preserve the loss well, what is left of the order is mostly noise.",
        "low": "Preserving the loss better is not shown to do harm: the interval holds zero.",
    },
    "finding 3 on digits": {
        "reproduced": "An interval that holds zero is not enough: the ceiling must leave room for another answer.",
        "refuted": "For that, the whole interval would have to lie above half the ceiling.",
    },
    # 05 At scale
    "numbers that differ": {
        "low": "Fine-tuning was much shorter here than in the paper, and that moves every gap.",
        "high": "Loss changes need no fine-tuning, and they agree.",
    },
    "one sampled column": {
        "low": "One column is a crude estimate: it cannot lose nothing in every setting.",
        "high": "The noise of one column averages out over many examples, and over stages.",
    },
    "own network": {
        "1 to 5 points": "MP starves no layer here, and fine-tuning makes good the rest.",
        "more than 5 points": "That was the small network of notebook 04, which MP starves. Look at the shares below.",
    },
}
