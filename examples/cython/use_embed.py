"""Two threads play at the same time, since neither holds the GIL, and both find the same."""

import sys
from concurrent.futures import ThreadPoolExecutor

import embed

policy = sys.argv[1] if len(sys.argv) > 1 else None
with ThreadPoolExecutor(2) as pool:
    first, second = pool.map(
        lambda _: embed.play("harvest-v1", 64, 640, policy=policy, seed=1), range(2)
    )
assert first == second
print(f"team return {first[0]:.2f} over {first[1]} episodes")
try:
    embed.play("orchard", 1, 1)
except ValueError as error:
    print(f"and what does not exist is refused: {error}")
