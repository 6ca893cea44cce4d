"""Make the shipped networks again: python data/checkpoints/make.py [MODEL-TASK ...]

Each is trained from seed 0 by the recipe below, so the same machine gives the same network. MNIST needs its file: see
LOSSPRUNE_DATA in the README. About a minute for the digits networks, several for MNIST, on two CPU cores; ten for the
language model on one. That one is stored in half precision, and its scores are of what is stored.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from lossprune_lib import __version__, data, models, training
from lossprune_lib.checks import check_choice

SEED = 0
RECIPES = {
    "mlp_300_100-digits": training.Recipe(epochs=100),
    "small_vgg-digits": training.Recipe(epochs=40),
    "mlp_300_100-mnist": training.Recipe(epochs=60),
    "tiny_gpt-python_reference": training.Recipe(
        epochs=8, lr=3e-3, weight_decay=0.1, batch_size=32, schedule="one_cycle", optimizer="adamw"
    ),
}
HALF = ("tiny_gpt-python_reference",)


def make(name: str) -> None:
    model, task_name = check_choice(name, RECIPES, "shipped network").split("-")
    task = data.load(task_name, device="cpu", seed=SEED)
    recipe = RECIPES[name]
    net = training.fit(models.MODELS[model](task, seed=SEED), task, recipe=recipe, seed=SEED)
    if name in HALF:
        net = net.half().float()
    scores = {split: training.evaluate(net, task, split) for split in data.SPLITS}
    notes = {f"{split}_error": f"{score.error:.4f}" for split, score in scores.items()}
    if task.dtype == torch.int64:
        notes |= {f"{split}_loss": f"{score.loss:.4f}" for split, score in scores.items()}
    notes |= {"recipe": repr(recipe), "seed": str(SEED), "version": __version__}
    stored = net.half() if name in HALF else net
    models.save(Path(__file__).parent / f"{name}.safetensors", stored, model, task, **notes)
    print(name, notes)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or RECIPES:
        make(chosen)
