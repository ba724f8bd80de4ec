"""Experiments of many runs: lists of cells, what came of them, and the paper's figures."""
