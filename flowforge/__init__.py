"""FlowForge: a service that stores workflows and carries their runs to the end."""

__version__ = "0.1.0"
