"""The real scripts on a real server in virtual time: lines that always have jobs, for minutes or hours, in seconds.

    .venv/bin/python -m tests.store.virtual --mixtures 20 --seed 1 --minutes 5

`mixtures.py` says who wants what, `play.py` plays it, `figures.py` says who got what.
"""
