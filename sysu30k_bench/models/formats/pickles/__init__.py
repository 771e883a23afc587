"""An interpreter of pickles that builds plain values and stand-ins, and nothing else."""
