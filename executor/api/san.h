/* san.h - subject alternative names: what a certificate says, and what the configuration lists */
#ifndef STOPD_API_SAN_H
#define STOPD_API_SAN_H

#include "api/api.h"

#include <gnutls/x509.h>

/* Of the others (mail addresses, directory names …) none is a caller's name here. */
enum san_type { SAN_DNS, SAN_URI, SAN_IP, SAN_TYPE_MAX };
DECLARE_ENUM_WORDS(enum san_type, san_type); /* DNS URI IP */

/* A longer one is nobody's: cut short it could be another's. */
#define SAN_LENGTH_MOST 240

struct san {
    enum san_type type;
    char *value; /* an address as inet_ntop() writes it */
};
struct san_list {
    struct san *items;
    size_t n;
};

/* api.tls_clients or api.tls_readers. What holds "://" is a URI, a numeric address an address, all
 * else a DNS name. A word that no certificate can have is logged, and stands for nobody. 0 or
 * -ENOMEM. */
int san_list_of_words(const struct api_words *words, const char *key, struct san_list *ret);
/* A certificate's; those of other types, or with a NUL in them, or longer than SAN_LENGTH_MOST, are
 * left out. 0 or -ENOMEM. */
int san_list_of_certificate(gnutls_x509_crt_t certificate, struct san_list *ret);
void san_list_clear(struct san_list *list);

/* The first of these that is listed, or NULL. Exact: no wildcard, and no type stands for another;
 * DNS names in any case. */
const struct san *san_list_match(const struct san_list *listed, const struct san_list *of);

#endif
