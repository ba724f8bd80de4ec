"""One record per environment; `ascore.envs.table` lists them."""
