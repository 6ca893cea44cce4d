"""A sentence for each frequent wrong guess in the course, by the name of its question.

They stand here and not in the notebooks, where the code of the next cell would say what nobody has guessed yet. Keys
are choices; of numbers a number, a range (low, high), "low" or "high"; and "right". The first that fits is said.
"""

from __future__ import annotations

from typing import Any

BECAUSE: dict[str, dict[Any, str]] = {
    # 00 Start here
    "half wrong": {
        (
            0.45,
            0.55,
        ): "The cost does not grow evenly. The smallest seven tenths cost little even together; what goes next does "
        "not.",
        "low": "The network has many more weights than it needs for these images: that is why one prunes.",
        "high": "It tolerates a lot, but not that much.",
    },
    "larger costs more": {
        (0.45, 0.55): "Size is not worthless: it does better than tossing a coin.",
        "high": "Size is a hint, but weights of the same size differ widely in what they cost.",
        "low": "Size does better than that. Below one half, smaller weights would even cost more than larger ones.",
    },
    "best of three": {
        "MP, in one go": "It is right least often of the three: size alone does not say how much the loss changes.",
        "QM, in one go": "It is the same criterion, asked only once. What a weight costs changes as others go.",
    },
    # 01 Loss landscapes
    "rise at half the way": {
        (
            0.45,
            0.55,
        ): "On a straight slope it would be half. The loss bends: it leaves the trained network almost level.",
        "low": "Almost level is not level: by half of the way the bend has begun.",
        "high": "The loss leaves the trained network almost level, and bends upwards later.",
    },
    "step in trainings": {
        "low": "Half of the weights go all the way to zero, and training moved most of these by less.",
        "high": "The smallest weights go first, so their squares add up slowly.",
    },
    "highest at length 3": {
        "mp": "It ends high, but it starts level: at length 3 it has hardly begun to rise.",
        "qm": "Its weights were chosen to change the loss little.",
        "random": "Random directions are almost flat at this length: the next cells try twenty more.",
    },
    "zero in the middle": {
        "high": "A weight is zero in the middle only if both masks remove it, and they do not remove the same ones.",
        "low": "If two masks remove nine tenths each, at least eight tenths of all weights go in both.",
    },
    "walk in lines": {
        (0.9, 1.1): "It would be just as long if all stages went the same way, but each takes other weights.",
        "low": "No walk is shorter than the straight line, and each stage is at a right angle to all earlier ones.",
        "high": "At right angles, 14 steps can be at most √14, about 3.7 times, as long as the line.",
    },
    # 02 Taylor approximations
    "second order at 80 %": {
        "high": "Nothing is missing up to second order, and still it is a model for short steps.",
        "low": "It is not that bad: along the first quarter of the step it is nearly right. It falls behind later.",
    },
    "weights that lower the loss": {
        (0.32, 0.36): "That is what notebook 00 measured, nearly. The model says it of somewhat more weights.",
        "low": "The slopes are not zero: for many weights the way to zero begins downhill.",
        "high": "For the larger part of the weights, the model says that the loss would rise.",
    },
    "share of its own step": {
        "high": "That would fit the steps of MP. QM picked weights whose predicted changes are small, up and down: "
        "these cancel in the sum, but the actual changes do not.",
    },
    "error that grows": {
        "beyond the 2nd order": "This is the one that stages mend: no single step is long any more.",
        "diagonal for the full GGN": "It rises at first, but ends about where it began.",
        "none of them": "It is natural to think that short steps shrink every error. They do not.",
    },
    # 03 Locality
    "predicted in 140 stages": {
        "high": "Short steps make the expansion right, but QM goes by its diagonal. In 14 stages the rises and falls "
        "that it predicts cancel; in 140 even their sizes add up to far less than the cost.",
    },
    "order or stages": {
        "curvature": "A model with more terms is worth something, but here less than asking the model again, in more "
        "stages.",
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
        "low": "The weights that are left learn to do a part of the work of those that went.",
        "high": "For QM most of it comes back. MP has nearly cut off a layer, and 20 epochs find no good way around.",
    },
    "share of the budget": {
        "low": "At 95 % fine-tuning soon makes up for single weights. For a starved layer 20 epochs are not enough.",
        "high": "A little of the lag is left after 20 epochs. Whether it is more than chance, one network cannot say.",
    },
    "worse at 95 %": {
        0: "MP starves a layer, and even this much fine-tuning does not make up for that.",
        2: "Even random weights will do once they are shared out well and fine-tuned for long enough.",
        3: "Which weights they are hardly matters here, once they are shared out well and fine-tuned.",
        4: "Which weights they are hardly matters here, once they are shared out well and fine-tuned.",
    },
    "chosen on the test set": {
        "low": "Of many runs, the luckiest looks better than it is.",
        "high": "The luck of the best of many runs is limited by how much one set of images can vary.",
    },
    "after 100 epochs": {
        "MP": "It gains most from the longer training, and is last all the same.",
        "OBD": "It was ahead after 20 epochs, but gains least from the 80 that follow.",
        "LM": "It comes close, and leads in one network: two seeds cannot tell LM and QM apart.",
    },
    "correlation of all": {
        "low": "Bad prunings stay bad, and there are many of them among all runs.",
        "high": "It is high, but runs with the same loss change still differ.",
    },
    "correlation of a quarter": {
        "right": "The interval, -0.70 to 0.14, includes zero: no relation shows.",
        "high": "Among the runs that preserve the loss well, no such order shows.",
        "low": "Preserving the loss better is not shown to do harm: the interval includes zero.",
    },
    "two convolutional networks": {
        "clearly behind": "QM kept the loss better by 0.7 nats, yet MP ends ahead on average, if not clearly.",
        "clearly ahead": "On average it is, by 0.3 points, but the interval of four networks includes zero.",
    },
    # 05 At scale
    "numbers that differ": {
        "low": "Every gap differs. Training and fine-tuning were much shorter here than in the paper.",
        "high": "Loss changes need no fine-tuning, and none of them differs clearly.",
    },
    "one sampled column": {
        "low": "One column is a crude estimate, and in 14 stages that costs something on the digits.",
        "high": "It costs less than that here. One column is right on average, and the average is over many examples.",
    },
    "own network": {
        "1 to 5 points": "MP starves no layer here, and fine-tuning makes good the rest.",
        "more than 5 points": "That was notebook 04's network at 95 and 98 %. Look at the shares.",
    },
    # 06 From here to language models
    "loss doubled": {
        "high": "It is not far beyond one half. The digits' loss doubled between 60 and 70 % too (notebook 00), though "
        "their accuracy held out longer.",
        "low": "It can lose half of its weights before the loss has doubled, though its spelling suffers sooner.",
    },
    "largest input": {
        "high": "In models with billions of weights it can be. Here most layers have inputs of much the same size.",
        "low": "In most layers it is about two. In the layers called 'down' a few inputs are large.",
    },
    "paid back": {
        "high": "Inputs go together only so far: what no other input contains, no other weight can pay back.",
        "low": "Inputs of one layer have much in common, so others can take over a good part of the work.",
    },
    "second at 60 %": {
        "Wanda, per row": "At 60 % it is behind even magnitude in each layer: 2.00 nats against 1.87.",
        "MP, global": "Compared over the whole network, size gives some layers too little: look at their shares below.",
        "Wanda, per layer": "At 60 % it is hardly ahead of MP in each layer: 1.84 nats against 1.87.",
        "MP, per layer": "At 40 % and below it is ahead of QM, at 50 % level, at 60 % behind: see the controls.",
        "LM, global, 14 stages": "It has the stages, but without the curvature it trails even MP in each layer here.",
    },
    "magnitude in QM's shares": {
        "higher": "QM knows the loss, so one would think so. From 50 to 70 %, its scores choose well between layers, "
        "and less well within them. Whether that is the missing pairs or the sampled curvature was not tested.",
        "the same within 0.05 nats": "That would say that only the shares count. Within them, QM's own choice is "
        "worse.",
    },
}
