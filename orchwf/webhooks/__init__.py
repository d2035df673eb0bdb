"""
Webhooks: signed calls out of steps, and signed requests that begin runs or speak to them.

Sending needs the extra `orchwf[http]`; the rest of this package does not.
"""

from .calls import Answer, post
from .receiving import Begin, Delivery, Hook, Send, Webhooks
from .signatures import GitHubSecret, SigningSecret, StripeSecret, Verifier

__all__ = [
    "Answer",
    "Begin",
    "Delivery",
    "GitHubSecret",
    "Hook",
    "Send",
    "SigningSecret",
    "StripeSecret",
    "Verifier",
    "Webhooks",
    "post",
]
