"""What is measured in a result."""

from typing import Any

from pydantic import Field

from gracile.recipe.base import Spec


class MeasureSpec(Spec):
    """What is measured in a result; see `gracile.names.MEASURES` and `gracile.extensions`."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
