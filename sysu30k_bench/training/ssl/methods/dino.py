"""DINO: a student learns the sharpened, centred outputs of a slow teacher, also from small local views."""

from __future__ import annotations

import torch

from sysu30k_bench.training.ssl.lightly_parts import lightly_part
from sysu30k_bench.training.ssl.methods.method import Method, in_float32, precisely


class DINO(Method):
    """Caron et al., ICCV 2021, on ResNets: the teacher sees the two global views, the student local ones too.

    The teacher is what the authors evaluate, and what `eval` takes of a checkpoint.
    """

    suffix = "_teacher"

    def build(self, width: int, *, processes: bool) -> None:  # noqa: ARG002  the centre is gathered by lightly itself
        """See `Method`."""
        part, loss = self.recipe.head, self.recipe.loss
        arguments = (width, part.hidden, part.bottleneck, part.output)
        make = lightly_part("models.modules", "DINOProjectionHead")
        self.projection_head = make(*arguments, batch_norm=True)
        self.projection_head_teacher = make(*arguments, batch_norm=True)  # weight norm cannot be copied by deepcopy
        self.projection_head_teacher.load_state_dict(self.projection_head.state_dict())
        self.projection_head_teacher.requires_grad_(requires_grad=False)
        self.add_slow_copy()
        self.criterion = lightly_part("loss", "DINOLoss")(
            output_dim=part.output,
            warmup_teacher_temp=loss.teacher_warmup_temperature,
            teacher_temp=loss.teacher_temperature,
            warmup_teacher_temp_epochs=loss.teacher_warmup,
            student_temp=loss.temperature,
            center_momentum=loss.center_momentum,
        )

    def add_slow_copy(self) -> None:
        """Copies the trunk; the head is there."""
        import copy

        self.backbone_teacher = copy.deepcopy(self.backbone).requires_grad_(requires_grad=False)

    def forward(self, first: torch.Tensor, second: torch.Tensor, *local: torch.Tensor) -> torch.Tensor:
        """Returns the loss.

        Args:
            first: (N, 3, H, W) global views.
            second: Likewise.
            local: (N, 3, h, w) each, of the same images. Every view passes the network by itself, as in lightly's
                loop; the authors' code joins the views of one size.
        """
        teacher = in_float32(self.project_slowly(first), self.project_slowly(second))
        student = in_float32(self.project(first, watch=True), self.project(second))
        student += in_float32(*(self.project(view) for view in local))
        with precisely(first):
            loss: torch.Tensor = self.criterion(teacher, student, epoch=self.moment.epoch)
        return loss
