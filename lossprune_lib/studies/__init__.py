"""Studies: grids of runs that resume, in this process or on a Dask cluster."""
