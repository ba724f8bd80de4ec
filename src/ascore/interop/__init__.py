"""Other people's interfaces: PettingZoo both ways, and pictures."""
