/* certificate-check.c - are saved certificates genuine? With no daemon asked
 *
 * Theory of operation. What --json prints is a document with any number of envelopes, and an
 * envelope alone is taken as well. Every one has to be valid, and there has to be one: a file from
 * which the certificates were taken out proves nothing. What is told of a valid one is read from
 * the envelope's open copy, which certificate_verify() has compared with what was signed.
 */
#include "cli/certificate.h"
#include "cli/operation-view.h"
#include "cli/text.h"
#include "engine/certificate.h"

#include <errno.h>
#include <string.h>

/* A certificate carries raw identify data, some 16 KiB of it; a host has not very many disks. */
#define FILE_MOST ((size_t)64 << 20)

static void close_file_cleanup(FILE **f)
{
    if (*f)
        fclose(*f);
}

/* All of a file, or of a pipe, with a NUL behind it. The caller's. */
static int read_file(const char *path, char **ret, size_t *ret_n, struct error **err)
{
    _cleanup_(close_file) FILE *from = fopen(path, "re");
    _cleanup_(freep) char *text = NULL;
    size_t size = 0, n = 0;

    if (!from)
        return error_set_errno(err, ERROR_USAGE, errno, "cannot read %s", path);
    do {
        if (n + 1 >= size) {
            char *grown = size < FILE_MOST ? realloc(text, size = size ? 2 * size : 65536) : NULL;

            if (!grown)
                return error_set(err, ERROR_USAGE, "%s is too large", path);
            text = grown;
        }
        n += fread(text + n, 1, size - n - 1, from);
    } while (!feof(from) && !ferror(from));
    if (ferror(from))
        return error_set_errno(err, ERROR_USAGE, errno, "cannot read %s", path);
    text[n] = '\0';
    *ret = take(text);
    *ret_n = n;
    return 0;
}

/* "vdb of i-abc (serial S4EWNX0R)" */
static void print_name(FILE *to, json_object *certificate)
{
    const char *serial = document_text(document_object(certificate, "device"), "serial");

    text_print(to, document_text(certificate, "target"));
    fputs(" of ", to);
    text_print(to, document_text(certificate, "instanceId"));
    if (!is_set(serial))
        return;
    fputs(" (serial ", to);
    text_print(to, serial);
    putc(')', to);
}

static void print_valid(json_object *envelope)
{
    json_object *certificate = document_object(envelope, "certificate");
    json_object *signature = document_element(envelope, "signatures", 0);
    char time[LOCAL_TIME_SIZE];

    print_name(stdout, certificate);
    printf(": valid, cleared %s by ",
           local_time_to_text(document_time(certificate, "finishedAt"), time));
    text_print(stdout, document_text(certificate, "method"));
    fputs(", RequestId ", stdout);
    text_print(stdout, document_text(certificate, "requestId"));
    fputs(", signed by the key ", stdout);
    text_print(stdout, document_text(signature, "keyid"));
    putchar('\n');
}

/* Which one it is cannot be believed: it is told by its place. */
static void print_invalid(const char *file, size_t place, const struct error *why)
{
    fputs("stopctl: certificate ", stderr);
    text_print(stderr, file);
    fprintf(stderr, ": number %zu is not valid: ", place + 1);
    text_print(stderr, error_message(why));
    putc('\n', stderr);
}

static int add_result(json_object *results, const char *target, const struct error *why)
{
    json_object *result = json_object_new_object();

    return json_append(results, result) || json_add_string(result, "target", target) ||
           json_add_bool(result, "valid", !why) ||
           json_add_string(result, "problem", why ? error_message(why) : NULL);
}

/* What the document around an envelope says is not signed: it must be the same. */
static int check_frame(json_object *frame, const char *key, json_object *certificate,
                       struct error **err)
{
    const char *said = document_text(frame, key), *proved = document_text(certificate, key);

    if (!is_set(said) || text_equal(said, proved))
        return 0;
    return error_set(err, ERROR_CONFLICT, "the document says %s %s, and the certificate %s", key,
                     said, proved);
}

/* One of a document's certificates, or alone (frame and entry NULL). ERROR_CONFLICT: not valid. */
static int check_one(json_object *frame, json_object *entry, json_object *envelope, const char *pem,
                     struct error **err)
{
    json_object *certificate = document_object(envelope, "certificate");
    int r = certificate_verify(envelope, pem, err);

    if (r == 0)
        r = check_frame(frame, "requestId", certificate, err);
    if (r == 0)
        r = check_frame(entry, "target", certificate, err);
    return r;
}

static int print_as_json(bool valid, json_object *results, struct error **err)
{
    _cleanup_(json) json_object *document = json_object_new_object();

    if (!document || json_add_bool(document, "valid", valid) ||
        json_add(document, "certificates", json_object_get(results)))
        return error_no_memory(err);
    cli_print_json(document);
    return 0;
}

/* Tells of each what it is; *valid: all of them are, and there are some. An error is one that says
 * nothing of them. */
static int check_all(struct cli *cli, const char *file, json_object *document, const char *pem,
                     json_object *results, bool *valid, struct error **err)
{
    bool is_list = json_object_is_type(document, json_type_object) &&
                   json_object_object_get_ex(document, "certificates", NULL);
    size_t n = is_list ? document_count(document, "certificates") : 1;

    *valid = n > 0;
    for (size_t i = 0; i < n; i++) {
        json_object *entry = is_list ? document_element(document, "certificates", i) : NULL;
        json_object *envelope = is_list ? document_object(entry, "certificate") : document;
        json_object *certificate = document_object(envelope, "certificate");
        _cleanup_(error_free) struct error *why = NULL;

        check_one(is_list ? document : NULL, entry, envelope, pem, &why);
        if (why && error_code_of(why) != ERROR_CONFLICT)
            return error_move(err, &why);
        if (add_result(results, why ? NULL : document_text(certificate, "target"), why))
            return error_no_memory(err);
        if (why)
            print_invalid(file, i, why);
        else if (!cli->json)
            print_valid(envelope);
        *valid = *valid && !why;
    }
    if (n == 0)
        fprintf(stderr, "stopctl: certificate %s: there is no certificate in it\n", file);
    return 0;
}

int certificate_check_file(struct cli *cli, const char *file, const char *key_file,
                           struct error **err)
{
    _cleanup_(json) json_object *document = NULL, *results = json_object_new_array();
    _cleanup_(freep) char *pem = NULL, *text = NULL;
    bool valid = false;
    size_t n = 0;
    int r = read_file(key_file, &pem, &n, err);

    if (r == 0)
        r = read_file(file, &text, &n, err);
    if (r == 0) {
        document = document_parse(text, n);
        r = check_all(cli, file, document, pem, results, &valid, err);
    }
    if (r < 0)
        return error_context(err, "certificate");
    if (cli->json)
        r = print_as_json(valid, results, err);
    if (r < 0)
        return r;
    return valid ? 0 : EXIT_STATUS_DISK;
}
