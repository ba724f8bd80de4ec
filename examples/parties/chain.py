"""A cold chain of three firms: what one of them saves on cooling spoils at the others.

Every week the maker, the carrier and the shop choose how well to cool: not, half or fully. Whoever
cools pays for it; what spoils costs all three. Heat and the age of the stock are known to all. What
cooling and spoiled goods cost a firm is its own business: no other firm knows these figures, and
where firms train as parties, neither does the environment.
"""

import numpy as np
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv

FIRMS = ("maker", "carrier", "shop")
LEVELS = 3  # not, half, fully
HEAT, AGE, SPOILED = 0, 1, 2  # entries of the state


class ColdChain(ParallelEnv):
    """Weeks of a cold chain.

    Args:
        weeks: of an episode.
        rewards: whether the environment knows what the firms earn; parties compute it themselves.
    """

    def __init__(self, weeks=20, rewards=True):
        self.possible_agents, self.horizon = list(FIRMS), weeks
        self.rewards = rewards
        self.box, self.choice = Box(0.0, 1.0, (4,), np.float32), Discrete(LEVELS)

    def observation_space(self, agent):
        return self.box

    def action_space(self, agent):
        return self.choice

    def reset(self, seed=None, options=None):
        self.agents, self.week = list(FIRMS), 0
        self.random = np.random.default_rng(seed)
        self.heat, self.age, self.spoiled = self.random.uniform(), 0.5, 0.0
        return self.observe(), {firm: {} for firm in FIRMS}

    def step(self, actions):
        cooling = [actions[firm] for firm in FIRMS]
        # Goods of a batch pass all three: warm hours add up, and old goods suffer more.
        warm = sum(1 - level / (LEVELS - 1) for level in cooling) / len(FIRMS)
        self.spoiled = warm * (0.25 + 0.5 * self.heat) * (0.75 + 0.5 * self.age)
        before = self.observe()[FIRMS[0]]
        self.age = 0.5 * self.age + 0.5 * warm
        self.heat = np.clip(0.7 * self.heat + 0.3 * self.random.uniform(-0.2, 1.2), 0.0, 1.0)
        self.week += 1
        over, seen = self.week == self.horizon, self.observe()
        earned = dict.fromkeys(FIRMS, 0.0)
        if self.rewards:
            after = seen[FIRMS[0]]
            earned = {
                firm: float(PROFIT[firm](before[None], np.array([cooling]), after[None])[0])
                for firm in FIRMS
            }
        self.agents = [] if over else list(FIRMS)
        no, end = dict.fromkeys(FIRMS, False), dict.fromkeys(FIRMS, over)
        return seen, earned, no, end, {firm: {} for firm in FIRMS}

    def observe(self):
        state = (self.heat, self.age, self.spoiled, self.week / self.horizon)
        return dict.fromkeys(FIRMS, np.array(state, dtype=np.float32))


def profit(place, sales, cooling_cost, per_spoiled, hot_hours):
    """The figures of one firm -> what it earns in a week, from states and cooling of B weeks.

    Args:
        place: of the firm among FIRMS.
        sales: earned in a week in which nothing spoils.
        cooling_cost: of cooling fully for a week.
        per_spoiled: lost for a whole batch that spoils.
        hot_hours: how much dearer cooling is in the hottest week, as a share of `cooling_cost`.
    """

    def earned(before, cooling, after):
        level = cooling[:, place] / (LEVELS - 1)
        cost = cooling_cost * level * (1 + hot_hours * before[:, HEAT])
        return (sales - cost - per_spoiled * after[:, SPOILED]).astype(np.float32)

    return earned


# In truth each of these lines is known to one firm alone, in a file of its own.
PROFIT = {
    "maker": profit(0, sales=4.0, cooling_cost=1.0, per_spoiled=4.0, hot_hours=0.1),
    "carrier": profit(1, sales=4.0, cooling_cost=0.8, per_spoiled=3.5, hot_hours=0.3),
    "shop": profit(2, sales=5.0, cooling_cost=1.2, per_spoiled=5.0, hot_hours=0.0),
}


def reward(firm):
    """What a party calls: the environment tells it states and actions, and it knows its figures."""
    earned = PROFIT[firm]
    return lambda step: earned(step.obs[:, 0], step.action, step.next_obs[:, 0])


maker, carrier, shop = (reward(firm) for firm in FIRMS)
