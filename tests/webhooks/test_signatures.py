"""Signatures: those of others are found true, and what is wrong is refused."""

import base64
import hashlib
import hmac

import pytest

from orchwf.errors import SignatureError, UsageError
from orchwf.webhooks import GitHubSecret, SigningSecret, StripeSecret, Verifier

# Source: the README and the test vectors of https://github.com/standard-webhooks/standard-webhooks
KNOWN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
AT = 1614265330.0
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def test_a_known_signature_is_found_true():
    """The one that the standard gives as an example, both ways."""
    secret = SigningSecret(KNOWN)

    assert HEADERS == secret.signed("msg_p5jXN8AQM9LWM0D4loKWxJek", BODY, AT)
    assert "msg_p5jXN8AQM9LWM0D4loKWxJek" == secret.verified(HEADERS, BODY, AT)


def test_secrets_are_changed_one_after_the_other():
    """While two are known, either side may have only one of them."""
    old, new = SigningSecret.generate(), SigningSecret.generate()
    both = SigningSecret(new, old)
    headers = both.signed("m", BODY, AT)

    assert ["m"] * 3 == [SigningSecret(*each).verified(headers, BODY, AT) for each in ([old], [new], [new, old])]
    assert "m" == both.verified(SigningSecret(old).signed("m", BODY, AT), BODY, AT)
    with pytest.raises(SignatureError, match="any of our secrets"):
        SigningSecret(SigningSecret.generate()).verified(headers, BODY, AT)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"webhook-id": "msg_other"}, "not of this message"),
        ({"webhook-timestamp": "1614265331"}, "not of this message"),
        ({"webhook-signature": "v1,AAAA v2,g0hM9SsE"}, "not of this message"),
        ({"webhook-signature": "é"}, "not of this message"),
        ({"webhook-signature": ""}, "webhook-signature is missing"),
        ({"webhook-id": ""}, "webhook-id is missing"),
    ],
)
def test_what_was_changed_is_refused(changed: dict[str, str], said: str):
    """Everything that is signed counts, and a header that is missing is named."""
    with pytest.raises(SignatureError, match=said):
        SigningSecret(KNOWN).verified({**HEADERS, **changed}, BODY, AT)


@pytest.mark.parametrize("later", [301, -301])
def test_what_is_too_old_is_refused(later: int):
    """By more than the tolerance, in either direction; it can be given."""
    with pytest.raises(SignatureError, match="300 s are borne"):
        SigningSecret(KNOWN).verified(HEADERS, BODY, AT + later)

    assert SigningSecret(KNOWN, tolerance="10m").verified(HEADERS, BODY, AT + later)


def test_a_time_that_is_none_is_refused():
    """Though its signature is right."""
    headers = SigningSecret(KNOWN).signed("m", BODY, AT) | {"webhook-timestamp": "soon"}
    key = base64.b64decode(KNOWN.removeprefix("whsec_"))
    mac = hmac.digest(key, b"m.soon." + BODY, "sha256")

    with pytest.raises(SignatureError, match="no number of seconds"):
        SigningSecret(KNOWN).verified(
            {**headers, "webhook-signature": f"v1,{base64.b64encode(mac).decode()}"}, BODY, AT
        )


@pytest.mark.parametrize(("secrets", "said"), [((), "at least one"), (("§",), "base64"), (("c2hvcnQ=",), "5 bytes")])
def test_a_secret_that_is_none(secrets: tuple[str, ...], said: str):
    """It is said what is wrong, and how to make one, without the secret."""
    with pytest.raises(UsageError, match=said) as caught:
        SigningSecret(*secrets)

    assert "SigningSecret.generate()" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in secrets)


def test_a_secret_that_is_no_text():
    """As when an environment variable is not set."""
    with pytest.raises(UsageError, match="NoneType"):
        SigningSecret(None)  # type: ignore[arg-type]


def test_github_signs_the_body():
    """Its own example is found true; what has another body, or no signature, is refused."""
    # Source: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    headers = {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    secret, body = GitHubSecret("It's a Secret to Everybody"), b"Hello, World!"

    assert hashlib.sha256(body).hexdigest() == secret.verified(headers, body, AT)
    for wrong in ({}, {"x-hub-signature-256": "sha256=00"}):
        with pytest.raises(SignatureError):
            secret.verified(wrong, body, AT)
    with pytest.raises(SignatureError):
        secret.verified(headers, b"Hello", AT)


def stripe_header(secret: str, body: bytes, at: int) -> dict[str, str]:
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={at}, v1=00, v1={mac},v0=6ffb"}


def test_stripe_signs_time_and_body():
    """A message is known by its event, also when it is signed anew; old ones and what is no event are refused."""
    secret, body = StripeSecret("whsec_new", "whsec_old"), b'{"id": "evt_1"}'

    assert ["evt_1", "evt_1"] == [
        secret.verified(stripe_header("whsec_old", body, int(AT) + later), body, AT) for later in (0, 60)
    ]
    for headers, sent in [
        (stripe_header("whsec_other", body, int(AT)), body),
        (stripe_header("whsec_new", body, int(AT) - 301), body),
        (stripe_header("whsec_new", b"[]", int(AT)), b"[]"),
        ({"stripe-signature": "nonsense"}, body),
        ({}, body),
    ]:
        with pytest.raises(SignatureError):
            secret.verified(headers, sent, AT)


@pytest.mark.parametrize("kind", [GitHubSecret, StripeSecret])
def test_an_empty_secret_is_refused(kind: type[GitHubSecret] | type[StripeSecret]):
    """With it everybody could sign."""
    for secrets in ((), ("",), ("good", "")):
        with pytest.raises(UsageError, match="none that is empty"):
            kind(*secrets)


def test_secrets_are_not_shown():
    """Not where an object is printed."""
    verifiers: list[Verifier] = [SigningSecret(KNOWN), GitHubSecret("open sesame"), StripeSecret("open sesame")]

    assert "<SigningSecret of 1> <GitHubSecret of 1> <StripeSecret of 1>" == " ".join(map(repr, verifiers))
