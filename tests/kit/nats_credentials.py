"""Accounts and users of a nats-server in operator mode, as the tool nsc would make them: keys, signed claims, .creds files.

A key is Ed25519, written in base32 with a letter for what it is of and a checksum; claims are JSON web tokens that the
next higher one signs: the operator an account, the account a user."""

import base64
import json
import os
import subprocess
import time

OPERATOR, ACCOUNT, USER, SEED = 14 << 3, 0, 20 << 3, 18 << 3


def _openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **options).stdout


def _written(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return base64.b32encode(data + crc.to_bytes(2, "little")).decode().rstrip("=")


def _url64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Key:
    def __init__(self, folder, name, kind):
        self.folder, self.name, self.kind = str(folder), name, kind
        self.path = os.path.join(self.folder, f"{name}.pem")
        _openssl("genpkey", "-algorithm", "ed25519", "-out", self.path)
        private = _openssl("pkey", "-in", self.path, "-outform", "DER")[-32:]
        public = _openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-32:]
        self.public = _written(bytes([kind]) + public)
        self.seed = _written(bytes([SEED | kind >> 5, (kind & 31) << 3]) + private)

    def sign(self, data):
        told = os.path.join(self.folder, f"{self.name}.signed")
        with open(told, "wb") as file:
            file.write(data)
        return _openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.path, "-in", told)

    def claim(self, subject, word, **claims):
        """A token about another key, or about this one itself."""
        body = {"jti": subject.name.upper(), "iat": int(time.time()), "iss": self.public, "name": subject.name,
                "sub": subject.public, "nats": {"type": word, "version": 2, **claims}}
        text = ".".join(_url64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
        return f"{text}.{_url64(self.sign(text.encode()))}"


class User:
    def __init__(self, folder, account, name):
        self.key = Key(folder, name, USER)
        self.token = account.claim(self.key, "user", subs=-1, data=-1, payload=-1)
        self.path = os.path.join(str(folder), f"{name}.creds")
        with open(self.path, "w", encoding="ascii") as file:
            file.write(f"-----BEGIN NATS USER JWT-----\n{self.token}\n------END NATS USER JWT------\n\n"
                       f"-----BEGIN USER NKEY SEED-----\n{self.key.seed}\n------END USER NKEY SEED------\n")

    def answer(self, nonce):
        """What CONNECT says."""
        return {"jwt": self.token, "sig": _url64(self.key.sign(nonce.encode()))}


class Operator:
    """An operator with one account that may use JetStream; configuration: for the server."""

    def __init__(self, folder):
        self.folder = folder
        operator = Key(folder, "operator", OPERATOR)
        system = Key(folder, "system", ACCOUNT)
        self.account = Key(folder, "account", ACCOUNT)
        limits = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1,
                  "leaf": -1}
        storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
        tokens = {system.public: operator.claim(system, "account", limits=limits),
                  self.account.public: operator.claim(self.account, "account", limits={**limits, **storage})}
        preload = "\n".join(f"{key}: {token}" for key, token in tokens.items())
        self.configuration = (f"operator: {operator.claim(operator, 'operator')}\nsystem_account: {system.public}\n"
                              f"resolver: MEMORY\nresolver_preload: {{\n{preload}\n}}\n")

    def user(self, name):
        return User(self.folder, self.account, name)
