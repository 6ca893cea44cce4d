"""The jobs of a study, done one after another in this process, or on a Dask cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lossprune_lib.installation import extra
from lossprune_lib.studies import experiment
from lossprune_lib.studies.experiment import Outcome, Trained
from lossprune_lib.studies.runs import Baseline, Run


@dataclass(frozen=True)
class Job:
    """Work that can be done anywhere: a baseline to train, or a stack of its runs to carry out."""

    baseline: Baseline
    runs: tuple[Run, ...] = ()
    trained: Trained | None = None

    def do(
        self, device: str = "auto", progress: bool = False, unfinished: Path | None = None
    ) -> Trained | list[Outcome]:
        """Do the work, and return the trained baseline, or an outcome for each run.

        The training of a single network keeps its state in the folder `unfinished`, and goes on from there; a stack of
        networks begins anew.
        """
        checkpoint = None if unfinished is None else unfinished / f"{self._name}.safetensors"
        if self.trained is None:
            return experiment.train(self.baseline, device, progress, checkpoint)
        return experiment.carry_out(self.runs, self.trained, device, progress, checkpoint)

    def forget(self, unfinished: Path) -> None:
        """Remove what the work has kept in the folder, once its result is stored."""
        for kept in unfinished.glob(f"{self._name}*"):
            kept.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # there is more in it, or it never was
            unfinished.rmdir()

    @property
    def _name(self) -> str:
        return (self.runs[0] if self.runs else self.baseline).key[:16]

    def __str__(self) -> str:
        what = f"{len(self.runs)} runs" if self.runs else "training"
        return f"{what} ({self.baseline.model} on {self.baseline.task}, seed {self.baseline.seed})"


Finish = Callable[[Job, Any], list[Job]]


def stacks_of(baseline: Baseline, runs: Sequence[Run], trained: Trained) -> list[Job]:
    """Return the jobs for a baseline's runs: whole stacks, or single runs where none can be made."""
    stacks: dict[Run, list[Run]] = {}
    for run in runs:
        stacks.setdefault(run.stack if trained.record["stacks"] and run.tunes_together else run, []).append(run)
    return [Job(baseline, tuple(stack), trained) for stack in stacks.values()]


def do_here(
    jobs: list[Job],
    finish: Finish,
    finished: Callable[[Collection[str]], set[str]],
    device: str,
    progress: bool,
    unfinished: Path,
) -> None:
    """Do jobs one after another in this process, and those that follow from them.

    Parameters
    ----------
    finish : stores the result of a job (None if it is no longer needed) and returns the jobs that follow
    finished : returns which of some runs' keys are stored already, perhaps by another process
    unfinished : a folder for the states of trainings that are stopped
    """
    while jobs:
        job = jobs.pop(0)
        keys = {run.key for run in job.runs}
        if keys and keys == finished(keys):
            finish(job, None)  # another process was faster
            continue
        try:
            jobs[:0] = finish(job, job.do(device, progress, unfinished))
            job.forget(unfinished)
        except Exception as error:
            error.add_note(f"This happened in {job}; earlier results are kept.")
            raise


def do_on_cluster(client: Any, jobs: Sequence[Job], finish: Finish, device: str) -> None:
    """Do jobs on a Dask client's workers, and those that follow from them; `finish` runs here, as each job ends.

    A job is settings and a trained network; each worker loads the data itself. If a worker dies, another takes over its
    job. The cluster is the user's own: a worker runs what it is sent.
    """
    with extra("cluster"):
        from distributed import as_completed

    if not hasattr(client, "submit"):
        raise TypeError(f"client is a dask.distributed.Client, not {client!r}: leave it out to work in this process.")
    open_jobs: dict[Any, Job] = {}

    def submit(job: Job) -> Any:
        future = client.submit(Job.do, job, device, pure=False)
        open_jobs[future] = job
        return future

    ended = as_completed([submit(job) for job in jobs])
    try:
        for future in ended:
            job = open_jobs.pop(future)
            try:
                result = future.result()
            except Exception as error:
                error.add_note(f"This happened in {job}; earlier results are kept.")
                raise
            for following in finish(job, result):
                ended.add(submit(following))
    finally:
        client.cancel(list(open_jobs))
