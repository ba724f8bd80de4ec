"""Centralised PPO: one actor over the joint action and one critic, on the team's reward."""

from __future__ import annotations

from ascore.algorithms import ippo
from ascore.algorithms.contract import Algorithm, Compiled, View
from ascore.algorithms.ledger import I64, Traffic
from ascore.envs.joint import joint_env, joint_spec


def sends(traffic: Traffic) -> dict[str, I64]:
    """Every agent sends the centre its rewards, and its observation if only it has that."""
    sent = {"reward": traffic.rows_there}
    if traffic.private_obs:
        sent["observation"] = traffic.states_there * traffic.private_obs
    return sent


class Keys:
    """What the centre reads, and independent PPO does not."""

    joint_action_limit: int


CPPO = Algorithm(
    name="cppo",
    summary="centralised PPO: one centre sees all rewards and acts for all",
    objective=ippo.objective,
    compiled=Compiled.OWN_RATIO,
    keys=Keys,
    view=View(spec=lambda spec, config: joint_spec(spec, config.joint_action_limit), env=joint_env),
    sends=sends,
)
