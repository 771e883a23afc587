"""Optimiser and learning rate, by lightly's LARS and schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn, optim

from sysu30k_bench.training.ssl.lightly_parts import lightly_part
from sysu30k_bench.training.ssl.recipe import SslOptimizerPart


def build_ssl_optimizer(network: nn.Module, part: SslOptimizerPart) -> optim.Optimizer:
    """Makes the optimiser; biases and what norms learn have no weight decay, which with LARS means plain momentum.

    Args:
        network: What learns.
        part: How.
    """
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [one for one in learning if one.dim() > 1], "weight_decay": part.weight_decay},
        {"params": [one for one in learning if one.dim() <= 1], "weight_decay": 0.0},
    ]
    if part.name == "lars":
        lars: optim.Optimizer = lightly_part("utils.lars", "LARS")(groups, lr=part.lr, momentum=part.momentum)
        return lars
    if part.name == "sgd":
        return optim.SGD(groups, lr=part.lr, momentum=part.momentum)
    return optim.AdamW(groups, lr=part.lr)


def set_ssl_rate(optimizer: torch.optim.Optimizer, part: SslOptimizerPart, step: int, steps: int, epochs: int) -> None:
    """Sets the rate of a step: a linear warm-up, then a cosine; a function of the step alone.

    Args:
        optimizer: Whose rates.
        part: How.
        step: From 0, over all epochs.
        steps: How many there will be.
        epochs: How many of them.
    """
    schedule = lightly_part("utils.scheduler", "cosine_warmup_schedule")
    rate = schedule(
        step,
        steps,
        part.lr,
        part.end_lr,
        warmup_steps=min(round(part.warmup_epochs * steps / epochs), steps),
        warmup_start_value=part.lr * part.warmup_ratio,
    )
    for group in optimizer.param_groups:
        group["lr"] = float(rate)
