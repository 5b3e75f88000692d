/* san.c - subject alternative names
 *
 * Theory of operation. A name is a type and a value, on both sides, and both have to be equal: a
 * CA that lets its clients choose a DNS name must not thereby let them choose a URI or an address.
 * Addresses are bytes in a certificate and text in the configuration; both become the one text that
 * inet_ntop() writes.
 */
#include "api/san.h"

#include "stopd/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

DEFINE_ENUM_WORDS(enum san_type, san_type, SAN_TYPE_MAX, "DNS", "URI", "IP");

/* More than any certificate has that was not made to be a burden. */
#define NAMES_MOST 128

static int append(struct san_list *list, enum san_type type, const char *value, size_t length)
{
    struct san *items = reallocarray(list->items, list->n + 1, sizeof(*items));

    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->n] = (struct san){type, strndup(value, length)};
    if (!items[list->n].value)
        return -ENOMEM;
    list->n++;
    return 0;
}

/* The address as text; NULL: it is none. */
static const char *address_of_word(const char *word, char buffer[static INET6_ADDRSTRLEN])
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, word, &v4) == 1)
        return inet_ntop(AF_INET, &v4, buffer, INET6_ADDRSTRLEN);
    return inet_pton(AF_INET6, word, &v6) == 1 ? inet_ntop(AF_INET6, &v6, buffer, INET6_ADDRSTRLEN)
                                               : NULL;
}

int san_list_of_words(const struct api_words *words, const char *key, struct san_list *ret)
{
    struct san_list list = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < words->n; i++) {
        char buffer[INET6_ADDRSTRLEN];
        const char *word = words->items[i], *address = address_of_word(word, buffer);

        if (strlen(word) > SAN_LENGTH_MOST)
            log_warning("%s: '%.40s…' is longer than %d characters; it stands for nobody", key,
                        word, SAN_LENGTH_MOST);
        else if (address)
            r = append(&list, SAN_IP, address, strlen(address));
        else
            r = append(&list, strstr(word, "://") ? SAN_URI : SAN_DNS, word, strlen(word));
    }
    if (r < 0)
        san_list_clear(&list);
    *ret = list;
    return r;
}

static int append_address(struct san_list *list, const char *bytes, size_t size)
{
    char text[INET6_ADDRSTRLEN];

    if (size != sizeof(struct in_addr) && size != sizeof(struct in6_addr))
        return 0;
    if (!inet_ntop(size == sizeof(struct in_addr) ? AF_INET : AF_INET6, bytes, text, sizeof(text)))
        return 0;
    return append(list, SAN_IP, text, strlen(text));
}

static int append_name(struct san_list *list, int type, const char *value, size_t size)
{
    if (type == GNUTLS_SAN_IPADDRESS)
        return append_address(list, value, size);
    if ((type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_URI) || size == 0 ||
        memchr(value, '\0', size))
        return 0;
    return append(list, type == GNUTLS_SAN_URI ? SAN_URI : SAN_DNS, value, size);
}

int san_list_of_certificate(gnutls_x509_crt_t certificate, struct san_list *ret)
{
    struct san_list list = {0};
    int r = 0;

    for (unsigned i = 0; r == 0 && i < NAMES_MOST; i++) {
        char value[SAN_LENGTH_MOST + 1];
        size_t size = sizeof(value);
        int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, value, &size, NULL);

        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        if (type >= 0 && size <= SAN_LENGTH_MOST)
            r = append_name(&list, type, value, size);
    }
    if (r < 0)
        san_list_clear(&list);
    *ret = list;
    return r;
}

void san_list_clear(struct san_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i].value);
    free(list->items);
    *list = (struct san_list){0};
}

static bool is_same(const struct san *a, const struct san *b)
{
    if (a->type != b->type)
        return false;
    return a->type == SAN_DNS ? text_equal_case(a->value, b->value)
                              : text_equal(a->value, b->value);
}

const struct san *san_list_match(const struct san_list *listed, const struct san_list *of)
{
    for (size_t i = 0; i < of->n; i++)
        for (size_t k = 0; k < listed->n; k++)
            if (is_same(&of->items[i], &listed->items[k]))
                return &of->items[i];
    return NULL;
}
