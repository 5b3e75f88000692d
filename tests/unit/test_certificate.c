/* test_certificate.c - the host's signature: made once, over all of it, and no change goes unseen
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/json.h"
#include "engine/certificate.h"
#include "scratch.h"

#include <gnutls/gnutls.h>

static struct certificate_key *load(void **state, const char *name)
{
    struct certificate_key *k = NULL;
    struct error *err = NULL;

    if (certificate_key_load_or_make(scratch_path(*state, name), &k, &err) < 0)
        fail_msg("%s", error_message(err));
    return k;
}

static char *pem_of(const struct certificate_key *k)
{
    char *pem = NULL;

    assert_int_equal(certificate_public_pem(k, &pem, NULL), 0);
    return pem;
}

static json_object *a_certificate(void)
{
    return json_tokener_parse("{\"requestId\":\"473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E\","
                              "\"device\":{\"serial\":\"S4EWNX0R\",\"size\":800166076416},"
                              "\"method\":\"write-zeroes\",\"confidence\":0.999999,"
                              "\"path\":\"/dev/nvme1n1\",\"steps\":[{\"cdw10\":\"0x00000000\"}],"
                              "\"maker\":\"M\xc3\xbcller\",\"covers\":null,\"done\":true}");
}

static json_object *a_signed_one(const struct certificate_key *k)
{
    _cleanup_(json) json_object *certificate = a_certificate();
    json_object *envelope = NULL;
    struct error *err = NULL;

    assert_non_null(certificate);
    if (certificate_sign(k, certificate, &envelope, &err) < 0)
        fail_msg("%s", error_message(err));
    return envelope;
}

static void assert_refused(json_object *envelope, const char *pem, const char *why)
{
    _cleanup_(error_free) struct error *err = NULL;

    if (certificate_verify(envelope, pem, &err) == 0)
        fail_msg("taken for signed: %s", json_object_to_json_string(envelope));
    assert_int_equal(err->code, ERROR_CONFLICT);
    if (!strstr(err->message, why))
        fail_msg("'%s' does not say '%s'", err->message, why);
}

/* --- The key --------------------------------------------------------------------------------- */

static void a_key_is_made_once(void **state)
{
    struct certificate_key *first = load(state, "key"), *again = load(state, "key"),
                           *other = load(state, "other");
    _cleanup_(freep) char *pem = pem_of(first), *same = pem_of(again), *different = pem_of(other);
    struct stat st;

    assert_int_equal(stat(scratch_path(*state, "key"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_not_equal(access(scratch_path(*state, "key.new"), F_OK), 0);
    assert_string_equal(pem, same);
    assert_string_equal(certificate_key_id(first), certificate_key_id(again));
    assert_int_equal(strlen(certificate_key_id(first)), 64);
    assert_string_not_equal(pem, different);
    assert_non_null(strstr(pem, "BEGIN PUBLIC KEY"));
    certificate_key_free(first);
    certificate_key_free(again);
    certificate_key_free(other);
}

static void a_key_that_cannot_be_read_is_kept(void **state)
{
    struct certificate_key *k = NULL;
    _cleanup_(error_free) struct error *err = NULL;
    _cleanup_(freep) char *left = NULL;

    scratch_write(scratch_path(*state, "key"), "-----BEGIN", 10);
    assert_int_not_equal(certificate_key_load_or_make(scratch_path(*state, "key"), &k, &err), 0);
    assert_null(k);
    assert_non_null(strstr(err->message, "/key"));
    left = scratch_read(scratch_path(*state, "key"), NULL);
    assert_string_equal(left, "-----BEGIN");
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    struct certificate_key *k = load(state, "key");
    _cleanup_(error_free) struct error *err = NULL;

    certificate_key_free(k);
    k = NULL;
    assert_int_equal(chmod(scratch_path(*state, "key"), 0640), 0);
    assert_int_not_equal(certificate_key_load_or_make(scratch_path(*state, "key"), &k, &err), 0);
    assert_null(k);
    assert_non_null(strstr(err->message, "open to others"));
}

static void a_crash_leaves_a_whole_key_or_none(void **state)
{
    struct certificate_key *k;

    scratch_write(scratch_path(*state, "key.new"), "half", 4);
    k = load(state, "key");
    certificate_key_free(k);
    assert_int_not_equal(access(scratch_path(*state, "key.new"), F_OK), 0);
}

static void no_folder_no_key(void **state)
{
    struct certificate_key *k = NULL;
    _cleanup_(error_free) struct error *err = NULL;

    assert_int_not_equal(certificate_key_load_or_make(scratch_path(*state, "no/key"), &k, &err), 0);
    assert_null(k);
}

/* --- The primitive: RFC 8032, section 7.1 ---------------------------------------------------- */

static size_t from_hex(const char *hex, unsigned char *ret)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++)
        ret[i] = (unsigned char)strtoul((char[]){hex[2 * i], hex[2 * i + 1], 0}, NULL, 16);
    return n;
}

static char *pem_around(const char *kind, const char *prefix, const char *hex)
{
    unsigned char der[128];
    size_t n = from_hex(prefix, der);
    gnutls_datum_t raw = {der, 0}, text = {0};
    char *pem = NULL;

    n += from_hex(hex, der + n);
    raw.size = (unsigned)n;
    assert_true(gnutls_pem_base64_encode2(kind, &raw, &text) >= 0);
    pem = strdup((char *)text.data);
    gnutls_free(text.data);
    return pem;
}

static void published_vectors_hold(void **state)
{
    static const struct {
        const char *secret, *public, *message, *signature;
    } vectors[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "cf9"
         "b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0f1"
         "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
         "84d"
         "c6594a7c15e9716ed28dc027beceea1ec40a"},
    };

    for (size_t i = 0; i < ELEMENTSOF(vectors); i++) {
        _cleanup_(freep) char *secret =
            pem_around("PRIVATE KEY", "302e020100300506032b657004220420", vectors[i].secret);
        _cleanup_(freep) char *public =
            pem_around("PUBLIC KEY", "302a300506032b6570032100", vectors[i].public);
        unsigned char message[8], expected[64], made[64];
        size_t n = from_hex(vectors[i].message, message);
        _cleanup_(certificate_key_free) struct certificate_key *k = NULL;
        _cleanup_(freep) char *derived = NULL;

        from_hex(vectors[i].signature, expected);
        scratch_write(scratch_path(*state, "rfc"), secret, strlen(secret));
        k = load(state, "rfc");
        derived = pem_of(k);
        assert_string_equal(derived, public);
        assert_int_equal(certificate_sign_bytes(k, message, n, made, NULL), 0);
        assert_memory_equal(made, expected, sizeof(made));
        assert_int_equal(certificate_verify_bytes(public, message, n, expected, 64, NULL), 0);
        expected[i]++;
        assert_int_not_equal(certificate_verify_bytes(public, message, n, expected, 64, NULL), 0);
        assert_int_not_equal(certificate_verify_bytes(public, message, n, expected, 63, NULL), 0);
    }
}

/* The DSSE specification's encoding, written out. */
static void what_is_signed_is_what_dsse_says(void **state)
{
    size_t n = 0;
    _cleanup_(freep) char *text = certificate_encoding("{\"a\":1}", 7, &n);

    assert_string_equal(text, "DSSEv1 41 application/vnd.stopd.certificate.v1+json 7 {\"a\":1}");
    assert_int_equal(n, strlen(text));
}

/* --- The envelope ---------------------------------------------------------------------------- */

static void a_signed_certificate_verifies(void **state)
{
    _cleanup_(certificate_key_free) struct certificate_key *k = load(state, "key");
    _cleanup_(freep) char *pem = pem_of(k);
    _cleanup_(json) json_object *envelope = a_signed_one(k), *original = a_certificate(),
                                *read_back = NULL;
    json_object *readable = NULL;
    const char *type = NULL;

    assert_int_equal(certificate_verify(envelope, pem, NULL), 0);
    json_get_string(envelope, "payloadType", &type);
    assert_string_equal(type, "application/vnd.stopd.certificate.v1+json");
    assert_int_equal(json_get_object(envelope, "certificate", &readable), 0);
    assert_true(json_object_equal(readable, original));

    read_back =
        json_tokener_parse(json_object_to_json_string_ext(envelope, JSON_C_TO_STRING_PRETTY));
    assert_int_equal(certificate_verify(read_back, pem, NULL), 0);
}

static void another_implementation_agrees(void **state)
{
    _cleanup_(certificate_key_free) struct certificate_key *k = NULL;
    _cleanup_(freep) char *pem = NULL, *encoding = NULL;
    unsigned char signature[64];
    char command[512];
    size_t n = 0;
    struct scratch *s = *state;

    if (access("/usr/bin/openssl", X_OK) < 0) {
        print_message("skipped: openssl is not installed\n");
        skip();
    }
    k = load(state, "key");
    pem = pem_of(k);
    encoding = certificate_encoding("{}", 2, &n);
    assert_int_equal(certificate_sign_bytes(k, encoding, n, signature, NULL), 0);
    scratch_write(scratch_path(s, "text"), encoding, n);
    scratch_write(scratch_path(s, "sig"), signature, sizeof(signature));
    scratch_write(scratch_path(s, "pem"), pem, strlen(pem));
    snprintf(command, sizeof(command),
             "cd %s && openssl pkeyutl -verify -pubin -inkey pem -rawin -in text -sigfile sig "
             ">/dev/null && "
             "test \"$(openssl pkey -pubin -in pem -outform DER | sha256sum)\" = '%s  -'",
             s->folder, certificate_key_id(k));
    assert_int_equal(system(command), 0);
}

static void another_key_does_not_verify(void **state)
{
    _cleanup_(certificate_key_free) struct certificate_key *k = load(state, "key"),
                                                           *other = load(state, "other");
    _cleanup_(freep) char *pem = pem_of(other);
    _cleanup_(json) json_object *envelope = a_signed_one(k);
    _cleanup_(error_free) struct error *err = NULL;
    json_object *signatures = NULL;

    assert_refused(envelope, pem, "signed with the key");
    /* … also where it says that it is that one's. */
    json_get_array(envelope, "signatures", &signatures);
    json_add_string(json_object_array_get_idx(signatures, 0), "keyid", certificate_key_id(other));
    assert_refused(envelope, pem, "was not signed with this key");

    assert_int_not_equal(certificate_verify(envelope, "no key", &err), 0);
    assert_int_equal(err->code, ERROR_USAGE);
}

/* Every member, every byte of the payload and of the signature, and every form. */
static void each_member_is_covered(void **state)
{
    _cleanup_(certificate_key_free) struct certificate_key *k = load(state, "key");
    _cleanup_(freep) char *pem = pem_of(k);
    static const struct {
        const char *member, *value, *why;
    } changes[] = {
        {"payloadType", "\"application/json\"", "payloadType"},
        {"payloadType", "7", "payloadType"},
        {"payload", "\"e30=\"", "was not signed"},
        {"payload", "\"!!\"", "base64"},
        {"payload", "null", "base64"},
        {"signatures", "[]", "one signature"},
        {"signatures", "{}", "one signature"},
        {"signatures", "[{\"sig\":\"AA==\"}]", "a keyid and a sig"},
        {"signatures", "[{\"keyid\":\"0\",\"sig\":\"AA==\"}]", "signed with the key 0"},
        {"certificate", "{}", "not the one that was signed"},
        {"certificate", "null", "not the one that was signed"},
        {"verifiedBy", "\"me\"", "not just the members"},
    };

    for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
        _cleanup_(json) json_object *envelope = a_signed_one(k);

        assert_int_equal(certificate_verify(envelope, pem, NULL), 0);
        json_object_object_add(envelope, changes[i].member, json_tokener_parse(changes[i].value));
        assert_refused(envelope, pem, changes[i].why);
    }
    for (size_t i = 0; i < 4; i++) {
        static const char *const members[] = {"payloadType", "payload", "signatures",
                                              "certificate"};
        _cleanup_(json) json_object *envelope = a_signed_one(k);

        json_object_object_del(envelope, members[i]);
        assert_refused(envelope, pem, "not just the members");
    }
}

static void each_member_of_the_readable_copy_is_compared(void **state)
{
    _cleanup_(certificate_key_free) struct certificate_key *k = load(state, "key");
    _cleanup_(freep) char *pem = pem_of(k);
    _cleanup_(json) json_object *original = a_certificate();

    json_object_object_foreach(original, name, value)
    {
        _cleanup_(json) json_object *envelope = a_signed_one(k);
        json_object *readable = NULL;

        (void)value;
        assert_int_equal(json_get_object(envelope, "certificate", &readable), 0);
        json_object_object_add(readable, name, json_object_new_string("another"));
        assert_refused(envelope, pem, "not the one that was signed");
        json_object_object_del(readable, name);
        assert_refused(envelope, pem, "not the one that was signed");
    }
}

static void change_each_byte(void **state, const char *what)
{
    _cleanup_(certificate_key_free) struct certificate_key *k = load(state, "key");
    _cleanup_(freep) char *pem = pem_of(k);
    _cleanup_(json) json_object *envelope = a_signed_one(k);
    json_object *holder = envelope, *signatures = NULL;
    _cleanup_(freep) char *text = NULL;
    const char *value = NULL;

    if (strcmp(what, "payload") != 0) {
        assert_int_equal(json_get_array(envelope, "signatures", &signatures), 0);
        holder = json_object_array_get_idx(signatures, 0);
    }
    assert_int_equal(json_get_string(holder, what, &value), 0);
    text = strdup(value);
    for (size_t i = 0; text[i]; i++) {
        char former = text[i];

        text[i] = former == 'A' ? 'B' : 'A';
        json_add_string(holder, what, text);
        assert_int_not_equal(certificate_verify(envelope, pem, NULL), 0);
        text[i] = former;
    }
    json_add_string(holder, what, text);
    assert_int_equal(certificate_verify(envelope, pem, NULL), 0);
}

static void each_byte_of_the_payload_is_covered(void **state)
{
    change_each_byte(state, "payload");
}

static void each_byte_of_the_signature_is_covered(void **state)
{
    change_each_byte(state, "sig");
    change_each_byte(state, "keyid");
}

/* base64 has one writing here: a decoder that passes over blanks would let two documents be one. */
static void a_second_writing_is_refused(void **state)
{
    _cleanup_(certificate_key_free) struct certificate_key *k = load(state, "key");
    _cleanup_(freep) char *pem = pem_of(k), *longer = NULL;
    _cleanup_(json) json_object *envelope = a_signed_one(k);
    const char *payload = NULL;

    json_get_string(envelope, "payload", &payload);
    assert_true(asprintf(&longer, "%s\n", payload) > 0);
    json_add_string(envelope, "payload", longer);
    assert_refused(envelope, pem, "base64");
}

static void what_is_no_envelope_is_refused(void **state)
{
    _cleanup_(certificate_key_free) struct certificate_key *k = load(state, "key");
    _cleanup_(freep) char *pem = pem_of(k);
    _cleanup_(json) json_object *text = json_object_new_string("signed");

    assert_refused(text, pem, "not just the members");
    assert_refused(NULL, pem, "not just the members");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_made_once),
        TEST(a_key_that_cannot_be_read_is_kept),
        TEST(a_key_that_others_can_read_is_refused),
        TEST(a_crash_leaves_a_whole_key_or_none),
        TEST(no_folder_no_key),
        TEST(published_vectors_hold),
        TEST(what_is_signed_is_what_dsse_says),
        TEST(a_signed_certificate_verifies),
        TEST(another_implementation_agrees),
        TEST(another_key_does_not_verify),
        TEST(each_member_is_covered),
        TEST(each_member_of_the_readable_copy_is_compared),
        TEST(each_byte_of_the_payload_is_covered),
        TEST(each_byte_of_the_signature_is_covered),
        TEST(a_second_writing_is_refused),
        TEST(what_is_no_envelope_is_refused),
    };

    return cmocka_run_group_tests_name("certificate", tests, NULL, NULL);
}
