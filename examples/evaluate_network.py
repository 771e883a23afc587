"""Evaluates a network in memory on a drawn test set; `sys.argv[1]` may name the folder of a real one."""

import sys

import torch
from torchvision.models import resnet18

import sysu30k_bench as sb

data = sb.open_data(sys.argv[1] if len(sys.argv) > 1 else "demo/sysu30k-twin", limit=20)
network = resnet18(weights=None)
network.fc = torch.nn.Identity()
print(sb.evaluate(network, data=data, transform="resnet50"))
