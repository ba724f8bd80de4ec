"""Escape Room: some pull a lever, at their own cost, so that others can leave by the door."""

from __future__ import annotations

from ascore.envs.record import Anchor, Environment

_DEFAULTS = {
    "needed": 0,
    "horizon": 5,
    "gain": 10.0,
    "cost": 1.0,
    "cost_rule": "lever",
    "starts": "start",
}
_FIVE = _DEFAULTS | {"num_agents": 5}
_MOVE = {"cost_rule": "move"}
_OPTIMUM = "half pull and the others leave at once: 10 (N - M) - M"

RECORD = Environment(
    name="escape-v1",
    summary="some pull a lever, at their own cost, so that the others can leave by the door",
    shows={
        "agents": "i32 [N], place of agent i: 0 start, 1 lever, 2 door",
        "door": "u8 [1], 1 while enough agents pull the lever",
    },
    anchors=(
        # A step is worth 5/27 and ends the episode with probability 35/243.
        Anchor("random", 0.695, 0.0, _FIVE, "exact for uniform play, rounded", 0.0005),
        Anchor("random", -5.041, 0.0, _FIVE | _MOVE, "exact for uniform play, rounded", 0.0005),
        Anchor("selfish", 0.0, 0.0, _DEFAULTS, "nobody pulls the lever"),
        Anchor("selfish", 0.0, 0.0, _DEFAULTS | _MOVE, "nobody pulls the lever, nobody moves"),
        *(
            Anchor("cooperative", base, 4.5, _DEFAULTS | rule | {"num_agents": sizes}, _OPTIMUM)
            for rule in ({}, _MOVE)
            for base, sizes in ((0.0, range(2, 65, 2)), (-5.5, range(3, 65, 2)))
        ),
    ),
    twin="ascore.reference.escape:Escape",
    scripted="ascore.scripted.escape",
    scene="ascore.render.scenes.room:EscapeScene",
    welfare_shift=5.0,  # nobody pays more than 1 in each of five steps
)
