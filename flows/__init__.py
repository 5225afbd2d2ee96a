"""When and in what order: Prefect flows that call tasks and nothing else."""
