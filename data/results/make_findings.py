"""Build FINDINGS.md from the tables beside this file: python data/results/make_findings.py."""

from __future__ import annotations

from pathlib import Path

from pages.findings_controls import controls
from pages.findings_longer import longer_still, longer_trainings
from pages.findings_rivals import chaos, exactness, predictions
from pages.findings_studies import control_tables, judged_tables
from pages.findings_verdicts import section

from lossprune_lib import files, results

HERE = Path(__file__).parent
HEAD = """# What came out

Built from the tables by `python data/results/make_findings.py`, by the rules of the second round of
[JUDGING.md](JUDGING.md). These rules preceded the runs, except for the tables of the first round (digits, mnist,
cifar10_small_vgg), which are judged again here, and for what JUDGING.md marks as later. ± is the spread over seeds; in
brackets stand 95 % intervals of means, or the seeds where there are two or three; a star marks what differs from the
paper (Welch's test, 5 %). Several sparsities of one study are one case, and its verdict is the weakest of theirs. The
verdicts of the first round are those of [FINDINGS-first-round.md](FINDINGS-first-round.md).

What these numbers cannot say:

- Intervals are over networks, for one set of test images; they say nothing of other images. They are Student's, and
  not cut where a correlation or a share must end.
- The best step penalty is chosen on the seeds that are then compared, which favours criteria that have more to choose
  from. *Penalty held out* is the verdict if each seed's penalty is chosen on the other seeds; it was added when the
  tables were there, and decides nothing.
- A ceiling is an estimate from a few seeds, and knows the noise of the images alone.
- With a large step penalty each criterion comes close to MP's mask, and some reach it. Such runs raise correlations
  over all runs and within a criterion; beside the latter stands that with penalties of at most 0.1. Among the runs near
  the best one, which decide, there is none that loses as much as MP.
- The correction for many comparisons is made within one study, and counts MP's difference from each mask by itself.
  Where MP collapses, as on the digits at 95 and 98 %, these many clear differences let more of the others remain.
"""


def text() -> str:
    parts = [
        HEAD,
        *map(section, judged_tables()),
        *map(controls, control_tables()),
        *longer_still(),
        *longer_trainings(),
    ]
    parts += map(exactness, results.names("exactness"))
    return "\n".join(
        [*parts, predictions(), chaos(), "## Not run", "", *(f"- `{name}`" for name in results.missing("**")), ""]
    )


if __name__ == "__main__":
    print(files.replace(HERE / "FINDINGS.md", lambda path: path.write_text(text(), "utf-8")))
