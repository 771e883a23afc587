"""Names that `--dataset` takes, where nothing heavy may be imported."""

DATASETS = (
    "sysu30k",
    "market1501",
    "market1501-500k",
    "dukemtmc",
    "msmt17",
    "cuhk03-labeled",
    "cuhk03-detected",
    "cuhk03-labeled-classic",
    "cuhk03-detected-classic",
    "cuhk01",
    "prid2011",
    "viper",
    "caviar4reid",
)
