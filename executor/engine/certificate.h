/* certificate.h - the host's signature under what a helper certifies
 *
 * A signed certificate is an envelope after DSSE (the Dead Simple Signing Envelope of in-toto):
 *
 *   {"payloadType": "application/vnd.stopd.certificate.v1+json",
 *    "payload": BASE64, "signatures": [{"keyid": KEY, "sig": BASE64}],
 *    "certificate": {…}}
 *
 * What is signed are the bytes of payload and its type, by Ed25519; "certificate" is the same
 * object once more, for people to read. KEY is the SHA-256 of the public key (its DER, as
 * "openssl pkey -pubin -outform DER | sha256sum" gives it). */
#ifndef STOPD_ENGINE_CERTIFICATE_H
#define STOPD_ENGINE_CERTIFICATE_H

#include "stopd/error.h"

#include <json-c/json.h>

#define CERTIFICATE_PAYLOAD_TYPE "application/vnd.stopd.certificate.v1+json"

struct certificate_key;

/* Reads the host's key (PKCS#8, PEM), or makes one where there is none (0600, durable). One that
 * others may read is refused: its signatures prove nothing. */
int certificate_key_load_or_make(const char *path, struct certificate_key **ret,
                                 struct error **err);
void certificate_key_free(struct certificate_key *k);
DEFINE_CLEANUP(struct certificate_key *, certificate_key_free);

const char *certificate_key_id(const struct certificate_key *k);
/* The public half, PEM ("BEGIN PUBLIC KEY"). The caller's. */
int certificate_public_pem(const struct certificate_key *k, char **ret, struct error **err);

/* The envelope, the caller's. Touches no file and waits for nothing. */
int certificate_sign(const struct certificate_key *k, json_object *certificate, json_object **ret,
                     struct error **err);

/* Is the envelope signed by the holder of this key, as a whole, and does what one reads in it equal
 * what was signed? ERROR_CONFLICT says what is wrong. */
int certificate_verify(json_object *envelope, const char *public_pem, struct error **err);

/* The primitive under it, for tests with published vectors: 64 bytes of signature over data. */
#define CERTIFICATE_SIGNATURE_SIZE 64
int certificate_sign_bytes(const struct certificate_key *k, const void *data, size_t n,
                           unsigned char ret[static CERTIFICATE_SIGNATURE_SIZE],
                           struct error **err);
int certificate_verify_bytes(const char *public_pem, const void *data, size_t n,
                             const unsigned char *signature, size_t n_signature,
                             struct error **err);

/* What the two sides share (certificate-key.c). The caller's. */
int certificate_key_id_of_pem(const char *public_pem, char **ret, struct error **err);
/* The bytes that are signed: DSSE's pre-authentication encoding. NULL: out of memory. */
char *certificate_encoding(const void *payload, size_t n, size_t *ret_n);

#endif
