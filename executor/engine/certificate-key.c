/* certificate-key.c - the host's Ed25519 key: made once, kept beside the journal, used to sign
 *
 * The key is the host's for as long as its file lives; auditors have the public half from the time
 * when the host was trusted. A file that is there and cannot be read is an error and never
 * replaced: a new key would make all earlier certificates look forged.
 */
#include "engine/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES_MAX 4096

struct certificate_key {
    gnutls_privkey_t private;
    char *public_pem;
    char *id;
};

static void datum_cleanup(gnutls_datum_t *d)
{
    if (d->data)
        gnutls_memset(d->data, 0, d->size);
    gnutls_free(d->data);
}

static void pubkey_cleanup(gnutls_pubkey_t *k)
{
    if (*k)
        gnutls_pubkey_deinit(*k);
}

static void x509_key_cleanup(gnutls_x509_privkey_t *k)
{
    if (*k)
        gnutls_x509_privkey_deinit(*k);
}

static int fail(struct error **err, int r, const char *what)
{
    return error_set(err, ERROR_IO, "%s: %s", what, gnutls_strerror(r));
}

void certificate_key_free(struct certificate_key *k)
{
    if (!k)
        return;
    if (k->private)
        gnutls_privkey_deinit(k->private);
    free(k->public_pem);
    free(k->id);
    free(k);
}

/* --- The public half ------------------------------------------------------------------------- */

static int import_public(const char *pem, gnutls_pubkey_t *ret, struct error **err)
{
    const gnutls_datum_t text = {(unsigned char *)pem, (unsigned)strlen(pem)};
    _cleanup_(pubkey) gnutls_pubkey_t key = NULL;
    int r = gnutls_pubkey_init(&key);

    if (r >= 0)
        r = gnutls_pubkey_import(key, &text, GNUTLS_X509_FMT_PEM);
    if (r < 0)
        return error_set(err, ERROR_USAGE, "this is no public key in PEM: %s", gnutls_strerror(r));
    if (gnutls_pubkey_get_pk_algorithm(key, NULL) != GNUTLS_PK_EDDSA_ED25519)
        return error_set(err, ERROR_USAGE, "the public key is not one of Ed25519");
    *ret = take(key);
    return 0;
}

static int id_of(gnutls_pubkey_t key, char **ret, struct error **err)
{
    _cleanup_(datum) gnutls_datum_t der = {0};
    unsigned char digest[32];
    int r = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der);

    if (r >= 0)
        r = gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, digest);
    if (r < 0)
        return fail(err, r, "naming the key");
    *ret = calloc(1, 2 * sizeof(digest) + 1);
    if (!*ret)
        return error_no_memory(err);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(*ret + 2 * i, 3, "%02x", digest[i]);
    return 0;
}

int certificate_key_id_of_pem(const char *public_pem, char **ret, struct error **err)
{
    _cleanup_(pubkey) gnutls_pubkey_t key = NULL;
    int r = import_public(public_pem, &key, err);

    return r < 0 ? r : id_of(key, ret, err);
}

static int derive_public(struct certificate_key *k, struct error **err)
{
    _cleanup_(pubkey) gnutls_pubkey_t key = NULL;
    _cleanup_(datum) gnutls_datum_t pem = {0};
    int r = gnutls_pubkey_init(&key);

    if (r >= 0)
        r = gnutls_pubkey_import_privkey(key, k->private, 0, 0);
    if (r >= 0)
        r = gnutls_pubkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);
    if (r < 0)
        return fail(err, r, "deriving the public key");
    if (text_replace(&k->public_pem, (const char *)pem.data) < 0)
        return error_no_memory(err);
    return id_of(key, &k->id, err);
}

/* --- Its file -------------------------------------------------------------------------------- */

static int read_key_file(int fd, const char *path, char *ret, size_t size, size_t *ret_n,
                         struct error **err)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) < 0)
        return error_set_errno(err, ERROR_IO, errno, "looking at %s", path);
    if (!S_ISREG(st.st_mode) || (st.st_mode & 0077) || (st.st_uid != geteuid() && st.st_uid != 0))
        return error_set(err, ERROR_IO,
                         "the host's key %s is open to others than its owner, and what it signs "
                         "proves nothing; move it away, and a new one is made",
                         path);
    n = read(fd, ret, size);
    if (n < 0)
        return error_set_errno(err, ERROR_IO, errno, "reading %s", path);
    *ret_n = (size_t)n;
    return 0;
}

static int load(int fd, const char *path, struct certificate_key *k, struct error **err)
{
    char text[KEY_BYTES_MAX];
    gnutls_datum_t pem = {(unsigned char *)text, 0};
    size_t n = 0;
    int r = read_key_file(fd, path, text, sizeof(text), &n, err);

    if (r < 0)
        return r;
    pem.size = (unsigned)n;
    r = gnutls_privkey_init(&k->private);
    if (r >= 0)
        r = gnutls_privkey_import_x509_raw(k->private, &pem, GNUTLS_X509_FMT_PEM, NULL,
                                           GNUTLS_PKCS_PLAIN);
    gnutls_memset(text, 0, sizeof(text));
    if (r < 0)
        return error_set(err, ERROR_IO, "the host's key %s cannot be read: %s", path,
                         gnutls_strerror(r));
    if (gnutls_privkey_get_pk_algorithm(k->private, NULL) != GNUTLS_PK_EDDSA_ED25519)
        return error_set(err, ERROR_IO, "the host's key %s is not one of Ed25519", path);
    return derive_public(k, err);
}

static int generate(gnutls_datum_t *ret, struct error **err)
{
    _cleanup_(x509_key) gnutls_x509_privkey_t key = NULL;
    int r = gnutls_x509_privkey_init(&key);

    if (r >= 0)
        r = gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 0, 0);
    if (r >= 0)
        r = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
                                              ret);
    return r < 0 ? fail(err, r, "making the host's key") : 0;
}

static int sync_folder_of(const char *path)
{
    _cleanup_(freep) char *folder = strdup(path);
    _cleanup_(close) int fd = -1;
    char *slash = folder ? strrchr(folder, '/') : NULL;

    if (!folder)
        return -ENOMEM;
    if (slash)
        slash[slash == folder] = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_new_file(const char *path, const gnutls_datum_t *pem)
{
    _cleanup_(close) int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || fchmod(fd, 0600) < 0)
        return -errno;
    errno = ENOSPC; /* of a write that ends early */
    if (write(fd, pem->data, pem->size) != (ssize_t)pem->size || fsync(fd) < 0)
        return -errno;
    return 0;
}

/* Under another name first, so that a crash leaves a whole key or none. */
static int make(const char *path, struct error **err)
{
    _cleanup_(datum) gnutls_datum_t pem = {0};
    _cleanup_(freep) char *temporary = NULL;
    int r = generate(&pem, err);

    if (r < 0)
        return r;
    if (asprintf(&temporary, "%s.new", path) < 0) {
        temporary = NULL;
        return error_no_memory(err);
    }
    r = write_new_file(temporary, &pem);
    /* link() does not take the place of a key that came into being meanwhile. */
    if (r == 0 && link(temporary, path) < 0 && errno != EEXIST)
        r = -errno;
    unlink(temporary);
    if (r == 0)
        r = sync_folder_of(path);
    return r < 0 ? error_set_errno(err, ERROR_IO, r, "writing the host's key %s", path) : 0;
}

int certificate_key_load_or_make(const char *path, struct certificate_key **ret, struct error **err)
{
    _cleanup_(certificate_key_free) struct certificate_key *k = calloc(1, sizeof(*k));
    _cleanup_(close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int r;

    if (!k)
        return error_no_memory(err);
    if (fd < 0 && errno == ENOENT) {
        r = make(path, err);
        if (r < 0)
            return r;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (fd < 0)
        return error_set_errno(err, ERROR_IO, errno, "opening the host's key %s", path);
    r = load(fd, path, k, err);
    if (r == 0)
        *ret = take(k);
    return r;
}

/* --- Its use --------------------------------------------------------------------------------- */

const char *certificate_key_id(const struct certificate_key *k)
{
    return k->id;
}

int certificate_public_pem(const struct certificate_key *k, char **ret, struct error **err)
{
    *ret = strdup(k->public_pem);
    return *ret ? 0 : error_no_memory(err);
}

int certificate_sign_bytes(const struct certificate_key *k, const void *data, size_t n,
                           unsigned char ret[static CERTIFICATE_SIGNATURE_SIZE], struct error **err)
{
    const gnutls_datum_t text = {(unsigned char *)data, (unsigned)n};
    _cleanup_(datum) gnutls_datum_t signature = {0};
    int r = n <= UINT32_MAX ? gnutls_privkey_sign_data2(k->private, GNUTLS_SIGN_EDDSA_ED25519, 0,
                                                        &text, &signature)
                            : GNUTLS_E_INVALID_REQUEST;

    if (r >= 0 && signature.size != CERTIFICATE_SIGNATURE_SIZE)
        r = GNUTLS_E_INTERNAL_ERROR;
    if (r < 0)
        return fail(err, r, "signing");
    memcpy(ret, signature.data, CERTIFICATE_SIGNATURE_SIZE);
    return 0;
}

int certificate_verify_bytes(const char *public_pem, const void *data, size_t n,
                             const unsigned char *signature, size_t n_signature, struct error **err)
{
    const gnutls_datum_t text = {(unsigned char *)data, (unsigned)n};
    const gnutls_datum_t sig = {(unsigned char *)signature, (unsigned)n_signature};
    _cleanup_(pubkey) gnutls_pubkey_t key = NULL;
    int r = import_public(public_pem, &key, err);

    if (r < 0)
        return r;
    if (n > UINT32_MAX || n_signature != CERTIFICATE_SIGNATURE_SIZE ||
        gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_EDDSA_ED25519, 0, &text, &sig) < 0)
        return error_set(err, ERROR_CONFLICT, "the signature is not this key's under this text");
    return 0;
}
