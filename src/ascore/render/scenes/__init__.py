"""Scenes draw environments: from the dict of `VecEnv.inspect` to shapes on a canvas.

A scene is created once per episode from the environment's parameters and first state. It has a
size, draws states, and has a legend entry for each kind of thing. The record of an environment
names its scene.
"""
