"""Many jobs: what to run, the worker process of one job, the run's directory."""
