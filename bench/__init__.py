"""The benchmarks: the whole job and each of its stages, beside transformers' own pipeline.

::

    python -m bench                                    (300 images, a small ViT, 3 rounds)
    python -m bench --model=vit-base --images=60
    python -m bench --model=FOLDER --batch_size=32
"""
