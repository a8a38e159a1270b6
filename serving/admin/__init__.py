"""The admin of what serves and of what was asked of it: read-only, the agent and the gateway write these rows."""

from serving.admin import endpoints, requests

__all__ = ["endpoints", "requests"]
