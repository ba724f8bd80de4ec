"""Experiments of many runs: lists of cells, their results, and the paper's figures."""
