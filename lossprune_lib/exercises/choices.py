"""The exercises with options to choose from, in all notebooks: each wrong option has an explanation of its own."""

from __future__ import annotations

from lossprune_lib.exercises.checking import Choice, register

_READ_A_SLICE = """
    right: A random slice is a fair sample of typical directions and says nothing about the steep ones.
    one-direction: The figure shows one direction out of very many. Look at the table above for the same length along
        others.
    normalisation: Filter normalisation sets how long the parts of the direction are, not the loss at a given length,
        and the axis here is a length that any other step can be compared with.
    small-gradient: Training did end here, but look at the table: some directions rise at once. A small gradient says
        that the loss starts level, not how soon it bends.
"""
register("read a slice", Choice("abcd", "c", _READ_A_SLICE))

_WHEN_THE_GRADIENT_IS_ZERO = """
    right: It is a statement about where training ends, not about curvature, so it must be tested, and a stage of
        pruning moves away from there.
    never-negative: It is true that the GGN's diagonal is never negative, but that says nothing about the size of g θ
        beside it.
    cancels: The terms do cancel in the sum. But a criterion ranks single weights, and for a single one nothing cancels.
    low-is-flat: A loss may be low at a place where it still slopes: low is not flat. Look at what the cell above
        printed.
"""
register("when the gradient is zero", Choice("abcd", "b", _WHEN_THE_GRADIENT_IS_ZERO))

_READING_THE_SPLIT = """
    right: What lies beyond the second order shrinks at least with the third power of the step's length, and it is B's
        largest part.
    diagonal: A's largest part comes from the diagonal. That falls with the square of a step's length, but one network
        has a part that falls faster.
    batch-noise: C's largest part is batch noise: a larger batch would reduce it, but small stages draw as small a batch
        each time.
"""
register("reading the split", Choice("ABC", "B", _READING_THE_SPLIT))

_PROMISE_AND_TRUTH = """
    right: Each model is used over a shorter step, so each is off by less, and the sum is smaller too: splitting a step
        into ten makes each part's error smaller than a tenth. That is locality. It is not perfect: the predicted change
        stays below the actual change in all three panels.
    fewer-weights: Count the weights at the right end of the three panels: the sparsity is the same, so equally many are
        pruned.
    batch-noise: The predicted and the actual change are measured on one and the same batch at each stage, so the noise
        of the batch is in both. Look at what a stage changes instead: how far it goes.
    adaptation: Nothing is trained between stages. The weights that are kept have the same values in all three panels.
"""
register("promise and truth", Choice("abcd", "b", _PROMISE_AND_TRUTH))

_LIMIT_OF_THE_PENALTY = """
    right: With λ large the ranking is that of θ², the same at every stage and on every batch. The mask at a given
        sparsity is then the same in one stage or in 140: many stages help only a criterion that consults the model.
    forbids-steps: The penalty does not forbid steps: the schedule fixes how many weights go. It only changes the order
        in which they go.
    stages-always-help: Small stages help because the model is renewed. But what does the model still contribute to the
        ranking when the other term is a thousand times as large?
    scale: It is the order of the saliencies that counts, not their scale. Divide every saliency by λ: does the order of
        the weights change? And which term is left?
"""
register("limit of the penalty", Choice("abcd", "c", _LIMIT_OF_THE_PENALTY))

_FINDING_THREE = """
    right: The numbers support this and no more: wrecks stay wrecks, and near the best run the intervals are too wide,
        and the ceilings too low, to say anything.
    no-relation: Over all runs the correlation is high, so the loss change does tell something: it sorts out the
        prunings that went badly.
    best-run: What holds for good and bad prunings together need not hold among the good ones. Near the best run, every
        interval holds zero.
    proved-zero: An interval that holds zero proves nothing. Look at how wide the intervals are, and how low some of the
        ceilings: could these data have shown a relation?
"""
register("finding three", Choice("abcd", "c", _FINDING_THREE))
