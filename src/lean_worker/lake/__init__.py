"""Lake projects: what lakefiles and manifests say, and Lake itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.lazy_names import lazy_names

if TYPE_CHECKING:
    from .file_settings import FileSettings as FileSettings
    from .library import LakeGlob as LakeGlob
    from .library import LakeLibrary as LakeLibrary
    from .project import LakeModule as LakeModule
    from .project import LakeProject as LakeProject

__all__ = ["FileSettings", "LakeGlob", "LakeLibrary", "LakeModule", "LakeProject"]

__getattr__ = lazy_names(
    __name__,
    {
        "file_settings": ("FileSettings",),
        "library": (
            "LakeGlob",
            "LakeLibrary",
        ),
        "project": (
            "LakeModule",
            "LakeProject",
        ),
    },
)
