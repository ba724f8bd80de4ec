"""What goes before the README's Python blocks in CI: trainings are short."""

import ascore

_preset = ascore.Config.preset
ascore.Config.preset = staticmethod(lambda *a, **k: _preset(*a, **k).replace(episodes=64))
