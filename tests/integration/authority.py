"""Certificates made for a test: CAs, and what they sign, right and wrong in each way."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


def now():
    return datetime.datetime.utcnow()


def hours(n):
    return datetime.timedelta(hours=n)


def alternative_name(text):
    """DNS:…, URI:… or IP:…"""
    kind, value = text.split(":", 1)
    return {"DNS": x509.DNSName, "URI": x509.UniformResourceIdentifier,
            "IP": lambda address: x509.IPAddress(ipaddress.ip_address(address))}[kind](value)


def write(path, content, mode=0o600):
    """Puts a whole file in place of the one that is there, as a tool that renews certificates does."""
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(descriptor, "wb") as file:
        file.write(content)
    os.rename(path + ".new", path)


class Certificate:
    def __init__(self, folder, name, certificate, key):
        self.cert = os.path.join(folder, name + ".pem")
        self.key = os.path.join(folder, name + "-key.pem")
        self.certificate = certificate
        write(self.cert, certificate.public_bytes(serialization.Encoding.PEM))
        write(self.key, key.private_bytes(serialization.Encoding.PEM,
                                          serialization.PrivateFormat.PKCS8,
                                          serialization.NoEncryption()))


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder = str(folder)
        self.secret = ec.generate_private_key(ec.SECP256R1())
        # All have the same name: only the key tells one from another.
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a CA of the tests")])
        certificate = (
            self._begin(self.name, self.secret, -1, 24)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self.secret, hashes.SHA256()))
        self.cert = Certificate(self.folder, name, certificate, self.secret).cert

    def _begin(self, subject, secret, since, until):
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                .public_key(secret.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now() + hours(since)).not_valid_after(now() + hours(until)))

    def issue(self, name, *alternative_names, purposes=(CLIENT,), since=-1, until=24):
        """Valid from `since` to `until`, in hours from now; no purposes: no extended key usage."""
        secret = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._begin(subject, secret, since, until)
        if alternative_names:
            names = [alternative_name(each) for each in alternative_names]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        return Certificate(self.folder, name, builder.sign(self.secret, hashes.SHA256()), secret)
