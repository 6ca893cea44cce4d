"""Carry out plans on a GPU, in pieces side by side: python data/results/make_on_gpu.py STORE PLAN ... [--help]

The same runs as ``python -m lossprune_lib study run``, kept in the same store, so that either goes on where the other
stopped. Small networks leave a GPU waiting for its orders; therefore a training step is recorded once an epoch as a
CUDA graph and replayed for each batch, and several processes share the GPU (best under MPS, NVIDIA's own service). A
seed's network is trained first; then each criterion, control and step penalty is a piece of its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lossprune_lib import Study
from lossprune_lib.data.task import Batch
from lossprune_lib.pruning.criteria import CRITERIA
from lossprune_lib.seeds import generator
from lossprune_lib.studies.jobs import Job
from lossprune_lib.studies.store import Store
from lossprune_lib.training import ensembles, sgd
from lossprune_lib.training.stacked_batches import batches_of, summed_loss

_EAGER = 2  # steps at the beginning of an epoch: they make what a recording needs, such as momenta


@dataclass(frozen=True)
class Piece:
    """A part of a plan for a process of its own: train a seed's network, or carry out some of its runs."""

    plan: str
    seed: int
    criterion: str = ""  # "" is the training
    control: str = ""
    penalty: float = -1  # -1 is all of the plan's

    def __str__(self) -> str:
        penalty = "" if self.penalty < 0 else f"{self.penalty:g}"
        words = [Path(self.plan).stem, str(self.seed), self.criterion or "training", self.control, penalty]
        return " ".join(word for word in words if word)

    def do(self, store: Path, device: str) -> None:
        study = Study.read(self.plan).only([self.seed])
        if self.criterion:
            study = replace(study, criteria=(self.criterion,), controls=(self.control,))
            if self.penalty >= 0:
                study = replace(study, step_penalties=(self.penalty,))
            study.run(store, device=device, progress=False)
            return
        job = Job(study.runs[0].baseline)
        with Store(store) as kept:
            if kept.baseline(job.baseline) is None:
                kept.add_baseline(job.baseline, job.do(device, unfinished=kept.unfinished))
                job.forget(kept.unfinished)


def pieces_of(plans: Iterable[str], seeds: Iterable[int] = ()) -> dict[Piece, Piece | None]:
    """Return the pieces of some plans, and after which other piece each can begin."""
    found: dict[Piece, Piece | None] = {}
    trained: dict[object, Piece] = {}
    for plan in plans:
        study = Study.read(plan)
        study = study.only(list(seeds)) if seeds else study
        for run in study.runs:
            first = trained.setdefault(run.baseline, Piece(plan, run.baseline.seed))
            found.setdefault(first, None)
            several = len(study.step_penalties) > 1 and CRITERIA[run.criterion].models_loss
            penalty = run.step_penalty if several else -1
            found[Piece(plan, run.baseline.seed, run.criterion, run.control, penalty)] = first
    return found


class Replayed:
    """Training steps on a GPU that are recorded and replayed; `install` lets all training in this process use them."""

    def __init__(self) -> None:
        self.stream, self.eagerly = torch.cuda.Stream(), sgd.train_epoch

    def install(self) -> None:
        sgd.train_epoch = self.train_epoch
        ensembles._train_epoch = self.train_epoch_of_ensemble

    def train_epoch(self, net, task, recipe, optimizer, enforce, seed, epoch, loss=sgd.cross_entropy) -> None:
        """Do what `sgd.train_epoch` does."""
        if recipe.precision != "float32":
            return self.eagerly(net, task, recipe, optimizer, enforce, seed, epoch, loss)
        net.train()
        draws = generator(seed, "augment", epoch)

        def step(x: Tensor, y: Tensor) -> None:
            optimizer.zero_grad()
            (loss.total(net(x), y) / len(y)).backward()
            optimizer.step()
            if enforce is not None:
                enforce()

        batches = task.batches("train", recipe.batch_size, generator(seed, "order", epoch))
        return self._epoch(step, ((x if recipe.augment is None else recipe.augment(x, draws), y) for x, y in batches))

    def train_epoch_of_ensemble(self, stack, task, recipe, optimizer, seeds, epoch) -> None:
        """Do what `ensembles._train_epoch` does."""

        def step(x: Tensor, y: Tensor) -> None:
            optimizer.zero_grad()
            summed_loss(stack.call(x), y).backward()
            stack.mask_gradients()
            optimizer.step()

        self._epoch(step, batches_of(task, recipe.batch_size, seeds, epoch))

    def _epoch(self, step: Callable[[Tensor, Tensor], None], batches: Iterable[Batch]) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            place, graph = None, torch.cuda.CUDAGraph()
            for i, (x, y) in enumerate(batches):
                if i < _EAGER or (place is not None and place[0].shape != x.shape):
                    step(x, y)
                    continue
                if place is None:
                    place = x.clone(), y.clone()
                    torch.cuda.synchronize()
                    graph.capture_begin()
                    step(*place)
                    graph.capture_end()
                place[0].copy_(x)
                place[1].copy_(y)
                graph.replay()
        torch.cuda.current_stream().wait_stream(self.stream)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("plans", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[])
    parser.add_argument("--only", nargs="+", default=[], help="words that a piece's name must have one of")
    parser.add_argument("--processes", type=int, default=12, help="at a time (%(default)s)")
    parser.add_argument("--seconds", type=float, default=580, help="after which all are stopped (%(default)s)")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--piece", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.piece:
        plan, seed, criterion, control, penalty = options.piece
        if options.device == "cuda":
            Replayed().install()
        Piece(plan, int(seed), criterion, control, float(penalty.removeprefix("="))).do(options.store, options.device)
        return
    pieces = pieces_of(options.plans, options.seeds)
    waiting = [piece for piece in pieces if not options.only or set(str(piece).split()) & set(options.only)]
    waiting.sort(key=lambda piece: (piece.criterion != "", piece.control != "gradual"))  # what takes longest, first
    left = carry_out(pieces, waiting, options)
    print(f"{len(left)} pieces are left: the same command goes on.", flush=True)


def carry_out(pieces: dict[Piece, Piece | None], waiting: list[Piece], options: argparse.Namespace) -> list[Piece]:
    """Carry out pieces, several at a time; return those that there was no time for."""
    start, chosen, done, failed = time.monotonic(), set(waiting), set(), []
    running: dict[subprocess.Popen, tuple[Piece, float]] = {}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    while (waiting or running) and time.monotonic() - start < options.seconds:
        ready = [piece for piece in waiting if pieces[piece] not in chosen - done]
        if not ready and not running:
            break  # all others wait for what failed
        for piece in ready:
            if len(running) < options.processes:
                waiting.remove(piece)
                penalty = f"={piece.penalty!r}"  # argparse would take -1 for an option
                words = [piece.plan, str(piece.seed), piece.criterion, piece.control, penalty]
                command = [sys.executable, __file__, options.store, "-", "--device", options.device, "--piece", *words]
                process = subprocess.Popen(command, env=environment, start_new_session=True)
                running[process] = piece, time.monotonic()
        for process, (piece, began) in list(running.items()):
            if process.poll() is not None:
                del running[process]
                (done.add if process.returncode == 0 else failed.append)(piece)
                print(f"{time.monotonic() - start:5.0f} s: {piece}, {time.monotonic() - began:.0f} s", end="")
                print("" if process.returncode == 0 else ": FAILED", flush=True)
        time.sleep(0.2)
    for process, (piece, _) in running.items():
        os.killpg(process.pid, signal.SIGKILL)  # whatever is finished is kept
        waiting.append(piece)
    return waiting + failed


if __name__ == "__main__":
    main()
