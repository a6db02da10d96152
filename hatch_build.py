"""Wheels hold the page at /graphql: hatch has it built here, by what `make pages` calls too."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PagesHook(BuildHookInterface):  # type: ignore[type-arg]  # of a configuration that this hook has none of
    def dependencies(self) -> list[str]:
        """Node comes along where it is needed and the machine has none."""
        build = self._build()
        return [] if build.is_built() or build.own_tools() else [build.NODE_IN_A_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # it serves from the checkout, where `make pages` puts the page
        if self._build().main():
            sys.exit(1)

    def _build(self) -> ModuleType:
        """By its place: importing the package would need what it depends on."""
        spec = spec_from_file_location("build_pages", Path(self.root) / "graph" / "web" / "build.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
