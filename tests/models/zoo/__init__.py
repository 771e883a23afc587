"""Public checkpoints as data: names, shapes and figures, from which each file is made anew.

`cases/NAME.json` describes the object that a project saves, with weights given by a formula, and how the project's own
test computes a feature; `cases/NAME.npz` holds what the project's own code computed for the four photographs in
`images/`, and the few tensors that no formula gives.
"""
