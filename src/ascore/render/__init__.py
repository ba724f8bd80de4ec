"""Pictures: canvas, scenes, frames, replays and plots."""
