"""A small model of every family that transformers maps for image classification.

::

    python -m tests.families     classifies with all of them, and writes docs/models.md
"""
