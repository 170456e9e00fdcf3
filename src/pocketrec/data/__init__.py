"""Files in, batches and statistics out.

``prepare`` reads raw logs once into a memory-mapped cache of encoded rows and gives a ``Dataset``; ``Encoder`` encodes
raw rows for serving exactly as the cache was encoded; ``synthetic`` writes logs whose best possible AUC is known.
"""
