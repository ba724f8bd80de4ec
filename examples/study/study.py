"""Trains two algorithms on one environment, evaluates, plots and renders what came of it.

python study.py OUT [EPISODES]
"""

import sys
from pathlib import Path

import ascore
from ascore.render.plots import plot_runs
from ascore.render.replay import replay

out = Path(sys.argv[1])
episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 12_000

runs = {}
for algorithm in ("as", "ippo"):
    config = ascore.Config.preset("predation", algorithm=algorithm).replace(
        env_params={"num_agents": 2}, episodes=episodes
    )
    runs[algorithm] = ascore.train(config, out=out / algorithm)

for algorithm, run in runs.items():
    returns = ascore.evaluate(run, episodes=200).team_return
    print(f"{algorithm:<5} {returns.mean:8.2f}  [{returns.ci95[0]:.2f}, {returns.ci95[1]:.2f}]")

plot_runs([run.path for run in runs.values()], out / "curves.png")
replay(runs["as"].path, out / "as.gif", steps=10)
ascore.export_policy(runs["as"].path, out / "as.safetensors")
print(f"curves.png, as.gif and as.safetensors written to {out}")
