"""What the sender of a file says its hash is: in the digest fields of RFC 9530, or as hexadecimal digits."""

import base64
import re
from collections.abc import Mapping

from core.errors import Invalid
from core.translation import gettext as _

HEXADECIMAL = "X-Content-SHA256"
DIGESTS = ("Content-Digest", "Repr-Digest")
# Replaced by RFC 9530 and RFC 7231. To take no notice of them would be to say that they were right.
OBSOLETE = ("Content-MD5", "Digest")
# 32 bytes are 43 characters of Base64 and one of padding.
SHA256_OF_DIGEST = re.compile(r"(?:^|,)[ \t]*sha-256=:([A-Za-z0-9+/]{43}=):[ \t]*(?:$|,|;)")


def declared_sha256(headers: Mapping[str, str]) -> str | None:
    """The SHA-256 that the headers of an upload declare, or None. Raises Invalid for a hash that cannot be
    checked, and for two that differ.
    """
    for name in OBSOLETE:
        if name in headers:
            raise Invalid(
                _("%(header)s is not checked here. Send Content-Digest: sha-256=:…: instead.")
                % {"header": name}
            )
    declared = {_from_digest(name, headers[name]) for name in DIGESTS if name in headers}
    if HEXADECIMAL in headers:
        declared.add(headers[HEXADECIMAL].lower())
    if len(declared) > 1:
        raise Invalid(_("The hashes in the headers differ from each other."))
    return declared.pop() if declared else None


def _from_digest(name: str, value: str) -> str:
    found = SHA256_OF_DIGEST.search(value)
    if not found:
        raise Invalid(_("%(header)s needs the SHA-256 in Base64: sha-256=:…:") % {"header": name})
    return base64.b64decode(found[1]).hex()
