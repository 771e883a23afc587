"""Evaluating checkpoints as they appear, and flagging what goes wrong."""
