/* test_api_network.c - the listener on the network: who is who, what changes in files, who is cut
 */
#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "tls-kit.h"

#include "api/caller.h"
#include "api/network-socket.h"

#define DAY (24 * 3600)

static struct api_words words_of(const char *const *items, size_t n)
{
    return (struct api_words){items, n};
}

#define WORDS(...)                               \
    words_of((const char *const[]){__VA_ARGS__}, \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* --- Names -------------------------------------------------------------------------------- */

static const struct san *match_words(const struct api_words *words, enum san_type type,
                                     const char *value)
{
    static struct san one;
    struct san_list listed;
    const struct san *found;

    one = (struct san){type, (char *)value};
    assert_int_equal(san_list_of_words(words, "api.tls_clients", &listed), 0);
    found = san_list_match(&listed, &(struct san_list){&one, 1});
    san_list_clear(&listed);
    return found;
}

static void a_listed_name_is_of_one_type_and_exact(void **state)
{
    char long_name[SAN_LENGTH_MOST + 2];
    struct api_words words = WORDS("control.example.net", "spiffe://example.net/control",
                                   "192.0.2.7", "2001:DB8:0::7", "*", "*.example.org", long_name);

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_non_null(match_words(&words, SAN_DNS, "control.example.net"));
    assert_non_null(match_words(&words, SAN_DNS, "Control.Example.NET"));
    assert_non_null(match_words(&words, SAN_URI, "spiffe://example.net/control"));
    assert_non_null(match_words(&words, SAN_IP, "192.0.2.7"));
    assert_non_null(match_words(&words, SAN_IP, "2001:db8::7"));
    assert_null(match_words(&words, SAN_DNS, "control.example.net."));
    assert_null(match_words(&words, SAN_DNS, "a.control.example.net"));
    assert_null(match_words(&words, SAN_DNS, "ontrol.example.net"));
    assert_null(match_words(&words, SAN_URI, "spiffe://example.net/Control"));
    assert_null(match_words(&words, SAN_URI, "spiffe://example.net/control/x"));
    /* Another type's value. */
    assert_null(match_words(&words, SAN_DNS, "spiffe://example.net/control"));
    assert_null(match_words(&words, SAN_URI, "control.example.net"));
    assert_null(match_words(&words, SAN_DNS, "192.0.2.7"));
    /* No wildcards. */
    assert_null(match_words(&words, SAN_DNS, "host.example.org"));
    assert_null(match_words(&words, SAN_DNS, "anything"));
    assert_null(match_words(&words, SAN_DNS, long_name));
}

static void a_type_of_names_is_a_word(void **state)
{
    for (int i = 0; i < SAN_TYPE_MAX; i++) {
        enum san_type type;

        assert_int_equal(san_type_from_string(san_type_to_string((enum san_type)i), &type), 0);
        assert_int_equal(type, i);
    }
}

/* --- Fixtures ----------------------------------------------------------------------------- */

struct network {
    struct fixture *f;
    struct identity ca, server, control, watcher;
};

static int plain_setup(void **state)
{
    struct fixture *f;
    struct sockaddr_in *listen;

    if (fixture_setup(state) < 0)
        return -1;
    f = *state;
    listen = (struct sockaddr_in *)&f->settings.listen;
    *listen =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    f->settings.insecure_loopback = true;
    f->settings.operators.n = f->settings.readers.n = 0;
    api_begin_again(f);
    return 0;
}

#define CONTROL "spiffe://example.net/control"

static int tls_setup(void **state)
{
    static const char *const clients[] = {CONTROL}, *const readers[] = {"watcher.example.net"};
    struct network *n = calloc(1, sizeof(*n));
    struct api_settings *s;

    if (plain_setup((void **)&n->f) < 0)
        return -1;
    s = &n->f->settings;
    n->ca = identity_make(n->f, "ca", NULL, DAY, NULL, NULL, 0);
    n->server = identity_make(n->f, "server", &n->ca, DAY, GNUTLS_KP_TLS_WWW_SERVER, NULL, 0);
    n->control = identity_make(
        n->f, "control", &n->ca, DAY, GNUTLS_KP_TLS_WWW_CLIENT,
        (const struct name[]){{GNUTLS_SAN_DNSNAME, "some.example.net"}, {GNUTLS_SAN_URI, CONTROL}},
        2);
    n->watcher =
        identity_make(n->f, "watcher", &n->ca, DAY, NULL,
                      (const struct name[]){{GNUTLS_SAN_DNSNAME, "watcher.example.net"}}, 1);
    s->insecure_loopback = false;
    s->tls_cert = n->server.cert_path;
    s->tls_key = n->server.key_path;
    s->tls_client_ca = n->ca.cert_path;
    s->tls_clients = words_of(clients, 1);
    s->tls_readers = words_of(readers, 1);
    api_begin_again(n->f);
    *state = n;
    return 0;
}

static int tls_teardown(void **state)
{
    struct network *n = *state;
    int r = fixture_teardown((void **)&n->f);

    identity_free(&n->ca);
    identity_free(&n->server);
    identity_free(&n->control);
    identity_free(&n->watcher);
    free(n);
    return r;
}

/* --- Plain, on loopback ------------------------------------------------------------------- */

static void whoever_reaches_loopback_may_change_things_but_not_override(void **state)
{
    struct fixture *f = *state;
    struct client c = network_client_of(f);

    say(&c, "GET " STOP " HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n");
    assert_accepted(hear(&c));
    assert_string_equal(f->engine.last.principal.name, "loopback:127.0.0.1");
    assert_false(f->engine.last.principal.is_local_root);
    say(&c, "GET " STOP "&Override=lock HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_refused(hear(&c), 403, "Forbidden", NULL);
    hang_up(&c);
}

/* A page of a site whose name was made to lead here has that name for its origin. */
static void a_name_of_another_site_does_not_lead_to_loopback(void **state)
{
    static const char *const good[] = {"localhost", "LocalHost:80", "127.0.0.1", "[::1]:8080"},
                             *const bad[] = {"evil.example", "127.0.0.1.evil.example:80",
                                             "localhost.evil.example", "127.1", ":80"};
    struct fixture *f = *state;
    struct client c = network_client_of(f);

    for (size_t i = 0; i < ELEMENTSOF(good); i++) {
        say(&c, "GET /v1/instances HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        assert_accepted(hear(&c));
    }
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        say(&c, "GET /v1/instances HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\n\r\n", bad[i],
            bad[i]);
        assert_refused(hear(&c), 403, "Forbidden", NULL);
    }
    hang_up(&c);
}

static void an_address_has_its_share_of_connections(void **state)
{
    struct fixture *f = *state;
    struct client crowd[24], waiting;

    f->settings.limits.per_peer = 8;
    api_begin_again(f);
    stand_in_hold(&f->engine, REQUEST_WAIT_EVENTS, true);
    waiting = network_client_of(f);
    say(&waiting, "GET /v1/events?wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    eventually(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS) == 1);
    for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
        crowd[i] = network_client_of(f);
    /* The newest is served, and so is who waits; the oldest had to go. */
    say(&crowd[23], "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_accepted(hear(&crowd[23]));
    assert_false(hear_more(&crowd[0]));
    assert_int_equal(metric(f, "connections_cut_total{listener=\"network\",reason=\"room\"} "),
                     24 + 1 - 8);
    assert_int_equal(metric(f, "connections_cut_total{listener=\"socket\",reason=\"room\"} "), 0);
    assert_int_equal(metric(f, "stopd_api_connections{listener=\"network\",kind=\"busy\"} "), 1);
    stand_in_hold(&f->engine, REQUEST_WAIT_EVENTS, false);
    for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
        hang_up(&crowd[i]);
    hang_up(&waiting);
}

static void a_client_that_leaves_while_it_waits_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct client c = network_client_of(f);

    say(&c, "GET /v1/events?wait=3600 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    eventually(stand_in_count(&f->engine, REQUEST_WAIT_EVENTS) >= 1);
    hang_up(&c);
    eventually(metric(f, "stopd_api_connections{listener=\"network\",kind=\"busy\"} ") == 0);
}

static void an_address_that_is_taken_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in *listen = (struct sockaddr_in *)&f->settings.listen;
    _cleanup_(error_free) struct error *err = NULL;
    struct api *second = NULL;
    char path[128];

    listen->sin_port = htons((uint16_t)atoi(strrchr(api_network_address(f->api), ':') + 1));
    snprintf(path, sizeof(path), "%s/second", f->scratch->folder);
    f->settings.socket_path = path;
    assert_true(api_start(&f->settings, &second, &err) < 0);
    assert_int_equal(error_code_of(err), ERROR_CONFIGURATION);
    assert_non_null(strstr(error_message(err), api_network_address(f->api)));
    assert_int_equal(access(path, F_OK), -1);
    f->settings.socket_path = f->socket;
}

static void an_ipv6_address_is_one_peer_with_its_network(void **state)
{
    struct fixture *f = *state;
    struct network_peer a = {.is_known = true}, b = a, none = {0};
    struct client c = network_client_of(f);
    char name[NETWORK_ADDRESS_SIZE];

    assert_true(network_peer_is_same(&a, &b));
    assert_false(network_peer_is_same(&none, &none));
    network_peer_name(c.fd, name);
    assert_string_equal(name, "127.0.0.1");
    a = network_peer_of(c.fd);
    assert_true(a.is_known);
    assert_memory_equal(a.bytes + 10, "\xff\xff\x7f\0\0\1", 6);
    hang_up(&c);
}

/* --- Certificates ------------------------------------------------------------------------- */

static void a_right_follows_from_a_name_and_is_journalled_with_it(void **state)
{
    struct network *n = *state;
    struct fixture *f = n->f;

    assert_int_equal(tls_get_as(f, &n->control, STOP), 200);
    assert_string_equal(f->engine.last.principal.name, "tls:URI:" CONTROL);
    assert_false(f->engine.last.principal.is_local_root);
    assert_int_equal(tls_get_as(f, &n->control, STOP "&Override=lock"), 403);
    assert_int_equal(tls_get_as(f, &n->watcher, STOP), 403);
    assert_int_equal(tls_get_as(f, &n->watcher, "/v1/instances"), 200);
    assert_string_equal(f->engine.last_principal, "tls:DNS:watcher.example.net");
    assert_int_equal(stand_in_count(&f->engine, REQUEST_STOP), 1);
}

/* On a connection that is there, too; and a group that anybody is in is no certificate's. */
static void names_change_while_connections_are_there(void **state)
{
    static const char *const anybody[] = {"*"};
    struct network *n = *state;
    struct fixture *f = n->f;
    struct tls_client c = tls_client_of(f, &n->control);

    assert_int_equal(tls_get(&c, "/v1/instances"), 200);
    f->settings.tls_clients.n = f->settings.tls_readers.n = 0;
    f->settings.operators = f->settings.readers = words_of(anybody, 1);
    api_configure(f->api, &f->settings);
    assert_int_equal(tls_get(&c, "/v1/instances"), 403);
    assert_int_equal(tls_get(&c, STOP), 403);
    assert_int_equal(tls_get(&c, "/livez"), 200);
    f->settings.tls_clients = WORDS("some.example.net");
    api_configure(f->api, &f->settings);
    assert_int_equal(tls_get(&c, STOP), 200);
    assert_string_equal(f->engine.last.principal.name, "tls:DNS:some.example.net");
    tls_hang_up(&c);
}

static void who_shows_no_good_certificate_does_not_get_to_http(void **state)
{
    struct network *n = *state;
    struct fixture *f = n->f;
    struct identity other = identity_make(f, "other", NULL, DAY, NULL, NULL, 0);
    const struct name name = {GNUTLS_SAN_URI, CONTROL};
    struct identity wrong[] = {
        identity_make(f, "foreign", &other, DAY, GNUTLS_KP_TLS_WWW_CLIENT, &name, 1),
        identity_make(f, "itself", NULL, DAY, GNUTLS_KP_TLS_WWW_CLIENT, &name, 1),
        identity_make(f, "expired", &n->ca, -60, GNUTLS_KP_TLS_WWW_CLIENT, &name, 1),
        identity_make(f, "purpose", &n->ca, DAY, GNUTLS_KP_TLS_WWW_SERVER, &name, 1),
    };

    assert_int_equal(tls_get_as(f, NULL, "/livez"), 0);
    for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
        if (tls_get_as(f, &wrong[i], "/livez") != 0)
            fail_msg("%s was answered", wrong[i].cert_path);
        identity_free(&wrong[i]);
    }
    identity_free(&other);
    eventually(metric(f, "stopd_api_connections_unproved_total{listener=\"network\"} ") == 5);
    assert_int_equal(metric(f, "stopd_api_requests_total{route=\"/livez\""), -1);
}

static void a_connection_does_not_outlive_its_certificate(void **state)
{
    struct network *n = *state;
    struct fixture *f = n->f;
    struct identity brief = identity_make(f, "brief", &n->ca, 8, GNUTLS_KP_TLS_WWW_CLIENT,
                                          (const struct name[]){{GNUTLS_SAN_URI, CONTROL}}, 1);
    struct tls_client c = tls_client_of(f, &brief);

    assert_int_equal(tls_get(&c, STOP), 200);
    eventually(tls_get(&c, STOP) == 0);
    tls_hang_up(&c);
    identity_free(&brief);
}

/* --- The files ---------------------------------------------------------------------------- */

#define EXPIRY "\nstopd_api_tls_certificate_expiry_timestamp_seconds "
#define FAILED "\nstopd_api_tls_reload_failed "

static void changed_files_count_for_new_connections(void **state)
{
    struct network *n = *state;
    struct fixture *f = n->f;
    const time_t before = gnutls_x509_crt_get_expiration_time(n->server.certificate);
    struct tls_client old = tls_client_of(f, &n->control), fresh;
    time_t after;

    assert_int_equal(tls_server_expiry(&old), before);
    assert_int_equal(metric(f, EXPIRY), before);
    identity_free(&n->server);
    n->server = identity_make(f, "server", &n->ca, 2 * DAY, GNUTLS_KP_TLS_WWW_SERVER, NULL, 0);
    after = gnutls_x509_crt_get_expiration_time(n->server.certificate);
    eventually(metric(f, EXPIRY) == after);
    assert_int_equal(tls_get(&old, STOP), 200);
    fresh = tls_client_of(f, &n->control);
    assert_int_equal(tls_server_expiry(&fresh), after);
    assert_int_equal(tls_get(&fresh, STOP), 200);
    tls_hang_up(&fresh);
    tls_hang_up(&old);
}

/* Nobody may have come between the change and the first that it counts for. */
static void files_that_changed_long_ago_count_at_once(void **state)
{
    struct network *n = *state;
    struct fixture *f = n->f;
    struct tls_client fresh;
    struct stat st;

    identity_free(&n->server);
    n->server = identity_make(f, "server", &n->ca, 2 * DAY, GNUTLS_KP_TLS_WWW_SERVER, NULL, 0);
    assert_int_equal(stat(n->server.key_path, &st), 0);
    eventually(time(NULL) > st.st_ctim.tv_sec + 2);
    fresh = tls_client_of(f, &n->control);
    assert_int_equal(tls_server_expiry(&fresh),
                     gnutls_x509_crt_get_expiration_time(n->server.certificate));
    tls_hang_up(&fresh);
}

static void broken_files_leave_the_former_in_force(void **state)
{
    struct network *n = *state;
    struct fixture *f = n->f;
    const time_t before = gnutls_x509_crt_get_expiration_time(n->server.certificate);

    assert_int_equal(metric(f, FAILED), 0);
    scratch_write(n->server.key_path, "nonsense", 8);
    eventually(metric(f, FAILED) == 1);
    assert_int_equal(metric(f, EXPIRY), before);
    assert_int_equal(tls_get_as(f, &n->control, STOP), 200);
    /* Asked for by a reload too: without a change, and with another file. */
    api_configure(f->api, &f->settings);
    assert_int_equal(tls_get_as(f, &n->control, STOP), 200);
    f->settings.tls_client_ca = "/no/such/file";
    api_configure(f->api, &f->settings);
    assert_int_equal(tls_get_as(f, &n->control, STOP), 200);
    assert_int_equal(metric(f, FAILED), 1);
    f->settings.tls_client_ca = n->ca.cert_path;
    identity_write(&n->server);
    api_configure(f->api, &f->settings);
    assert_int_equal(metric(f, FAILED), 0);
    assert_int_equal(tls_get_as(f, &n->control, STOP), 200);
}

/* Another CA: whoever was let in under the former one stays, and comes in no more. */
static void another_ca_counts_for_new_connections(void **state)
{
    struct network *n = *state;
    struct fixture *f = n->f;
    struct identity other = identity_make(f, "other", NULL, DAY, NULL, NULL, 0);
    struct identity client = identity_make(f, "client", &other, DAY, GNUTLS_KP_TLS_WWW_CLIENT,
                                           (const struct name[]){{GNUTLS_SAN_URI, CONTROL}}, 1);
    struct tls_client old = tls_client_of(f, &n->control);

    assert_int_equal(tls_get(&old, STOP), 200);
    f->settings.tls_client_ca = other.cert_path;
    api_configure(f->api, &f->settings);
    assert_int_equal(tls_get_as(f, &client, STOP), 200);
    assert_int_equal(tls_get_as(f, &n->control, STOP), 0);
    assert_int_equal(tls_get(&old, STOP), 200);
    tls_hang_up(&old);
    identity_free(&client);
    identity_free(&other);
}

static void files_that_are_no_good_are_an_error_at_the_start(void **state)
{
    struct network *n = *state;
    struct fixture *f = n->f;
    const char *const good[] = {n->server.cert_path, n->server.key_path, n->ca.cert_path};
    const char **const members[] = {&f->settings.tls_cert, &f->settings.tls_key,
                                    &f->settings.tls_client_ca};
    /* Missing, of another, empty of certificates. */
    const char *const bad[] = {"/no/such/file", n->control.key_path, n->server.key_path};

    api_stop(take(f->api));
    for (size_t i = 0; i < ELEMENTSOF(members); i++) {
        _cleanup_(error_free) struct error *err = NULL;

        *members[i] = bad[i];
        assert_true(api_start(&f->settings, &f->api, &err) < 0);
        assert_int_equal(error_code_of(err), ERROR_CONFIGURATION);
        assert_non_null(strstr(error_message(err), bad[i]));
        *members[i] = good[i];
    }
    api_begin(f);
}

struct asking {
    struct network *n;
    unsigned n_answered;
};

static void *ask_often(void *userdata)
{
    struct asking *a = userdata;

    for (unsigned i = 0; i < 20; i++)
        a->n_answered += tls_get_as(a->n->f, &a->n->control, STOP) == 200;
    return NULL;
}

static void reloading_harms_no_handshake(void **state)
{
    struct network *n = *state;
    struct asking asking[3] = {{n, 0}, {n, 0}, {n, 0}};
    pthread_t threads[3];

    for (size_t i = 0; i < ELEMENTSOF(threads); i++)
        pthread_create(&threads[i], NULL, ask_often, &asking[i]);
    for (unsigned i = 0; i < 50; i++) {
        api_configure(n->f->api, &n->f->settings);
        assert_accepted(get(n->f, "/metrics"));
    }
    for (size_t i = 0; i < ELEMENTSOF(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(asking[i].n_answered, 20);
    }
}

/* --- Clients that are slow or many --------------------------------------------------------- */

static void a_handshake_that_does_not_end_is_ended(void **state)
{
    static const char hello[] = "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03";
    struct network *n = *state;
    struct fixture *f = n->f;
    struct client silent, crawling;
    size_t said = 0;

    f->settings.limits.handshake = USEC_PER_SEC;
    api_begin_again(f);
    silent = network_client_of(f);
    crawling = network_client_of(f);
    /* A byte now and then is no way out. */
    eventually((said < sizeof(hello) - 1 ? say_bytes(&crawling, &hello[said++], 1) : (void)0,
                metric(f, "stopd_api_connections_unproved_total{listener=\"network\"} ") == 2));
    hang_up(&silent);
    hang_up(&crawling);
}

static void who_has_shown_a_certificate_is_not_pushed_out(void **state)
{
    struct network *n = *state;
    struct fixture *f = n->f;
    struct tls_client known[4];
    struct client crowd[40];

    f->settings.limits.network_connections = 8;
    api_begin_again(f);
    for (size_t i = 0; i < ELEMENTSOF(known); i++) {
        known[i] = tls_client_of(f, &n->control);
        assert_int_equal(tls_get(&known[i], "/livez"), 200);
    }
    for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
        crowd[i] = network_client_of(f);
    eventually(metric(f, "stopd_api_connections_unproved_total{listener=\"network\"} ") >= 36);
    for (size_t i = 0; i < ELEMENTSOF(known); i++) {
        assert_int_equal(tls_get(&known[i], STOP), 200);
        tls_hang_up(&known[i]);
    }
    /* Nor does the crowd keep anybody out. */
    assert_int_equal(tls_get_as(f, &n->control, STOP), 200);
    for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
        hang_up(&crowd[i]);
}

#define PLAIN(name) cmocka_unit_test_setup_teardown(name, plain_setup, fixture_teardown)
#define TLS(name) cmocka_unit_test_setup_teardown(name, tls_setup, tls_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listed_name_is_of_one_type_and_exact),
        cmocka_unit_test(a_type_of_names_is_a_word),
        PLAIN(whoever_reaches_loopback_may_change_things_but_not_override),
        PLAIN(a_name_of_another_site_does_not_lead_to_loopback),
        PLAIN(an_address_has_its_share_of_connections),
        PLAIN(a_client_that_leaves_while_it_waits_is_noticed),
        PLAIN(an_address_that_is_taken_is_an_error),
        PLAIN(an_ipv6_address_is_one_peer_with_its_network),
        TLS(a_right_follows_from_a_name_and_is_journalled_with_it),
        TLS(names_change_while_connections_are_there),
        TLS(who_shows_no_good_certificate_does_not_get_to_http),
        TLS(a_connection_does_not_outlive_its_certificate),
        TLS(changed_files_count_for_new_connections),
        TLS(files_that_changed_long_ago_count_at_once),
        TLS(broken_files_leave_the_former_in_force),
        TLS(another_ca_counts_for_new_connections),
        TLS(files_that_are_no_good_are_an_error_at_the_start),
        TLS(reloading_harms_no_handshake),
        TLS(a_handshake_that_does_not_end_is_ended),
        TLS(who_has_shown_a_certificate_is_not_pushed_out),
    };

    signal(SIGPIPE, SIG_IGN); /* a client's write to a server that has refused it */
    return cmocka_run_group_tests_name("api: the network", tests, NULL, NULL);
}
