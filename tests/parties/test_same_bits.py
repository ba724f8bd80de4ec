"""Three parties learn the same, to the bit, whatever carries their letters, and as the trainer."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from companies import HOST, Arrays, Company, held, names, same, small, trained

import ascore
from ascore.config import Config
from ascore.learning.learner import Learner
from ascore.parties.transport import Transport
from ascore.runs import checkpoint

PARTIES = [HOST, *names(3)]
UPDATES = 50


def over_gloo(folder: Path) -> dict[str, Transport]:
    """Each party with a group of its own, as in processes of their own."""
    from ascore.parties.gloo import Gloo

    joined: dict[str, Transport] = {}

    def join(name: str) -> None:
        joined[name] = Gloo(dist.FileStore(str(folder / "store"), len(PARTIES)), PARTIES, name)

    threads = [threading.Thread(target=join, args=(name,)) for name in PARTIES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return joined


def over_grpc(folder: Path) -> dict[str, Transport]:
    import doors

    return dict(doors.networks(folder, PARTIES))


def in_memory(folder: Path) -> dict[str, Transport] | None:
    return None


CARRIERS = {"in process": in_memory, "gloo": over_gloo, "grpc": over_grpc}


def trainer(config: Config, folder: Path) -> list[Arrays]:
    """What one process learns for all three."""
    ascore.train(config, folder / "run")
    saved = checkpoint.load(folder / "run")
    env = ascore.make(config.env, num_envs=1, **config.env_params)
    learner = Learner(config, env.spec)
    learner.load_state({key: torch.from_numpy(saved.arrays[key].copy()) for key in learner.state()})
    return [trained(learner, agent) for agent in range(3)]


CASES: list[tuple[str, dict[str, Any]]] = [
    ("exchange", {}),
    ("predation", {"graph": "environment", "penalty_gate": "always", "discrepancy": "kl"}),
]


@pytest.mark.parametrize(("env", "keys"), CASES, ids=[env for env, _ in CASES])
def test_parameters_are_those_of_the_trainer_on_every_transport(
    env: str, keys: dict[str, Any], tmp_path: Path
) -> None:
    config = small(env, UPDATES, horizon=3, **keys)
    wanted = trainer(config, tmp_path)
    start = Learner(config, ascore.make(env, **config.env_params).spec).state()
    assert not np.array_equal(start["actor"].view(3, -1)[0].numpy(), wanted[0]["actor"])
    for carrier, made in CARRIERS.items():
        folder = tmp_path / carrier.replace(" ", "-")
        folder.mkdir()
        company = Company(config, made(folder)).run()
        for agent, name in enumerate(company.agents):
            party = company.parties[name]
            assert party.done == UPDATES
            assert same(held(party), wanted[agent]), (carrier, name)
