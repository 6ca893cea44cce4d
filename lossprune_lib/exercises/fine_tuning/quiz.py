"""The checks of the exercises in the notebook on fine-tuning: the four in code have a module each, which registers them."""

from __future__ import annotations

from lossprune_lib.exercises.checking import Answer, Mistake, choice, exercise
from lossprune_lib.exercises.fine_tuning import fair_choice, masked_step, rank_correlation, seed_interval

__all__ = ["fair_choice", "finding_three", "masked_step", "rank_correlation", "seed_interval"]


@exercise("finding three")
def finding_three(answer: Answer) -> str:
    chosen = choice(answer, "abcd")
    wrong = {
        "a": "Over all runs the correlation is high, so the loss change does tell something: it sorts out the prunings that went "
        "badly. Look at the rows of all runs (share 100 %).",
        "b": "The rows of all runs hold for good and bad prunings together. Whoever prunes chooses among the good ones: look at "
        "the rows of the best quarter (share 25 %).",
        "d": "A correlation near zero is no proof that there is nothing. The ceiling in section 7 is low here too, so the data "
        "could hardly have shown a relation; and nothing says that one more stage would harm.",
    }
    if chosen in wrong:
        raise Mistake(wrong[chosen])
    return (
        "The numbers carry this and no more: the loss change separates bad prunings from good ones, and says little about which "
        "of the good ones will be best after fine-tuning."
    )
