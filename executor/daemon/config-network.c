/* config-network.c - what the configuration says of networks: the kinds of value, and what only
 * belongs together as a whole
 */
#include "daemon/config-keys.h"
#include "daemon/config-network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* --- Flags --------------------------------------------------------------------------------- */

static int parse_flag(const struct config_key *key, const char *text, void *member,
                      struct error **err)
{
    bool yes = text_equal(text, "yes");

    if (!yes && !text_equal(text, "no"))
        return error_set(err, ERROR_CONFIGURATION, "must be yes or no, not '%s'", text);
    *(bool *)member = yes;
    return 0;
}

static void format_flag(const void *member, FILE *to)
{
    fputs(*(const bool *)member ? "yes" : "no", to);
}

const struct config_type config_type_flag = {"flag", parse_flag, format_flag, NULL};

/* --- Addresses ----------------------------------------------------------------------------- */

static int parse_port(const char *text, in_port_t *ret)
{
    unsigned long port = 0;

    if (!*text || strlen(text) > 5)
        return -EINVAL;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9')
            return -EINVAL;
        port = port * 10 + (unsigned long)(*c - '0');
    }
    if (port > UINT16_MAX)
        return -ERANGE;
    *ret = htons((uint16_t)port);
    return 0;
}

int config_parse_listen(const char *text, struct sockaddr_storage *ret)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    bool brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
    char address[INET6_ADDRSTRLEN];
    in_port_t port;

    if (!colon || parse_port(colon + 1, &port) < 0)
        return -EINVAL;
    if (brackets) {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof(address))
        return -EINVAL;
    memcpy(address, text, length);
    address[length] = '\0';
    *ret = (struct sockaddr_storage){.ss_family = brackets ? AF_INET6 : AF_INET};
    if (brackets)
        v6->sin6_port = port;
    else
        v4->sin_port = port;
    return inet_pton(ret->ss_family, address,
                     brackets ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr) == 1
               ? 0
               : -EINVAL;
}

static int parse_listen(const struct config_key *key, const char *text, void *member,
                        struct error **err)
{
    struct sockaddr_storage address;

    if (!text_equal(text, "off") && config_parse_listen(text, &address) < 0)
        return error_set(err, ERROR_CONFIGURATION,
                         "must be off, or a numeric ADDRESS:PORT such as 192.0.2.7:8443 or "
                         "[2001:db8::7]:8443, not '%s'",
                         text);
    return config_type_text.parse(key, text, member, err);
}

static void format_listen(const void *member, FILE *to)
{
    config_type_text.format(member, to);
}

static void clear_listen(void *member)
{
    config_type_text.clear(member);
}

const struct config_type config_type_listen = {"address", parse_listen, format_listen,
                                               clear_listen};

/* --- What belongs together ----------------------------------------------------------------- */

static bool is_loopback(const char *listen)
{
    struct sockaddr_storage address;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;

    if (config_parse_listen(listen, &address) < 0)
        return false;
    if (address.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int check_listen(const struct config *c, struct error **err)
{
    const struct {
        const char *key, *value;
    } needed[] = {
        {"api.tls_cert", c->api_tls_cert},
        {"api.tls_key", c->api_tls_key},
        {"api.tls_client_ca", c->api_tls_client_ca},
    };

    if (text_equal(c->api_listen, "off"))
        return 0;
    if (c->api_insecure_loopback) {
        if (!is_loopback(c->api_listen))
            return error_set(err, ERROR_CONFIGURATION,
                             "api.insecure_loopback is yes, and api.listen is %s, which is no "
                             "loopback address: plain HTTP is for those only",
                             c->api_listen);
        return 0;
    }
    for (size_t i = 0; i < ELEMENTSOF(needed); i++)
        if (!is_set(needed[i].value))
            return error_set(err, ERROR_CONFIGURATION,
                             "api.listen is set, and %s is not: it needs api.tls_cert, "
                             "api.tls_key and api.tls_client_ca",
                             needed[i].key);
    return 0;
}

static bool begins_with(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0 && text[strlen(word)];
}

static bool is_nats_url(const char *url)
{
    return begins_with(url, "nats://") || begins_with(url, "tls://");
}

static int check_pair(const struct config_peer *peer, const char *section, struct error **err)
{
    if (is_set(peer->tls_cert) != is_set(peer->tls_key))
        return error_set(err, ERROR_CONFIGURATION,
                         "%s has one of tls_cert and tls_key, and needs both or neither", section);
    return 0;
}

static int check_commands(const struct config *c, struct error **err)
{
    const struct config_peer *peer = &c->commands;

    if (!is_set(peer->url)) {
        if (is_set(peer->tls_ca) || is_set(peer->tls_cert) || is_set(peer->tls_key) ||
            is_set(peer->credentials))
            return error_set(err, ERROR_CONFIGURATION,
                             "[commands] says how to reach a server, and nats_url is not set");
        return 0;
    }
    if (!is_nats_url(peer->url))
        return error_set(err, ERROR_CONFIGURATION,
                         "commands.nats_url must begin with nats:// or tls://, not '%s'",
                         peer->url);
    return check_pair(peer, "[commands]", err);
}

/* Which keys mean something to which type of sink. */
static int check_foreign_keys(const struct config_sink *sink, struct error **err)
{
    const bool file = text_equal(sink->type, "file"), nats = text_equal(sink->type, "nats");
    const struct {
        const char *key;
        bool set, fits;
    } keys[] = {
        {"tls_ca", is_set(sink->peer.tls_ca), !file},
        {"tls_cert", is_set(sink->peer.tls_cert), !file},
        {"tls_key", is_set(sink->peer.tls_key), !file},
        {"credentials", is_set(sink->peer.credentials), nats},
        {"token_file", is_set(sink->peer.token_file), !file && !nats},
        {"create", sink->create, nats},
    };

    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        if (keys[i].set && !keys[i].fits)
            return error_set(err, ERROR_CONFIGURATION, "%s means nothing to a sink of type %s",
                             keys[i].key, sink->type);
    return 0;
}

int config_check_sink(const struct config_sink *sink, struct error **err)
{
    const char *url = sink->peer.url;
    int r = check_foreign_keys(sink, err);

    if (r == 0)
        r = check_pair(&sink->peer, "it", err);
    if (r < 0)
        return r;
    if (text_equal(sink->type, "nats") && !is_nats_url(url))
        return error_set(err, ERROR_CONFIGURATION,
                         "url must begin with nats:// or tls://, not '%s'", url);
    if (text_equal(sink->type, "webhook") && !begins_with(url, "https://") &&
        !begins_with(url, "http://"))
        return error_set(err, ERROR_CONFIGURATION,
                         "url must begin with https:// (or http://, which anybody on the way "
                         "can read), not '%s'",
                         url);
    return 0;
}

int config_check_network(const struct config *c, struct error **err)
{
    int r = check_listen(c, err);

    return r < 0 ? r : check_commands(c, err);
}
