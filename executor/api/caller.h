/* caller.h - who is at the other end of a connection, and what they may do */
#ifndef STOPD_API_CALLER_H
#define STOPD_API_CALLER_H

#include "api/api.h"

#include <microhttpd.h>

struct caller {
    char name[256]; /* struct principal's; empty: not known yet */
    bool is_local_root;
    gid_t *groups; /* of the process that connected */
    size_t n_groups;
};
/* The process that connected to a Unix socket. Returns 0 or a negative errno. */
int caller_of_unix_socket(struct MHD_Connection *http, struct caller *ret);
void caller_clear(struct caller *c);

/* A group's name, or its number. Asks the name service, and so may block. 0 or -ENOENT. */
int group_from_word(const char *word, gid_t *ret);

/* In rising order: each has those before it. */
enum right { RIGHT_NONE, RIGHT_READ, RIGHT_CHANGE };

struct group_list {
    bool anybody;
    gid_t *items;
    size_t n;
};
/* api.operators and api.readers, with the groups' names resolved. */
struct access {
    struct group_list operators, readers;
};
/* Asks the name service too. 0 or -ENOMEM; *ret is replaced only on success. */
int access_set(struct access *ret, const struct api_groups *operators,
               const struct api_groups *readers);
void access_clear(struct access *a);
enum right access_of(const struct access *a, const struct caller *c);

#endif
