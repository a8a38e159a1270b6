from serving.models.endpoints import Endpoint, Replica, Target
from serving.models.requests import RequestLog, RequestSums

__all__ = ["Endpoint", "Replica", "RequestLog", "RequestSums", "Target"]
