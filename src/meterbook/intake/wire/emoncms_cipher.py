"""
The encrypted form of an emoncms request (`Content-Type: aes128cbc`), for devices without TLS.

    body = base64(IV ‖ AES-128-CBC(request)), Authorization = user id : HMAC-SHA256(request)

The HMAC, not the padding, says whether the key was right; it is compared before anything of the
request is used. With `aes128cbcgz` HMAC and reply are of the packed request.
"""

import base64
import binascii
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from meterbook.inputs.deliveries import SamplesError

CONTENT_TYPES = frozenset({"aes128cbc", "aes128cbcgz"})
_IV_BYTES = 16
_STANDARD = bytes.maketrans(b"-_", b"+/")


def signed_with(written: str) -> tuple[int, str]:
    """
    Return user id and HMAC of an Authorization header.

    :raises SamplesError: if it is none.
    """
    user, _, shown = written.strip().partition(":")
    if not (user.isascii() and user.isdigit() and len(user) < 16 and shown):  # noqa: PLR2004 an id
        raise SamplesError("Authorization must be the user id, a colon and the HMAC")
    return int(user), shown.strip().lower()


def decrypted(body: bytes, *, shown_hmac: str, keys: list[str]) -> tuple[bytes, str] | None:
    """
    Return the request and the key that decrypts it; None if none of the keys does.

    :param keys: 32 hex digits each.
    :raises SamplesError: if the body is not base64 of whole blocks.
    """
    text = body.strip().translate(_STANDARD)
    try:
        sealed = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SamplesError("the encrypted body is not base64") from None
    if len(sealed) < 2 * _IV_BYTES or len(sealed) % _IV_BYTES:
        raise SamplesError("the encrypted body is not whole blocks")
    for key in keys:
        opened = _opened(sealed, bytes.fromhex(key))
        if opened is None:
            continue
        right = hmac.new(bytes.fromhex(key), opened, hashlib.sha256).hexdigest()
        if hmac.compare_digest(right.encode(), shown_hmac.encode("utf-8", "replace")):
            return opened, key
    return None


def receipt(request: bytes) -> bytes:
    """Return what the device compares with its own: URL-safe base64 of the request's SHA-256."""
    return base64.urlsafe_b64encode(hashlib.sha256(request).digest())


def _opened(sealed: bytes, key: bytes) -> bytes | None:
    cipher = Cipher(algorithms.AES128(key), modes.CBC(sealed[:_IV_BYTES])).decryptor()
    padded = cipher.update(sealed[_IV_BYTES:]) + cipher.finalize()
    unpadder = PKCS7(128).unpadder()
    try:
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        return None
