"""Staged networks, which halve their grid several times: Swin, ConvNeXt, and classifiers of timm and torchvision."""
