"""Citation of the tool and of the benchmark."""

from __future__ import annotations

from sysu30k_bench._version import __version__

_ENTRIES = """\
@software{{sysu30k_bench,
  author  = {{{{The sysu30k-bench contributors}}}},
  title   = {{sysu30k-bench: exact evaluation of person re-identification models on {{SYSU-30k}}}},
  version = {{{version}}},
}}

@article{{wang2021weakly,
  author  = {{Wang, Guangrun and Wang, Guangcong and Zhang, Xujie and Lai, Jianhuang and Yu, Zhengtao and Lin, Liang}},
  title   = {{Weakly Supervised Person {{Re-ID}}: Differentiable Graphical Learning and a New Benchmark}},
  journal = {{IEEE Transactions on Neural Networks and Learning Systems}},
  volume  = {{32}},
  number  = {{5}},
  year    = {{2021}},
}}
"""


def cite() -> str:
    """Returns BibTeX entries of this tool, with its version, and of the benchmark.

    Example:
        >>> import sysu30k_bench as sb
        >>> print(sb.cite().splitlines()[0])
        @software{sysu30k_bench,
    """
    return _ENTRIES.format(version=__version__)
