"""Pictures and tables of the kept results; made by `python -m bench plot`, and by nothing else."""
