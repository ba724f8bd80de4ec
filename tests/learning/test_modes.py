"""Training does not depend on PyTorch modes that the caller has set."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from trainings import SMALL

import ascore
from ascore.config import Config


@pytest.mark.parametrize("backend", ["torch", "kernel", "engine"])
def test_modes_of_the_caller_change_nothing_and_are_restored(backend: str, tmp_path: Path) -> None:
    config = Config(**{**SMALL, "episodes": 6, "backend": backend})

    def trained(name: str) -> bytes:
        return ascore.train(config, tmp_path / name).policy.layers[0][0].tobytes()

    usual = trained("usual")
    torch.set_default_dtype(torch.float64)
    try:
        assert trained("double") == usual
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        assert trained("no_grad") == usual
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        assert trained("inference") == usual
    with torch.device("meta"):
        assert trained("device") == usual
    with torch.autocast("cpu", torch.bfloat16):
        assert trained("autocast") == usual
        assert torch.is_autocast_enabled("cpu")
