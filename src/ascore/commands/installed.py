"""Folders of the installed package that C++, C and Cython programs build against."""

from __future__ import annotations

from pathlib import Path

from ascore import _core

_PREFIX = Path(_core.__file__).parent


def cmake_dir() -> Path:
    """Folder for CMake's `ascore_DIR`, with which `find_package(ascore)` finds this package."""
    return _PREFIX / "lib" / "cmake" / "ascore"


def include_dir() -> Path:
    """Folder for a compiler's `-I`, with which `#include "ascore/vec_env.hpp"` works."""
    return _PREFIX / "include"
