"""Optimisers and rates, by a recipe."""

from __future__ import annotations

import torch
from torch import optim

from sysu30k_bench.training.networks import TrainedNetwork
from sysu30k_bench.training.recipe import OptimizerPart

_BASE = "base_lr"


def build_optimizer(network: TrainedNetwork, part: OptimizerPart) -> optim.Optimizer:
    """Makes the optimiser: heads in one group, everything else that learns in another.

    Args:
        network: What learns.
        part: How.
    """
    heads = {id(parameter) for parameter in network.heads().parameters()}
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {
            "params": [one for one in learning if id(one) not in heads],
            "lr": part.lr if part.trunk_lr is None else part.trunk_lr,
        },
        {"params": [one for one in learning if id(one) in heads], "lr": part.lr},
    ]
    for group in groups:
        group[_BASE] = group["lr"]
    if part.name == "sgd":
        return optim.SGD(
            groups,
            momentum=part.momentum,
            dampening=part.dampening,
            nesterov=part.nesterov,
            weight_decay=part.weight_decay,
        )
    if part.name == "rmsprop":
        return optim.RMSprop(groups, momentum=part.momentum, eps=part.epsilon, weight_decay=part.weight_decay)
    betas = (part.beta1, part.beta2)
    if part.name == "nadam":
        return optim.NAdam(groups, betas=betas, eps=part.epsilon, weight_decay=part.weight_decay)
    return optim.Adam(groups, betas=betas, eps=part.epsilon, weight_decay=part.weight_decay, amsgrad=part.amsgrad)


def rate_factor(part: OptimizerPart, epoch: int) -> float:
    """Returns what the rates are multiplied by in an epoch, from 1: `gamma` for every milestone reached.

    Args:
        part: Milestones, step and factor.
        epoch: From 1.
    """
    drops = sum(epoch >= milestone for milestone in part.milestones)
    if part.step:
        drops += (epoch - 1) // part.step
    return float(part.gamma**drops)


def set_rates(optimizer: torch.optim.Optimizer, part: OptimizerPart, epoch: int) -> None:
    """Sets the rates of an epoch; nothing has to be remembered from the one before."""
    factor = rate_factor(part, epoch)
    for group in optimizer.param_groups:
        group["lr"] = group[_BASE] * factor
