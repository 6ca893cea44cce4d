"""A study's jobs on a Dask cluster: a laptop's LocalCluster, machines over SSH, Slurm, Kubernetes.

Jobs are settings and a trained network, a few megabytes at most; each worker loads the data itself. A job whose worker
dies is given to another one. The cluster is the user's own: a worker runs what it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lossprune_lib.study import Job


def work(client: Any, jobs: Sequence[Job], finish: Callable[[Job, Any], list[Job]], device: str) -> None:
    """Do jobs on a client's workers, and those that follow from them; `finish` runs here, as each job ends."""
    try:
        from distributed import as_completed
    except ImportError as error:
        raise ImportError("A client needs Dask: pip install -e .[cluster]") from error

    open_jobs: dict[Any, Job] = {}

    def submit(job: Job) -> Any:
        future = client.submit(_do, job, device, pure=False)
        open_jobs[future] = job
        return future

    ended = as_completed([submit(job) for job in jobs])
    try:
        for future in ended:
            job = open_jobs.pop(future)
            try:
                result = future.result()
            except Exception as error:
                error.add_note(f"This happened in {job}; what was finished before is kept.")
                raise
            for following in finish(job, result):
                ended.add(submit(following))
    finally:
        client.cancel(list(open_jobs))


def _do(job: Job, device: str) -> Any:
    return job.do(device)
