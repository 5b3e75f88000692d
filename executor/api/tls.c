/* tls.c - what the network listener proves itself with, and asks of its clients
 *
 * Theory of operation. A certificate, its key and the CAs of clients are loaded together into one
 * object of GnuTLS that never changes afterwards. A session takes the one in force when it
 * begins and holds on to it, so that a newer one touches no connection that is there.
 *
 * The files are looked at when a connection begins or the metrics are asked for, at most once a
 * second: there is nothing to watch while nobody asks. A change is loaded when it is a second old
 * or has been seen twice alike, so that a pair that is just being replaced is not taken by halves.
 * What cannot be loaded is complained of once, and the former stays in force.
 *
 * A client has to show a certificate; GnuTLS ends the handshake of one that does not. No session is
 * resumed here, so that each connection is verified anew.
 */
#include "api/tls.h"

#include "stopd/log.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_EVERY USEC_PER_SEC

struct tls_credentials {
    atomic_uint holders;
    gnutls_certificate_credentials_t gnutls;
    time_t expires; /* the certificate */
};

/* What tells one state of the files from another. */
struct look {
    struct {
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec changed;
    } files[3];
};

struct tls {
    pthread_mutex_t lock; /* all below */
    char *certificate, *key, *client_ca;
    struct tls_credentials *in_force;
    struct look loaded; /* or tried to */
    struct look seen;
    usec_t looked; /* monotonic */
    bool failed;   /* what was tried last is not in force */
};

/* --- Credentials ----------------------------------------------------------------------------- */

void tls_credentials_release(struct tls_credentials *c)
{
    if (!c || atomic_fetch_sub(&c->holders, 1) > 1)
        return;
    gnutls_certificate_free_credentials(c->gnutls);
    free(c);
}
DEFINE_CLEANUP(struct tls_credentials *, tls_credentials_release);

static struct tls_credentials *credentials_new(void)
{
    struct tls_credentials *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    atomic_init(&c->holders, 1);
    if (gnutls_certificate_allocate_credentials(&c->gnutls) < 0) {
        free(c);
        return NULL;
    }
    return c;
}

static int file_error(struct error **err, const char *key, const char *path, int r)
{
    return error_set(err, ERROR_CONFIGURATION, "%s %s cannot be loaded: %s", key, path,
                     gnutls_strerror(r));
}

struct chain {
    gnutls_x509_crt_t *items;
    unsigned n;
};

static void chain_clear_cleanup(struct chain *c)
{
    for (unsigned i = 0; i < c->n; i++)
        gnutls_x509_crt_deinit(c->items[i]);
    gnutls_free(c->items);
}

static void datum_cleanup(gnutls_datum_t *d)
{
    gnutls_free(d->data);
}

DEFINE_CLEANUP(gnutls_x509_privkey_t, gnutls_x509_privkey_deinit);

static int load_chain(const char *path, struct chain *ret)
{
    _cleanup_(datum) gnutls_datum_t pem = {0};
    int r = gnutls_load_file(path, &pem);

    return r < 0 ? r
                 : gnutls_x509_crt_list_import2(&ret->items, &ret->n, &pem, GNUTLS_X509_FMT_PEM,
                                                GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
}

static int load_key(const char *path, gnutls_x509_privkey_t key)
{
    _cleanup_(datum) gnutls_datum_t pem = {0};
    int r = gnutls_load_file(path, &pem);

    if (r == 0)
        r = gnutls_x509_privkey_import2(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (pem.data)
        gnutls_memset(pem.data, 0, pem.size);
    return r;
}

static int load_identity(const struct tls *t, struct tls_credentials *c, struct error **err)
{
    _cleanup_(gnutls_x509_privkey_deinit) gnutls_x509_privkey_t key = NULL;
    _cleanup_(chain_clear) struct chain chain = {0};
    int r = load_chain(t->certificate, &chain);

    if (r < 0)
        return file_error(err, "api.tls_cert", t->certificate, r);
    if (gnutls_x509_privkey_init(&key) < 0)
        return error_no_memory(err);
    r = load_key(t->key, key);
    if (r < 0)
        return file_error(err, "api.tls_key", t->key, r);
    r = gnutls_certificate_set_x509_key(c->gnutls, chain.items, (int)chain.n, key);
    if (r < 0)
        return error_set(err, ERROR_CONFIGURATION,
                         "api.tls_cert %s cannot be used with api.tls_key %s: %s", t->certificate,
                         t->key, gnutls_strerror(r));
    c->expires = gnutls_x509_crt_get_expiration_time(chain.items[0]);
    return 0;
}

static void warn_of_key(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO))
        log_warning("api.tls_key %s: anybody on this host can read it; take the right away with "
                    "chmod o=, and consider the key known",
                    path);
}

static int credentials_load(const struct tls *t, struct tls_credentials **ret, struct error **err)
{
    _cleanup_(tls_credentials_release) struct tls_credentials *c = credentials_new();
    int r;

    if (!c)
        return error_no_memory(err);
    r = load_identity(t, c, err);
    if (r < 0)
        return r;
    r = gnutls_certificate_set_x509_trust_file(c->gnutls, t->client_ca, GNUTLS_X509_FMT_PEM);
    if (r <= 0)
        return file_error(err, "api.tls_client_ca", t->client_ca,
                          r < 0 ? r : GNUTLS_E_NO_CERTIFICATE_FOUND);
    *ret = take(c);
    return 0;
}

/* --- The files ------------------------------------------------------------------------------- */

static struct look look_at_files(const struct tls *t)
{
    const char *const paths[] = {t->certificate, t->key, t->client_ca};
    struct look look;
    struct stat st;

    memset(&look, 0, sizeof(look)); /* compared as bytes */
    for (size_t i = 0; i < ELEMENTSOF(paths); i++)
        if (stat(paths[i], &st) == 0) {
            look.files[i].device = st.st_dev;
            look.files[i].inode = st.st_ino;
            look.files[i].size = st.st_size;
            look.files[i].changed = st.st_ctim;
        }
    return look;
}

static bool looks_alike(const struct look *a, const struct look *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* Is it likely that nobody is at it any more? By the file system's clock, which may be another. */
static bool is_settled(const struct look *look)
{
    const time_t now = (time_t)(moment_now().realtime / USEC_PER_SEC);

    for (size_t i = 0; i < ELEMENTSOF(look->files); i++)
        if (look->files[i].changed.tv_sec + 1 >= now)
            return false;
    return true;
}

/* Loads the files as they are now. */
static int load(struct tls *t, struct error **err)
{
    struct tls_credentials *fresh = NULL;
    int r;

    t->loaded = t->seen = look_at_files(t);
    r = credentials_load(t, &fresh, err);
    t->failed = r < 0;
    if (r < 0)
        return r;
    tls_credentials_release(t->in_force);
    t->in_force = fresh;
    warn_of_key(t->key);
    if (fresh->expires < time(NULL))
        log_warning("api.tls_cert %s: it has expired, and no client will accept it",
                    t->certificate);
    return 0;
}

static void reload(struct tls *t)
{
    _cleanup_(error_free) struct error *error = NULL;
    char until[TIME_TEXT_SIZE];

    if (load(t, &error) < 0)
        log_error("the former certificate, key and CAs stay in force: %s", error_message(error));
    else
        log_info("certificate, key and CAs reloaded; the certificate is valid until %s",
                 time_to_text((usec_t)t->in_force->expires * USEC_PER_SEC, until));
}

static void look_for_changes(struct tls *t)
{
    usec_t now = moment_now().monotonic;
    struct look look;

    if (now < t->looked + LOOK_EVERY)
        return;
    t->looked = now;
    look = look_at_files(t);
    if (!looks_alike(&look, &t->loaded) && (is_settled(&look) || looks_alike(&look, &t->seen)))
        reload(t);
    t->seen = look;
}

/* --- The whole ------------------------------------------------------------------------------- */

static int set_files(struct tls *t, const struct tls_files *files)
{
    return text_replace(&t->certificate, files->certificate) | text_replace(&t->key, files->key) |
           text_replace(&t->client_ca, files->client_ca);
}

int tls_new(const struct tls_files *files, struct tls **ret, struct error **err)
{
    _cleanup_(tls_free) struct tls *t = calloc(1, sizeof(*t));
    int r;

    if (!t)
        return error_no_memory(err);
    pthread_mutex_init(&t->lock, NULL);
    if (set_files(t, files) < 0)
        return error_no_memory(err);
    r = load(t, err);
    if (r < 0)
        return r;
    t->looked = moment_now().monotonic;
    *ret = take(t);
    return 0;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    tls_credentials_release(t->in_force);
    pthread_mutex_destroy(&t->lock);
    free(t->certificate);
    free(t->key);
    free(t->client_ca);
    free(t);
}

void tls_configure(struct tls *t, const struct tls_files *files)
{
    pthread_mutex_lock(&t->lock);
    if (set_files(t, files) == 0)
        reload(t);
    pthread_mutex_unlock(&t->lock);
}

void tls_write_metrics(struct tls *t, FILE *to)
{
    pthread_mutex_lock(&t->lock);
    look_for_changes(t);
    fprintf(to,
            "# HELP stopd_api_tls_certificate_expiry_timestamp_seconds When the network API's "
            "certificate in force expires.\n"
            "# TYPE stopd_api_tls_certificate_expiry_timestamp_seconds gauge\n"
            "stopd_api_tls_certificate_expiry_timestamp_seconds %" PRId64 "\n"
            "# HELP stopd_api_tls_reload_failed 1: certificate, key or CAs have changed and could "
            "not be loaded; the former are in force.\n"
            "# TYPE stopd_api_tls_reload_failed gauge\n"
            "stopd_api_tls_reload_failed %d\n",
            (int64_t)t->in_force->expires, t->failed);
    pthread_mutex_unlock(&t->lock);
}

/* --- Sessions -------------------------------------------------------------------------------- */

int tls_begin_session(struct tls *t, gnutls_session_t session, struct tls_credentials **ret)
{
    struct tls_credentials *c;

    pthread_mutex_lock(&t->lock);
    look_for_changes(t);
    c = t->in_force;
    atomic_fetch_add(&c->holders, 1);
    pthread_mutex_unlock(&t->lock);
    if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, c->gnutls) < 0) {
        tls_credentials_release(c);
        return -ENOMEM;
    }
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
    *ret = c;
    return 0;
}

static gnutls_alert_description_t alert_for(unsigned status)
{
    if (status & GNUTLS_CERT_EXPIRED)
        return GNUTLS_A_CERTIFICATE_EXPIRED;
    if (status & GNUTLS_CERT_SIGNER_NOT_FOUND)
        return GNUTLS_A_UNKNOWN_CA;
    return status & GNUTLS_CERT_PURPOSE_MISMATCH ? GNUTLS_A_UNSUPPORTED_CERTIFICATE
                                                 : GNUTLS_A_BAD_CERTIFICATE;
}

static char *sentence_of(unsigned status)
{
    gnutls_datum_t text;
    char *copy;

    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
        return NULL;
    copy = strndup((const char *)text.data, text.size);
    gnutls_free(text.data);
    return copy;
}

int tls_verify_client(gnutls_session_t session, char **why)
{
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT,
                                     .size = strlen(GNUTLS_KP_TLS_WWW_CLIENT)};
    unsigned status = GNUTLS_CERT_INVALID;
    /* 0 says that verifying went through, not that it went well: that is the status. */
    int r = gnutls_certificate_verify_peers(session, &purpose, 1, &status);

    if (r == 0 && status == 0)
        return 0;
    *why = r < 0 ? strdup(gnutls_strerror(r)) : sentence_of(status);
    gnutls_alert_send(session, GNUTLS_AL_FATAL,
                      r < 0 ? GNUTLS_A_BAD_CERTIFICATE : alert_for(status));
    return -EACCES;
}
