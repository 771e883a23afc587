"""Scores two arrays of embeddings: every metric with its interval, and the exact rank of every match."""

import numpy as np

import sysu30k_bench as sb

rng = np.random.default_rng(0)
people = rng.standard_normal((100, 128))
query, gallery = (people + 1.5 * rng.standard_normal((100, 128)) for _ in range(2))

result = sb.score(query, gallery, query_ids=np.arange(100), gallery_ids=np.arange(100))
print(result)
print(result.ranking.sort_values("rank_low").tail())
