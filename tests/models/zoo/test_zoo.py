"""Every kind of public checkpoint gives the embedding that its own project computes, or asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.zoo.compare import compare
from tests.models.zoo.rebuild import names, write_checkpoint

OPTIONS: dict[str, dict[str, object]] = {
    "luperson_moco_r50": {"adapter": "luperson_moco"},
}
"""What the user has to say where no tensor tells."""

OTHER_DEFAULT = {
    "timm_features_only_resnet50": "a bare trunk gets the flip of the self-supervised script, here it had none",
}
"""Files without a test of their own, for which this tool's default is another than the one that was compared with."""

SMALL = (
    "boxmot_osnet_x0_25_msmt17", "deepsort_ckpt_t7", "dino_vits16", "fastreid_shufflenetv2",
    "fastreid_bagtricks_R50-ibn",
    "insightface_iresnet18_training", "lightly_byol_state_dict", "solo_byol_resnet18", "spcl_resnet50",
    "supcontrast_resnet18", "torchreid_osnet_ain_x0_5", "torchreid_squeezenet1_0_fc512", "transreid_ssl_vits",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [name if name in SMALL else pytest.param(name, marks=pytest.mark.slow) for name in names()]
)
def test_the_embedding_is_the_projects_own(name: str, tmp_path: Path) -> None:
    found = compare(name, write_checkpoint(name, tmp_path), **OPTIONS.get(name, {}))
    if name in OTHER_DEFAULT:
        assert found.model.cautions, "a default that the file does not tell must be said"
        found = compare(name, write_checkpoint(name, tmp_path), flip="none")
    assert found.dimension[0] == found.dimension[1]
    assert found.right, f"{found.cosine:.6f} by {found.model.card.name} ({found.model.found_by})"
