"""Follows rank-1 through a training: the network learns to tell drawn people apart, and is evaluated every epoch."""

import sys

import torch
from torch import nn

import sysu30k_bench as sb

torch.manual_seed(0)
data = sb.open_data(sys.argv[1] if len(sys.argv) > 1 else "demo/sysu30k-twin", limit=20)
network = nn.Sequential(nn.Conv2d(3, 16, 5, stride=2), nn.BatchNorm2d(16), nn.AdaptiveAvgPool2d((8, 1)), nn.Flatten())
head = nn.Linear(128, 4)
optimizer = torch.optim.SGD([*network.parameters(), *head.parameters()], lr=0.1)
for epoch in range(3):
    images, labels = torch.rand(16, 3, 64, 32), torch.arange(16) % 4  # in place of a real batch
    optimizer.zero_grad()
    nn.functional.cross_entropy(head(network(images)), labels).backward()
    optimizer.step()
    result = sb.evaluate(network, data=data, height=64, width=32)
    sb.log_result(result, "log.csv", step=epoch)
    print(epoch, result.rank1)
