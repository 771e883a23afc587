"""The demonstration: photographs and a pre-trained network beside drawn people, and a submission rehearsed."""
