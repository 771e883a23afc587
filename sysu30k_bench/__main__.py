"""`python -m sysu30k_bench` is the command `sysu30k-bench`."""

from sysu30k_bench.cli.main import main

main()
