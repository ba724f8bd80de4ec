"""Private weights: what an event is worth to each agent, which no observation shows."""

from __future__ import annotations

LARGEST = 1e6


def read_weights(text: str, num_agents: int) -> list[float]:
    """A number per agent from text such as "0.5 1.5"; 1 each if it is "equal".

    Raises:
        ValueError: a word is no number from 0 to 1e6, or there is not one for each agent.
    """
    if text == "equal":
        return [1.0] * num_agents
    weights = [float(word) for word in text.split()]
    if not all(0 <= weight <= LARGEST for weight in weights):
        message = f"weights = {text!r} holds a number outside 0 to {LARGEST:g}"
        raise ValueError(message)
    if len(weights) != num_agents:
        message = f"weights = {text!r} holds {len(weights)} numbers for {num_agents} agents"
        raise ValueError(message)
    return weights
