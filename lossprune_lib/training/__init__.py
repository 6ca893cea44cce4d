"""Training and fine-tuning: one network, or many of one architecture at once."""

from lossprune_lib.training.enforcer import Enforcer
from lossprune_lib.training.evaluation import Score, evaluate, score
from lossprune_lib.training.recipe import AUGMENTATIONS, PRECISIONS, SCHEDULES, Augment, Recipe, crop_and_flip
from lossprune_lib.training.sgd import fit

__all__ = [
    "AUGMENTATIONS",
    "PRECISIONS",
    "SCHEDULES",
    "Augment",
    "Enforcer",
    "Recipe",
    "Score",
    "crop_and_flip",
    "evaluate",
    "fit",
    "score",
]
