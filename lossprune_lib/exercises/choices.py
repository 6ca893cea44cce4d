"""The exercises with options to choose from, in all notebooks: each wrong option has an explanation of its own."""

from __future__ import annotations

from lossprune_lib.exercises.checking import Choice, register

_READ_A_SLICE = """
    right: A random slice shows its own direction and says nothing about the steep ones.
    one-direction: The figure shows one direction out of very many. Look at the table above for the same length along
        others.
    normalisation: Filter normalisation sets how long the parts of the direction are, not the loss at a given length,
        and the axis here is a length that any other step can be compared with.
    small-gradient: Training did end here, but look at the table: some directions rise at once. A small gradient says
        that the loss starts level, not how soon it bends.
"""
register("read a slice", Choice("abcd", "c", _READ_A_SLICE))

_WHAT_STAGES_MEND = """
    right: What lies beyond the second order vanishes, because no single step is long. Of the two others in this
        network, that of the GGN grows with the stages; that of the diagonal rises, and falls back to about where it
        began.
    all-shrink: Follow the three lines to the right: only one of them falls to nearly nothing. A stage does not scale
        the whole step down. It takes some of the weights all the way.
    diagonal: Fewer weights go together in each stage, so this sounds right. But look at the line: it rises first and
        ends about where it began, perhaps because each stage starts from a worse network, where the loss bends more.
    none: One of the lines falls by far more than the others rise. The sum of the errors shrinks; ask which part.
"""
register("what stages mend", Choice("abcd", "b", _WHAT_STAGES_MEND))

_RANKS_AND_PREDICTS = """
    right: To choose, only the order of the weights matters. To predict, the sum must be right, and the model is too
        low for each of the twelve groups: by half for the one to keep, and by far more for those that it takes first.
    any-order: The groups do not cost much the same: in QM's order the last one costs more than the eleven others
        together.
    more-stages: Look at the outcome in section 1: the predicted share stays near zero from 1 to 140 stages, while the
        actual change falls.
    sum-of-saliencies: It is a bound on the prediction, not a forecast. In the traces, saliency_sum says 0.25, 0.77 and
        0.06 for 1, 14 and 140 stages; the actual changes are 1.90, 0.72 and 0.46. Only in 14 stages is it close. And a
        sum ranks nothing.
"""
register("ranks and predicts", Choice("abcd", "c", _RANKS_AND_PREDICTS))

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
        and most ceilings too low, to say anything.
    shares-alone: Hold the layers' shares fixed: the correlation is smaller, but in four cases something is left of it.
        And near the best run "we saw nothing" is not "there is nothing".
    best-run: What holds for good and bad prunings together need not hold among the good ones. Near the best run, every
        interval includes zero.
    proved-zero: An interval that includes zero proves nothing. Look at how wide the intervals are, and how low some of
        the ceilings: could these data have shown a relation?
"""
register("finding three", Choice("abcd", "c", _FINDING_THREE))

_ANOTHER_UNIT = """
    right: Wanda multiplies ten times the weight by a tenth of the norm, so its scores stay; the outputs, and with them
        each weight's price, stay as well. Magnitude sees the weights alone, and those of column 3 have grown.
    wanda-alone: Write down Wanda's score of a weight of column 3, before and after. What becomes of the norm of its
        input? And what is left for magnitude to go by?
    both: For magnitude this is right. Wanda's score has a second factor, the norm of the input: what became of that?
    neither: The outputs stay, so what each weight is worth to them stays too. But does magnitude look at the outputs?
"""
register("another unit", Choice("abcd", "a", _ANOTHER_UNIT))
