"""The functions of `import sysu30k_bench as sb`, a file for each; everything else of the package may change."""
