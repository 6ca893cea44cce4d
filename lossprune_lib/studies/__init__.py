"""Studies: grids of runs that resume, in this process or on a Dask cluster."""

from lossprune_lib.studies.store import Store
from lossprune_lib.studies.study import Study

__all__ = ["Store", "Study"]
