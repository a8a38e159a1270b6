from core.models.access import AccessToken, SignInLink, User
from core.models.alerts import Alert
from core.models.audit import AuditChain, AuditEvent
from core.models.heartbeats import Heartbeat
from core.models.idempotency import IdempotentRequest
from core.models.registry_names import RegistryName

__all__ = [
    "AccessToken",
    "Alert",
    "AuditChain",
    "AuditEvent",
    "Heartbeat",
    "IdempotentRequest",
    "RegistryName",
    "SignInLink",
    "User",
]
