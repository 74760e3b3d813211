"""The programs a person or a scheduler runs: the only argparse, the only `beam.Pipeline`.

Nothing that is defined here is pickled: no class, no function without a name, no DoFn.
"""
