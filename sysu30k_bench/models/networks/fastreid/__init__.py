"""The networks of fast-reid and of its LUPerson fork: backbones under its names, and its heads."""
