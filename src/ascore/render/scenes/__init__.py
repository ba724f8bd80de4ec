"""What each environment looks like: from the dict of `VecEnv.inspect` to shapes on a canvas.

A scene is made once per episode from the environment's parameters and first state, says how large
it is, draws every state and names every kind of thing it draws. An environment's record names it.
"""
