/* certificate.c - the envelope around a certificate: signed, and verified
 *
 * Theory of operation. JSON has many writings of one object, so a signature over "the object" would
 * depend on who writes it out. DSSE therefore signs bytes: the payload is one writing of the
 * certificate, in base64, and the signature is over that and its type. Whoever verifies needs no
 * rules about JSON, and no other kind of document can pass for a certificate.
 *
 * The envelope also carries the object in the open. It is not signed itself, and so it has to be
 * compared with what was; a member that DSSE does not know, or a second signature, is refused, for
 * whoever reads it would take it for part of what is proved.
 */
#include "engine/certificate.h"

#include "base/json.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>

#define WRITING (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
/* A certificate carries an envelope of raw identify data, not more. */
#define DEPTH 32

static void datum_cleanup(gnutls_datum_t *d)
{
    gnutls_free(d->data);
}

static void tokener_cleanup(json_tokener **t)
{
    if (*t)
        json_tokener_free(*t);
}

char *certificate_encoding(const void *payload, size_t n, size_t *ret_n)
{
    char head[128];
    size_t n_head = (size_t)snprintf(head, sizeof(head), "DSSEv1 %zu %s %zu ",
                                     strlen(CERTIFICATE_PAYLOAD_TYPE), CERTIFICATE_PAYLOAD_TYPE, n);
    char *text = malloc(n_head + n + 1);

    if (!text)
        return NULL;
    memcpy(text, head, n_head);
    memcpy(text + n_head, payload, n);
    text[n_head + n] = '\0';
    *ret_n = n_head + n;
    return text;
}

/* --- Signing --------------------------------------------------------------------------------- */

static int add_base64(json_object *o, const char *key, const void *data, size_t n)
{
    const gnutls_datum_t raw = {(unsigned char *)data, (unsigned)n};
    _cleanup_(datum) gnutls_datum_t text = {0};

    if (gnutls_base64_encode2(&raw, &text) < 0)
        return -1;
    return json_add(o, key, json_object_new_string_len((char *)text.data, (int)text.size));
}

static int add_signature(json_object *envelope, const struct certificate_key *k,
                         const unsigned char *signature)
{
    json_object *array = json_object_new_array(), *one = json_object_new_object();

    if (json_add(envelope, "signatures", array) < 0) {
        json_object_put(one);
        return -1;
    }
    if (json_append(array, one) < 0 || json_add_string(one, "keyid", certificate_key_id(k)) < 0)
        return -1;
    return add_base64(one, "sig", signature, CERTIFICATE_SIGNATURE_SIZE);
}

static int parse(const char *text, size_t n, json_object **ret, struct error **err)
{
    _cleanup_(tokener) json_tokener *t = json_tokener_new_ex(DEPTH);
    json_object *o;

    if (!t)
        return error_no_memory(err);
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    o = json_tokener_parse_ex(t, text, (int)n);
    if (!json_object_is_type(o, json_type_object) || json_tokener_get_parse_end(t) != n) {
        json_object_put(o);
        return error_set(err, ERROR_CONFLICT, "the payload is no JSON object");
    }
    *ret = o;
    return 0;
}

int certificate_sign(const struct certificate_key *k, json_object *certificate, json_object **ret,
                     struct error **err)
{
    size_t n = 0, n_encoding = 0;
    const char *payload = json_object_to_json_string_length(certificate, WRITING, &n);
    _cleanup_(freep) char *encoding =
        payload ? certificate_encoding(payload, n, &n_encoding) : NULL;
    _cleanup_(json) json_object *envelope = json_object_new_object();
    unsigned char signature[CERTIFICATE_SIGNATURE_SIZE];
    json_object *readable = NULL;
    int r;

    if (!encoding || !envelope)
        return error_no_memory(err);
    r = certificate_sign_bytes(k, encoding, n_encoding, signature, err);
    /* What is to be read is read from what was signed. */
    if (r == 0)
        r = parse(payload, n, &readable, err);
    if (r < 0)
        return r;
    if (json_add_string(envelope, "payloadType", CERTIFICATE_PAYLOAD_TYPE) < 0 ||
        add_base64(envelope, "payload", payload, n) < 0 ||
        add_signature(envelope, k, signature) < 0) {
        json_object_put(readable);
        return error_no_memory(err);
    }
    if (json_add(envelope, "certificate", readable) < 0)
        return error_no_memory(err);
    *ret = take(envelope);
    return 0;
}

/* --- Verifying ------------------------------------------------------------------------------- */

static int wrong(struct error **err, const char *what)
{
    return error_set(err, ERROR_CONFLICT, "%s", what);
}

/* Exactly these members and no others. */
static bool has_just(json_object *o, const char *const *names, size_t n)
{
    if (!json_object_is_type(o, json_type_object) || json_object_object_length(o) != (int)n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!json_object_object_get_ex(o, names[i], NULL))
            return false;
    return true;
}

/* The one writing of these bytes: decoders pass over blanks and more. */
static int decode(const char *text, gnutls_datum_t *ret)
{
    const gnutls_datum_t base64 = {(unsigned char *)text, (unsigned)strlen(text)};
    _cleanup_(datum) gnutls_datum_t again = {0};

    if (gnutls_base64_decode2(&base64, ret) < 0 || gnutls_base64_encode2(ret, &again) < 0 ||
        again.size != base64.size || memcmp(again.data, base64.data, again.size) != 0)
        return -1;
    return 0;
}

static int check_form(json_object *envelope, json_object **ret_signature, struct error **err)
{
    static const char *const members[] = {"payloadType", "payload", "signatures", "certificate"};
    static const char *const of_signature[] = {"keyid", "sig"};
    const char *type = NULL;
    json_object *signatures = NULL;

    if (!has_just(envelope, members, ELEMENTSOF(members)))
        return wrong(err, "it has not just the members of a signed certificate: payloadType, "
                          "payload, signatures and certificate");
    json_get_string(envelope, "payloadType", &type);
    if (!text_equal(type, CERTIFICATE_PAYLOAD_TYPE))
        return error_set(err, ERROR_CONFLICT,
                         "its payloadType is %s, and not " CERTIFICATE_PAYLOAD_TYPE,
                         type ? type : "missing");
    if (json_get_array(envelope, "signatures", &signatures) < 0 ||
        json_object_array_length(signatures) != 1)
        return wrong(err, "it has not just one signature");
    *ret_signature = json_object_array_get_idx(signatures, 0);
    if (!has_just(*ret_signature, of_signature, ELEMENTSOF(of_signature)))
        return wrong(err, "its signature has not just a keyid and a sig");
    return 0;
}

static int check_key(json_object *signature, const char *public_pem, struct error **err)
{
    _cleanup_(freep) char *id = NULL;
    const char *said = NULL;
    int r = certificate_key_id_of_pem(public_pem, &id, err);

    if (r < 0)
        return r;
    json_get_string(signature, "keyid", &said);
    if (!text_equal(said, id))
        return error_set(err, ERROR_CONFLICT,
                         "it says that it was signed with the key %s, and this one is %s",
                         said ? said : "(none)", id);
    return 0;
}

static int check_signature(json_object *signature, const gnutls_datum_t *payload,
                           const char *public_pem, struct error **err)
{
    _cleanup_(freep) char *encoding = NULL;
    _cleanup_(datum) gnutls_datum_t bytes = {0};
    const char *text = NULL;
    size_t n = 0;

    if (json_get_string(signature, "sig", &text) < 0 || !text || decode(text, &bytes) < 0)
        return wrong(err, "its sig is not in base64");
    encoding = certificate_encoding(payload->data, payload->size, &n);
    if (!encoding)
        return error_no_memory(err);
    if (certificate_verify_bytes(public_pem, encoding, n, bytes.data, bytes.size, NULL) < 0)
        return wrong(err, "its payload was not signed with this key, or was changed since");
    return 0;
}

static int check_readable(json_object *envelope, const gnutls_datum_t *payload, struct error **err)
{
    _cleanup_(json) json_object *is_signed = NULL;
    json_object *readable = NULL;
    int r = parse((const char *)payload->data, payload->size, &is_signed, err);

    if (r < 0)
        return r;
    json_object_object_get_ex(envelope, "certificate", &readable);
    if (!json_object_equal(readable, is_signed))
        return wrong(err, "the certificate that it shows is not the one that was signed");
    return 0;
}

int certificate_verify(json_object *envelope, const char *public_pem, struct error **err)
{
    _cleanup_(datum) gnutls_datum_t payload = {0};
    json_object *signature = NULL;
    const char *text = NULL;
    int r = check_form(envelope, &signature, err);

    if (r == 0)
        r = check_key(signature, public_pem, err);
    if (r < 0)
        return r;
    if (json_get_string(envelope, "payload", &text) < 0 || !text || decode(text, &payload) < 0)
        return wrong(err, "its payload is not in base64");
    r = check_signature(signature, &payload, public_pem, err);
    return r < 0 ? r : check_readable(envelope, &payload, err);
}
