"""The services of a project beside each other, as checks look at them."""

from collections.abc import Mapping
from dataclasses import dataclass

from bootstrap.doctor.nodes import Node
from bootstrap.doctor.project import Project
from bootstrap.doctor.service import Service


@dataclass(frozen=True)
class Stack:
    """A project with its services read."""

    project: Project
    services: Mapping[str, Service]

    def source(self, node: Node) -> str:
        """The line of the file that an entry stands on, as it is written."""
        lines = self.project.texts.get(node.file, "").splitlines()
        return lines[node.line - 1] if node.line <= len(lines) else ""


def of(project: Project) -> Stack:
    """The services of a project."""
    return Stack(
        project,
        {
            name: Service(name, node, project.environments.get(name, {}))
            for name, node in project.services.items()
        },
    )
