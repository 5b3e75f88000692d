/* headers.c - what the header fields of a request say
 *
 * Theory of operation. The library splits the header into fields and takes the body apart by
 * Content-Length or chunks, generously. Where it guesses, we refuse: two lengths, a length and
 * chunks, a transfer coding that it does not know leave it open where the next request begins.
 */
#include "api/headers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->http, MHD_HEADER_KIND, name);
}

struct header_search {
    const char *name;
    unsigned n;
    void (*found)(void *userdata, const char *value);
    void *userdata;
};

static enum MHD_Result look_at_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    struct header_search *search = cls;

    if (strcasecmp(name, search->name) == 0) {
        search->n++;
        if (search->found)
            search->found(search->userdata, value ? value : "");
    }
    return MHD_YES;
}

unsigned header_count(const struct exchange *x, const char *name)
{
    struct header_search search = {.name = name};

    MHD_get_connection_values(x->http, MHD_HEADER_KIND, look_at_header, &search);
    return search.n;
}

static int check_framing(const struct exchange *x, struct error **err)
{
    const char *coding = header(x, "Transfer-Encoding"), *length = header(x, "Content-Length");

    if (header_count(x, "Transfer-Encoding") + header_count(x, "Content-Length") > 1)
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The request has more than one Content-Length or Transfer-Encoding.");
    if (coding && strcasecmp(coding, "chunked") != 0)
        return error_set(err, ERROR_INVALID_PARAMETER,
                         "The only transfer encoding that is known here is chunked.");
    /* That it is a number the library has checked. */
    if (length && (strlen(length) > 18 || strtoull(length, NULL, 10) > BODY_DRAINED_MOST))
        return error_set(err, ERROR_REQUEST_TOO_LARGE, NULL);
    return 0;
}

int headers_check(const struct exchange *x, const char *version, struct error **err)
{
    size_t size =
        MHD_get_connection_info(x->http, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    unsigned hosts = header_count(x, "Host");
    int r = check_framing(x, err);

    if (r < 0)
        return r;
    if (size > HEADER_MOST)
        return error_set(err, ERROR_HEADER_TOO_LARGE, NULL);
    if (hosts > 1 || (hosts == 0 && !text_equal(version, "HTTP/1.0")))
        return error_set(err, ERROR_INVALID_PARAMETER, "The request must have one Host header.");
    return 0;
}

/* scheme://authority, where the authority is the request's own Host. */
static bool is_own_origin(const struct exchange *x, const char *origin)
{
    const char *host = header(x, "Host"), *authority = strstr(origin, "://");

    return host && authority && strcasecmp(authority + 3, host) == 0;
}

bool headers_are_cross_site(const struct exchange *x)
{
    const char *origin = header(x, "Origin"), *site = header(x, "Sec-Fetch-Site");

    /* "same-site" is another port or subdomain, and so another origin. */
    if (site && !text_equal(site, "same-origin") && !text_equal(site, "none"))
        return true;
    return origin && !is_own_origin(x, origin);
}

bool headers_host_is_local(const struct exchange *x)
{
    const char *host = header(x, "Host");
    unsigned char address[sizeof(struct in6_addr)];
    char name[INET6_ADDRSTRLEN];
    bool brackets = host && *host == '[';
    size_t length;

    if (!host)
        return true; /* no browser's */
    host += brackets;
    length = strcspn(host, brackets ? "]" : ":");
    if (length >= sizeof(name))
        return false;
    memcpy(name, host, length);
    name[length] = '\0';
    return strcasecmp(name, "localhost") == 0 ||
           inet_pton(brackets ? AF_INET6 : AF_INET, name, address) == 1;
}

struct media_search {
    const char *type;
    int quality; /* thousandths; -1: not named */
};

static int parse_quality(const char *range, size_t size)
{
    const char *q = memchr(range, ';', size);
    double quality;

    while (q && (size_t)(q - range) < size) {
        q += strspn(q, "; \t");
        if (sscanf(q, "q = %5lf", &quality) == 1 || sscanf(q, "Q = %5lf", &quality) == 1)
            return quality >= 0 && quality <= 1 ? (int)(quality * 1000) : 0;
        q = strpbrk(q, ";,");
        if (!q || *q == ',')
            break;
    }
    return 1000;
}

static void look_for_media(void *userdata, const char *accept)
{
    struct media_search *search = userdata;

    while (*accept) {
        size_t size = strcspn(accept, ","), skip = strspn(accept, " \t");
        size_t length = strcspn(accept + skip, "; \t,");

        if (length == strlen(search->type) &&
            strncasecmp(accept + skip, search->type, length) == 0) {
            int quality = parse_quality(accept, size);

            if (quality > search->quality)
                search->quality = quality;
        }
        accept += size + (accept[size] == ',');
    }
}

static int quality_of(const struct exchange *x, const char *type)
{
    struct media_search media = {.type = type, .quality = -1};
    struct header_search search = {.name = "Accept", .found = look_for_media, .userdata = &media};

    MHD_get_connection_values(x->http, MHD_HEADER_KIND, look_at_header, &search);
    return media.quality;
}

bool headers_prefer(const struct exchange *x, const char *type, const char *over)
{
    int quality = quality_of(x, type);

    return quality > 0 && quality > quality_of(x, over);
}

enum format headers_format(const struct exchange *x)
{
    const char *format = parameters_get(&x->parameters, "Format");

    if (format)
        return text_equal_case(format, "XML") ? FORMAT_XML : FORMAT_JSON;
    return headers_prefer(x, "application/xml", "application/json") ||
                   headers_prefer(x, "text/xml", "application/json")
               ? FORMAT_XML
               : FORMAT_JSON;
}

const char *headers_traceparent(const struct exchange *x)
{
    const char *t = header(x, "traceparent");

    return t && header_count(x, "traceparent") == 1 && traceparent_is_valid(t) ? t : NULL;
}

bool headers_body_is(const struct exchange *x, const char *type)
{
    const char *given = header(x, "Content-Type");
    size_t length = given ? strcspn(given, "; \t") : 0;

    return x->body_size == 0 ||
           (given && length == strlen(type) && strncasecmp(given, type, length) == 0);
}
