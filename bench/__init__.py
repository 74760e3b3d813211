"""The benchmarks: the job beside its peers, and beside loops that are written by hand.

::

    make bench                                    (peers' environments, every table, the page)
    python -m bench --write                       (the same with the environments that are there)
    python -m bench --table=first --model=vit-192 --rounds=1
    python -m bench --quick                       (a look: the demo's model, without peers)
"""
