"""Other people's environments, unchanged; each by a constructor of at most ten lines.

`ascore train games:reference` in this folder trains one. The extra `[environments]` has them all.
"""

import os
from pathlib import Path
from typing import Any


def spread(agents: int = 3, local_ratio: float = 0.5) -> Any:
    """Agents cover landmarks: half of a reward is common, half is for an agent's collisions."""
    from mpe2 import simple_spread_v3

    return simple_spread_v3.parallel_env(N=agents, local_ratio=local_ratio)


def reference(local_ratio: float = 1.0) -> Any:
    """Each of two agents earns by where the other goes, and can only say where it should."""
    from mpe2 import simple_reference_v3

    return simple_reference_v3.parallel_env(local_ratio=local_ratio)


def tag(good: int = 1, adversaries: int = 3) -> Any:
    """Slow adversaries chase quick prey; the two kinds see differently much."""
    from mpe2 import simple_tag_v3

    return simple_tag_v3.parallel_env(num_good=good, num_adversaries=adversaries)


def adversary(good: int = 2) -> Any:
    """Good agents go to the landmark that the adversary has to guess."""
    from mpe2 import simple_adversary_v3

    return simple_adversary_v3.parallel_env(N=good)


def crypto() -> Any:
    """Alice tells Bob a word under a key that both know; Eve listens and wants the word too."""
    from mpe2 import simple_crypto_v3

    return simple_crypto_v3.parallel_env()


def foraging(game: str = "Foraging-6x6-2p-3f-v3") -> Any:
    """Agents of two strengths pick fruit; what is too heavy for one takes several."""
    import gymnasium
    import lbforaging  # noqa: F401  registers the games

    return gymnasium.make(game, disable_env_checker=True)


def archers(spawn_delay: int = 20, max_cycles: int = 300) -> Any:
    """Archers and knights kill zombies; whom a zombie touches leaves the game."""
    from pettingzoo.butterfly import knights_archers_zombies_v11

    return knights_archers_zombies_v11.parallel_env(spawn_delay=spawn_delay, max_cycles=max_cycles)


def pursuit(pursuers: int = 4, evaders: int = 8, size: int = 10, max_cycles: int = 100) -> Any:
    """Two pursuers are needed for a catch, and each earns what it has caught itself."""
    from pettingzoo.sisl import pursuit_v5

    return pursuit_v5.parallel_env(
        n_pursuers=pursuers, n_evaders=evaders, x_size=size, y_size=size, max_cycles=max_cycles,
        shared_reward=False,
    )  # fmt: skip


def noughts() -> Any:
    """Tic-tac-toe, turn by turn."""
    from pettingzoo.classic import tictactoe_v3

    env = tictactoe_v3.env()
    env.horizon = 9
    return env


def connect_four() -> Any:
    """Connect Four, turn by turn."""
    from pettingzoo.classic import connect_four_v3

    env = connect_four_v3.env()
    env.horizon = 42
    return env


def signals(net: str = "2x2grid/2x2", begin: int = 0, seconds: int = 500) -> Any:
    """Traffic lights; each earns by how its own queue shrinks."""
    import sumo
    from pettingzoo.utils import AgentSelector

    os.environ.setdefault("SUMO_HOME", sumo.SUMO_HOME)
    import sumo_rl

    sumo_rl.environment.env.agent_selector = AgentSelector  # its name since PettingZoo 1.25
    file = f"{Path(sumo_rl.__file__).parent}/nets/{net}"
    paths = {"net_file": f"{file}.net.xml", "route_file": f"{file}.rou.xml"}
    env = sumo_rl.parallel_env(**paths, begin_time=begin, num_seconds=seconds, **QUIET)
    env.horizon = seconds // 5  # of simulated time between two choices
    return env


def cologne(seconds: int = 500) -> Any:
    """Three crossings of a real city with 3, 4 and 4 phases, in the morning."""
    return signals("RESCO/cologne3/cologne3", begin=25_200, seconds=seconds)


QUIET = {
    "add_system_info": False,
    "add_per_agent_info": False,
    "sumo_warnings": False,
    "additional_sumo_cmd": "--no-step-log",
}


def cells(steps: int = 100) -> Any:
    """Phones choose base stations, which divide their time among all that are connected."""
    from mobile_env.handlers.multi_agent import MComMAHandler
    from mobile_env.scenarios.small import MComSmall

    handler = type("Own", (MComMAHandler,), {"reward": staticmethod(own_utility)})
    env = MComSmall({"handler": handler, "EP_MAX_TIME": steps})
    env.horizon = steps
    return env


def beach(people: int = 10, sections: int = 2, capacity: int = 1, steps: int = 2) -> Any:
    """People choose a section; in one that has more than it holds, nobody likes it much."""
    from momaland.envs.beach import mobeach_v0
    from momaland.utils.parallel_wrappers import LinearizeReward

    env = mobeach_v0.parallel_env(
        num_agents=people, sections=sections, capacity=capacity, num_timesteps=steps
    )
    env.horizon = steps
    return LinearizeReward(env, dict.fromkeys(env.possible_agents, (1.0, 0.0)))  # room, no mixture


def own_utility(env: Any) -> dict[int, float]:
    """The utility of each phone, without that of its neighbours which the environment mixes in."""
    return {phone.ue_id: env.utilities[phone] for phone in env.active}
