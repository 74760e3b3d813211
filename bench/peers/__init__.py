"""What others do the same work with: programs that run where `imgcls_beam` need not be installed.

Each is written as its own documentation would have it, and is called alike::

    python -m bench.peers.ray_data IMAGES MODEL OUTPUT

with a folder of images, a folder of a model, and a Parquet file, or a folder of them, to write:
`image_uri`, `predictions` (the five best labels and scores) and `done_at`, when they were known.
"""
