"""Make the shipped networks again: python data/checkpoints/make.py [MODEL-TASK ...]

Each is trained from seed 0 by the recipe below, so the same machine gives the same network. MNIST needs its file: see
LOSSPRUNE_DATA in the README. About a minute for the digits networks, several for MNIST, on two CPU cores.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lossprune_lib import __version__, data, models, training
from lossprune_lib.checks import check_choice

SEED = 0
RECIPES = {
    "mlp_300_100-digits": training.Recipe(epochs=100),
    "small_vgg-digits": training.Recipe(epochs=40),
    "mlp_300_100-mnist": training.Recipe(epochs=60),
}


def make(name: str) -> None:
    model, task_name = check_choice(name, RECIPES, "shipped network").split("-")
    task = data.load(task_name, device="cpu", seed=SEED)
    recipe = RECIPES[name]
    net = training.fit(models.MODELS[model](task, seed=SEED), task, recipe=recipe, seed=SEED)
    notes = {f"{split}_error": f"{training.evaluate(net, task, split).error:.4f}" for split in data.SPLITS}
    notes |= {"recipe": repr(recipe), "seed": str(SEED), "version": __version__}
    models.save(Path(__file__).parent / f"{name}.safetensors", net, model, task, **notes)
    print(name, notes)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or RECIPES:
        make(chosen)
