"""Results: the shipped tables, what they say, and the paper's numbers beside ours.

A table has one row per run (see `Study.table`). Each sparsity is looked at alone. Runs of one configuration and seed
that are there twice (magnitude, in tables that were put together) count once.
"""

from lossprune_lib.results.cells import View, cell, cells, densities, views
from lossprune_lib.results.chaos import chaos, chaos_verdicts
from lossprune_lib.results.controls import between_criteria, controls, controls_in_words, controls_of_loss
from lossprune_lib.results.correlation import Preserving, preserving, rank_correlation
from lossprune_lib.results.exactness import exactness
from lossprune_lib.results.findings import cases, changes_by_seed, judge
from lossprune_lib.results.first_off import first_off
from lossprune_lib.results.language import language_model, layer_shares, losses
from lossprune_lib.results.overlap import criterion_overlap, overlap
from lossprune_lib.results.paper import beside_paper
from lossprune_lib.results.predictions import errors_by_stages, prediction_verdicts, predictions
from lossprune_lib.results.selection import best_penalty, best_tuned, gap, loss_change
from lossprune_lib.results.statistics import Interval, adjusted_p, interval, paired
from lossprune_lib.results.tables import belonging, load, missing, names, together
from lossprune_lib.results.trainings import between_trainings

__all__ = [
    "Interval",
    "Preserving",
    "View",
    "adjusted_p",
    "belonging",
    "beside_paper",
    "best_penalty",
    "best_tuned",
    "between_criteria",
    "between_trainings",
    "cases",
    "cell",
    "cells",
    "changes_by_seed",
    "chaos",
    "chaos_verdicts",
    "controls",
    "controls_in_words",
    "controls_of_loss",
    "criterion_overlap",
    "densities",
    "errors_by_stages",
    "exactness",
    "first_off",
    "gap",
    "interval",
    "judge",
    "language_model",
    "layer_shares",
    "load",
    "loss_change",
    "losses",
    "missing",
    "names",
    "overlap",
    "paired",
    "prediction_verdicts",
    "predictions",
    "preserving",
    "rank_correlation",
    "together",
    "views",
]
