"""Interfaces of other packages: PettingZoo environments, and checks of Python environments."""
