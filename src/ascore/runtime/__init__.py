"""Several processes: the ranks of one run, and pools of runs on one machine."""
